import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { runCompiler, textsIn } from './compiler.js'
import { ROOT } from './doc-pages.js'

/** The build of this run of jest, compiled when the first file needs it. */
const sharedBuild = (): string => {
  const parent = process.env.RX_CAPTCHA_BUILD_FOLDER!
  const shared = join(parent, 'shared')
  if (existsSync(shared)) return shared
  const own = join(mkdtempSync(join(parent, 'own-')), 'build')
  build(own)
  try {
    renameSync(own, shared)
  } catch (error) {
    // Another worker was faster.
    if (!existsSync(shared)) throw error
  }
  return shared
}

/** Compiles `lib` into the `dist` of a new folder. */
const build = (folder: string): void => {
  mkdirSync(folder)
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const config = join(ROOT, 'tsconfig.json')
  const printed = runCompiler(['-p', config, '--noCheck', '--outDir', join(folder, 'dist')])
  if (printed !== '') throw new Error(printed)
}

/**
 * Compiles `lib` into the `dist` of a temporary folder, so that child processes never run an older build. All files of a run
 * share the folder: they must not write into it. Its path is known once the tests run.
 */
export const built = (): (() => string) => {
  let folder = ''
  beforeAll(() => {
    folder = sharedBuild()
  })
  return () => folder
}

/** The declarations of lib as they are published, by file. */
export const libDeclarations = (): Readonly<Record<string, string>> => {
  const files = Object.entries(textsIn(join(sharedBuild(), 'dist')))
  return Object.fromEntries(files.filter(([path]) => path.endsWith('.d.ts')))
}

/** A copy of the build for this file alone, which may write into it. */
export const ownBuild = (): (() => string) => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(process.env.RX_CAPTCHA_BUILD_FOLDER!, 'copy-'))
    cpSync(sharedBuild(), folder, { recursive: true, verbatimSymlinks: true })
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  return () => folder
}
