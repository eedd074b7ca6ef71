import { realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { openInput, type Format, type Input } from './input.js'
import { openOutFile, openStream, type Out } from './output.js'
import { WrongUsage, messageOf, type World } from '../shared/context.js'
import type { FileJournal } from '../../journal/index.js'

/** Where a batch reads, writes and remembers. */
export interface Places {
  readonly input: Input
  readonly out: Out
  readonly journal: FileJournal | undefined
  /** Whether anything of an item is remembered for the next run. */
  readonly isRemembered: boolean
  readonly close: () => Promise<void>
}

export interface PlacesGiven {
  /** A path, or `-`. */
  readonly input: string
  readonly format: Format | undefined
  readonly out: string | undefined
  readonly journal: string | undefined
}

/** One name for a file, whatever links lead to it. */
const identity = async (path: string): Promise<string> => {
  try {
    const { dev, ino } = await stat(path)
    return `${dev}:${ino}`
  } catch {
    return realpath(resolve(path, '..')).then(
      (folder) => resolve(folder, path.split('/').at(-1) ?? ''),
      () => resolve(path)
    )
  }
}

/** One of them would overwrite the other. */
const refuseSameFile = async ({ input, out, journal }: PlacesGiven): Promise<void> => {
  const named = [
    ['the input', input === '-' ? undefined : input],
    ['--out', out],
    ['--journal', journal]
  ] as const
  const seen = new Map<string, string>()
  for (const [name, path] of named) {
    if (path === undefined) continue
    const file = await identity(path)
    const other = seen.get(file)
    if (other !== undefined) throw new WrongUsage(`${name}: expected another file than ${other}`)
    seen.set(file, name)
  }
}

const openJournal = async ({ loadJournal }: World, path: string): Promise<FileJournal> => {
  const { fileJournal } = await loadJournal()
  return fileJournal(path).catch((error: unknown) => {
    throw new WrongUsage(`--journal: ${messageOf(error)}`)
  })
}

/** Opens all files, or none. */
export const openPlaces = async (world: World, given: PlacesGiven): Promise<Places> => {
  await refuseSameFile(given)
  const opened: (() => void)[] = []
  const close = () => {
    for (const closeIt of opened.splice(0)) closeIt()
  }
  try {
    const input = await openInput(world, given.input, given.format)
    opened.push(input.close)
    const out = given.out === undefined ? openStream(world.stdout) : openOutFile(given.out)
    opened.push(out.close)
    const journal = given.journal === undefined ? undefined : await openJournal(world, given.journal)
    const isRemembered = given.out !== undefined || journal !== undefined
    return { input, out, journal, isRemembered, close: () => Promise.resolve(journal?.close()).finally(close) }
  } catch (error) {
    close()
    throw error
  }
}
