import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { format } from 'node:util'
import { compile, javascriptOf } from './compiler.js'
import { ROOT, type Block } from './doc-pages.js'

/** The name that a block gives to its file in its first line, so that another block of its page can import it. */
const nameOf = ({ code }: Block): string | undefined => /^\/\/ ([\w.]+\.ts)\b/.exec(code)?.[1]

const folderOf = ({ page }: Block): string => page.replace(/[/.]/g, '-')

const fileOf = (block: Block, extension = 'ts'): string => {
  const name = nameOf(block)
  return name === undefined ? `${block.at.replace(/[/:]/g, '-')}.${extension}` : `${folderOf(block)}/${name}`
}

const filesOf = (blocks: ReadonlyArray<Block>, extension?: string) =>
  Object.fromEntries(blocks.map((block) => [fileOf(block, extension), block.code]))

// The NestJS recipe uses the decorators of TypeScript.
const DECORATORS = { experimentalDecorators: true, emitDecoratorMetadata: true }

/** Type-checks each block as an ES module, all in one program with the compiler options of the specs. As the guide says, a program is an `.mts` file. */
export const typeProblems = (blocks: ReadonlyArray<Block>): ReadonlyArray<string> => {
  const { problems } = compile({
    files: { ...filesOf(blocks, 'mts'), 'package.json': '{"type":"module"}' },
    extended: join(ROOT, 'tsconfig.spec.json'),
    options: { ...DECORATORS, moduleDetection: 'force', rootDir: '/' }
  })
  const blockOf = new Map(blocks.map((block) => [fileOf(block, 'mts'), block]))
  return problems.flatMap(({ file, line, code, message }) => {
    const block = blockOf.get(file)
    if (block?.language === 'js' && UNTYPED.includes(code)) return []
    return `${block ? `${block.at}, line ${line} of the block` : file}: ${message}`
  })
}

/** What only a file with types can satisfy: implicit `any`, caught values of type `unknown`, and a return in every path. */
const UNTYPED = [7005, 7006, 7030, 7031, 7034, 18046]

/** How long an example may take, in milliseconds: shorter than a test may, so that the error says what was printed. */
const TIME_LIMIT_MS = 8_000

/** A block with the JavaScript that is run. */
export interface Runnable extends Block {
  readonly javascript: string
}

/** Compiles blocks, all of them at once. */
export const runnable = (blocks: ReadonlyArray<Block>): ReadonlyArray<Runnable> => {
  const javascript = javascriptOf(filesOf(blocks), DECORATORS)
  return blocks.map((block) => ({ ...block, javascript: javascript[fileOf(block)] ?? '' }))
}

/** Runs a block with the given modules until its code has ended and it has printed what it states, or its test has passed. */
export const runBlock = async (
  { javascript, prints, isTest }: Runnable,
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
  // Not a vm context, because `expect` calls objects of another realm unequal.
  const example = new AsyncFunction('require', 'exports', 'console', 'process', 'it', javascript)
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
