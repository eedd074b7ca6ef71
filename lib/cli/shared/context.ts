import type { Readable } from 'node:stream'
import { ReplaySubject, tap, type Observable } from 'rxjs'
import { causeOf } from '../../core/model/network.js'
import { EXIT } from './exit-code.js'
import { printable, reasonOf } from './text.js'

/** A stream of the command. Progress is drawn on terminals only. */
export interface OutputStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

/** What the command uses of its process. */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly fd?: number | undefined }
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** SIGINT, SIGTERM and SIGHUP. */
  readonly signals: Observable<NodeJS.Signals>
  /** Loads the emulator, which most runs do not need. */
  readonly loadEmulator: () => Promise<typeof import('../../emulator/index.js')>
  /** Loads the journal, which most runs do not need, and which changes functions of Node. */
  readonly loadJournal: () => Promise<typeof import('../../journal/index.js')>
  /** Loads BullMQ, an optional peer, for the commands that use a queue. */
  readonly loadQueue: () => Promise<QueueModules>
}

/** What only the commands for a queue load. */
export interface QueueModules {
  readonly bullmq: Pick<typeof import('bullmq'), 'Queue' | 'QueueEvents' | 'Worker'>
  readonly ioredis: Pick<typeof import('ioredis'), 'Redis'>
  readonly adapter: typeof import('../../bullmq/index.js')
}

/** The command was used wrongly: exit code 2. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage'
}

export const printLine = (output: OutputStream, text: string): void => {
  output.write(`${printable(text)}\n`)
}

/** Writes text unchanged; resolves with the error if it could not be written. A pipe may have lost its reader. */
export const write = (output: OutputStream, text: string): Promise<Error | undefined> =>
  new Promise((resolve) => {
    output.write(text, (error) => {
      resolve(error ?? undefined)
    })
  })

/** Why text could not be written. */
export const whyNotWritten = (error: Error): string =>
  isReaderGone(error) ? 'the reader of the output is gone' : reasonOf(error)

const isReaderGone = (error: Error): boolean => causeOf(error).code === 'EPIPE'

/** Prints the result of a command that pays for nothing; returns the exit code. A reader that is gone has what it wanted. */
export const printResult = async ({ stdout, stderr }: CliContext, text: string): Promise<number> => {
  const error = await write(stdout, text)
  if (!error || isReaderGone(error)) return EXIT.solved
  printLine(stderr, `error: the output cannot be written (${reasonOf(error)})`)
  return EXIT.unpaid
}

/** The signals from now on; late subscribers get the first two as well. `stop` ends the listening. */
export const signalStream = ({ signals }: CliContext) => {
  const replayed = new ReplaySubject<NodeJS.Signals>(2)
  let first: NodeJS.Signals | undefined
  const listening = signals.pipe(tap((signal) => (first ??= signal))).subscribe(replayed)
  return {
    signals: replayed.asObservable(),
    first: () => first,
    stop: () => {
      listening.unsubscribe()
    }
  }
}
