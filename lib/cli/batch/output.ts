import { createReadStream } from 'node:fs'
import { open, realpath, type FileHandle } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { entryAfter, journalTagOf, type JournalEntry } from '../../core/model/journal.js'
import { optional } from '../../core/validation/problems.js'
import { WrongUsage, whyNotWritten, write, type OutputStream } from '../shared/context.js'
import { explainInLine, type ServiceReach } from '../shared/explain.js'
import type { ItemResult } from '../shared/item-error.js'
import { reasonOf } from '../shared/text.js'
import type { KeyedItem } from '../input/item.js'
import { itemIdOf } from '../input/item-id.js'
import { recordOutput, type BatchJournal, type OutputState } from './journals.js'

/** Where outcomes go. */
export interface Output {
  /** Whether the lines appear on a terminal, where a progress display would overwrite them. */
  readonly isOnTerminal: boolean
  /** Writes the line of an outcome; rejects if it cannot be written. */
  readonly write: (item: KeyedItem, result: ItemResult) => Promise<void>
  readonly close: () => unknown
}

/** Writes the lines to a stream, and waits for a slow reader. */
export const openOutputStream = (stream: OutputStream, service: ServiceReach): Output => ({
  isOnTerminal: stream.isTTY === true,
  write: async (item, result) => {
    const error = await write(stream, formatOutcome(item, result, service))
    if (error) throw new Error(whyNotWritten(error))
  },
  close: () => undefined
})

/** Appends the lines to a file. What it holds already is passed to the journal, in case the journal missed it. */
export const openOutputFile = async (
  path: string,
  journal: BatchJournal | undefined,
  service: ServiceReach
): Promise<Output> => {
  const file = await openFile(path)
  try {
    await repairEnd(path, file)
    const reported = await replay(path, journal, service)
    const append = appender(file)
    return {
      isOnTerminal: false,
      write: async (item, result) => {
        const lasting = E.isLeft(result) ? lastingError(result.left) : undefined
        if (lasting !== undefined && reported.get(item.key) === lasting) return
        await append(formatOutcome(item, result, service))
      },
      close: () => file.close()
    }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** An error that a key would get in every run, so it needs one line only: the mistakes of its record, or a task in doubt. */
const lastingError = (error: ErrorFields): string | undefined => {
  const tag = journalTagOf(error)
  return tag === 'InvalidTask' ? JSON.stringify(error.problems) : entryAfter(tag) === 'InDoubt' ? 'InDoubt' : undefined
}

/**
 * Appends text durably and in order; calls during a write share the next one. The journal records the end of a key after
 * that, so that a power cut loses no outcome. After half a line nothing more is written: it would become part of that line.
 */
const appender = (file: FileHandle): ((text: string) => Promise<void>) => {
  let [pending, last] = ['', Promise.resolve()]
  let next: Promise<void> | undefined
  const writePending = async (): Promise<void> => {
    const text = pending
    ;[pending, next] = ['', undefined]
    await file.appendFile(text)
    await file.datasync()
    if ((await file.stat()).nlink === 0) throw new Error('it was deleted')
  }
  return (text) => {
    pending += text
    next ??= last = last.then(writePending)
    return next.catch((error: unknown) => {
      throw new Error(`the output cannot be written (${reasonOf(error)})`)
    })
  }
}

/** The line of an outcome. It has the key of the item unless that is its id, and the line of a bad record. */
const formatOutcome = (
  { index, id, key, line, isBad }: KeyedItem,
  result: ItemResult,
  service: ServiceReach
): string => {
  const name = id ? `,"id":${id.json}` : ''
  const ownKey = key === undefined || key === id?.key ? '' : `,"key":${JSON.stringify(key)}`
  const marks = { ...(service.isEmbedded && { emulator: true }), ...(isBad && { line }) }
  const outcome = JSON.stringify({ ...marks, ...outcomeFields(result, service) })
  return `{"index":${index}${name}${ownKey},${outcome.slice(1)}\n`
}

const outcomeFields = (result: ItemResult, service: ServiceReach): object => {
  if (E.isLeft(result)) return { ok: false, error: result.left, message: explainInLine(result.left, service) }
  const { ref, solution, useBefore, expiresAt } = result.right
  const { taskId, numeric } = ref
  return { ok: true, taskId, numeric, ...solution, useBefore, expiresAt }
}

/** Creates the file if it is not there, and returns its path without links. */
export const createFile = async (path: string): Promise<string> => {
  const file = await openFile(path)
  await file.close()
  return realpath(path)
}

const openFile = async (path: string): Promise<FileHandle> => {
  const file = await open(path, 'a+', 0o600).catch((error: unknown) => {
    throw new WrongUsage(`--out: ${path} cannot be written (${reasonOf(error)})`)
  })
  const found = await file.stat()
  if (found.isFile() && found.nlink === 1) return file
  await file.close()
  throw new WrongUsage(`--out: ${path} ${found.isFile() ? HARD_LINKED : 'is not a regular file'}`)
}

const HARD_LINKED = 'has other hard links, through which another run could write to it unnoticed; use a copy of it'

const MAX_LINE_BYTES = 1_048_576

/** Cuts off the half line that a crash left, or completes a line that lacks its newline only. */
const repairEnd = async (path: string, file: FileHandle): Promise<void> => {
  const { size } = await file.stat()
  const length = Math.min(size, MAX_LINE_BYTES)
  const { buffer: end } = await file.read(Buffer.alloc(length), 0, length, size - length)
  const rest = end.subarray(end.lastIndexOf('\n') + 1)
  const text = rest.toString()
  if (text === '') return
  if (readLine(text)) await file.appendFile('\n')
  else if (LINE_START.startsWith(text.slice(0, LINE_START.length))) await file.truncate(size - rest.length)
  else throw foreignFile(path)
}

const LINE_START = '{"index":'

const foreignFile = (path: string, line?: number) =>
  new WrongUsage(
    `--out: ${path} was not written by this command: ` +
      `${line === undefined ? 'its last line' : `line ${line}`} is not an outcome. It was left unchanged`
  )

/** The tokens of the emulator are worthless, so its tasks must not count as done in a run that pays, and vice versa. */
export const mixedOutput = (path: string, { isEmbedded }: ServiceReach) =>
  new WrongUsage(
    `--out: ${path} holds tasks of ${isEmbedded ? 'a service' : 'the embedded emulator'}; use another file ` +
      `${isEmbedded ? 'with' : 'without'} --emulator`
  )

/** Passes what the file says to the journal; returns the {@link lastingError} of each key that ended with one. */
const replay = async (
  path: string,
  journal: BatchJournal | undefined,
  service: ServiceReach
): Promise<ReadonlyMap<unknown, string>> => {
  const reported = new Map<string, string>()
  const last = new Map<string, OutputState>()
  let number = 0
  for await (const text of linesOf(createReadStream(path, 'utf8'))) {
    number += 1
    const line = readLine(text)
    if (!line) throw foreignFile(path, number)
    if (line.isEmbedded !== service.isEmbedded) throw mixedOutput(path, service)
    if (line.key === undefined) continue
    if (line.lasting === undefined || journal?.isReleased(line.key)) reported.delete(line.key)
    else reported.set(line.key, line.lasting)
    // After a line that nothing was paid for, such as a refusal, an earlier task of the key is still paid for.
    if (journal && line.entry._tag !== 'Fresh') last.set(line.key, { entry: line.entry, taskId: line.taskId })
  }
  if (journal) await recordOutput(journal, last)
  return reported
}

/** The lines of a text. `readLines` of Node 24 would also split at U+2028 and U+2029, which may be in a line of JSON. */
export const linesOf = async function* (chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  if (rest !== '') yield rest
}

/** What a line of the output says about its key. */
const readLine = (text: string) => {
  const line = E.flatMap(
    E.tryCatch((): unknown => JSON.parse(text), E.toError),
    (value) => OutputLine.decode(value)
  )
  if (E.isLeft(line)) return undefined
  const { key, id } = line.right
  const error = line.right.ok ? undefined : line.right.error
  return {
    key: key ?? (id === undefined ? undefined : itemIdOf(text, id).key),
    isEmbedded: line.right.emulator === true,
    entry: error ? entryOfError(error) : SOLVED,
    taskId: line.right.ok ? line.right.taskId : error?.ref?.taskId,
    lasting: error && lastingError(error)
  }
}

const SOLVED: JournalEntry = { _tag: 'Finished', tag: 'Solved' }

const entryOfError = (error: ErrorFields): JournalEntry => {
  const tag = journalTagOf(error)
  const entry = entryAfter(tag)
  // A job without an outcome has one too, if its task is known.
  if (entry !== 'Finished' && error.ref) return { _tag: 'Known', ref: error.ref }
  return entry === 'Known' ? { _tag: 'Fresh' } : { _tag: entry, tag }
}

const Ref = t.intersection([
  t.type({ taskId: t.string, createdAt: t.number }),
  t.partial({ numeric: optional(t.literal(true)) })
])

const ErrorFields = t.intersection([
  t.type({ _tag: t.string, paid: t.string }),
  t.partial({ kind: t.string, ref: Ref, problems: t.readonlyArray(t.string) })
])

type ErrorFields = t.TypeOf<typeof ErrorFields>

const OutputLine = t.intersection([
  t.type({ index: t.number }),
  t.partial({ key: t.string, id: t.union([t.string, t.number]), emulator: t.literal(true) }),
  t.union([t.type({ ok: t.literal(true), taskId: t.string }), t.type({ ok: t.literal(false), error: ErrorFields })])
])
