import { spawn } from 'node:child_process'
import * as E from 'fp-ts/lib/Either.js'
import type { SolverOptions } from 'rx-captcha'
import { EMULATOR_KEY, type EmulatorOptions } from 'rx-captcha/emulator'
import { built } from '../support/built.js'
import { byteServers, reply, sends } from '../support/byte-server.js'
import { throttledClock, type ThrottledClock } from '../support/matrix/throttled-clock.js'
import { emulators } from '../support/raw-http.js'
import { aSpec, outcome, solvers } from '../support/solvers.js'

// What the library guarantees with its default settings, on a clock that is a hundred times as fast.
const SPEED = 100

const start = emulators()
const serve = byteServers()
const solverOf = solvers()
const folder = built()

const clocks: ThrottledClock[] = []
// Not after each test, because closing a solver still needs its clock.
afterAll(() => {
  for (const { stop } of clocks) stop()
})

/** Solves one task against an emulator, and measures the time by the solver's clock. */
const solveOne = async (service: EmulatorOptions, options: Partial<SolverOptions> = {}) => {
  const emulator = await start(service)
  const clock = throttledClock(SPEED)
  clocks.push(clock)
  const { scheduler } = clock
  const solver = solverOf({ baseUrl: emulator.url, pollEveryMs: undefined, scheduler, ...options })
  const startedAt = scheduler.now()
  const result = await outcome(solver.solve(aSpec))
  return { result, tookMs: scheduler.now() - startedAt, ...emulator.counters() }
}

const MAX_MS = 40_000

describe('a solve', () => {
  it.each<[string, EmulatorOptions]>([
    ['503 to two createTask requests', { faults: ['createTask:first2:503'] }],
    ['503 to two polls', { faults: ['getTaskResult:first2:503'] }],
    ['429 with Retry-After to two createTask requests', { faults: ['createTask:first2:429;retry-after=7'] }],
    ['429 with Retry-After to two polls', { faults: ['getTaskResult:first2:429;retry-after=7'] }],
    ['no free slot for two createTask requests', { faults: ['createTask:first2:ERROR_NO_SLOT_AVAILABLE'] }],
    ['a poll without a reply', { faults: ['getTaskResult:1:silent'] }],
    ['a reply that drips', { faults: ['getTaskResult:1:drip'] }],
    ['closed idle connections', { faults: ['getTaskResult:first3:never'], idleMs: 1 }]
  ])('returns the token within 40 s, for one charge, after %s', async (_, service) => {
    const { result, tookMs, accepted, delivered } = await solveOne(service)
    expect(result).toHaveProperty('right.solution.gRecaptchaResponse', expect.stringMatching(/^03A/))
    expect([accepted, delivered]).toStrictEqual([1, 1])
    expect(tookMs).toBeLessThan(MAX_MS)
  })

  it.each(['createTask', 'getTaskResult'])('waits as long as Retry-After of a 429 to %s says', async (call) => {
    const { result, tookMs } = await solveOne({ faults: [`${call}:1:429;retry-after=20`] })
    expect(E.isRight(result)).toBe(true)
    expect(tookMs).toBeGreaterThanOrEqual(20_000)
  })
})

describe('a createTask without a complete reply', () => {
  it.each(['silent', 'drip', 'drip-headers'])('ends as CreateUnknown after 25 s: %s', async (fault) => {
    const { result, tookMs, requests } = await solveOne({ faults: [`createTask:always:billed+${fault}`] })
    expect(result).toMatchObject({ left: { _tag: 'CreateUnknown', paid: 'unknown', cause: { code: 'TIMED_OUT' } } })
    expect(requests.createTask).toBe(1)
    expect(tookMs).toBeGreaterThanOrEqual(25_000)
    expect(tookMs).toBeLessThan(MAX_MS)
  })
})

describe('giveUpAfterMs', () => {
  const giveUpAfterMs = 10_000

  it.each<[string, EmulatorOptions]>([
    ['is never ready', { readyAfterMs: 600_000 }],
    ['sends no reply to a poll', { faults: ['getTaskResult:always:silent'] }],
    ['drips its replies to polls', { faults: ['getTaskResult:always:drip'] }]
  ])('ends a solve as TimedOut after 10 s if the service %s', async (_, service) => {
    const { result, tookMs, polls } = await solveOne(service, { giveUpAfterMs })
    const [taskId] = Object.keys(polls)
    expect(result).toMatchObject({ left: { _tag: 'TimedOut', paid: 'yes', ref: { taskId }, afterMs: 10_000 } })
    expect(tookMs).toBeGreaterThanOrEqual(giveUpAfterMs)
    expect(tookMs).toBeLessThan(giveUpAfterMs + 1_000)
  })

  it('ends a solve as CreateUnknown after 10 s if the service sends no reply to createTask', async () => {
    const { result, tookMs } = await solveOne({ faults: ['createTask:always:billed+silent'] }, { giveUpAfterMs })
    expect(result).toMatchObject({ left: { _tag: 'CreateUnknown', cause: { code: 'TIMED_OUT' } } })
    expect(tookMs).toBeGreaterThanOrEqual(giveUpAfterMs)
    expect(tookMs).toBeLessThan(giveUpAfterMs + 1_000)
  })
})

describe('a redirect', () => {
  it.each(['createTask', 'getTaskResult'].flatMap((call) => [301, 302, 303, 307, 308].map((status) => [call, status])))(
    'of %s (%i) is not followed',
    async (call, status) => {
      const elsewhere = await serve(sends(reply('{"errorId":0,"taskId":"id-of-another"}')))
      const location = `${elsewhere.origin}/${call}`
      const { requests } = await solveOne({ faults: [`${call}:always:${status};location=${location}`] })
      expect(requests).toMatchObject({ [call]: call === 'createTask' ? 1 : 3 })
      expect(elsewhere.accepted()).toBe(0)
    }
  )
})

const PROGRAM = `
  const { createSolver, recaptchaV2 } = require('rx-captcha')
  const { from, map, mergeMap } = require('rxjs')
  const { all, concurrency } = JSON.parse(process.argv[1])
  const task = recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'site-key' })
  const solve = (options, index) => createSolver(options).solve(task).pipe(map((result) => ({ index, result })))
  from(all).pipe(mergeMap(solve, concurrency)).subscribe((solved) => {
    console.log(JSON.stringify({ ...solved, peakKb: process.resourceUsage().maxRSS }))
  })
`

interface Printed {
  readonly index: number
  readonly result: { readonly _tag: string; readonly left?: { readonly _tag: string } }
  readonly peakKb: number
}

/** Runs a program that solves one task at each service, `concurrency` at a time. Resolves when its process has exited. */
const runProgram = async (
  services: ReadonlyArray<EmulatorOptions>,
  concurrency: number,
  options: Partial<SolverOptions> = {}
): Promise<ReadonlyArray<Printed>> => {
  const emulators = await Promise.all(services.map((service) => start(service)))
  const all = emulators.map(({ url }) => ({ clientKey: EMULATOR_KEY, baseUrl: url, pollEveryMs: 1, ...options }))
  const child = spawn(process.execPath, ['-e', PROGRAM, JSON.stringify({ all, concurrency })], { cwd: folder() })
  let out = ''
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  child.stderr.on('data', (chunk) => (out += String(chunk)))
  await new Promise((resolve) => child.once('close', resolve))
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Printed)
    .sort((one, other) => one.index - other.index)
}

describe('a process', () => {
  it('ends by itself after calls without a complete reply', async () => {
    const limits = { createTimeoutMs: 1_000, giveUpAfterMs: 1_200 }
    const faults = ['silent', 'drip', 'drip-headers'].map((fault) => `createTask:always:billed+${fault}`)
    const services = [...faults, 'getTaskResult:always:silent'].map((fault) => ({ faults: [fault] }))
    const tags = (await runProgram(services, services.length, limits)).map(({ result }) => result.left?._tag)
    expect(tags).toStrictEqual(['CreateUnknown', 'CreateUnknown', 'CreateUnknown', 'TimedOut'])
  })

  it('does not buffer a reply of 50 MB, compressed or not, and polls again', async () => {
    const huge = ['large', 'gzip-bomb'].map((fault) => ({ faults: [`getTaskResult:first3:${fault}=50000000`] }))
    const printed = await runProgram([{}, ...huge], 1)
    expect(printed.map(({ result }) => result._tag)).toStrictEqual(['Right', 'Right', 'Right'])
    // To read one to its end takes 150 MB.
    expect(printed.at(-1)!.peakKb - printed[0]!.peakKb).toBeLessThan(60_000)
  })
})
