import { closeSync, constants, fdatasync, fstatSync, ftruncateSync, openSync, readSync, writeFileSync } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { promisify } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { lastValueFrom } from 'rxjs'
import { entryAfter, journalTagOf, type JournalEntry } from '../../core/model/journal.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { SolveResult } from '../../core/model/result.js'
import { WrongUsage, write, type OutputStream } from '../shared/context.js'
import { explainInLine, type ServiceReach } from '../shared/explain.js'
import { codeOf } from '../shared/text.js'
import type { Item } from './item.js'
import { itemIdOf } from './item-id.js'
import { recordEntry, type BatchJournal } from './journals.js'

/** An item with its place in the input, counted from 0, and its key if the batch can be continued. */
export interface KeyedItem extends Item {
  readonly index: number
  readonly key: string | undefined
}

/** Where outcomes go. */
export interface Output {
  /** Whether the lines appear on a terminal, where a progress display would overwrite them. */
  readonly isOnTerminal: boolean
  /** Writes the line of an outcome; rejects if it cannot be written. */
  readonly write: (item: KeyedItem, result: SolveResult<RecaptchaV2Solution>) => Promise<void>
  readonly close: () => void
}

/** Writes the lines to a stream, and waits for a slow reader. */
export const openOutputStream = (stream: OutputStream, service: ServiceReach): Output => ({
  isOnTerminal: stream.isTTY === true,
  write: async (item, result) => {
    if (!(await write(stream, lineOf(item, result, service)))) throw new Error('the reader of the output is gone')
  },
  close: () => undefined
})

/** Appends the lines to a file. What it holds already is passed to the journal, in case the journal missed it. */
export const openOutputFile = async (
  path: string,
  journal: BatchJournal | undefined,
  service: ServiceReach
): Promise<Output> => {
  const file = openFile(path)
  try {
    repairEnd(path, file)
    const doubts = await replay(path, journal)
    return appendTo(file, doubts, service)
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** Each line is on the disk before the journal records the end of its key, so that a power cut loses no outcome. */
const appendTo = (file: number, doubts: ReadonlySet<string>, service: ServiceReach): Output => {
  let isBroken = false
  const synced = sharedSync(file)
  return {
    isOnTerminal: false,
    write: (item, result) => {
      // A key that is in doubt ends as CreateUnknown in every run; one line is enough.
      if (E.isLeft(result) && isInDoubt(result.left) && item.key !== undefined && doubts.has(item.key))
        return Promise.resolve()
      // After half a line a further one would be lost in it.
      if (isBroken) return Promise.reject(new Error('the output cannot be written'))
      try {
        writeFileSync(file, lineOf(item, result, service))
        return synced()
      } catch (error) {
        isBroken = true
        return Promise.reject(new Error(`the output cannot be written (${codeOf(error)})`))
      }
    },
    close: () => {
      closeSync(file)
    }
  }
}

/** Syncs the file; calls that come during a sync share the next one. */
const sharedSync = (file: number): (() => Promise<void>) => {
  const sync = promisify(fdatasync)
  let [running, next]: [Promise<void> | undefined, Promise<void> | undefined] = [undefined, undefined]
  const start = (): Promise<void> => {
    next = undefined
    running = sync(file).finally(() => (running = undefined))
    return running
  }
  return () => (running ? (next ??= running.then(start, start)) : start())
}

/** The line of an outcome. It has the key of the item if it has no id, and the line of a bad record. */
const lineOf = (
  { index, id, key, line, isBad }: KeyedItem,
  result: SolveResult<RecaptchaV2Solution>,
  service: ServiceReach
): string => {
  const name = id ? `,"id":${id.json}` : key === undefined ? '' : `,"key":${JSON.stringify(key)}`
  const outcome = JSON.stringify({ ...(isBad && { line }), ...outcomeFields(result, service) })
  return `{"index":${index}${name},${outcome.slice(1)}\n`
}

const outcomeFields = (result: SolveResult<RecaptchaV2Solution>, service: ServiceReach): object => {
  if (E.isLeft(result)) return { ok: false, error: result.left, message: explainInLine(result.left, service) }
  const { ref, solution, useBefore, expiresAt } = result.right
  const { taskId, numeric } = ref
  return { ok: true, taskId, numeric, ...solution, useBefore, expiresAt }
}

const { O_RDWR, O_APPEND, O_CREAT } = constants

/** Creates the file if it is not there, and returns its path without links. */
export const createFile = (path: string): Promise<string> => {
  closeSync(openFile(path))
  return realpath(path)
}

const openFile = (path: string): number => {
  try {
    const file = openSync(path, O_RDWR | O_APPEND | O_CREAT, 0o600)
    const found = fstatSync(file)
    if (found.isFile() && found.nlink === 1) return file
    closeSync(file)
    throw new WrongUsage(`--out: ${path} ${found.isFile() ? HARD_LINKED : 'is not a regular file'}`)
  } catch (error) {
    if (error instanceof WrongUsage) throw error
    throw new WrongUsage(`--out: ${path} cannot be written (${codeOf(error)})`)
  }
}

const HARD_LINKED =
  'has further names (hard links), by which another run could write to it without being noticed; use a copy of it'

const MAX_LINE_BYTES = 1_048_576

/** Cuts off the half line that a crash left, or completes a line that lacks its newline only. */
const repairEnd = (path: string, file: number): void => {
  const { size } = fstatSync(file)
  const end = Buffer.alloc(Math.min(size, MAX_LINE_BYTES))
  readSync(file, end, 0, end.length, size - end.length)
  const rest = end.subarray(end.lastIndexOf('\n') + 1)
  if (rest.length === 0) return
  const text = rest.toString()
  if (readLine(text)) writeFileSync(file, '\n')
  else if (LINE_START.startsWith(text.slice(0, LINE_START.length))) ftruncateSync(file, size - rest.length)
  else throw foreignFile(path)
}

const LINE_START = '{"index":'

const foreignFile = (path: string, line?: number) =>
  new WrongUsage(
    `--out: ${path} was not written by this command: ` +
      `${line === undefined ? 'its last line' : `line ${line}`} is not an outcome. It was left unchanged`
  )

const MAX_PENDING = 1_000

/** Passes every line of the file to the journal; returns the keys whose last line is in doubt. */
const replay = async (path: string, journal: BatchJournal | undefined): Promise<ReadonlySet<string>> => {
  const doubts = new Set<string>()
  let [number, pending] = [0, new Array<Promise<unknown>>()]
  const handle = await open(path)
  for await (const text of handle.readLines()) {
    number += 1
    const line = readLine(text)
    if (!line) throw foreignFile(path, number)
    if (line.key === undefined) continue
    if (line.entry._tag === 'InDoubt') doubts.add(line.key)
    else doubts.delete(line.key)
    if (journal) pending.push(lastValueFrom(recordEntry(journal, line.key, line.entry), { defaultValue: undefined }))
    if (pending.length === MAX_PENDING) {
      await Promise.all(pending)
      pending = []
    }
  }
  await Promise.all(pending)
  return doubts
}

/** What a line of the output says about its key. */
const readLine = (text: string): { readonly key: string | undefined; readonly entry: JournalEntry } | undefined => {
  const parsed = E.tryCatch(
    (): unknown => JSON.parse(text),
    () => undefined
  )
  if (E.isLeft(parsed)) return undefined
  const line = Line.decode(parsed.right)
  if (E.isLeft(line)) return undefined
  const { key, id } = line.right
  return {
    key: key ?? (id === undefined ? undefined : itemIdOf(text, id).key),
    entry: line.right.ok ? { _tag: 'Finished', tag: 'Solved' } : entryOf(line.right.error)
  }
}

const entryOf = (error: t.TypeOf<typeof LineError>): JournalEntry => {
  const tag = journalTagOf(error)
  const entry = entryAfter(tag)
  if (entry === 'Known') return error.ref ? { _tag: entry, ref: error.ref } : { _tag: 'Fresh' }
  return { _tag: entry, tag }
}

const isInDoubt = (error: Parameters<typeof journalTagOf>[0]): boolean => entryAfter(journalTagOf(error)) === 'InDoubt'

const Ref = t.intersection([t.type({ taskId: t.string, createdAt: t.number }), t.partial({ numeric: t.literal(true) })])

const LineError = t.intersection([t.type({ _tag: t.string, paid: t.string }), t.partial({ kind: t.string, ref: Ref })])

const Line = t.intersection([
  t.type({ index: t.number }),
  t.partial({ key: t.string, id: t.union([t.string, t.number]) }),
  t.union([
    t.type({ ok: t.literal(true), taskId: t.string }),
    t.type({
      ok: t.literal(false),
      error: LineError
    })
  ])
])
