import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

export const ROOT = join(__dirname, '..', '..')

export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

const filesIn = (folder: string, ending: string): ReadonlyArray<string> =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort()

/** The documents, as paths from the root. */
export const pages: ReadonlyArray<string> = ['README.md', 'CHANGELOG.md', ...filesIn('docs', '.md')]

/** The source files, as paths from the root. */
export const sources: ReadonlyArray<string> = filesIn('lib', '.ts')

/** A code block of a document or a docstring. */
export interface Block {
  /** Where its code begins, such as `README.md:36`. */
  readonly at: string
  readonly language: string
  readonly code: string
  /** What it prints first, from the comment `<!-- run: … -->` before it; `''` if the block is a test. */
  readonly prints: string | undefined
}

const FENCE = /(?:<!-- (run)(?:: (.*?))? -->\n\n)?^```(\w+)\n(.*?)^```$/gms

export const blocksOf = (page: string): ReadonlyArray<Block> => {
  const text = textOf(page)
  return Array.from(text.matchAll(FENCE), (match) => {
    const [whole, run, prints = '', language = '', code = ''] = match
    const line = text.slice(0, match.index + whole.indexOf('```')).split('\n').length + 1
    return { at: `${page}:${line}`, language, code, prints: run && prints }
  })
}

const FENCE_IN_COMMENT = /^ +\* ```ts\n((?: +\*.*\n)*?) +\* ```$/gm

/** The examples in the docstrings of a source file. What an example prints first is written after `// prints`. */
export const docstringBlocks = (source: string): ReadonlyArray<Block> => {
  const text = textOf(source)
  return Array.from(text.matchAll(FENCE_IN_COMMENT), ({ 1: lines = '', index }) => {
    const code = lines.replace(/^ +\* ?/gm, '')
    const at = `${source}:${text.slice(0, index).split('\n').length + 1}`
    return { at, language: 'ts', code, prints: /\/\/ prints (.*)$/m.exec(code)?.[1] }
  })
}

/** Type-checks each block as a module of its own, all in one program with the compiler options of the specs. */
export const typeProblems = (blocks: ReadonlyArray<Block>): ReadonlyArray<string> => {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.spec.json'), ts.sys.readFile) as { config: unknown }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const codes = new Map(blocks.map(({ at, code }) => [join(ROOT, `${at.replace(/[/:]/g, '-')}.ts`), { at, code }]))
  // The NestJS recipe uses the decorators of TypeScript.
  const decorators = { experimentalDecorators: true, emitDecoratorMetadata: true }
  const asModules = { ...options, ...decorators, moduleDetection: ts.ModuleDetectionKind.Force }
  const host = ts.createCompilerHost(asModules)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (name) => codes.has(name) || fileExists(name)
  host.readFile = (name) => codes.get(name)?.code ?? readFile(name)
  host.getSourceFile = (name, target, ...rest) => {
    const block = codes.get(name)
    return block ? ts.createSourceFile(name, block.code, target) : getSourceFile(name, target, ...rest)
  }
  const program = ts.createProgram([...codes.keys()], asModules, host)
  return [...codes].flatMap(([name, { at, code }]) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(name)).map(({ start = 0, messageText }) => {
      const lines = code.slice(0, start).split('\n').length
      return `${at}, line ${lines} of the block: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
  )
}

/** Runs a block with the given modules. Resolves with what it prints first, or with `''` when its test has passed. */
export const firstPrint = ({ code }: Block, modules: Readonly<Record<string, unknown>>): Promise<string> =>
  new Promise((resolve, reject) => {
    const print = (...values: ReadonlyArray<unknown>): void => resolve(values.map(String).join(' '))
    const load = (name: string): unknown =>
      modules[name] ?? reject(new Error(`no module ${name} is given to the examples`))
    const it = (_title: string, body: () => unknown): void =>
      void Promise.resolve()
        .then(body)
        .then(() => resolve(''), reject)
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 }
    })
    // Not a vm context, because `expect` calls objects of another realm unequal.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval
    const example = new Function('require', 'exports', 'console', 'it', outputText) as (...globals: unknown[]) => void
    example(load, {}, { log: print, error: print }, it)
  })
