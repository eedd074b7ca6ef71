import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ROOT } from './doc-pages.js'

const PACKAGES = { node_modules: join(ROOT, 'node_modules') }

/** A TypeScript project of a test. Paths are relative to its folder. */
interface Project {
  readonly files: Readonly<Record<string, string>>
  /** Links to files and folders, by their paths; to the packages of this repository if left out. */
  readonly links?: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, unknown>>
  /** The configuration that the options are added to. */
  readonly extended?: string
  /** What is compiled; all files if left out. */
  readonly include?: ReadonlyArray<string>
}

export interface CompilerProblem {
  readonly file: string
  readonly line: number
  readonly code: number
  readonly message: string
}

export interface Compiled {
  readonly problems: ReadonlyArray<CompilerProblem>
  /** What the compiler wrote, by paths. */
  readonly output: Readonly<Record<string, string>>
}

/** Runs the compiler that `npm run types` runs. A process of its own: another compiler takes seconds in the sandbox of jest. */
export const runCompiler = (argv: ReadonlyArray<string>, cwd = ROOT): string => {
  const { stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/typescript7/bin/tsc'), ...argv, '--pretty', 'false'],
    { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 }
  )
  if (error) throw error
  return stdout + stderr
}

/** Compiles a project in a temporary folder. */
export const compile = ({ files, links = PACKAGES, options, extended, include = ['**/*'] }: Project): Compiled => {
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-compiler-'))
  try {
    for (const [path, target] of Object.entries(links)) {
      mkdirSync(join(folder, dirname(path)), { recursive: true })
      symlinkSync(target, join(folder, path), 'junction')
    }
    const config = {
      ...(extended !== undefined && { extends: extended }),
      compilerOptions: { rootDir: '.', outDir: 'out', ...options },
      include,
      exclude: ['node_modules', 'out']
    }
    for (const [path, text] of Object.entries({ ...files, 'tsconfig.json': JSON.stringify(config) })) {
      mkdirSync(join(folder, dirname(path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    const printed = runCompiler(['-p', folder], folder)
    return { problems: problemsIn(printed), output: textsIn(join(folder, 'out')) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Takes the types off files; returns their JavaScript as CommonJS, by the same paths. */
export const javascriptOf = (
  files: Readonly<Record<string, string>>,
  options: Project['options'] = {}
): Readonly<Record<string, string>> => {
  const { problems, output } = compile({
    files,
    links: {},
    options: { noCheck: true, noResolve: true, types: [], module: 'CommonJS', target: 'ES2023', ...options }
  })
  if (problems.length > 0) throw new Error(JSON.stringify(problems))
  return Object.fromEntries(Object.keys(files).map((path) => [path, output[path.replace(/ts$/, 'js')] ?? '']))
}

const problemsIn = (printed: string): ReadonlyArray<CompilerProblem> =>
  printed
    .split(/\n(?=\S)/)
    .filter((problem) => problem.trim() !== '')
    .map((problem) => {
      const [, file = '', line = '0', code = '0', message = problem.trim()] =
        /^(?:(.+?)\((\d+),\d+\): )?error TS(\d+): (.*)$/s.exec(problem.trim()) ?? []
      return { file, line: Number(line), code: Number(code), message }
    })

/** The files of a folder and of the folders in it, by their paths. */
export const textsIn = (folder: string): Readonly<Record<string, string>> => {
  mkdirSync(folder, { recursive: true })
  return Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.\w+$/.test(path))
      .map((path) => [path, readFileSync(join(folder, path), 'utf8')])
  )
}
