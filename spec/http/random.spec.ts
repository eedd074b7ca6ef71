import { VirtualTimeScheduler } from 'rxjs'
import { createSolver, type SolverOptions } from 'rx-captcha'
import { replies, scriptedPost, type Scripted } from 'rx-captcha/testing'
import { aSpec } from '../support/solvers.js'

const { created, ready, refused } = replies
const unreachable = { failed: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }, sent: false }
const busy = refused('ERROR_RATE_LIMIT')

/** What a solve in virtual time emits, and the waits that it reports. */
const solveOnce = (create: ReadonlyArray<Scripted>, random: unknown) => {
  const scheduler = new VirtualTimeScheduler()
  const { post } = scriptedPost({ '/createTask': create, '/getTaskResult': [ready()] }, scheduler)
  const given = random as NonNullable<SolverOptions['random']>
  const solver = createSolver({ clientKey: 'key-for-tests', post, scheduler, random: given })
  const [emitted, waits]: [unknown[], number[]] = [[], []]
  solver.events.subscribe((event) => event._tag === 'Delayed' && waits.push(event.waitMs))
  solver.solve(aSpec).subscribe({
    next: (result) => emitted.push(result),
    error: (error: unknown) => emitted.push({ error }),
    complete: () => emitted.push('complete')
  })
  scheduler.flush()
  return { emitted, waits }
}

const unreachableCreate = (random: unknown) => solveOnce([unreachable], random)
const busyService = (random: unknown) => solveOnce([busy, busy, busy, created()], random)

describe('option random', () => {
  it.each([
    [0, [250, 500, 1_000]],
    [0.5, [750, 1_500, 3_000]],
    [1, [1_250, 2_500, 5_000]]
  ])('sets the waits before further tries: %p', (number, expected) => {
    expect(unreachableCreate(() => number).waits).toStrictEqual(expected)
  })

  const throwing = (): never => {
    throw new Error('no more numbers')
  }
  const wrong: ReadonlyArray<readonly [string, () => unknown]> = [
    ['undefined', () => undefined],
    ['null', () => null],
    ['NaN', () => NaN],
    ['-1', () => -1],
    ['1.1', () => 1.1],
    ['Infinity', () => Infinity],
    ['a text', () => 'half'],
    ['a bigint', () => 0n],
    ['an object', () => ({})],
    ['an error that it throws', throwing]
  ]
  afterEach(() => jest.restoreAllMocks())

  it.each(wrong)('is replaced by Math.random in the tries of createTask if it gives %s', (_name, random) => {
    jest.spyOn(Math, 'random').mockReturnValue(0.25)
    const { emitted, waits } = unreachableCreate(random)

    expect(waits).toStrictEqual([500, 1_000, 2_000])
    expect(emitted).toMatchObject([{ left: { _tag: 'NotCreated', reason: 'connect', attempts: 4 } }, 'complete'])
  })

  it.each(wrong)('is replaced by Math.random in the pauses of the limiter if it gives %s', (_name, random) => {
    jest.spyOn(Math, 'random').mockReturnValue(0.25)
    const { emitted, waits } = busyService(random)

    expect(waits).toStrictEqual([438, 875, 4_375])
    expect(emitted).toMatchObject([{ _tag: 'Right' }, 'complete'])
  })
})
