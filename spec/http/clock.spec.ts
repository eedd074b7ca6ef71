import { realClock } from '../../lib/http/clock.js'

describe('realClock', () => {
  it('waits for the remaining time if the timer of Node fires early, which happens now and then', async () => {
    // The timer is set at 0, and fires at 0.6, which is 0.4 ms early, and then at 1.7.
    const now = jest.spyOn(performance, 'now').mockReturnValue(1.7).mockReturnValueOnce(0).mockReturnValueOnce(0.6)
    await new Promise<void>((resolve) => {
      realClock.schedule(() => {
        resolve()
      }, 1)
    })
    const reads = now.mock.calls.length
    now.mockRestore()

    expect(reads).toBe(3)
  })

  it('acts in the next turn without a delay', async () => {
    const order: string[] = []
    await new Promise<void>((resolve) => {
      realClock.schedule(() => {
        order.push('acted')
        resolve()
      })
      order.push('scheduled')
    })

    expect(order).toStrictEqual(['scheduled', 'acted'])
  })

  it('passes the state on, and does not act once it is unsubscribed', async () => {
    const states: unknown[] = []
    const act = (state?: string): void => void states.push(state)
    realClock.schedule<string>(act, 1, 'unsubscribed').unsubscribe()
    realClock.schedule<string>(act, 1, 'kept')
    await new Promise<void>((resolve) => {
      realClock.schedule(() => {
        resolve()
      }, 4)
    })

    expect(states).toStrictEqual(['kept'])
  })

  it('returns the time of day', () => {
    expect(Math.abs(realClock.now() - Date.now())).toBeLessThan(1_000)
  })
})
