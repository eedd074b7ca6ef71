import { stat } from 'node:fs/promises'
import { lastValueFrom } from 'rxjs'
import type { JournalEntry } from '../core/model/journal.js'
import type { FileJournal } from '../journal/index.js'
import { WrongUsage, printLine, printResult, type CliContext } from './shared/context.js'
import { EXIT } from './shared/exit-code.js'
import { counted, messageOf, reasonOf } from './shared/text.js'

/** The options of `journal`. */
export interface JournalFlags {
  readonly release: ReadonlyArray<string>
  readonly json?: true
}

export const JOURNAL_HELP = `States: Known (a paid task, resumed by the next run), InDoubt (perhaps paid: its
createTask was sent, and no task id is known), Finished (solved, or ended by the
service with an error).
A key that is not listed is fresh: the next run creates its task.
Fails while a running batch has the journal open.

Exit codes:
  0    listed or released
  1    the list could not be written
  2    usage error, no such key, or the journal cannot be opened`

/** Lists the keys of a journal, or releases some of them; returns the exit code. */
export const journal = async (context: CliContext, file: string, { release, json }: JournalFlags): Promise<number> => {
  const opened = await openExisting(context, file)
  try {
    const entries = new Map(opened.entries())
    const unknown = release.find((key) => !entries.has(key))
    if (unknown !== undefined)
      throw new WrongUsage(`--release: the journal has no key ${JSON.stringify(unknown)}; nothing was released`)
    for (const key of release) await lastValueFrom(opened.release(key))
    if (release.length === 0) return await printResult(context, [...entries].map(json ? jsonLine : textLine).join(''))
    const again = `The next run pays for ${release.length === 1 ? 'its task' : 'their tasks'} again.`
    printLine(context.stderr, `Released ${counted(release.length, 'key')}. ${again}`)
    return EXIT.solved
  } finally {
    await opened.close()
  }
}

/** Opening would create a file that is not there. */
const openExisting = async ({ loadJournal }: CliContext, file: string): Promise<FileJournal> => {
  await stat(file).catch((error: unknown) => {
    throw new WrongUsage(`${file}: the journal cannot be read (${reasonOf(error)})`)
  })
  const { fileJournal } = await loadJournal()
  return fileJournal(file).catch((error: unknown) => {
    throw new WrongUsage(messageOf(error))
  })
}

const jsonLine = ([key, { _tag, ...rest }]: readonly [string, JournalEntry]): string =>
  `${JSON.stringify({ key, state: _tag, ...rest })}\n`

// Keys may hold any character, also those that steer a terminal.
const textLine = ([key, entry]: readonly [string, JournalEntry]): string =>
  `${entry._tag.padEnd(8)}  ${JSON.stringify(key)}${detailOf(entry)}\n`

const detailOf = (entry: JournalEntry): string => {
  if (entry._tag === 'Known') return `  task ${entry.ref.taskId}, created ${instantText(entry.ref.createdAt)}`
  return entry._tag === 'Finished' && entry.tag !== undefined ? `  ${entry.tag}` : ''
}

const instantText = (ms: number): string =>
  Number.isNaN(new Date(ms).getTime()) ? String(ms) : new Date(ms).toISOString()
