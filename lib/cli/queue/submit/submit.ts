import { openFiles, type FileFlags } from '../../batch/files.js'
import type { CliContext } from '../../shared/context.js'
import { openQueue, type QueueFlags } from '../open.js'
import { QueueOutput } from './output.js'
import { SubmitRun } from './run.js'

/** The options of `batch` that go with `--queue`. */
export interface SubmitFlags extends QueueFlags, Omit<FileFlags, 'journal'> {
  readonly concurrency?: number
}

// The workers call the service, so this process knows no option that leads to it.
const NO_SERVICE = { flags: [], isEmbedded: false } as const

/** Solves all tasks of the input by the workers of a queue; returns the exit code. `commandLine` is printed, to be run again. */
export const submit = async (
  context: CliContext,
  input: string,
  flags: SubmitFlags,
  commandLine: string
): Promise<number> => {
  const output = new QueueOutput()
  const files = await openFiles(context, NO_SERVICE, input, flags, output.chooseJournal)
  try {
    const opened = await openQueue(context, flags)
    try {
      await output.claim(opened.name)
      const { concurrency } = flags
      return await new SubmitRun(context, { files, opened, output, concurrency, commandLine }).untilEnded()
    } finally {
      await opened.close()
    }
  } finally {
    await files.close()
  }
}
