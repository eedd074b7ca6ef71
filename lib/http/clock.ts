import { asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'

/**
 * The real clock. Unlike `asyncScheduler` it never fires early: Node rounds the start of a timer down to the millisecond, so
 * a timer can fire up to one millisecond too soon, and a poll would be sent before its time.
 */
export const realClock: SchedulerLike = {
  now: () => asyncScheduler.now(),
  schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs = 0, state?: T) => {
    const dueAt = performance.now() + delayMs
    const fire = function (this: SchedulerAction<T>, given?: T): void {
      const earlyMs = dueAt - performance.now()
      if (earlyMs > 0 && delayMs > 0) this.schedule(given, Math.ceil(earlyMs))
      else work.call(this, given)
    }
    return asyncScheduler.schedule(fire, delayMs, state)
  }
}
