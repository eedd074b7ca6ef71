import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { FileJournal } from '../../journal/index.js'
import { WrongUsage, type CliContext } from '../shared/context.js'
import { messageOf } from '../shared/text.js'
import { openInput, type Format, type Input } from './input.js'
import { openOutputFile, openOutputStream, type Output } from './output.js'

/** Where a batch reads, writes, and records what is paid for. */
export interface BatchFiles {
  readonly input: Input
  readonly output: Output
  readonly journal: FileJournal | undefined
  readonly close: () => Promise<void>
}

/** The paths of a batch; `-` for stdin. */
export interface BatchPaths {
  readonly input: string
  readonly format: Format | undefined
  readonly out: string | undefined
  readonly journal: string | undefined
}

/** Opens all files, the journal first: its lock keeps a second run away from the output as well. */
export const openFiles = async (context: CliContext, paths: BatchPaths): Promise<BatchFiles> => {
  await refuseSameFile(paths)
  const opened: { readonly close: () => unknown }[] = []
  const close = async (): Promise<void> => {
    for (const one of opened.reverse()) await one.close()
  }
  try {
    const input = await openInput(context, paths.input, paths.format)
    opened.push(input)
    const journal = paths.journal === undefined ? undefined : await openJournal(context, paths.journal)
    if (journal) opened.push(journal)
    const output = paths.out === undefined ? openOutputStream(context.stdout) : await openOutputFile(paths.out, journal)
    opened.push(output)
    return { input, output, journal, close }
  } catch (error) {
    await close()
    throw error
  }
}

const openJournal = async ({ loadJournal }: CliContext, path: string): Promise<FileJournal> => {
  const { fileJournal } = await loadJournal()
  return fileJournal(path).catch((error: unknown) => {
    throw new WrongUsage(messageOf(error))
  })
}

/** Refuses paths that lead to one file: one of them would overwrite the other. */
const refuseSameFile = async ({ input, out, journal }: BatchPaths): Promise<void> => {
  const named = [
    ['the input', input === '-' ? undefined : input],
    ['--out', out],
    ['--journal', journal]
  ] as const
  const seen = new Map<string, string>()
  for (const [name, path] of named) {
    if (path === undefined) continue
    const file = await identityOf(path)
    const other = seen.get(file)
    if (other !== undefined) throw new WrongUsage(`${name}: expected another file than ${other}`)
    seen.set(file, name)
  }
}

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
