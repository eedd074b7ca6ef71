import { TestScheduler } from 'rxjs/testing'
import { VirtualTimeScheduler, type Subscription } from 'rxjs'
import { RateLimiter, type Permit } from '../../../lib/core/rx/rate-limiter.js'

interface Tools {
  /** A caller by name: acquires a permit, and ends it with `then`. */
  readonly acquire: (name: string, then?: (permit: Permit) => void, queue?: 'new' | 'retry') => Subscription
  readonly at: (ms: number, act: () => void) => void
}

/** Runs callers in virtual time. The log holds each permit and each reported wait, with its time. */
const simulate = (
  act: (tools: Tools) => void,
  { createsPerSecond, random = () => 0.5 }: { createsPerSecond?: number; random?: () => number } = {}
): ReadonlyArray<string> => {
  const log: string[] = []
  const scheduler = new TestScheduler(() => undefined)
  scheduler.run(() => {
    const limiter = new RateLimiter(scheduler, random, createsPerSecond)
    act({
      at: (ms, run) => {
        scheduler.schedule(run, ms)
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

const permits = (log: ReadonlyArray<string>) => log.filter((line) => !line.includes('waits'))

const backOff =
  (retryAfterMs?: number, onPause: (pausedMs: number) => void = () => undefined) =>
  (permit: Permit): void => {
    onPause(permit.backOff(retryAfterMs))
  }

describe('a flowing limiter', () => {
  it('gives every permit at once if there is no rate', () => {
    const log = simulate(({ acquire }) => ['a', 'b', 'c'].forEach((name) => acquire(name)))

    expect(log).toStrictEqual(['0 a', '0 b', '0 c'])
  })

  it('gives permits at a fixed interval, first in first out, and reports each wait', () => {
    const log = simulate(({ acquire }) => ['a', 'b', 'c'].forEach((name) => acquire(name)), { createsPerSecond: 2 })

    expect(log).toStrictEqual(['0 a', '0 b waits 500 (rate)', '0 c waits 1000 (rate)', '500 b', '1000 c'])
  })

  it('does not catch up after an idle time', () => {
    const log = simulate(
      ({ acquire, at }) => {
        acquire('a')
        at(5_000, () => ['b', 'c'].forEach((name) => acquire(name)))
      },
      { createsPerSecond: 1 }
    )

    expect(log).toStrictEqual(['0 a', '5000 b', '5000 c waits 1000 (rate)', '6000 c'])
  })

  it('keeps its interval even if no permit has ended', () => {
    const log = simulate(({ acquire }) => ['a', 'b'].forEach((name) => acquire(name, () => undefined)), {
      createsPerSecond: 2
    })

    expect(log).toContain('500 b')
  })

  it('keeps FIFO order for a caller that arrives at the instant of another permit', () => {
    const log = simulate(
      ({ acquire, at }) => {
        at(1_000, () => acquire('c'))
        acquire('a')
        acquire('b')
      },
      { createsPerSecond: 1 }
    )

    expect(permits(log)).toStrictEqual(['0 a', '1000 b', '2000 c'])
  })

  it('skips a caller that unsubscribes from the queue', () => {
    const log = simulate(
      ({ acquire, at }) => {
        acquire('a')
        const b = acquire('b')
        acquire('c')
        at(100, () => {
          b.unsubscribe()
        })
      },
      { createsPerSecond: 1 }
    )

    expect(permits(log)).toStrictEqual(['0 a', '1000 c'])
  })

  it('cancels its timer when the last caller unsubscribes', () => {
    const scheduler = new VirtualTimeScheduler()
    const limiter = new RateLimiter(scheduler, () => 0.5, 1)
    limiter.acquire('new').subscribe()
    limiter.acquire('new').subscribe().unsubscribe()

    scheduler.flush()

    expect(scheduler.now()).toBe(0)
  })

  it('gives permits to retries before new tasks', () => {
    const log = simulate(
      ({ acquire }) => {
        acquire('a')
        acquire('b')
        acquire('c', undefined, 'retry')
      },
      { createsPerSecond: 1 }
    )

    expect(permits(log)).toStrictEqual(['0 a', '1000 c', '2000 b'])
  })
})

describe('a paused limiter', () => {
  it('gives one probe after 5 s, and flows again once the probe succeeds', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', backOff())
      acquire('b', (permit) => at(700, permit.succeeded))
      acquire('c')
      acquire('d')
    })

    expect(log).toStrictEqual([
      '0 a',
      '0 b waits 5000 (unavailable)',
      '0 c waits 5000 (unavailable)',
      '0 d waits 5000 (unavailable)',
      '5000 b',
      '5700 c',
      '5700 d'
    ])
  })

  it('doubles its pause with every probe that backs off, up to 60 s', () => {
    const log = simulate(({ acquire }) => 'abcdefg'.split('').forEach((name) => acquire(name, backOff())))

    expect(permits(log)).toStrictEqual(['0 a', '5000 b', '15000 c', '35000 d', '75000 e', '135000 f', '195000 g'])
  })

  it('starts at 5 s again after it has flowed', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', backOff())
      acquire('b', backOff())
      acquire('c')
      at(20_000, () => {
        acquire('d', backOff())
        acquire('e')
      })
    })

    expect(log).toContain('15000 c')
    expect(log).toContain('20000 e waits 5000 (unavailable)')
  })

  it.each([
    [0, 3_750],
    [1, 6_250]
  ])('varies its pause by a quarter: random %p gives %p ms', (random, waitMs) => {
    const log = simulate(({ acquire }) => ['a', 'b'].forEach((name) => acquire(name, backOff())), {
      random: () => random
    })

    expect(log).toContain(`${waitMs} b`)
  })

  it.each([
    ['as long as the service asks', 7_000, 7_000],
    ['at least 3 s', 0, 3_000],
    ['at most 60 s', 3_600_000, 60_000],
    ['its own time if the service asks for NaN', Number.NaN, 5_000],
    ['its own time if the service asks for an endless wait', Infinity, 5_000],
    ['its own time if the service asks for a negative wait', -1, 5_000]
  ])('waits %s', (_, retryAfterMs, waitMs) => {
    const waits: number[] = []
    const log = simulate(({ acquire }) => {
      acquire(
        'a',
        backOff(retryAfterMs, (pausedMs) => waits.push(pausedMs))
      )
      acquire('b')
    })

    expect(waits).toStrictEqual([waitMs])
    expect(log).toContain(`${waitMs} b`)
  })

  it('gives a probe at once to a caller that arrives after the pause', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', backOff())
      at(6_000, () => acquire('b'))
    })

    expect(log).toStrictEqual(['0 a', '6000 b'])
  })

  it('gives no second probe when a permit from before the pause is released', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', (permit) => at(6_000, permit.release))
      acquire('b', backOff())
      acquire('c', (permit) => at(9_000, permit.succeeded))
      acquire('d')
    })

    expect(permits(log)).toStrictEqual(['0 a', '0 b', '5000 c', '14000 d'])
  })

  it('does not double its pause for permits from before the pause', () => {
    const waits: number[] = []
    simulate(({ acquire, at }) => {
      for (const ms of [100, 200, 300])
        acquire(`after ${ms}`, (permit) => {
          at(ms, () => waits.push(permit.backOff(undefined)))
        })
    })

    expect(waits).toStrictEqual([5_000, 4_900, 4_800])
  })

  it('waits longer for such a permit if the service names a time', () => {
    const waits: number[] = []
    simulate(({ acquire, at }) => {
      acquire('a', (permit) => {
        at(100, () => waits.push(permit.backOff(undefined)))
      })
      acquire('b', (permit) => {
        at(200, () => waits.push(permit.backOff(30_000)))
      })
    })

    expect(waits).toStrictEqual([5_000, 30_000])
  })

  it('keeps its probe when such a permit names a time while the probe is out', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', (permit) => at(5_500, () => permit.backOff(4_000)))
      acquire('b', backOff())
      acquire('c', (permit) => at(1_000, permit.succeeded))
      acquire('d')
    })

    expect(permits(log)).toStrictEqual(['0 a', '0 b', '5000 c', '6000 d'])
  })

  it('gives the next probe when one is released', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', backOff())
      acquire('b', (permit) => at(400, permit.release))
      acquire('c')
      acquire('d')
    })

    expect(permits(log)).toStrictEqual(['0 a', '5000 b', '5400 c', '5400 d'])
  })

  it('stays paused when a permit from before the pause succeeds', () => {
    const log = simulate(({ acquire, at }) => {
      acquire('a', (permit) => at(1_000, permit.succeeded))
      acquire('b', backOff())
      at(2_000, () => {
        acquire('c')
      })
    })

    expect(log).toContain('5000 c')
  })
})

describe('a permit', () => {
  it('ignores every call after the first', () => {
    const log = simulate(({ acquire }) => {
      acquire('a', (permit) => {
        permit.succeeded()
        permit.backOff(undefined)
        permit.release()
      })
      acquire('b')
    })

    expect(log).toStrictEqual(['0 a', '0 b'])
  })
})
