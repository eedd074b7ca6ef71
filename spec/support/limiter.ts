import type { Subscription } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { RateLimiter, type Permit } from '../../lib/core/rx/rate-limiter.js'

export interface LimiterTools {
  /** A caller by name: acquires a permit, and ends it with `then`. */
  readonly acquire: (name: string, then?: (permit: Permit) => void, queue?: 'new' | 'retry') => Subscription
  readonly at: (ms: number, act: () => void) => void
  /** Closes an open task. */
  readonly close: () => void
  /** Three tasks in a row that the service refuses for now. */
  readonly pause: () => void
}

/** Runs callers in virtual time. The log holds each permit and each reported wait, with its time. */
export const limiterLog = (
  act: (tools: LimiterTools) => void,
  {
    createsPerSecond,
    maxOpenTasks,
    random = () => 0.5,
    onUnreadable = () => undefined
  }: { createsPerSecond?: number; maxOpenTasks?: number; random?: () => number; onUnreadable?: () => void } = {}
): ReadonlyArray<string> => {
  const log: string[] = []
  const scheduler = new TestScheduler(() => undefined)
  scheduler.run(() => {
    const limiter = new RateLimiter(
      { scheduler, elapsed: () => scheduler.now(), random },
      { createsPerSecond, maxOpenTasks, onUnreadable }
    )
    act({
      at: (ms, run) => {
        scheduler.schedule(run, ms)
      },
      close: () => limiter.closeTask(),
      pause: () => {
        for (const _ of [1, 2, 3]) limiter.acquire('new').subscribe((permit) => permit.unavailable(undefined))
      },
      acquire: (name, then = (permit) => permit.succeeded(), queue = 'new') =>
        limiter
          .acquire(queue, ({ reason, waitMs }) => log.push(`${scheduler.now()} ${name} waits ${waitMs} (${reason})`))
          .subscribe((permit) => {
            log.push(`${scheduler.now()} ${name}`)
            then(permit)
          })
    })
  })
  return log
}
