import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

const root = join(__dirname, '../..')

/**
 * Compiles `lib` into the `dist` of a temporary folder, so that child processes never run an older build. The folder exists
 * for all tests of the file; its path is known once they run.
 */
export const built = (): (() => string) => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
    copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))
    const compilerOptions = { module: ModuleKind.CommonJS, target: ScriptTarget.ES2023 }
    for (const file of readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue
      const { outputText } = transpileModule(readFileSync(join(root, 'lib', file), 'utf8'), { compilerOptions })
      mkdirSync(join(folder, 'dist', dirname(file)), { recursive: true })
      writeFileSync(join(folder, 'dist', file.replace(/ts$/, 'js')), outputText)
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  return () => folder
}
