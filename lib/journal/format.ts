import type { FileHandle } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { entryAfter, type JournalEntry } from '../core/model/journal.js'
import type { TaskRef } from '../core/model/task.js'
import { JournalError } from './error.js'

/** What stands about a key. A key that is fresh again is not kept; `Begun` is in doubt if this process dies now. */
export type KeyState =
  | { readonly _tag: 'Begun' }
  | { readonly _tag: 'InDoubt' }
  | { readonly _tag: 'Known'; readonly ref: TaskRef }
  | { readonly _tag: 'Finished'; readonly tag: string }

/** What happened to a key. */
export type Change =
  | { readonly begun: true; readonly inDoubt?: true }
  | { readonly taskId: string; readonly createdAt: number }
  | { readonly ended: string }

// One object for all keys in the same state: a journal may hold millions.
const BEGUN: KeyState = { _tag: 'Begun' }
const IN_DOUBT: KeyState = { _tag: 'InDoubt' }
const finished = new Map<string, KeyState>()

const finishedWith = (tag: string): KeyState => {
  const state = finished.get(tag) ?? { _tag: 'Finished', tag }
  finished.set(tag, state)
  return state
}

const afterEnd = (state: KeyState | undefined, tag: string): KeyState | undefined => {
  const entry: JournalEntry['_tag'] = entryAfter(tag)
  if (entry === 'Finished') return finishedWith(tag)
  // Only what was begun by this process, and brought no id, was surely not created by the end of it.
  if (state?._tag === 'Begun') return entry === 'Fresh' ? undefined : IN_DOUBT
  return state
}

/** What stands about a key after a change of it. A finished key stays finished, and a task is never forgotten before that. */
export const nextState = (state: KeyState | undefined, change: Change): KeyState | undefined => {
  if (state?._tag === 'Finished') return state
  if ('ended' in change) return afterEnd(state, change.ended)
  if ('taskId' in change) return { _tag: 'Known', ref: { taskId: change.taskId, createdAt: change.createdAt } }
  return state ?? (change.inDoubt ? IN_DOUBT : BEGUN)
}

/** What stands about a key once the process that wrote it is gone. */
export const afterCrash = (state: KeyState): KeyState => (state._tag === 'Begun' ? IN_DOUBT : state)

/** The change that brings a key from nothing to its state. */
export const changeTo = (state: KeyState): Change => {
  switch (state._tag) {
    case 'Begun':
      return { begun: true }
    case 'InDoubt':
      return { begun: true, inDoubt: true }
    case 'Known':
      return state.ref
    case 'Finished':
      return { ended: state.tag }
  }
}

export const lineOf = (at: string, key: string, change: Change): string => `${JSON.stringify({ at, key, ...change })}\n`

/** Who has the journal open. Processes can be compared where the place is the same. */
export interface Owner {
  readonly pid: number
  readonly place: string
}

const VERSION = 1
const BEGINNING = '{"journal":"rx-captcha",'

export const headerOf = (openedAt: string, owner: Owner): string =>
  `${JSON.stringify({ journal: 'rx-captcha', version: VERSION, openedAt, ...owner })}\n`

const Header = t.type({ version: t.literal(VERSION), pid: t.number, place: t.string })

const Line = t.intersection([
  t.type({ at: t.string, key: t.string }),
  t.union([
    t.intersection([t.type({ begun: t.literal(true) }), t.partial({ inDoubt: t.literal(true) })]),
    t.type({ taskId: t.string, createdAt: t.number }),
    t.type({ ended: t.string })
  ])
])

const read = <A>(codec: t.Type<A>, line: string): A | undefined => {
  try {
    const decoded = codec.decode(JSON.parse(line))
    return E.isRight(decoded) ? decoded.right : undefined
  } catch {
    return undefined
  }
}

/** What is in a journal: the state of each key, and since when it is so. */
export class JournalReader {
  readonly states = new Map<string, KeyState>()
  readonly since = new Map<string, string>()
  #owner: Owner | undefined
  #rest = ''
  #number = 0
  #torn = 0

  constructor(private readonly path: string) {}

  get owner(): Owner | undefined {
    return this.#owner
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
    // A foreign file may be one endless line: do not read on to its end.
    if (this.#number === 0 && !BEGINNING.startsWith(this.#rest.slice(0, BEGINNING.length))) throw this.#foreign()
  }

  /** After the last byte. A line that was cut was never answered for, so it is left out. */
  flush(): void {
    if (this.#rest !== '') this.#line(this.#rest)
    if (!this.#owner) throw this.#foreign()
  }

  #line(line: string): void {
    this.#number += 1
    if (this.#number === 1) this.#header(line)
    else if (line.trim() !== '') this.#change(line)
  }

  #header(line: string): void {
    if (!line.startsWith(BEGINNING)) throw this.#foreign()
    this.#owner = read(Header, line)
    if (!this.#owner) {
      const advice = 'Use the version of rx-captcha that wrote it, or another path.'
      throw new JournalError(this.path, `has a first line that this version of rx-captcha does not know`, advice)
    }
  }

  #change(line: string): void {
    if (this.#torn > 0) throw this.#damaged(this.#torn)
    const change = read(Line, line)
    if (!change) {
      this.#torn = this.#number
      return
    }
    const { at, key } = change
    const [before, now] = [this.states.get(key), nextState(this.states.get(key), change)]
    if (now === before) return
    if (now) {
      this.states.set(key, now)
      this.since.set(key, at)
    } else {
      this.states.delete(key)
      this.since.delete(key)
    }
  }

  #damaged(number: number): JournalError {
    const advice =
      'It was left as it is. Correct that line, or remove it (a key without a line is created, and paid for, again), then start again.'
    return new JournalError(this.path, `is damaged: line ${number} cannot be read`, advice)
  }

  #foreign(): JournalError {
    const advice = 'It was left as it is: use another path, or, if it is worthless, remove it.'
    return new JournalError(this.path, 'is there, but no journal of rx-captcha', advice)
  }
}

const CHUNK_BYTES = 65_536

/** Reads a whole journal, a piece at a time: others may have to be told meanwhile that we live. */
export const readJournal = async (path: string, handle: FileHandle): Promise<JournalReader> => {
  const contents = new JournalReader(path)
  const [buffer, decoder] = [Buffer.allocUnsafe(CHUNK_BYTES), new StringDecoder('utf8')]
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null)
    if (bytesRead === 0) break
    contents.push(decoder.write(buffer.subarray(0, bytesRead)))
  }
  contents.push(decoder.end())
  contents.flush()
  return contents
}
