import { realClock } from '../../lib/http/clock.js'

describe('realClock', () => {
  it('waits for the rest when the timer of Node rings early, which it does now and then', async () => {
    // Set at 0; the timer rings at 0.6, 0.4 ms early, and then at 1.7.
    const measured = jest.spyOn(performance, 'now').mockReturnValue(1.7).mockReturnValueOnce(0).mockReturnValueOnce(0.6)
    await new Promise<void>((resolve) => {
      realClock.schedule(() => {
        resolve()
      }, 1)
    })
    const asked = measured.mock.calls.length
    measured.mockRestore()

    expect(asked).toBe(3)
  })

  it('rings in the next turn for no delay', async () => {
    const order: string[] = []
    await new Promise<void>((resolve) => {
      realClock.schedule(() => {
        order.push('rung')
        resolve()
      })
      order.push('set')
    })

    expect(order).toStrictEqual(['set', 'rung'])
  })

  it('hands the state on, and never rings once it is unsubscribed', async () => {
    const rung: unknown[] = []
    const ring = (state?: string): void => void rung.push(state)
    realClock.schedule<string>(ring, 1, 'left').unsubscribe()
    realClock.schedule<string>(ring, 1, 'kept')
    await new Promise<void>((resolve) => {
      realClock.schedule(() => {
        resolve()
      }, 4)
    })

    expect(rung).toStrictEqual(['kept'])
  })

  it('tells the time of day', () => {
    expect(Math.abs(realClock.now() - Date.now())).toBeLessThan(1_000)
  })
})
