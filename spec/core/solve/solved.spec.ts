import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { solved } from '../../../lib/core/solve/solved.js'

const ref = { taskId: 'task-1', createdAt: 1_000_000 }
const solution = { gRecaptchaResponse: 'token' }
const HOUR = 3_600_000

/** The instants of a task that is solved when the system clock says `now`, and `elapsed` milliseconds have passed. */
const instants = (now: number, elapsed: number, sentElapsed?: number, unfinishedAt?: number) => {
  const clock = { scheduler: { now: () => now }, elapsed: () => elapsed }
  const { readyAt, useBefore, expiresAt } = solved(
    clock as never,
    recaptchaV2,
    { ref, sentElapsed, unfinishedElapsed: unfinishedAt },
    solution
  )
  return [readyAt, useBefore, expiresAt]
}

describe('the instants of a solved task', () => {
  it('count from when createTask was sent', () => {
    expect(instants(1_009_000, 9_500, 500)).toStrictEqual([1_009_000, 1_060_000, 1_120_000])
  })

  it('count from when the last poll that was answered "processing" was sent', () => {
    expect(instants(1_009_000, 9_500, 500, 6_500)).toStrictEqual([1_009_000, 1_066_000, 1_126_000])
  })

  it.each([-HOUR, HOUR])('count by elapsed time if the system clock was set by %p ms meanwhile', (setBy) => {
    const now = 1_009_000 + setBy
    expect(instants(now, 9_500, 500, 6_500)).toStrictEqual([now, now - 3_000 + 60_000, now - 3_000 + 120_000])
  })

  it('are whole milliseconds, never later than the truth', () => {
    expect(instants(1_009_000, 9_500.2, 500, 6_500)).toStrictEqual([1_009_000, 1_065_999, 1_125_999])
  })

  it('count from `createdAt` for a task of an earlier run', () => {
    expect(instants(1_009_000, 0)).toStrictEqual([1_009_000, 1_060_000, 1_120_000])
  })

  it('count from now for a reference of a clock that runs ahead', () => {
    expect(instants(900_000, 0)).toStrictEqual([900_000, 960_000, 1_020_000])
  })

  it('are absent if the kind of task has no such durations', () => {
    const clock = { scheduler: { now: () => 5 }, elapsed: () => 0 }
    const result = solved(
      clock as never,
      { solution: recaptchaV2.solution },
      { ref, sentElapsed: 0, unfinishedElapsed: undefined },
      solution
    )
    expect(result).toStrictEqual({ ref, solution, readyAt: 5 })
  })
})
