import { realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { FileJournal } from '../../journal/index.js'
import { WrongUsage, type CliContext } from '../shared/context.js'
import type { ServiceReach } from '../shared/explain.js'
import { messageOf } from '../shared/text.js'
import { openInput, type Format, type Input } from '../input/input.js'
import { combineJournals, type BatchJournal } from './journals.js'
import { refuseOutputOfQueue } from '../shared/out-queue.js'
import { createFile, mixedOutput, openOutputFile, openOutputStream, type Output } from './output.js'

/** Where a batch reads, writes, and records what is paid for. */
export interface BatchFiles {
  readonly input: Input
  readonly output: Output
  readonly journal: BatchJournal | undefined
  readonly close: () => Promise<void>
}

/** The options of `batch` about its files. */
export interface FileFlags {
  readonly format?: Format
  readonly out?: string
  readonly journal?: string
}

/** Chooses the journal of a batch, given those of its files; throws if the output at `outPath` must not be used. */
export type JournalChoice = (
  own: FileJournal | undefined,
  other: FileJournal | undefined,
  outPath: string | undefined
) => Promise<BatchJournal | undefined>

/** Opens all files, those with locks before the output. `path` of the input: `-` for stdin. */
export const openFiles = async (
  context: CliContext,
  service: ServiceReach,
  path: string,
  flags: FileFlags,
  chooseJournal: JournalChoice = bothJournals
): Promise<BatchFiles> => {
  await refuseSameFile(path, flags)
  const { format, out } = flags
  const opened: { readonly close: () => unknown }[] = []
  const opening = async <A extends { readonly close: () => unknown }>(file: A | Promise<A>): Promise<A> => {
    opened.push(await file)
    return file
  }
  const close = async (): Promise<void> => {
    for (const one of opened.reverse()) await one.close()
  }
  try {
    const input = await opening(openInput(context, path, format))
    // The journal is next to the file itself, even if the output is given by a link.
    const outPath = out === undefined ? undefined : await createFile(out)
    const ownPath = outPath === undefined ? undefined : `${outPath}.journal`
    const isOther = flags.journal !== undefined && !(await isSameFile(flags.journal, ownPath))
    const own = ownPath === undefined ? undefined : await opening(openOwnJournal(context, ownPath))
    const other = isOther ? await opening(openJournal(context, flags.journal)) : undefined
    if (service.isEmbedded && outPath !== undefined && own && !isEmpty(own)) throw mixedOutput(outPath, service)
    // No later run could continue the tasks of the embedded emulator.
    const journal = service.isEmbedded ? undefined : await chooseJournal(own, other, outPath)
    const output = await opening(
      out === undefined ? openOutputStream(context.stdout, service) : openOutputFile(out, journal, service)
    )
    return { input, output, journal, close }
  } catch (error) {
    await close()
    throw error
  }
}

const bothJournals: JournalChoice = async (own, other, outPath) => {
  if (outPath !== undefined) await refuseOutputOfQueue(outPath)
  return combineJournals(own, other)
}

/**
 * The journal next to the output. Its lock keeps every other run away from the output, so it is opened in any case, and
 * removed at the end if it is empty.
 */
const openOwnJournal = async (context: CliContext, path: string): Promise<FileJournal> => {
  const journal = await openJournal(context, path)
  const close = async (): Promise<void> => {
    // Before it is unlocked, while no other run can have it open.
    if (isEmpty(journal)) await rm(path, { force: true })
    await journal.close()
  }
  return { ...journal, close }
}

/** Whether nothing is recorded, and no key was released: the output may still have the old line of such a key. */
const isEmpty = (journal: FileJournal): boolean => {
  const [[entry], [released]] = [journal.entries(), journal.releasedKeys()]
  return entry === undefined && released === undefined
}

const openJournal = async ({ loadJournal }: CliContext, path: string): Promise<FileJournal> => {
  const { fileJournal } = await loadJournal()
  return fileJournal(path).catch((error: unknown) => {
    throw new WrongUsage(messageOf(error))
  })
}

/** Refuses paths that lead to one file: one of them would overwrite the other. */
const refuseSameFile = async (input: string, { out, journal }: FileFlags): Promise<void> => {
  const named = [
    ['the input', input === '-' ? undefined : input],
    ['--out', out],
    ['--journal', journal ?? (out === undefined ? undefined : `${out}.journal`)]
  ] as const
  const seen = new Map<string, string>()
  for (const [name, path] of named) {
    if (path === undefined) continue
    const file = await identityOf(path)
    const other = seen.get(file)
    if (other !== undefined) throw new WrongUsage(`${name}: expected a different file from ${other}`)
    seen.set(file, name)
  }
}

const isSameFile = async (one: string, other: string | undefined): Promise<boolean> =>
  other !== undefined && (await identityOf(one)) === (await identityOf(other))

/** The same text for all paths, links included, that lead to one file. */
const identityOf = async (path: string): Promise<string> => {
  try {
    const { dev, ino } = await stat(path)
    return `${dev}:${ino}`
  } catch {
    const folder = dirname(resolve(path))
    return resolve(await realpath(folder).catch(() => folder), basename(path))
  }
}
