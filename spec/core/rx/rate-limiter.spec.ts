import { TestScheduler } from 'rxjs/testing'
import { VirtualTimeScheduler, type Subscription } from 'rxjs'
import { RateLimiter, type Permit } from '../../../lib/core/rx/rate-limiter.js'

/** A gate in virtual time; `log` tells who passed, and when. */
const atGate = (
  act: (tools: {
    readonly come: (name: string, then?: (turn: Permit) => void, who?: 'newcomer' | 'repeat') => Subscription
    readonly at: (ms: number, what: () => void) => void
    readonly log: string[]
  }) => void,
  { createsPerSecond, random = () => 0.5 }: { createsPerSecond?: number; random?: () => number } = {}
): ReadonlyArray<string> => {
  const log: string[] = []
  const scheduler = new TestScheduler(() => undefined)
  scheduler.run(() => {
    const gate = new RateLimiter(scheduler, random, createsPerSecond)
    act({
      log,
      at: (ms, what) => {
        scheduler.schedule(what, ms)
      },
      come: (name, then = (turn) => turn.succeeded(), who = 'newcomer') =>
        gate
          .acquire(who, ({ reason, waitMs }) => log.push(`${scheduler.now()} ${name} waits ${waitMs} (${reason})`))
          .subscribe((turn) => {
            log.push(`${scheduler.now()} ${name}`)
            then(turn)
          })
    })
  })
  return log
}

const later =
  (retryAfterMs?: number, tell: (shutMs: number) => void = () => undefined) =>
  (turn: Permit): void => {
    tell(turn.backOff(retryAfterMs))
  }

describe('an open gate', () => {
  it('lets everybody through at once', () => {
    const log = atGate(({ come }) => ['a', 'b', 'c'].forEach((name) => come(name)))

    expect(log).toStrictEqual(['0 a', '0 b', '0 c'])
  })

  it('keeps the distance of its rate, first in first out, and tells who waits how long', () => {
    const log = atGate(({ come }) => ['a', 'b', 'c'].forEach((name) => come(name)), { createsPerSecond: 2 })

    expect(log).toStrictEqual(['0 a', '0 b waits 500 (rate)', '0 c waits 1000 (rate)', '500 b', '1000 c'])
  })

  it('does not catch up after a quiet time', () => {
    const log = atGate(
      ({ come, at }) => {
        come('a')
        at(5_000, () => ['b', 'c'].forEach((name) => come(name)))
      },
      { createsPerSecond: 1 }
    )

    expect(log).toStrictEqual(['0 a', '5000 b', '5000 c waits 1000 (rate)', '6000 c'])
  })

  it('keeps the distance of its rate whether or not those before were answered', () => {
    const log = atGate(({ come }) => ['a', 'b'].forEach((name) => come(name, () => undefined)), { createsPerSecond: 2 })

    expect(log).toContain('500 b')
  })

  it('lets nobody overtake who comes at the very instant of another turn', () => {
    const log = atGate(
      ({ come, at }) => {
        at(1_000, () => come('c'))
        come('a')
        come('b')
      },
      { createsPerSecond: 1 }
    )

    expect(log.filter((line) => !line.includes('waits'))).toStrictEqual(['0 a', '1000 b', '2000 c'])
  })

  it('forgets who leaves the queue', () => {
    const log = atGate(
      ({ come, at }) => {
        come('a')
        const b = come('b')
        come('c')
        at(100, () => {
          b.unsubscribe()
        })
      },
      { createsPerSecond: 1 }
    )

    expect(log).toContain('1000 c')
    expect(log).not.toContain('1000 b')
  })

  it('keeps no timer when the last one leaves', () => {
    const scheduler = new VirtualTimeScheduler()
    const gate = new RateLimiter(scheduler, () => 0.5, 1)
    gate.acquire('newcomer').subscribe()
    gate.acquire('newcomer').subscribe().unsubscribe()

    scheduler.flush()

    expect(scheduler.now()).toBe(0)
  })

  it('lets repeats go before newcomers', () => {
    const log = atGate(
      ({ come }) => {
        come('a')
        come('b')
        come('c', undefined, 'repeat')
      },
      { createsPerSecond: 1 }
    )

    expect(log.filter((line) => !line.includes('waits'))).toStrictEqual(['0 a', '1000 c', '2000 b'])
  })
})

describe('a gate that was told "later"', () => {
  it('is shut for 5 s, then lets one probe through, and all others once that is taken', () => {
    const log = atGate(({ come, at }) => {
      come('a', later())
      come('b', (turn) => at(700, turn.succeeded))
      come('c')
      come('d')
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

  it('doubles the wait for every probe that is told the same, up to 60 s', () => {
    const log = atGate(({ come }) => 'abcdefg'.split('').forEach((name) => come(name, later())))

    expect(log.filter((line) => !line.includes('waits'))).toStrictEqual([
      '0 a',
      '5000 b',
      '15000 c',
      '35000 d',
      '75000 e',
      '135000 f',
      '195000 g'
    ])
  })

  it('begins at 5 s again after it was open', () => {
    const log = atGate(({ come, at }) => {
      come('a', later())
      come('b', later())
      come('c')
      at(20_000, () => {
        come('d', later())
        come('e')
      })
    })

    expect(log).toContain('15000 c')
    expect(log).toContain('20000 e waits 5000 (unavailable)')
  })

  it.each([
    [0, 3_750],
    [1, 6_250]
  ])('spreads its waits by a quarter: random %p', (random, waitMs) => {
    const log = atGate(({ come }) => ['a', 'b'].forEach((name) => come(name, later())), { random: () => random })

    expect(log).toContain(`${waitMs} b`)
  })

  it.each([
    ['as long as the service says', 7_000, 7_000],
    ['at least 3 s', 0, 3_000],
    ['at most 60 s', 3_600_000, 60_000],
    ['for its own time if the service says nonsense', Number.NaN, 5_000],
    ['for its own time if the service says for ever', Infinity, 5_000],
    ['for its own time if the service says a time in the past', -1, 5_000]
  ])('is shut %s', (_, retryAfterMs, waitMs) => {
    const waits: number[] = []
    const log = atGate(({ come }) => {
      come(
        'a',
        later(retryAfterMs, (shutMs) => waits.push(shutMs))
      )
      come('b')
    })

    expect(waits).toStrictEqual([waitMs])
    expect(log).toContain(`${waitMs} b`)
  })

  it('lets a probe through that comes after that time, and tells of no wait', () => {
    const log = atGate(({ come, at }) => {
      come('a', later())
      at(6_000, () => come('b'))
    })

    expect(log).toStrictEqual(['0 a', '6000 b'])
  })

  it('lets no second probe through when one ends that it had let through before it shut', () => {
    const log = atGate(({ come, at }) => {
      come('a', (turn) => at(6_000, turn.release))
      come('b', later())
      come('c', (turn) => at(9_000, turn.succeeded))
      come('d')
    })

    expect(log.filter((line) => !line.includes('waits'))).toStrictEqual(['0 a', '0 b', '5000 c', '14000 d'])
  })

  it('does not double for answers to creates that it let through before it shut', () => {
    const waits: number[] = []
    atGate(({ come, at }) => {
      for (const ms of [100, 200, 300]) {
        come(
          `after ${ms}`,
          (turn) => {
            at(ms, () => waits.push(turn.backOff(undefined)))
          },
          'newcomer'
        )
      }
    })

    expect(waits).toStrictEqual([5_000, 4_900, 4_800])
  })

  it('waits longer for such an answer if the service names a time', () => {
    const waits: number[] = []
    atGate(({ come, at }) => {
      come('a', later())
      at(0, () => undefined)
    })
    atGate(({ come, at }) => {
      come('a', (turn) => {
        at(100, () => waits.push(turn.backOff(undefined)))
      })
      come('b', (turn) => {
        at(200, () => waits.push(turn.backOff(30_000)))
      })
    })

    expect(waits).toStrictEqual([5_000, 30_000])
  })

  it('lets the next probe through when one ends in another way', () => {
    const log = atGate(({ come, at }) => {
      come('a', later())
      come('b', (turn) => at(400, turn.release))
      come('c')
      come('d')
    })

    expect(log.filter((line) => !line.includes('waits'))).toStrictEqual(['0 a', '5000 b', '5400 c', '5400 d'])
  })

  it('stays shut when one is taken that it had let through before it shut', () => {
    const log = atGate(({ come, at }) => {
      come('a', (turn) => at(1_000, turn.succeeded))
      come('b', later())
      at(2_000, () => {
        come('c')
      })
    })

    expect(log).toContain('5000 c')
  })

  it('hears the first word of a turn only', () => {
    const log = atGate(({ come }) => {
      come('a', (turn) => {
        turn.succeeded()
        turn.backOff(undefined)
        turn.release()
      })
      come('b')
    })

    expect(log).toStrictEqual(['0 a', '0 b'])
  })
})
