import { Subject, asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'
import { demo } from '../../lib/cli/demo/command.js'
import { blank, next, paidOf, tookMs, type Row } from '../../lib/cli/demo/scenes.js'
import { compare, wrongs } from '../../lib/cli/demo/report.js'
import { openView } from '../../lib/cli/demo/view.js'
import { makeConsole, makeWorld } from '../support/command.js'
import { until } from '../support/raw-http.js'

// Faster, and a busy machine would not keep the order of what is arranged.
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

const none = blank({ about: 'nothing', ends: 'Solved' }, 9)

const pace = () => ({ scheduler: hurried(SPEED), speed: SPEED })

const play = async (isTTY: boolean) => {
  const [stdout, stderr] = [makeConsole(), makeConsole({ isTTY, columns: 80 })]
  const code = await demo(makeWorld({ stdout, stderr }), pace())
  return { code, out: stdout.text(), err: stderr.text() }
}

describe('rx-captcha demo', () => {
  it('goes as arranged, and tells it in a table and in lines', async () => {
    const { code, out, err } = await play(false)
    expect(out).toContain('All went as arranged.')
    expect(code).toBe(0)
    expect(
      out
        .split('\n')
        .slice(0, 7)
        .map((line) => line.replace(/ {2,}[\d.]+ {2}(\w+)$/, '  $1'))
    ).toStrictEqual([
      '#  arranged            outcome            task id    polls  seconds  paid',
      '1  undisturbed         token 03AbzAJMN-…  ced6255a…      2  yes',
      '2  told to come later  token 03AAYG2mpw…  53d2eb95…      2  yes',
      '3  a poll is lost      token 03ASriV5hc…  78f3b682…      4  yes',
      '4  the service fails   TaskFailed         e64258f7…      2  yes',
      '5  its id is lost      CreateUnknown      -              0  perhaps',
      '6  undisturbed         token 03AI23jmS-…  2c1ce209…      1  yes'
    ])
    expect(out).toMatch(/tasks created = paid {5}6 {9}6 {2}5 known, 1 perhaps\n/)
    expect(out).toMatch(/tokens received {10}4 {9}4\n/)
    for (const happened of [
      'begins',
      'created',
      'the service asks to come later',
      'no answer came',
      'poll 4',
      'solved'
    ])
      expect(err).toContain(happened)
    expect((out + err).split('\n').filter((line) => line.length > 80)).toStrictEqual([])
    expect(err).not.toContain('\x1b')
  })

  it('keeps one bar for each task on a terminal', async () => {
    const { code, err } = await play(true)
    expect(code).toBe(0)
    const last = err.slice(err.lastIndexOf('1  undisturbed'))
    expect(last).toMatch(/^1 {2}undisturbed {8}\[={10}\] +[\d.]+ s {2}solved/)
    expect(last).toMatch(/5 {2}its id is lost {5}\[={10}\] +[\d.]+ s {2}CreateUnknown, paid: perhaps/)
    expect(err).toContain('6  undisturbed        [----------]   0.0 s  waits')
    const cursorShown = err.lastIndexOf('\x1b[?25h')
    expect(cursorShown).toBeGreaterThan(err.lastIndexOf('\x1b[?25l'))
  })

  it('ends with what is known on Ctrl-C', async () => {
    const signals = new Subject<NodeJS.Signals>()
    const [stdout, stderr] = [makeConsole(), makeConsole()]
    const code = demo(makeWorld({ stdout, stderr, signals }), pace())
    await until(() => stderr.text().includes('created'))
    signals.next('SIGINT')
    expect(await code).toBe(130)
    expect(stdout.text()).toMatch(/^1 {2}undisturbed +Interrupted +ced6255a… +0 +[\d.]+ +yes$/m)
    expect(stdout.text()).toMatch(/^6 {2}undisturbed +NotCreated +- +0 +[\d.]+ +no$/m)
    expect(stdout.text()).toContain('\nNot as arranged:\n  task 1 ended as Interrupted instead of Solved\n')
  })
})

describe('what is compared with the books', () => {
  const counters = {
    requests: { createTask: 0, getTaskResult: 0, other: 0 },
    ...{ accepted: 0, refused: 0, lostCreates: 0, polls: {}, smallestGapMs: 3_000, overlaps: 0 },
    ...{ delivered: 0, neverFetched: 0 }
  }
  const found = (rows: ReadonlyArray<Row>, change: Partial<typeof counters> = {}) =>
    wrongs(rows, compare(rows, { ...counters, ...change }, 1))

  it('finds tasks that did not end', () => {
    expect(found([])).toContain('task 1 ended as nothing instead of Solved')
    expect(found([none])).toContain('task 1 ended as nothing instead of Solved')
  })

  it('finds a task that met no mishap', () => {
    const solved: Row = {
      ...none,
      result: {
        _tag: 'Right',
        right: { ref: { taskId: 'id', createdAt: 0 }, solution: { gRecaptchaResponse: 'token' }, readyAt: 0 }
      }
    }
    expect(found([solved, solved])).toContain('task 2 met no mishap')
    expect(found([solved, { ...solved, met: ['unavailable'] }])).not.toContain('task 2 met no mishap')
  })

  it.each([
    [{ accepted: 1 }, 'tasks created = paid: the counts differ'],
    [{ lostCreates: 1 }, 'ids lost on the way: the counts differ'],
    [{ delivered: 1 }, 'tokens received: the counts differ'],
    [{ polls: { id: 2 } }, 'polls sent: the counts differ'],
    [{ overlaps: 1 }, 'polls overlapped'],
    [{ smallestGapMs: 2_800 }, 'polls came too soon']
  ])('finds %j', (change, problem) => {
    expect(found([])).not.toContain(problem)
    expect(found([], change)).toContain(problem)
  })
})

describe('a row and its view', () => {
  const assumed = { _tag: 'AssumedNotCreated', at: 0, status: 503 } as const

  it('takes an assumed 503 for no news', () => {
    expect(next(none, assumed)).toStrictEqual(none)
    const stderr = makeConsole()
    openView(stderr, asyncScheduler).show(0, none, { ...assumed, at: asyncScheduler.now() })
    expect(stderr.text()).toMatch(/^ {2}[-\d.]+ s {2}10 {2}nothing +taken for "come later"\n$/)
  })

  it('has taken no time before it began', () => {
    expect(tookMs(none, 5)).toBe(0)
    expect(tookMs({ ...none, beganAt: 2 }, 5)).toBe(3)
    expect(paidOf(none)).toBe('no')
  })
})
