import { open, readlink, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { causeOf } from '../core/model/network.js'
import { JournalError, NOT_OPENED, wrapErrors } from './error.js'
import {
  JournalReader,
  afterCrash,
  changeTo,
  headerLine,
  journalLine,
  readJournal,
  type Header,
  type KeyState
} from './format.js'
import { currentOwner } from './owner.js'

/**
 * The absolute path of the journal. Links are followed, also to a file that does not exist yet, because opening replaces the file,
 * and because the name of the lock is made from this path.
 */
export const resolvePath = async (path: string): Promise<string> => {
  const found = await ifExists(realpath(path), undefined)
  if (found !== undefined) return found
  const absolute = resolve(path)
  const target = await readlink(absolute).catch(() => undefined)
  if (target !== undefined) return resolvePath(resolve(dirname(absolute), target))
  return join(await ifExists(realpath(dirname(absolute)), dirname(absolute)), basename(absolute))
}

/** The mode that the file has, or will have. Only regular files are opened, because reading any other kind may never end. */
export const modeOf = async (path: string): Promise<number> => {
  const found = await ifExists(stat(path), undefined)
  if (found && !found.isFile()) {
    throw new JournalError(path, 'is not a regular file', `${NOT_OPENED} Use another path.`)
  }
  if (found && found.nlink > 1) {
    const advice =
      'Opening it would separate them, and a key could be paid for once per link. Nothing was paid. Remove the other links, ' +
      'or make them symbolic links.'
    throw new JournalError(path, `has ${found.nlink} hard links`, advice)
  }
  return found ? found.mode & 0o777 : OWNER_ONLY
}

// Keys may name customers.
const OWNER_ONLY = 0o600

/** The first line of the journal, if there is one. */
export const readHeader = async (path: string): Promise<Header | undefined> => {
  const handle = await ifExists(open(path, 'r'), undefined)
  if (!handle) return undefined
  const reader = new JournalReader(path)
  const { bytesRead, buffer } = await handle
    .read(Buffer.alloc(MAX_HEADER_LINE_BYTES), 0, MAX_HEADER_LINE_BYTES, 0)
    .finally(() => handle.close())
  reader.push(buffer.toString('utf8', 0, bytesRead))
  return reader.header
}

const MAX_HEADER_LINE_BYTES = 4_096

/** A journal that is open for writing, with the state of each key. */
export interface OpenedJournal {
  readonly states: Map<string, KeyState>
  readonly released: Set<string>
  readonly handle: FileHandle
}

/** Reads the journal, and replaces its file with one that has one line per key. */
export const openCompacted = async (path: string, mode: number): Promise<OpenedJournal> => {
  const reader = await wrapErrors(path, 'cannot be read', () => readAll(path))
  return wrapErrors(path, 'cannot be written', () => replace(path, reader, mode))
}

/** The content of the journal; empty if there is none yet. */
const readAll = async (path: string): Promise<JournalReader> => {
  const handle = await ifExists(open(path, 'r'), undefined)
  if (!handle) return new JournalReader(path)
  return readJournal(path, handle).finally(() => handle.close())
}

const replace = async (path: string, reader: JournalReader, mode: number): Promise<OpenedJournal> => {
  const temporary = `${path}.tmp`
  await rm(temporary, { force: true })
  const handle = await open(temporary, 'ax', mode)
  try {
    const states = await writeCompacted(handle, reader)
    await rename(temporary, path)
    await syncFolder(path)
    return { states, released: reader.released, handle }
  } catch (error) {
    await handle.close()
    await rm(temporary, { force: true })
    throw error
  }
}

const writeCompacted = async (
  handle: FileHandle,
  { entries, released }: JournalReader
): Promise<OpenedJournal['states']> => {
  const states = new Map<string, KeyState>()
  const openedAt = new Date().toISOString()
  let lines = [headerLine({ openedAt, ...currentOwner() })]
  // Before the states, which they would end.
  for (const key of released) lines.push(journalLine(openedAt, key, { released: true }))
  for (const [key, { state, at }] of entries) {
    const recovered = afterCrash(state)
    states.set(key, recovered)
    lines.push(journalLine(at, key, changeTo(recovered)))
    if (lines.length < LINES_PER_WRITE) continue
    await handle.appendFile(lines.join(''))
    lines = []
  }
  await handle.appendFile(lines.join(''))
  await handle.sync()
  return states
}

// Few enough to block the event loop only for a moment.
const LINES_PER_WRITE = 1_000

/** Without this, a power cut may bring the old file back. */
const syncFolder = async (path: string): Promise<void> => {
  if (process.platform === 'win32') return // Windows cannot open folders
  const folder = await open(dirname(path), 'r')
  await folder.sync().finally(() => folder.close())
}

const ifExists = async <A, B>(found: Promise<A>, missing: B): Promise<A | B> => {
  try {
    return await found
  } catch (error) {
    if (causeOf(error).code === 'ENOENT') return missing
    throw error
  }
}
