import { asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'

/**
 * The real clock. Unlike `asyncScheduler` alone it never rings early: Node rounds the beginning of a timer down to the
 * millisecond, so that it rings up to one too soon, and a poll would come before its time.
 */
export const realClock: SchedulerLike = {
  now: () => asyncScheduler.now(),
  schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs = 0, state?: T) => {
    const due = performance.now() + delayMs
    const ring = function (this: SchedulerAction<T>, given?: T): void {
      const earlyMs = due - performance.now()
      if (earlyMs > 0 && delayMs > 0) this.schedule(given, Math.ceil(earlyMs))
      else work.call(this, given)
    }
    return asyncScheduler.schedule(ring, delayMs, state)
  }
}
