import { closeSync, constants, fdatasyncSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { entryAfter, journalTagOf } from '../../core/model/journal.js'
import { WrongUsage, codeOf, deliver, type Output } from '../shared/context.js'

/** An outcome as a line, and what makes it the same as another one of its key. */
export interface OutLine {
  readonly key: string | undefined
  readonly text: string
  readonly stand: Stand
}

/** How an outcome leaves its key: `tag` is that of the journal, `taskId` that of an open task. */
export interface Stand {
  readonly tag: string
  readonly taskId?: string
  readonly isPaid: boolean
}

/** Where outcomes go. */
export interface Out {
  /** Resolves with whether the line is written; one that is there already is not written again. */
  readonly put: (line: OutLine) => Promise<boolean>
  /** What the last line of a key says. */
  readonly lastOf: (key: string) => Stand | undefined
  /** Resolves when there is room for more. */
  readonly ready: () => Promise<void>
  readonly close: () => void
}

/** Lines to a stream; nothing is known of earlier ones. */
export const openStream = (output: Output): Out => {
  // A reader that is slow holds up the taking, or what is not read yet would fill the memory.
  let last: Promise<unknown> = Promise.resolve()
  return {
    put: ({ text }) => {
      const written = deliver(output, text)
      last = written
      return written
    },
    lastOf: () => undefined,
    ready: async () => {
      if (output.writableNeedDrain === true) await last
    },
    close: () => undefined
  }
}

const Line = t.union([
  t.type({ index: t.number, ok: t.literal(true), taskId: t.string }),
  t.intersection([
    t.type({ index: t.number, ok: t.literal(false) }),
    t.type({
      error: t.intersection([
        t.type({ _tag: t.string, paid: t.union([t.literal('no'), t.literal('yes'), t.literal('unknown')]) }),
        t.partial({ kind: t.string, ref: t.type({ taskId: t.string }) })
      ])
    })
  ])
])

const Keyed = t.union([t.type({ key: t.string }), t.type({ id: t.union([t.string, t.number]) })])

// One object for all keys that stand alike: a file may hold millions.
const stands = new Map<string, Stand>()

/** How an error leaves its key. */
export const standOf = (error: {
  readonly _tag: string
  readonly paid: string
  readonly kind?: string
  readonly ref?: { readonly taskId: string }
}): Stand => {
  const tag = journalTagOf(error)
  const isOpen = entryAfter(tag) === 'Known'
  return shared({ tag, isPaid: error.paid !== 'no', ...(isOpen && error.ref && { taskId: error.ref.taskId }) })
}

const shared = (stand: Stand): Stand => {
  if (stand.taskId !== undefined) return stand
  const name = `${stand.tag} ${stand.isPaid}`
  const known = stands.get(name) ?? stand
  stands.set(name, known)
  return known
}

export const SOLVED: Stand = { tag: 'Solved', isPaid: true }

const isSame = (one: Stand | undefined, other: Stand): boolean =>
  one?.tag === other.tag && one.taskId === other.taskId && one.isPaid === other.isPaid

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const readLine = (text: string): { readonly key: string | undefined; readonly stand: Stand } | undefined => {
  const value = parsed(text)
  const [line, keyed] = [Line.decode(value), Keyed.decode(value)]
  if (E.isLeft(line)) return undefined
  const key = E.isLeft(keyed) ? undefined : 'key' in keyed.right ? keyed.right.key : String(keyed.right.id)
  return { key, stand: line.right.ok ? SOLVED : standOf(line.right.error) }
}

const BEGINNING = '{"index":'
const CHUNK_BYTES = 65_536

const foreign = (path: string, number: number) =>
  new WrongUsage(`--out: ${path} was not written by this command: line ${number} is no outcome. It was left as it is`)

/** What is in the file, and how much of it counts: a process that died may have left half a line. */
const readAll = (path: string, file: number): ReadonlyMap<string, Stand> => {
  const found = new Map<string, Stand>()
  const [buffer, decoder] = [Buffer.allocUnsafe(CHUNK_BYTES), new StringDecoder('utf8')]
  let [rest, number, whole] = ['', 0, 0]
  const take = (text: string) => {
    number += 1
    const line = readLine(text)
    if (!line) throw foreign(path, number)
    if (line.key !== undefined) found.set(line.key, line.stand)
    whole += Buffer.byteLength(text) + 1
  }
  for (;;) {
    const bytes = readSync(file, buffer, 0, CHUNK_BYTES, null)
    if (bytes === 0) break
    const lines = (rest + decoder.write(buffer.subarray(0, bytes))).split('\n')
    rest = lines.pop() ?? ''
    lines.forEach(take)
  }
  if (rest === '') return found
  if (readLine(rest)) {
    take(rest)
    writeSync(file, '\n')
  } else if (BEGINNING.startsWith(rest.slice(0, BEGINNING.length))) ftruncateSync(file, whole)
  else throw foreign(path, number + 1)
  return found
}

const { O_RDWR, O_APPEND, O_CREAT } = constants

const openBoth = (path: string) => {
  try {
    const file = openSync(path, O_RDWR | O_APPEND | O_CREAT, 0o600)
    if (!fstatSync(file).isFile()) throw new WrongUsage(`--out: ${path} is no plain file`)
    return { file, found: new Map(readAll(path, file)) }
  } catch (error) {
    if (error instanceof WrongUsage) throw error
    throw new WrongUsage(`--out: ${path} cannot be written (${codeOf(error)})`)
  }
}

/**
 * Lines at the end of a file. Written in the same turn, before the journal hears of the outcome; not synced each, as a token
 * is worth nothing any more once the power is back.
 */
export const openOutFile = (path: string): Out => {
  const { file, found } = openBoth(path)
  let isBroken = false
  const write = ({ key, text, stand }: OutLine): boolean => {
    if (key !== undefined && isSame(found.get(key), stand)) return true
    if (isBroken) return false
    try {
      // A disk that is full may take a part of it.
      const bytes = Buffer.from(text)
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    } catch {
      isBroken = true
      return false
    }
    if (key !== undefined) found.set(key, stand)
    return true
  }
  return {
    put: (line) => Promise.resolve(write(line)),
    lastOf: (key) => found.get(key),
    ready: () => Promise.resolve(),
    close: () => {
      if (!isBroken) fdatasyncSync(file)
      closeSync(file)
    }
  }
}
