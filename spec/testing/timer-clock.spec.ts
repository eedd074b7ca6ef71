import type { SchedulerAction } from 'rxjs'
import { timerClock } from '../../lib/testing/timer-clock.js'

afterEach(() => {
  jest.useRealTimers()
})

describe('timerClock', () => {
  it('acts in the order of the due times and at these times if the clock jumps, as that of node:test does', () => {
    jest.useFakeTimers({ now: 0 })
    const clock = timerClock()
    const acted: (readonly [string, number])[] = []
    clock.schedule(
      function (this: SchedulerAction<number>, left = 0) {
        acted.push(['a', clock.now()])
        if (left > 0) this.schedule(left - 1, 3_000)
      },
      3_000,
      2
    )
    clock.schedule(() => acted.push(['b', clock.now()]), 6_500)
    jest.setSystemTime(7_000) // and 10,000 when the first timer fires
    jest.advanceTimersByTime(3_000)
    expect(acted).toStrictEqual([
      ['a', 3_000],
      ['a', 6_000],
      ['b', 6_500],
      ['a', 9_000]
    ])
    expect(clock.now()).toBe(10_000)
  })

  it('follows the timers if a test did not fake Date', () => {
    jest.useFakeTimers({ doNotFake: ['Date'] })
    const clock = timerClock()
    const start = clock.now()
    clock.schedule(() => undefined, 3_000)
    jest.advanceTimersByTime(3_000)
    expect(clock.now() - start).toBeGreaterThanOrEqual(3_000)
  })

  it('acts in the order of the calls at the same due time', () => {
    jest.useFakeTimers()
    const clock = timerClock()
    const acted: string[] = []
    for (const name of ['a', 'b', 'c']) clock.schedule(() => acted.push(name), 5)
    jest.advanceTimersByTime(5)
    expect(acted).toStrictEqual(['a', 'b', 'c'])
  })

  it('acts in the order of the due times, in whichever order it was called', () => {
    jest.useFakeTimers({ now: 0 })
    const clock = timerClock()
    const acted: number[] = []
    for (const dueAt of [5, 2, 9, 4, 7, 1, 8, 3, 6]) clock.schedule(() => acted.push(dueAt), dueAt)
    jest.setSystemTime(100)
    jest.advanceTimersByTime(1)
    expect(acted).toStrictEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('leaves out the one that was unsubscribed of several actions at the same due time', () => {
    jest.useFakeTimers()
    const clock = timerClock()
    const acted: string[] = []
    const actions = ['a', 'b', 'c', 'd'].map((name) => clock.schedule(() => acted.push(name), 5))
    actions[2]?.unsubscribe()
    jest.advanceTimersByTime(5)
    expect(acted).toStrictEqual(['a', 'b', 'd'])
  })

  it('never acts after a delay that is not finite, and acts on time for the others', () => {
    jest.useFakeTimers()
    const clock = timerClock()
    const acted: string[] = []
    for (const delayMs of [4, NaN, Infinity, 3]) clock.schedule(() => acted.push(String(delayMs)), delayMs)
    jest.advanceTimersByTime(2)
    expect(acted).toStrictEqual([])
    jest.advanceTimersByTime(2)
    expect(acted).toStrictEqual(['3', '4'])
  })

  it('does not act once an action is unsubscribed, or before the time for which it was scheduled last', () => {
    jest.useFakeTimers()
    const clock = timerClock()
    const acted: string[] = []
    clock.schedule(() => acted.push('unsubscribed'), 5).unsubscribe()
    const moved = clock.schedule<string>((state) => acted.push(state), 5, 'first') as SchedulerAction<string>
    moved.schedule('second', 8)
    jest.advanceTimersByTime(7)
    expect(acted).toStrictEqual([])
    jest.advanceTimersByTime(1)
    expect(acted).toStrictEqual(['second'])

    moved.unsubscribe()
    moved.schedule('third', 1)
    jest.advanceTimersByTime(10)
    expect(acted).toStrictEqual(['second'])
  })

  it('acts by the timers of Node without a fake', async () => {
    const acted = await new Promise((resolve) => {
      timerClock().schedule(resolve, 1, 'acted')
    })
    expect(acted).toBe('acted')
  })
})
