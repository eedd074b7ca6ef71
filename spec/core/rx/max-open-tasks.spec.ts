import { VirtualTimeScheduler, type SchedulerAction, type Subscription } from 'rxjs'
import { RateLimiter } from '../../../lib/core/rx/rate-limiter.js'
import { limiterLog } from '../../support/limiter.js'

/** Virtual time in which a timer takes a millisecond at least, as in Node. */
class NodeTimers extends VirtualTimeScheduler {
  timers = 0

  override schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, ms = 0, state?: T): Subscription {
    this.timers += 1
    return super.schedule(work, Math.max(1, ms), state)
  }
}

describe('a limiter with maxOpenTasks', () => {
  it('gives a permit to a new task when an open one is closed, and to a retry at any time', () => {
    const log = limiterLog(
      ({ acquire, at, close }) => {
        for (const name of ['a', 'b', 'c']) acquire(name)
        at(10, () => acquire('a again', undefined, 'retry'))
        at(20, close)
      },
      { maxOpenTasks: 2 }
    )

    expect(log).toStrictEqual(['0 a', '0 b', '10 a again', '20 c'])
  })

  it('gives the probe to the next that may be created', () => {
    const log = limiterLog(
      ({ acquire, at, close, pause }) => {
        pause()
        acquire('new')
        at(6_000, close)
        at(6_000, () => acquire('another'))
      },
      { maxOpenTasks: 3 }
    )

    expect(log).toStrictEqual(['6000 new'])
  })

  it('gives a permit only once whatever closes a task has ended', () => {
    const log = limiterLog(
      ({ acquire, at, close }) => {
        acquire('a')
        const waiting = acquire('b')
        at(10, () => {
          close()
          waiting.unsubscribe()
        })
      },
      { maxOpenTasks: 1 }
    )

    expect(log).toStrictEqual(['0 a'])
  })

  it('gives a permit in time, and by one timer, although further tasks end meanwhile', () => {
    const scheduler = new NodeTimers()
    const limiter = new RateLimiter(
      { scheduler, elapsed: () => scheduler.now(), random: () => 0.5 },
      { maxOpenTasks: 3, onUnreadable: () => undefined }
    )
    const permits: number[] = []
    for (const _ of [1, 2, 3, 4, 5, 6]) limiter.acquire('new').subscribe(() => permits.push(scheduler.now()))
    for (const ms of [10, 10.4, 10.8]) scheduler.schedule(() => limiter.closeTask(), ms)
    scheduler.timers = 0

    scheduler.flush()

    expect(permits).toStrictEqual([0, 0, 0, 11, 11, 11])
    expect(scheduler.timers).toBe(1)
  })

  it('schedules nothing for a task that waits for a place', () => {
    const scheduler = new VirtualTimeScheduler()
    const limiter = new RateLimiter(
      { scheduler, elapsed: () => scheduler.now(), random: () => 0.5 },
      { createsPerSecond: 1, maxOpenTasks: 1, onUnreadable: () => undefined }
    )
    limiter.acquire('new').subscribe()
    limiter.acquire('new').subscribe()

    scheduler.flush()

    expect(scheduler.now()).toBe(0)
    expect(limiter.counts).toStrictEqual({ open: 1, waiting: 1 })
  })
})
