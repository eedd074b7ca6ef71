import { TestScheduler } from 'rxjs/testing'
import { timer } from 'rxjs'
import { realClock } from '../../lib/http/clock.js'

/** Runs timers of Node, and resolves when `schedule` has acted. */
const acted = (clock: ReturnType<typeof realClock>, delayMs: number) =>
  new Promise<void>((resolve) => {
    clock.schedule(() => {
      resolve()
    }, delayMs)
  })

/** Blocks the process, as a suspension does. */
const freeze = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

describe('realClock', () => {
  it('waits for the remaining time if the timer of Node fires early, which happens now and then', async () => {
    // The timer is set at 0, and fires at 0.6, which is 0.4 ms early, and then at 1.7.
    const now = jest.spyOn(performance, 'now').mockReturnValue(1.7).mockReturnValueOnce(0).mockReturnValueOnce(0.6)
    await acted(realClock(), 1)
    const reads = now.mock.calls.length
    now.mockRestore()

    expect(reads).toBe(3)
  })

  it('reads what arrived while the process was frozen before it acts', async () => {
    const order: string[] = []
    await new Promise(setImmediate) // so that the timers of the next turn come first
    const isActed = acted(realClock(), 2).then(() => order.push('acted'))
    setImmediate(() => order.push('read')) // runs after the sockets of the same turn
    freeze(6)
    await isActed

    expect(order).toStrictEqual(['read', 'acted'])
  })

  it('acts in the next turn without a delay', async () => {
    const order: string[] = []
    await new Promise<void>((resolve) => {
      realClock().schedule(() => {
        order.push('acted')
        resolve()
      })
      order.push('scheduled')
    })

    expect(order).toStrictEqual(['scheduled', 'acted'])
  })

  it('passes the state on, and does not act once it is unsubscribed', async () => {
    const states: unknown[] = []
    const clock = realClock()
    await new Promise<void>((resolve) => {
      const act = (state?: string): void => {
        states.push(state)
        resolve()
      }
      clock.schedule<string>(act, 1, 'unsubscribed').unsubscribe()
      clock.schedule<string>(act, 1, 'kept')
    })
    await acted(clock, 4)

    expect(states).toStrictEqual(['kept'])
  })

  it('does not act again if it is unsubscribed while it acts', async () => {
    let times = 0
    const clock = realClock()
    await new Promise<void>((resolve) => {
      clock.schedule(function () {
        times += 1
        this.unsubscribe()
        this.schedule(undefined, 1)
        resolve()
      }, 1)
    })
    await acted(clock, 4)

    expect(times).toBe(1)
  })

  it('returns the time of day', () => {
    expect(Math.abs(realClock().now() - Date.now())).toBeLessThan(1_000)
  })

  it('does not count a change of the system clock as elapsed time', () => {
    const clock = realClock()
    const before = clock.elapsed()
    const set = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000)
    const passed = clock.elapsed() - before
    set.mockRestore()

    expect(passed).toBeGreaterThanOrEqual(0)
    expect(passed).toBeLessThan(1_000)
  })
})

describe('realClock under the timers of a test that did not fake performance', () => {
  afterEach(() => {
    jest.restoreAllMocks()
    jest.useRealTimers()
  })

  it('believes its timers', () => {
    jest.useFakeTimers({ doNotFake: ['performance'] })
    // A busy machine takes some milliseconds for these lines.
    jest.spyOn(performance, 'now').mockReturnValue(1_000)
    const clock = realClock()
    const before = clock.elapsed()
    let passed = 0
    clock.schedule(() => {
      passed = clock.elapsed() - before
    }, 3_000)
    jest.advanceTimersByTime(2_999)
    expect(passed).toBe(0)
    jest.advanceTimersByTime(1)
    expect(Math.round(passed)).toBe(3_000)
  })

  it('acts at the frames of TestScheduler.run', () => {
    const scheduler = new TestScheduler((actual, expected) => {
      expect(actual).toStrictEqual(expected)
    })
    scheduler.run(({ expectObservable }) => {
      const clock = realClock()
      expectObservable(timer(3_000, clock)).toBe('3s (0|)', [0])
      expectObservable(timer(3_000, 3_000, clock), '^ 6100ms !').toBe('3s 0 2999ms 1', [0, 1])
      expectObservable(timer(3_001, clock)).toBe('3001ms (0|)', [0])
      expectObservable(timer(7_000, clock)).toBe('7s (0|)', [0])
    })
  })
})
