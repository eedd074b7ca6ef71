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
 * A folder with the library as it stands in lib, types taken off, as `dist`: for processes of their own, which never run an
 * older build that way. There for all tests of the file; the path is known once they run.
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
