import { Readable, Writable } from 'node:stream'
import { NEVER, Subject } from 'rxjs'
import * as emulator from '../../lib/emulator/index.js'
import * as journal from '../../lib/journal/index.js'
import { run } from '../../lib/cli/run.js'
import type { Output, World } from '../../lib/cli/shared/context.js'
import { until } from './raw-http.js'

export interface Console extends Output {
  readonly text: () => string
}

/** Takes down what is written; a broken one behaves like a pipe whose reader has left. */
export const makeConsole = (given: { isTTY?: boolean; columns?: number; broken?: boolean } = {}): Console => {
  const { broken = false, ...looks } = given
  let text = ''
  const stream = new Writable({
    write: (chunk, _encoding, done) => {
      if (broken) return done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      text += String(chunk)
      done()
    }
  })
  return Object.assign(stream, looks, { text: () => text })
}

// Jest runs no `import()`.
const load: World['loadEmulator'] = () => Promise.resolve(emulator)

/** Loads the emulator, and tells of those that were started what became of them. */
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

export const makeWorld = (given: Partial<World> = {}): World => ({
  env: {},
  stdin: Readable.from([]),
  stdout: makeConsole(),
  stderr: makeConsole(),
  signals: NEVER,
  loadEmulator: load,
  loadJournal: () => Promise.resolve(journal),
  ...given
})

interface Given {
  readonly env?: World['env']
  readonly loadEmulator?: World['loadEmulator']
  readonly stdout?: Console
  readonly stderr?: Console
  readonly stdin?: Readable
}

/** The command under way, its streams taken down. */
export const command = (argv: ReadonlyArray<string>, given: Given = {}) => {
  const { stdout = makeConsole(), stderr = makeConsole() } = given
  const signals = new Subject<NodeJS.Signals>()
  const code = run(argv, makeWorld({ ...given, stdout, stderr, signals }))
  const says = (what: string | RegExp) => until(() => new RegExp(what).test(stdout.text() + stderr.text()))
  return {
    code,
    says,
    url: () => /CAPTCHA_BASE_URL=(.*)/.exec(stdout.text())?.[1] ?? 'not printed',
    signal: (signal: NodeJS.Signals) => {
      signals.next(signal)
    },
    ended: async () => ({ code: await code, out: stdout.text(), err: stderr.text() })
  }
}
