import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { causeOf } from '../core/model/network.js'
import { JournalError } from './error.js'
import {
  JournalReader,
  afterCrash,
  changeTo,
  headerOf,
  lineOf,
  readJournal,
  type Owner,
  type KeyState
} from './format.js'
import { currentOwner } from './lock.js'

const orIfMissing = async <A, B>(found: Promise<A>, missing: B): Promise<A | B> => {
  try {
    return await found
  } catch (error) {
    if (causeOf(error).code === 'ENOENT') return missing
    throw error
  }
}

/** Where the journal is: a link to it is followed, as a new file is put in its place. */
export const resolvePath = async (path: string): Promise<string> => orIfMissing(realpath(path), resolve(path))

// What is bought for whom concerns nobody else.
const OWN_MODE = 0o600

/** The mode that the journal has, or will have. Only plain files are opened: reading others may never end. */
export const modeOf = async (path: string): Promise<number> => {
  const found = await orIfMissing(stat(path), undefined)
  if (found && !found.isFile()) throw new JournalError(path, 'is there, but no plain file', 'Use another path.')
  return found ? found.mode & 0o777 : OWN_MODE
}

/** What is in the journal, or nothing where there is none yet. */
const readAll = async (path: string): Promise<JournalReader> => {
  const handle = await orIfMissing(open(path, 'r'), undefined)
  if (!handle) return new JournalReader(path)
  return readJournal(path, handle).finally(() => handle.close())
}

const LONGEST_HEADER = 4_096

/** Who opened the journal last. */
export const ownerOf = async (path: string): Promise<Owner | undefined> => {
  const handle = await orIfMissing(open(path, 'r'), undefined)
  if (!handle) return undefined
  const contents = new JournalReader(path)
  const { bytesRead, buffer } = await handle
    .read(Buffer.alloc(LONGEST_HEADER), 0, LONGEST_HEADER, 0)
    .finally(() => handle.close())
  contents.push(buffer.toString('utf8', 0, bytesRead))
  return contents.owner
}

// Few enough to hold up nothing else meanwhile.
const LINES_A_WRITE = 1_000

const writeContents = async (handle: FileHandle, { states, since }: JournalReader): Promise<void> => {
  const openedAt = new Date().toISOString()
  let lines = [headerOf(openedAt, currentOwner())]
  for (const [key, state] of states) {
    lines.push(lineOf(since.get(key) ?? openedAt, key, changeTo(state)))
    if (lines.length < LINES_A_WRITE) continue
    await handle.appendFile(lines.join(''))
    lines = []
  }
  await handle.appendFile(lines.join(''))
  await handle.sync()
}

/** Without it a power cut may bring back the file that was replaced. */
const syncFolder = async (path: string): Promise<void> => {
  if (process.platform === 'win32') return // it cannot open folders
  const folder = await open(dirname(path), 'r')
  await folder.sync().finally(() => folder.close())
}

/** A new file with one line a key in the place of the old one, if there is one. */
const replace = async (path: string, contents: JournalReader, mode: number): Promise<FileHandle> => {
  const beside = `${path}.tmp`
  await rm(beside, { force: true })
  const handle = await open(beside, 'ax', mode)
  try {
    await writeContents(handle, contents)
    await rename(beside, path)
    await syncFolder(path)
    return handle
  } catch (error) {
    await handle.close()
    await rm(beside, { force: true })
    throw error
  }
}

/** Reads the journal, writes it anew without what no longer counts, and leaves it open. */
export const openCompacted = async (
  path: string,
  mode: number
): Promise<{ readonly states: Map<string, KeyState>; readonly handle: FileHandle }> => {
  const contents = await readAll(path)
  const { states } = contents
  for (const [key, state] of states) states.set(key, afterCrash(state))
  return { states, handle: await replace(path, contents, mode) }
}
