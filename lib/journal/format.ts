import type { FileHandle } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { entryAfter } from '../core/model/journal.js'
import { Instant, type TaskRef } from '../core/model/task.js'
import { JournalError, NOT_OPENED } from './error.js'
import type { Owner } from './owner.js'

/** What the journal knows of a key; a fresh key has no state. `Begun` becomes `InDoubt` if this process dies. */
export type KeyState = { readonly _tag: 'Begun' } | RecoveredState

/** The state of a key after the process that wrote it has ended. */
export type RecoveredState =
  | { readonly _tag: 'InDoubt' }
  | { readonly _tag: 'Known'; readonly ref: TaskRef }
  | { readonly _tag: 'Finished'; readonly tag: string }

/** One line of the journal: what happened to a key. */
export type Change =
  { readonly begun: true; readonly inDoubt?: true } | TaskRef | { readonly ended: string } | { readonly released: true }

/** The state of a key after a change. A finished key stays finished, and a recorded task stays recorded, unless it is released. */
export const nextKeyState = (state: KeyState | undefined, change: Change): KeyState | undefined => {
  if ('released' in change) return undefined
  if (state?._tag === 'Finished') return state
  if ('ended' in change) return afterEnd(state, change.ended)
  if ('taskId' in change) return { _tag: 'Known', ref: bareRef(change) }
  return state ?? (change.inDoubt ? IN_DOUBT : BEGUN)
}

/** The reference without other properties. `numeric` comes first, so that a torn line with a complete id has it too. */
export const bareRef = ({ taskId, createdAt, numeric }: TaskRef): TaskRef =>
  numeric ? { numeric, taskId, createdAt } : { taskId, createdAt }

const afterEnd = (state: KeyState | undefined, tag: string): KeyState | undefined => {
  const entry = entryAfter(tag)
  if (entry === 'Finished') return finishedWith(tag)
  // Such an outcome proves that nothing was created only if this process began the key and no id arrived.
  if (state?._tag === 'Begun') return entry === 'Fresh' ? undefined : IN_DOUBT
  return state
}

export const afterCrash = (state: KeyState): RecoveredState => (state._tag === 'Begun' ? IN_DOUBT : state)

/** The change that leads from a fresh key to this state. */
export const changeTo = (state: RecoveredState): Change => {
  switch (state._tag) {
    case 'InDoubt':
      return { begun: true, inDoubt: true }
    case 'Known':
      return state.ref
    case 'Finished':
      return { ended: state.tag }
  }
}

// Keys in the same state share one object, because a journal may hold millions of them.
const BEGUN: KeyState = { _tag: 'Begun' }
export const IN_DOUBT = { _tag: 'InDoubt' } as const
const finished = new Map<string, RecoveredState>()

const finishedWith = (tag: string): RecoveredState => {
  const state = finished.get(tag) ?? { _tag: 'Finished', tag }
  finished.set(tag, state)
  return state
}

export const journalLine = (at: string, key: string, change: Change): string =>
  `${JSON.stringify({ at, key, ...change })}\n`

/** The first line of a journal: which process opened it last, and when. */
export interface Header extends Owner {
  readonly openedAt: string
}

export const headerLine = (header: Header): string =>
  `${JSON.stringify({ journal: 'rx-captcha', version: VERSION, ...header })}\n`

const VERSION = 1
const BEGINNING = '{"journal":"rx-captcha",'

const Header: t.Decoder<unknown, Header> = t.intersection([
  t.type({ version: t.literal(VERSION), openedAt: t.string, pid: t.number, place: t.string }),
  t.partial({ processStart: t.string })
])

const JournalLine = t.intersection([
  t.type({ at: t.string, key: t.string }),
  t.union([
    t.intersection([t.type({ begun: t.literal(true) }), t.partial({ inDoubt: t.literal(true) })]),
    t.intersection([t.type({ taskId: t.string, createdAt: Instant }), t.partial({ numeric: t.literal(true) })]),
    t.type({ ended: t.string }),
    t.type({ released: t.literal(true) })
  ])
])

const UP_TO_TASK_ID =
  /^\{"at":"[^"]*","key":"(?:[^"\\]|\\.)*",(?:"numeric":true,)?"taskId":"(?:[^"\\]|\\.)*"(?:,"createdAt":[^,}]+(?=\}))?/

const TornLine = t.intersection([
  t.type({ at: t.string, key: t.string, taskId: t.string }),
  t.partial({ numeric: t.literal(true), createdAt: Instant })
])

/** Whether the line of this change could be read back. Callers without types may pass anything. */
export const isReadable = (key: string, change: Change): boolean => JournalLine.is({ at: '', key, ...change })

const read = <A>(codec: t.Decoder<unknown, A>, line: string): A | undefined => {
  try {
    const decoded = codec.decode(JSON.parse(line))
    return E.isRight(decoded) ? decoded.right : undefined
  } catch {
    return undefined
  }
}

/** Reads the text of a journal, chunk by chunk. Throws a {@link JournalError} if the text is not a journal. */
export class JournalReader {
  /** The state of each key, and since when it has been in that state. */
  readonly entries = new Map<string, { readonly state: KeyState; readonly at: string }>()
  /** The keys that were ever released. */
  readonly released = new Set<string>()
  readonly #path: string
  #header: Header | undefined
  #rest = ''
  #lineNumber = 0
  #torn: { readonly number: number; readonly text: string } | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Set once the first line was read. */
  get header(): Header | undefined {
    return this.#header
  }

  push(chunk: string): void {
    const text = this.#rest + chunk
    const end = text.lastIndexOf('\n') + 1
    this.#rest = text.slice(end)
    for (const line of text.slice(0, end).split('\n').slice(0, -1)) this.#readLine(line)
    // A file that is not a journal may be one endless line, so it is refused before its end.
    if (this.#lineNumber === 0 && !BEGINNING.startsWith(this.#rest.slice(0, BEGINNING.length))) throw this.#foreign()
  }

  /** Call after the last chunk. A torn last line was never confirmed; only a task id is read from it, if it is complete. */
  end(): void {
    if (this.#rest !== '') this.#readLine(this.#rest)
    if (!this.#header) throw this.#foreign()
    if (this.#torn) this.#readTorn(this.#torn.text)
  }

  #readLine(line: string): void {
    this.#lineNumber += 1
    if (this.#lineNumber === 1) this.#readHeader(line)
    else if (line.trim() !== '') this.#readChange(line)
  }

  #readHeader(line: string): void {
    if (!line.startsWith(BEGINNING)) throw this.#foreign()
    this.#header = read(Header, line)
    if (!this.#header) {
      const happened = 'has a first line that this version of rx-captcha cannot read'
      throw this.#unchanged(happened, 'Use the version of rx-captcha that wrote it, or another path.')
    }
  }

  #readChange(line: string): void {
    if (this.#torn) throw this.#damaged(this.#torn.number)
    const change = read(JournalLine, line)
    if (change) this.#apply(change.key, change.at, change)
    else this.#torn = { number: this.#lineNumber, text: line }
  }

  #readTorn(text: string): void {
    const torn = read(TornLine, `${UP_TO_TASK_ID.exec(text)?.[0]}}`)
    if (!torn) return
    const { at, key, createdAt, ...id } = torn
    // If createdAt is cut off, the task must not look younger than it is: it was created after its key had been begun.
    const beganAt = Date.parse(this.entries.get(key)?.at ?? at)
    this.#apply(key, at, { ...id, createdAt: createdAt ?? beganAt })
  }

  #apply(key: string, at: string, change: Change): void {
    if ('released' in change) this.released.add(key)
    const before = this.entries.get(key)?.state
    const state = nextKeyState(before, change)
    if (state === before) return
    if (state) this.entries.set(key, { state, at })
    else this.entries.delete(key)
  }

  #damaged(lineNumber: number): JournalError {
    return this.#unchanged(
      `is damaged: line ${lineNumber} cannot be read`,
      'Correct or remove that line, then start again; the task of a key without a line is created, and paid for, again.'
    )
  }

  #foreign(): JournalError {
    const advice = 'Use another path, or remove the file if you do not need it.'
    return this.#unchanged('exists, but is not a journal of rx-captcha', advice)
  }

  #unchanged(happened: string, advice: string): JournalError {
    return new JournalError(this.#path, happened, `The file was not changed. ${NOT_OPENED} ${advice}`)
  }
}

/** Reads a whole journal in chunks, so that the timers that renew the locks run in between. */
export const readJournal = async (path: string, handle: FileHandle): Promise<JournalReader> => {
  const reader = new JournalReader(path)
  const [buffer, decoder] = [Buffer.allocUnsafe(CHUNK_BYTES), new StringDecoder('utf8')]
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null)
    if (bytesRead === 0) break
    reader.push(decoder.write(buffer.subarray(0, bytesRead)))
  }
  reader.push(decoder.end())
  reader.end()
  return reader
}

const CHUNK_BYTES = 65_536
