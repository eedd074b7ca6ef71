import { EventEmitter } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { format } from 'node:util'
import ts from 'typescript'

export const ROOT = join(__dirname, '..', '..')

export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

const filesIn = (folder: string, ending: string): ReadonlyArray<string> =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort()

/** The documents, as paths from the root. */
export const pages: ReadonlyArray<string> = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...filesIn('docs', '.md')
]

/** The source files, as paths from the root. */
export const sources: ReadonlyArray<string> = filesIn('lib', '.ts')

/** A code block of a document or a docstring. */
export interface Block {
  /** Where its code begins, such as `README.md:36`. */
  readonly at: string
  readonly page: string
  readonly language: string
  readonly code: string
  /** What it prints, in this order: from its comments `// prints …`, or from a comment `<!-- run: … -->` before it. Lines that end in `…` are only the beginning. */
  readonly prints: ReadonlyArray<string>
  /** Whether it is a test for jest, so that it has to pass instead of printing something. */
  readonly isTest: boolean
  /** The spec that runs it in place of `examples.spec.ts`, from its comment `// Tested in …`. */
  readonly testedIn: string | undefined
}

const FENCE = /(?:<!-- run(?:: (.*?))? -->\n\n)?^( *)```(\w+)\n(.*?)^ *```$/gms

export const blocksOf = (page: string): ReadonlyArray<Block> => {
  const text = textOf(page)
  return Array.from(text.matchAll(FENCE), (match) => {
    const [whole, prints, indent = '', language = '', code = ''] = match
    const line = text.slice(0, match.index + whole.indexOf('```')).split('\n').length + 1
    return blockOf(page, line, language, code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''), prints)
  })
}

const FENCE_IN_COMMENT = /^ +\* ```(ts|js)\n((?: +\*.*\n)*?) +\* ```$/gm

/** The examples in the docstrings of a source file. */
export const docstringBlocks = (source: string): ReadonlyArray<Block> => {
  const text = textOf(source)
  return Array.from(text.matchAll(FENCE_IN_COMMENT), ({ 1: language = '', 2: lines = '', index }) =>
    blockOf(source, text.slice(0, index).split('\n').length + 1, language, lines.replace(/^ +\* ?/gm, ''))
  )
}

const blockOf = (page: string, line: number, language: string, code: string, prints?: string): Block => ({
  at: `${page}:${line}`,
  page,
  language,
  code,
  prints: [
    ...(prints === undefined ? [] : [prints]),
    ...Array.from(code.matchAll(/\/\/ prints (.*)$/gm), ([, text = '']) => text.replace(/…$/, ''))
  ],
  isTest: /^ *(?:it|test)(?:\.each)?\(/m.test(code),
  testedIn: /^\/\/ .*\btested in (\S+)/im.exec(code)?.[1]
})

/** Type-checks each block as an ES module, all in one program with the compiler options of the specs. */
export const typeProblems = (blocks: ReadonlyArray<Block>): ReadonlyArray<string> => {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.spec.json'), ts.sys.readFile) as { config: unknown }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const codes = new Map(blocks.map((block) => [join(ROOT, `${block.at.replace(/[/:]/g, '-')}.ts`), block]))
  // The NestJS recipe uses the decorators of TypeScript.
  const decorators = { experimentalDecorators: true, emitDecoratorMetadata: true }
  const asModules = { ...options, ...decorators, moduleDetection: ts.ModuleDetectionKind.Force }
  const host = ts.createCompilerHost(asModules)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (name) => codes.has(name) || fileExists(name)
  host.readFile = (name) => codes.get(name)?.code ?? readFile(name)
  host.getSourceFile = (name, target, ...rest) => {
    const block = codes.get(name)
    if (!block) return getSourceFile(name, target, ...rest)
    const { ESNext } = ts.ModuleKind
    return ts.createSourceFile(name, block.code, { languageVersion: ts.ScriptTarget.ES2023, impliedNodeFormat: ESNext })
  }
  const program = ts.createProgram([...codes.keys()], asModules, host)
  return [...codes].flatMap(([name, { at, language, code }]) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(name))
      .filter((problem) => language !== 'js' || !UNTYPED.includes(problem.code))
      .map(({ start = 0, messageText }) => {
        const lines = code.slice(0, start).split('\n').length
        return `${at}, line ${lines} of the block: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
      })
  )
}

/** What only a file with types can satisfy: implicit `any`, caught values of type `unknown`, and a return in every path. */
const UNTYPED = [7005, 7006, 7030, 7031, 7034, 18046]

/** How long an example may take, in milliseconds: shorter than a test may, so that the error says what was printed. */
const TIME_LIMIT_MS = 8_000

/** Runs a block with the given modules until its code has ended and it has printed what it states, or its test has passed. */
export const runBlock = async (
  { code, prints, isTest }: Block,
  modules: (name: string) => unknown,
  limitMs = TIME_LIMIT_MS
): Promise<void> => {
  const printed: string[] = []
  const passed = deferred()
  const print = (...values: ReadonlyArray<unknown>): void => {
    printed.push(format(...values))
    if (!isTest && missingOf(prints, printed) === undefined) passed.resolve()
  }
  const it = (_title: string, body: () => unknown): void =>
    void Promise.resolve()
      .then(body)
      .then(() => passed.resolve(), passed.reject)
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 }
  })
  // Not a vm context, because `expect` calls objects of another realm unequal.
  const example = new AsyncFunction('require', 'exports', 'console', 'process', 'it', outputText)
  const signals = new EventEmitter()
  const ownProcess = Object.assign(Object.create(process) as object, {
    on: signals.on.bind(signals),
    once: signals.once.bind(signals)
  })
  const body = example(modules, {}, { log: print, error: print, table: print }, ownProcess, it)
  // The signal for which an example waits.
  void body.then(() => signals.emit('SIGTERM'), passed.reject)
  const limit = setTimeout(() => {
    passed.reject(
      new Error(`did not print ${missingOf(prints, printed) ?? 'what it states'}, but:\n${printed.join('\n')}`)
    )
  }, limitMs)
  await Promise.all([body, passed.promise]).finally(() => {
    clearTimeout(limit)
  })
}

const deferred = () => {
  const settle: { resolve?: () => void; reject?: (reason: unknown) => void } = {}
  const promise = new Promise<void>((resolve, reject) => Object.assign(settle, { resolve, reject }))
  return { promise, ...(settle as Required<typeof settle>) }
}

const AsyncFunction = (async () => {}).constructor as new (
  ...args: ReadonlyArray<string>
) => (...globals: ReadonlyArray<unknown>) => Promise<void>

/** The first stated text that was not printed after the ones before it. */
const missingOf = (prints: ReadonlyArray<string>, printed: ReadonlyArray<string>): string | undefined => {
  let from = 0
  return prints.find((text) => {
    const index = printed.findIndex((line, i) => i >= from && line.includes(text))
    from = index + 1
    return index === -1
  })
}
