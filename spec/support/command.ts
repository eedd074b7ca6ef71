import { Readable, Writable } from 'node:stream'
import { NEVER, Subject } from 'rxjs'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import * as emulator from '../../lib/emulator/index.js'
import * as journal from '../../lib/journal/index.js'
import { run } from '../../lib/cli/run.js'
import type { CliContext, OutputStream } from '../../lib/cli/shared/context.js'
import { until } from './raw-http.js'

export interface Console extends OutputStream {
  readonly text: () => string
}

interface ConsoleOptions {
  readonly isTTY?: boolean
  readonly columns?: number
  /** Writing fails with this code: `EPIPE` is that of a pipe whose reader is gone. */
  readonly broken?: string
  /** The reader of a full pipe reads nothing, so no text is written. */
  readonly stuck?: boolean
}

/** Records what is written. */
export const makeConsole = (given: ConsoleOptions = {}): Console => {
  const { broken, stuck = false, ...looks } = given
  let text = ''
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      if (broken !== undefined) return done(Object.assign(new Error(`write ${broken}`), { code: broken }))
      if (stuck) return
      text += String(chunk)
      done()
    }
  })
  return Object.assign(stream, looks, { text: () => text })
}

// Jest has no `import()`.
const loadEmulator: CliContext['loadEmulator'] = () => Promise.resolve(emulator)

// Here too only for the commands that need it: BullMQ takes a while to load.
const loadQueue: CliContext['loadQueue'] = () =>
  Promise.resolve({
    bullmq: jest.requireActual<typeof import('bullmq')>('bullmq'),
    ioredis: jest.requireActual<typeof import('ioredis')>('ioredis'),
    adapter: jest.requireActual<typeof import('../../lib/bullmq/index.js')>('../../lib/bullmq/index.js')
  })

/** Loads the emulator, and reports which of the started ones still run. */
export const watchedEmulator = () => {
  const urls: string[] = []
  const startEmulator: typeof emulator.startEmulator = async (options) => {
    const started = await emulator.startEmulator(options)
    urls.push(started.url)
    return started
  }
  const isUp = (url: string) =>
    fetch(url).then(
      () => true,
      () => false
    )
  return {
    loadEmulator: () => Promise.resolve({ ...emulator, startEmulator }),
    areUp: () => Promise.all(urls.map(isUp))
  }
}

export const makeContext = (given: Partial<CliContext> = {}): CliContext => ({
  env: {},
  stdin: Readable.from([]),
  stdout: makeConsole(),
  stderr: makeConsole(),
  signals: NEVER,
  loadEmulator,
  loadJournal: () => Promise.resolve(journal),
  loadQueue,
  ...given
})

export interface CommandOptions {
  readonly env?: CliContext['env']
  readonly loadEmulator?: CliContext['loadEmulator']
  readonly loadQueue?: CliContext['loadQueue']
  readonly stdout?: Console
  readonly stderr?: Console
  readonly stdin?: CliContext['stdin']
}

/** The command, running, with recorded streams. */
export const command = (argv: ReadonlyArray<string>, options: CommandOptions = {}) => {
  const { stdout = makeConsole(), stderr = makeConsole() } = options
  const signals = new Subject<NodeJS.Signals>()
  const code = run(argv, makeContext({ ...options, stdout, stderr, signals }))
  const prints = (what: string | RegExp) => until(() => new RegExp(what).test(stdout.text() + stderr.text()))
  return {
    code,
    prints,
    url: () => /CAPTCHA_BASE_URL=(.*)/.exec(stdout.text())?.[1] ?? 'not printed',
    signal: (signal: NodeJS.Signals) => {
      signals.next(signal)
    },
    ended: async () => ({ code: await code, out: stdout.text(), err: stderr.text() })
  }
}

/** The variables that lead to an emulator, at a fast pace. */
export const envOf = ({ url }: Emulator) => ({
  CAPTCHA_BASE_URL: url,
  CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
  CAPTCHA_POLL_EVERY_MS: '5'
})

/** The arguments of a task that any emulator solves. */
export const SOLVE = ['solve', '--url', 'https://example.com', '--key', 'site-key']

/** A uuid, for patterns. */
export const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
