import { spawn } from 'node:child_process'
import * as E from 'fp-ts/lib/Either.js'
import type { SolverOptions } from 'rx-captcha'
import { EMULATOR_KEY, type EmulatorOptions } from 'rx-captcha/emulator'
import { built } from '../support/built.js'
import { byteServers, reply, says } from '../support/byte-server.js'
import { patientClock, type PatientClock } from '../support/matrix/throttled-clock.js'
import { emulators } from '../support/raw-http.js'
import { aSpec, outcome, solvers } from '../support/solvers.js'

// What a caller is promised with the settings as they are when nothing is said, on a clock a hundred times as fast.
const SPEED = 100

const start = emulators()
const serve = byteServers()
const solverOf = solvers()
const folder = built()

const clocks: PatientClock[] = []
// Before the solvers are closed a clock must not stop: they wait by it.
afterAll(() => {
  for (const { stop } of clocks) stop()
})

/** One solve against an emulator, and how long it took by the solver's clock. */
const solved = async (service: EmulatorOptions, options: Partial<SolverOptions> = {}) => {
  const emulator = await start(service)
  const clock = patientClock(SPEED)
  clocks.push(clock)
  const { scheduler } = clock
  const solver = solverOf({ baseUrl: emulator.url, pollEveryMs: undefined, scheduler, ...options })
  const startedAt = scheduler.now()
  const result = await outcome(solver.solve(aSpec))
  return { result, tookMs: scheduler.now() - startedAt, ...emulator.counters() }
}

const LONGEST_MS = 40_000

describe('a service that recovers gives the token, for one price, within 40 s, after', () => {
  it.each<[string, EmulatorOptions]>([
    ['503 to two creates', { faults: ['createTask:first2:503'] }],
    ['503 to two polls', { faults: ['getTaskResult:first2:503'] }],
    ['429 with Retry-After to two creates', { faults: ['createTask:first2:429;retry-after=7'] }],
    ['429 with Retry-After to two polls', { faults: ['getTaskResult:first2:429;retry-after=7'] }],
    ['no free slot for two creates', { faults: ['createTask:first2:ERROR_NO_SLOT_AVAILABLE'] }],
    ['a poll that is never answered', { faults: ['getTaskResult:1:silent'] }],
    ['an answer that drips', { faults: ['getTaskResult:1:drip'] }],
    ['idle connections that are closed', { faults: ['getTaskResult:first3:never'], idleMs: 1 }]
  ])('%s', async (_, service) => {
    const { result, tookMs, accepted, delivered } = await solved(service)
    expect(result).toHaveProperty('right.solution.gRecaptchaResponse', expect.stringMatching(/^03A/))
    expect([accepted, delivered]).toStrictEqual([1, 1])
    expect(tookMs).toBeLessThan(LONGEST_MS)
  })

  it.each(['createTask', 'getTaskResult'])('the wait that a 429 to %s asks for', async (call) => {
    const { result, tookMs } = await solved({ faults: [`${call}:1:429;retry-after=20`] })
    expect(E.isRight(result)).toBe(true)
    expect(tookMs).toBeGreaterThanOrEqual(20_000)
  })
})

describe('a createTask that is not answered ends as CreateUnknown after 25 s when its answer', () => {
  it.each(['silent', 'drip', 'drip-headers'])('is %s', async (fault) => {
    const { result, tookMs, requests } = await solved({ faults: [`createTask:always:billed+${fault}`] })
    expect(result).toMatchObject({ left: { _tag: 'CreateUnknown', paid: 'unknown', cause: { code: 'TIMED_OUT' } } })
    expect(requests.createTask).toBe(1)
    expect(tookMs).toBeGreaterThanOrEqual(25_000)
    expect(tookMs).toBeLessThan(LONGEST_MS)
  })
})

describe('giveUpAfterMs of 10 s ends', () => {
  const giveUpAfterMs = 10_000

  it.each<[string, EmulatorOptions]>([
    ['is never ready', { readyAfterMs: 600_000 }],
    ['never answers polls', { faults: ['getTaskResult:always:silent'] }],
    ['drips its answers to polls', { faults: ['getTaskResult:always:drip'] }]
  ])('with the task when a service %s', async (_, service) => {
    const { result, tookMs, polls: polls } = await solved(service, { giveUpAfterMs })
    const [taskId] = Object.keys(polls)
    expect(result).toMatchObject({ left: { _tag: 'TimedOut', paid: 'yes', ref: { taskId }, afterMs: 10_000 } })
    expect(tookMs).toBeGreaterThanOrEqual(giveUpAfterMs)
    expect(tookMs).toBeLessThan(giveUpAfterMs + 1_000)
  })

  it('as CreateUnknown when a service never answers the create', async () => {
    const { result, tookMs } = await solved({ faults: ['createTask:always:billed+silent'] }, { giveUpAfterMs })
    expect(result).toMatchObject({ left: { _tag: 'CreateUnknown', cause: { code: 'TIMED_OUT' } } })
    expect(tookMs).toBeGreaterThanOrEqual(giveUpAfterMs)
    expect(tookMs).toBeLessThan(giveUpAfterMs + 1_000)
  })
})

describe('a redirect', () => {
  it.each(['createTask', 'getTaskResult'].flatMap((call) => [301, 302, 303, 307, 308].map((status) => [call, status])))(
    'of %s (%i) takes nothing to where it leads',
    async (call, status) => {
      const elsewhere = await serve(says(reply('{"errorId":0,"taskId":"id-of-another"}')))
      const location = `${elsewhere.origin}/${call}`
      const { requests } = await solved({ faults: [`${call}:always:${status};location=${location}`] })
      expect(requests).toMatchObject({ [call]: call === 'createTask' ? 1 : 3 })
      expect(elsewhere.accepted()).toBe(0)
    }
  )
})

const PROGRAM = `
  const { createSolver, recaptchaV2 } = require('rx-captcha')
  const solver = createSolver(JSON.parse(process.argv[1]))
  solver.solve(recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'site-key' })).subscribe((result) => {
    console.log(JSON.stringify({ result, peakKb: process.resourceUsage().maxRSS }))
  })
`

interface Said {
  readonly result: { readonly _tag: string; readonly left?: { readonly _tag: string } }
  readonly peakKb: number
}

/** A program that solves one task, and is not ended by anything but itself. */
const program = async (service: EmulatorOptions, options: Partial<SolverOptions> = {}): Promise<Said> => {
  const { url } = await start(service)
  const settings = { clientKey: EMULATOR_KEY, baseUrl: url, pollEveryMs: 1, ...options }
  const child = spawn(process.execPath, ['-e', PROGRAM, JSON.stringify(settings)], { cwd: folder() })
  let out = ''
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  child.stderr.on('data', (chunk) => (out += String(chunk)))
  await new Promise((resolve) => child.once('close', resolve))
  return JSON.parse(out) as Said
}

describe('a process', () => {
  it('ends by itself after calls that are not answered, silent or dripping', async () => {
    const limits = { createTimeoutMs: 1_000, giveUpAfterMs: 2_000 }
    const faults = ['silent', 'drip', 'drip-headers'].map((fault) => `createTask:always:billed+${fault}`)
    const all = [...faults, 'getTaskResult:always:silent'].map((fault) => program({ faults: [fault] }, limits))
    const tags = (await Promise.all(all)).map(({ result }) => result.left?._tag)
    expect(tags).toStrictEqual(['CreateUnknown', 'CreateUnknown', 'CreateUnknown', 'TimedOut'])
  })

  it('holds no reply of 50 MB, plain or zipped, but asks on', async () => {
    const [usual, ...huge] = await Promise.all([
      program({}),
      program({ faults: ['getTaskResult:first3:large=50000000'] }),
      program({ faults: ['getTaskResult:first3:gzip-bomb=50000000'] })
    ])
    expect([usual, ...huge].map(({ result }) => result._tag)).toStrictEqual(['Right', 'Right', 'Right'])
    // One that is read to its end costs 150 MB.
    expect(Math.max(...huge.map(({ peakKb }) => peakKb)) - usual.peakKb).toBeLessThan(60_000)
  })
})
