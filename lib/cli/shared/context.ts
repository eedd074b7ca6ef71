import type { Readable } from 'node:stream'
import { ReplaySubject, type Observable, type Subscribable } from 'rxjs'
import { causeOf } from '../../core/model/network.js'

/** Where text goes. Only a terminal gets progress. */
export interface Output extends NodeJS.WritableStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly writableNeedDrain?: boolean | undefined
}

/** All that the command knows of the process that it runs in. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable
  readonly stdout: Output
  readonly stderr: Output
  /** Loads the emulator, which most runs do without. */
  readonly loadEmulator: () => Promise<typeof import('../../emulator/index.js')>
  /** Loads the journal, which changes functions of node. */
  readonly loadJournal: () => Promise<typeof import('../../journal/index.js')>
  /** SIGINT, SIGTERM and SIGHUP, as they come. */
  readonly signals: Observable<NodeJS.Signals>
}

/** The command was used wrongly: exit code 2. */
export class WrongUsage extends Error {
  override readonly name = 'WrongUsage'
}

/** Text of others may hold control sequences, which would act on the terminal. */
export const printable = (text: string): string => text.replace(/[^\P{C}\n]/gu, '?')

export const tell = (output: Output, text: string): void => {
  output.write(`${printable(text)}\n`)
}

/** Writes as it stands, and says whether it could be written: the reader may be gone. */
export const deliver = (output: Output, text: string): Promise<boolean> =>
  new Promise((resolve) => {
    output.write(text, (error) => {
      resolve(!error)
    })
  })

/** A message for people, whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  typeof thrown === 'object' && thrown !== null && 'message' in thrown ? String(thrown.message) : String(thrown)

/** The code of a failure of the system, or else its message. */
export const codeOf = (thrown: unknown): string => causeOf(thrown).code || messageOf(thrown)

/** The signals from now on, the first two of them for whoever comes late. */
export const hear = (signals: Subscribable<NodeJS.Signals>) => {
  const heard = new ReplaySubject<NodeJS.Signals>(2)
  const listening = signals.subscribe(heard)
  return {
    heard: heard.asObservable(),
    stop: () => {
      listening.unsubscribe()
    }
  }
}

/** An argument as a shell takes it. */
export const quoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`

export const seconds = (ms: number): string => (ms / 1_000).toFixed(1)
