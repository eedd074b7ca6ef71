import { asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'

/** A scheduler, and a count of milliseconds that changes of the system clock do not affect. */
export interface Clock extends SchedulerLike {
  readonly elapsed: () => number
}

/**
 * The real clock. It differs from `asyncScheduler` in three ways:
 *
 * - It never fires early. Node rounds the start of a timer down to the millisecond, so a timer can fire up to one too soon.
 * - A timer that fires late takes one more turn of the event loop, so that replies that arrived while the process was frozen are
 *   read first.
 * - A timer that fires much too early belongs to a test that fakes timers, but not `performance`. From then on the clock goes by
 *   the timers.
 */
export const realClock = (): Clock => {
  let skippedMs = 0
  let isFaked = false
  const elapsed = (): number => performance.now() + skippedMs
  return {
    elapsed,
    now: () => asyncScheduler.now(),
    schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs = 0, state?: T) => {
      const dueAt = elapsed() + delayMs
      let isLast = delayMs <= 0
      const fire = function (this: SchedulerAction<T>, given?: T): void {
        const earlyMs = isLast ? 0 : dueAt - elapsed()
        isFaked ||= earlyMs > EARLY_MS
        if (isFaked) skippedMs += Math.max(0, earlyMs)
        else if (earlyMs > 0) {
          this.schedule(given, Math.ceil(earlyMs))
          return
        } else if (earlyMs < -LATE_MS) {
          isLast = true
          this.schedule(given, 0)
          return
        }
        work.call(this, given)
      }
      return asyncScheduler.schedule(fire, delayMs, state)
    }
  }
}

const EARLY_MS = 2
const LATE_MS = 1
