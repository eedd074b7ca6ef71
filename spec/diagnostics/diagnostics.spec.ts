import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect, promisify } from 'node:util'
import { isRight } from 'fp-ts/lib/Either.js'
import type { SolverEvent } from 'rx-captcha'
import { diagnostics, eventSink } from '../../lib/diagnostics/diagnostics.js'
import { built } from '../support/built.js'
import { emulators } from '../support/raw-http.js'
import { aSpec, outcome, solvers } from '../support/solvers.js'

const CHANNELS = ['solve', 'create', 'poll', 'batch'].map((name) => `rx-captcha:${name}`)

const start = emulators()
const solverOf = solvers()

/** Subscribes to channels until the end of the test; lists the messages with the name of their channel. */
const listenTo = (names: ReadonlyArray<string>) => {
  const messages: { readonly channel: string; readonly event: SolverEvent }[] = []
  for (const name of names) {
    const listener = (event: unknown): void => void messages.push({ channel: name, event: event as SolverEvent })
    subscribe(name, listener)
    listening.push(() => unsubscribe(name, listener))
  }
  return messages
}

const listening: (() => void)[] = []
afterEach(() => {
  for (const stop of listening.splice(0)) stop()
})

describe('the diagnostics channels', () => {
  it('get the events of every solver, each channel those of its name', async () => {
    const emulator = await start()
    const messages = listenTo(CHANNELS)
    await outcome(solverOf({ baseUrl: emulator.url }).solveAll(['a'], () => aSpec))

    expect(messages.map(({ channel, event }) => `${channel.slice(11)} ${event._tag}`)).toStrictEqual([
      'batch BatchStarted',
      'solve Started',
      'create CreateSent',
      'create CreateEnded',
      'create Created',
      'poll Polled',
      'poll PollEnded',
      'solve Ended',
      'batch BatchEnded'
    ])
  })

  it('get what the events of the solver emit', async () => {
    const emulator = await start()
    const solver = solverOf({ baseUrl: emulator.url })
    const events: SolverEvent[] = []
    solver.events.subscribe((event) => events.push(event))
    const messages = listenTo(CHANNELS)
    const result = await outcome(solver.solve(aSpec))

    expect(messages.map(({ event }) => event)).toStrictEqual(events)
    const token = isRight(result) ? result.right.solution.gRecaptchaResponse : ''
    expect(token).toMatch(/^03A/)
    expect(inspect(messages, { depth: 10 })).not.toContain(token)
  })

  it('give solves of two solvers different numbers', async () => {
    const emulator = await start()
    const messages = listenTo(['rx-captcha:solve'])
    await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
    await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))

    const ids = messages.flatMap(({ event }) => ('solveId' in event ? event.solveId : []))
    expect([ids[0] === ids[1], ids[1] === ids[2], ids[2] === ids[3]]).toStrictEqual([true, false, true])
  })

  it.each(CHANNELS)('are the reason that events are made, as soon as %s has a subscriber', (name) => {
    expect(diagnostics.sink.observed).toBe(false)
    listenTo([name])
    expect(diagnostics.sink.observed).toBe(true)
  })
})

describe('a sink whose debug log is enabled', () => {
  it('is observed, and prints a line an event', () => {
    const lines: unknown[][] = []
    const debug = Object.assign((...given: unknown[]) => void lines.push(given), { enabled: true })
    const sink = eventSink(debug)
    sink.publish({ at: 0, solveId: 1, _tag: 'CreateSent', attempts: 1 })

    expect(sink.observed).toBe(true)
    expect(lines).toStrictEqual([['%s', '1970-01-01T00:00:00.000Z solve 1: createTask was sent, try 1']])
  })
})

describe('NODE_DEBUG=rx-captcha', () => {
  const library = built()
  const KEY = 'canary-key-9f8e7d6c5b4a'
  const SCRIPT = `
    const { firstValueFrom } = require('rxjs')
    const { createSolver, recaptchaV2 } = require('./dist/index.js')
    const { clientKey, baseUrl } = JSON.parse(process.env.OPTIONS)
    const solver = createSolver({ clientKey, baseUrl, pollEveryMs: 1 })
    const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' })
    firstValueFrom(solver.withOptions({ label: 'shop' }).solve(task)).then((result) => {
      console.log(result.right.solution.gRecaptchaResponse)
      return solver.close()
    })`

  it('prints a line a step to stderr, without the key and the token', async () => {
    const emulator = await start({ clientKey: KEY })
    const env = {
      ...process.env,
      NODE_DEBUG: 'rx-captcha',
      OPTIONS: JSON.stringify({ clientKey: KEY, baseUrl: emulator.url })
    }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['-e', SCRIPT], { cwd: library(), env })

    const token = stdout.trim()
    const lines = stderr.trim().split('\n')
    expect(token).toMatch(/^03A/)
    expect(lines).toHaveLength(7)
    expect(lines[0]).toMatch(/^RX-CAPTCHA \d+: \d{4}-.*Z solve 1 \[shop\]: solve started RecaptchaV2TaskProxyless$/)
    expect(lines.at(-1)).toMatch(/solve 1 \[shop\]: ended as Solved, paid, 1 poll, \d+ ms/)
    expect([stderr.includes('canary'), stderr.includes(token)]).toStrictEqual([false, false])
  })
})
