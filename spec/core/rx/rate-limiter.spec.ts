import { VirtualTimeScheduler } from 'rxjs'
import { RateLimiter, type Permit } from '../../../lib/core/rx/rate-limiter.js'
import { limiterLog } from '../../support/limiter.js'

const permits = (log: ReadonlyArray<string>) => log.filter((line) => !line.includes('waits'))

const unavailable =
  (retryAfterMs?: number, onPause: (pausedMs: number) => void = () => undefined) =>
  (permit: Permit): void => {
    onPause(permit.unavailable(retryAfterMs))
  }

const refused = (permit: Permit): void => {
  permit.refused()
}

const unreadable = (permit: Permit): void => {
  permit.unreadable()
}

describe('a flowing limiter', () => {
  it('gives every permit at once if there is no rate', () => {
    const log = limiterLog(({ acquire }) => ['a', 'b', 'c'].forEach((name) => acquire(name)))

    expect(log).toStrictEqual(['0 a', '0 b', '0 c'])
  })

  it('reports no wait to callers that arrive from within each other', () => {
    const log = limiterLog(({ acquire }) => {
      acquire('a', (a) => {
        acquire('b', (b) => {
          acquire('c')
          b.succeeded()
        })
        a.succeeded()
      })
    })

    expect(log).toStrictEqual(['0 a', '0 b', '0 c'])
  })

  it('asks only the refused task to wait, whatever its rate', () => {
    const waits: number[] = []
    limiterLog(
      ({ acquire }) =>
        acquire(
          'a',
          unavailable(undefined, (pausedMs) => waits.push(pausedMs))
        ),
      { createsPerSecond: 1 }
    )

    expect(waits).toStrictEqual([0])
  })

  it('gives permits at a fixed interval, first in first out, and reports each wait', () => {
    const log = limiterLog(({ acquire }) => ['a', 'b', 'c'].forEach((name) => acquire(name)), { createsPerSecond: 2 })

    expect(log).toStrictEqual(['0 a', '0 b waits 500 (rate)', '0 c waits 1000 (rate)', '500 b', '1000 c'])
  })

  it('does not catch up after an idle time', () => {
    const log = limiterLog(
      ({ acquire, at }) => {
        acquire('a')
        at(5_000, () => ['b', 'c'].forEach((name) => acquire(name)))
      },
      { createsPerSecond: 1 }
    )

    expect(log).toStrictEqual(['0 a', '5000 b', '5000 c waits 1000 (rate)', '6000 c'])
  })

  it('keeps its interval even if no permit has ended', () => {
    const log = limiterLog(({ acquire }) => ['a', 'b', 'c'].forEach((name) => acquire(name, () => undefined)), {
      createsPerSecond: 2
    })

    expect(permits(log)).toStrictEqual(['0 a', '500 b', '1000 c'])
  })

  it('keeps FIFO order for a caller that arrives at the instant of another permit', () => {
    const log = limiterLog(
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
    const log = limiterLog(
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
    const limiter = new RateLimiter(
      { scheduler, elapsed: () => scheduler.now(), random: () => 0.5 },
      { createsPerSecond: 1, onUnreadable: () => undefined }
    )
    limiter.acquire('new').subscribe()
    limiter.acquire('new').subscribe().unsubscribe()

    scheduler.flush()

    expect(scheduler.now()).toBe(0)
  })

  it('gives permits to retries before new tasks', () => {
    const log = limiterLog(
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
    const log = limiterLog(({ acquire, at, pause }) => {
      pause()
      acquire('b', (permit) => at(700, permit.succeeded))
      acquire('c')
      acquire('d')
    })

    expect(log).toStrictEqual([
      '0 b waits 5000 (unavailable)',
      '0 c waits 5000 (unavailable)',
      '0 d waits 5000 (unavailable)',
      '5000 b',
      '5700 c',
      '5700 d'
    ])
  })

  it('doubles its pause with every probe that backs off, up to 60 s', () => {
    const log = limiterLog(({ acquire, pause }) => {
      pause()
      for (const name of 'bcdefg') acquire(name, unavailable())
    })

    expect(permits(log)).toStrictEqual(['5000 b', '15000 c', '35000 d', '75000 e', '135000 f', '195000 g'])
  })

  it('starts at 5 s again after it has flowed', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      pause()
      acquire('b', unavailable())
      acquire('c')
      at(20_000, () => {
        pause()
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
    const log = limiterLog(
      ({ acquire, pause }) => {
        pause()
        acquire('b')
      },
      { random: () => random }
    )

    expect(log).toContain(`${waitMs} b`)
  })

  it.each([
    ['as long as the service asks', 7_000, 7_000],
    ['at least 3 s', 0, 3_000],
    ['at most 60 s', 3_600_000, 60_000]
  ])('waits %s', (_, retryAfterMs, waitMs) => {
    const waits: number[] = []
    const log = limiterLog(({ acquire }) => {
      acquire(
        'a',
        unavailable(retryAfterMs, (pausedMs) => waits.push(pausedMs))
      )
      acquire('b')
    })

    expect(waits).toStrictEqual([waitMs])
    expect(log).toContain(`${waitMs} b`)
  })

  it.each([Number.NaN, Infinity, -1])('takes no notice of a service that asks for %p ms', (retryAfterMs) => {
    const waits: number[] = []
    limiterLog(({ acquire }) =>
      acquire(
        'a',
        unavailable(retryAfterMs, (pausedMs) => waits.push(pausedMs))
      )
    )

    expect(waits).toStrictEqual([0])
  })

  it('gives a probe at once to a caller that arrives after the pause', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      pause()
      at(6_000, () => acquire('b'))
    })

    expect(log).toStrictEqual(['6000 b'])
  })

  it('gives no second probe when a permit from before the pause is released', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('a', (permit) => at(6_000, permit.release))
      pause()
      acquire('c', (permit) => at(9_000, permit.succeeded))
      acquire('d')
    })

    expect(permits(log)).toStrictEqual(['0 a', '5000 c', '14000 d'])
  })

  it('does not double its pause for permits from before the pause', () => {
    const waits: number[] = []
    limiterLog(({ acquire, at }) => {
      for (const ms of [100, 200, 300, 400, 500])
        acquire(`after ${ms}`, (permit) => {
          at(ms, () => waits.push(permit.unavailable(undefined)))
        })
    })

    expect(waits).toStrictEqual([0, 0, 5_000, 4_900, 4_800])
  })

  it('waits longer for such a permit if the service names a time', () => {
    const waits: number[] = []
    limiterLog(({ acquire, at, pause }) => {
      acquire('b', (permit) => {
        at(200, () => waits.push(permit.unavailable(30_000)))
      })
      pause()
    })

    expect(waits).toStrictEqual([30_000])
  })

  it('does not double its next pause for such permits, whatever time the service names', () => {
    const log = limiterLog(({ acquire, at }) => {
      for (const ms of [100, 200, 300, 400])
        acquire(`after ${ms}`, (permit) => {
          at(ms, () => permit.unavailable(4_000))
        })
      at(1_000, () => acquire('probe', unavailable()))
      at(1_000, () => acquire('next'))
    })

    expect(permits(log).slice(-2)).toStrictEqual(['4400 probe', '14400 next'])
  })

  it('does not double its next pause for such a permit while the probe is out', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('late', (permit) => at(5_100, () => permit.unavailable(3_000)))
      pause()
      acquire('probe', (permit) => at(200, () => permit.unavailable(undefined)))
      acquire('next')
    })

    expect(permits(log)).toStrictEqual(['0 late', '5000 probe', '15200 next'])
  })

  it('doubles its next pause for each probe for which the service names a time', () => {
    const log = limiterLog(({ acquire, pause }) => {
      pause()
      acquire('a', unavailable(3_000))
      acquire('b', unavailable())
      acquire('c')
    })

    expect(permits(log)).toStrictEqual(['5000 a', '8000 b', '28000 c'])
  })

  it('counts a pause for a permit of an earlier flow, if the service names a time', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('late', (permit) => at(6_000, () => permit.unavailable(4_000)))
      pause()
      acquire('a')
      at(7_000, () => acquire('b', unavailable()))
      at(7_000, () => acquire('c'))
    })

    expect(permits(log)).toStrictEqual(['0 late', '5000 a', '10000 b', '20000 c'])
  })

  it('keeps its probe when such a permit names a time while the probe is out', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('a', (permit) => at(5_500, () => permit.unavailable(4_000)))
      pause()
      acquire('c', (permit) => at(1_000, permit.succeeded))
      acquire('d')
    })

    expect(permits(log)).toStrictEqual(['0 a', '5000 c', '6000 d'])
  })

  it.each(['released', 'refused'] as const)('gives the next probe when one is %s', (end) => {
    const log = limiterLog(({ acquire, at, pause }) => {
      pause()
      acquire('b', (permit) => at(400, end === 'refused' ? permit.refused : permit.release))
      acquire('c', (permit) => at(300, permit.succeeded))
      acquire('d')
    })

    expect(permits(log)).toStrictEqual(['5000 b', '5400 c', '5700 d'])
  })

  it('stays paused when a permit from before the pause succeeds', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('a', (permit) => at(1_000, permit.succeeded))
      pause()
      at(2_000, () => {
        acquire('c')
      })
    })

    expect(log).toContain('5000 c')
  })

  it('keeps its probe when a permit from before the pause succeeds', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('a', (permit) => at(6_000, permit.succeeded))
      pause()
      acquire('b', (permit) => at(4_000, permit.succeeded))
      acquire('c')
    })

    expect(permits(log)).toStrictEqual(['0 a', '5000 b', '9000 c'])
  })
})

describe('a limiter in trouble', () => {
  it.each([
    ['refused for now', unavailable()],
    ['unreadable', unreadable]
  ])('flows on after two replies that are %s, and pauses after the third', (_, end) => {
    const log = limiterLog(({ acquire }) => 'abcd'.split('').forEach((name) => acquire(name, end)))

    expect(permits(log)).toStrictEqual(['0 a', '0 b', '0 c', '5000 d'])
  })

  it.each([
    ['refused for now', unavailable()],
    ['unreadable', unreadable]
  ])('starts counting replies that are %s from zero after a created task', (_, end) => {
    const log = limiterLog(({ acquire }) => {
      for (const name of 'ab') acquire(name, end)
      acquire('c')
      for (const name of 'def') acquire(name, end)
      acquire('g')
    })

    expect(permits(log)).toStrictEqual(['0 a', '0 b', '0 c', '0 d', '0 e', '0 f', '5000 g'])
  })

  it.each([
    ['refused for now', unavailable()],
    ['unreadable', unreadable]
  ])('pauses after one probe that is %s', (_, end) => {
    const log = limiterLog(({ acquire }) => {
      acquire('a', unavailable(7_000))
      acquire('b', end)
      acquire('c')
    })

    expect(permits(log)).toStrictEqual(['0 a', '7000 b', '17000 c'])
  })

  it('does not count two kinds of trouble together', () => {
    const log = limiterLog(({ acquire }) => {
      for (const name of 'ab') acquire(name, unreadable)
      for (const name of 'cd') acquire(name, unavailable())
      acquire('e')
    })

    expect(log).toContain('0 e')
  })

  it('does not pause for replies to permits from before its pause', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      for (const name of 'abc') acquire(name, (permit) => at(6_000, permit.unreadable))
      pause()
      acquire('d')
      at(7_000, () => {
        acquire('e', unreadable)
        acquire('f')
      })
    })

    expect(permits(log)).toStrictEqual(['0 a', '0 b', '0 c', '5000 d', '7000 e', '7000 f'])
  })

  it('keeps its probe when such a permit turns out unreadable', () => {
    const log = limiterLog(({ acquire, at, pause }) => {
      acquire('a', (permit) => at(6_000, permit.unreadable))
      pause()
      acquire('b', (permit) => at(3_000, permit.succeeded))
      acquire('c')
    })

    expect(permits(log)).toStrictEqual(['0 a', '5000 b', '8000 c'])
  })

  it('reports the fifth unreadable probe in a row', () => {
    const reported: number[] = []
    const log = limiterLog(({ acquire }) => 'abcdefgh'.split('').forEach((name) => acquire(name, unreadable)), {
      onUnreadable: () => reported.push(1)
    })

    expect(permits(log).at(-1)).toBe('135000 h')
    expect(reported).toHaveLength(1)
  })

  it('starts counting from zero once five probes are reported', () => {
    const reported: number[] = []
    limiterLog(({ acquire }) => 'abcdefghijkl'.split('').forEach((name) => acquire(name, unreadable)), {
      onUnreadable: () => reported.push(1)
    })

    expect(reported).toHaveLength(1)
  })

  it.each<[string, (permit: Permit) => void, number]>([
    ['from zero after a created task', (permit) => permit.succeeded(), 0],
    ['from zero after a refusal', refused, 0],
    ['from zero after a temporary refusal', unavailable(), 0],
    ['further after a call that got no reply', (permit) => permit.release(), 1]
  ])('counts unreadable probes %s', (_, end, times) => {
    const reported: number[] = []
    limiterLog(
      ({ acquire }) => {
        for (const name of 'abcdefg') acquire(name, unreadable)
        acquire('h', end)
        for (const name of 'ijkl') acquire(name, unreadable)
      },
      { onUnreadable: () => reported.push(1) }
    )

    expect(reported).toHaveLength(times)
  })

  it.each<[string, (permit: Permit) => void]>([
    ['refused', (permit) => permit.refused()],
    ['refused for now', unavailable()],
    ['accepted', (permit) => permit.succeeded()]
  ])('counts unreadable probes on when the task of a permit from before the pause is %s', (_, end) => {
    const reported: number[] = []
    limiterLog(
      ({ acquire, at }) => {
        acquire('late', (permit) => at(20_000, () => end(permit)))
        for (const name of 'abcdefgh') acquire(name, unreadable)
      },
      { onUnreadable: () => reported.push(1) }
    )

    expect(reported).toHaveLength(1)
  })
})

describe('a permit', () => {
  it('ignores every call after the first', () => {
    const log = limiterLog(({ acquire }) => {
      acquire('a', (permit) => {
        permit.succeeded()
        permit.unavailable(7_000)
        permit.release()
      })
      acquire('b')
    })

    expect(log).toStrictEqual(['0 a', '0 b'])
  })
})
