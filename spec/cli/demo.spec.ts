import { Subject, asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'
import * as emulator from 'rx-captcha/emulator'
import { demo } from '../../lib/cli/demo/command.js'
import { compare, deviations } from '../../lib/cli/demo/report.js'
import type { CliContext } from '../../lib/cli/shared/context.js'
import { nextSceneState, paidOf, startOf, type SceneState } from '../../lib/cli/demo/scenes.js'
import { makeConsole, makeContext } from '../support/command.js'
import { until } from '../support/raw-http.js'

// Faster, and a busy machine would not keep the order of the faults.
const SPEED = 10

/** A clock that runs faster than the real one. */
const hurried = (speed: number): SchedulerLike => {
  const begin = asyncScheduler.now()
  return {
    now: () => begin + (asyncScheduler.now() - begin) * speed,
    schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delay = 0, state?: T) =>
      asyncScheduler.schedule(work, delay / speed, state)
  }
}

const pace = () => ({ scheduler: hurried(SPEED), speed: SPEED })

const play = async (isTTY: boolean, context: Partial<CliContext> = {}) => {
  const [stdout, stderr] = [makeConsole(), makeConsole({ isTTY, columns: 80 })]
  const code = await demo(makeContext({ stdout, stderr, ...context }), pace())
  return { code, out: stdout.text(), err: stderr.text() }
}

const withoutFaults: typeof emulator.startEmulator = (options) => emulator.startEmulator({ ...options, faults: [] })

describe('rx-captcha demo', () => {
  type Played = Awaited<ReturnType<typeof play>>
  let [plain, onTerminal, unplanned]: Played[] = []

  // All at once, because most of the time is spent on waiting.
  beforeAll(async () => {
    const loadEmulator = () => Promise.resolve({ ...emulator, startEmulator: withoutFaults })
    ;[plain, onTerminal, unplanned] = await Promise.all([play(false), play(true), play(false, { loadEmulator })])
  })

  it('runs as planned, and prints every step and two tables', () => {
    const { code, out, err } = plain!
    expect(out).toContain('Both counts agree.')
    expect(code).toBe(0)
    expect(
      out
        .split('\n')
        .slice(0, 7)
        // On a busy machine the second and the third task may be created in the other order, and get each other's id.
        .map((line) =>
          line
            .replace(/token \S+ +/, 'token ')
            .replace(/\S+… +\d/, 'ID N')
            .replace(/ +[\d.]+ +(\w+)$/, ' $1')
        )
    ).toStrictEqual([
      '#  injected fault   outcome            task id    polls  seconds  paid',
      '1  no fault         token ID N yes',
      '2  service is busy  token ID N yes',
      '3  poll is lost     token ID N yes',
      '4  service fails    TaskFailed         ID N yes',
      '5  task id is lost  CreateUnknown      -              0 unknown',
      '6  no fault         token ID N yes'
    ])
    expect(out).toMatch(/tasks created and paid for +6 +6\n/)
    expect(out).toMatch(/tokens delivered +4 +4\n/)
    for (const step of ['starts', 'created', 'service unavailable', 'no reply', 'poll 4', 'solved'])
      expect(err).toContain(step)
    expect((out + err).split('\n').filter((line) => line.length > 80)).toStrictEqual([])
    expect(err).not.toContain('\x1b')
  })

  it('keeps one row for each task on a terminal', () => {
    const { code, err } = onTerminal!
    expect(code).toBe(0)
    expect(err).toContain('6  no fault         waits')
    const last = err.slice(err.lastIndexOf('1  no fault'))
    expect(last).toContain('1  no fault         solved')
    expect(last).toContain('5  task id is lost  CreateUnknown, paid: unknown')
  })

  it('exits with 1 and lists what was not as planned, if the faults are missing', () => {
    const { code, out } = unplanned!
    expect(code).toBe(1)
    expect(out).toContain('\nNot as planned:\n  task 4 ended as Solved instead of TaskFailed\n')
  })

  it('prints the tables on Ctrl-C, without a list of what did not happen', async () => {
    const signals = new Subject<NodeJS.Signals>()
    const [stdout, stderr] = [makeConsole(), makeConsole()]
    const code = demo(makeContext({ stdout, stderr, signals }), pace())
    await until(() => stderr.text().includes('created'))
    signals.next('SIGINT')
    expect(await code).toBe(130)
    expect(stdout.text()).toMatch(/^1 {2}no fault +Interrupted +ced6255a… +0 +[\d.]+ +yes$/m)
    expect(stdout.text()).toMatch(/^6 {2}no fault +NotCreated +- +0 +[\d.]+ +no$/m)
    expect(stdout.text()).toMatch(/\nInterrupted\.\n$/)
  })
})

describe('deviations of the demo', () => {
  const counters = {
    requests: { createTask: 0, getTaskResult: 0, getBalance: 0, siteverify: 0, other: 0 },
    ...{ accepted: 0, refused: 0, lostCreates: 0, polls: {}, smallestGapMs: 3_000, overlaps: 0 },
    ...{ delivered: 0, neverFetched: 0, verified: 0, unverified: 0 }
  }
  const found = (states: ReadonlyArray<SceneState>, change: Partial<typeof counters> = {}) =>
    deviations(states, compare(states, { ...counters, ...change }))

  it('include tasks that have no outcome', () => {
    expect(found([])).toContain('task 1 ended as nothing instead of Solved')
    expect(found([startOf({ about: 'nothing', ends: 'Solved' }, 0, 0)])).toContain(
      'task 1 ended as nothing instead of Solved'
    )
  })

  it.each([
    [{ accepted: 1 }, 'tasks created and paid for: the counts differ'],
    [{ lostCreates: 1 }, 'task ids lost on the way: the counts differ'],
    [{ delivered: 1 }, 'tokens delivered: the counts differ'],
    [{ polls: { id: 2 } }, 'polls: the counts differ']
  ])('include a counter that differs: %j', (change, problem) => {
    expect(found([])).not.toContain(problem)
    expect(found([], change)).toContain(problem)
  })
})

describe('a state of the demo', () => {
  const state = startOf({ about: 'nothing', ends: 'Solved' }, 9, 0)

  it('shows an assumed refusal by its HTTP status', () => {
    const event = { _tag: 'AssumedNotCreated', at: 5, solveId: 1, status: 503 } as const
    expect(nextSceneState(state, event)).toStrictEqual({ ...state, endedAt: 5, note: 'HTTP 503' })
  })

  it('is unpaid as long as it has no outcome', () => {
    expect(paidOf(state)).toBe('no')
  })
})
