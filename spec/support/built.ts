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
import { join } from 'node:path'
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
    for (const part of ['', 'core', 'edge']) {
      mkdirSync(join(folder, 'dist', part), { recursive: true })
      for (const file of readdirSync(join(root, 'lib', part)).filter((name) => name.endsWith('.ts'))) {
        const { outputText } = transpileModule(readFileSync(join(root, 'lib', part, file), 'utf8'), { compilerOptions })
        writeFileSync(join(folder, 'dist', part, file.replace(/ts$/, 'js')), outputText)
      }
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  return () => folder
}
