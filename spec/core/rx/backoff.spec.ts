import * as fc from 'fast-check'
import { exponential } from '../../../lib/core/rx/backoff.js'

describe('exponential', () => {
  it('doubles from the first wait up to the longest', () => {
    const waitMs = exponential({ firstMs: 1_000, maxMs: 5_000 })
    expect([0, 1, 2, 3, 40].map((attempt) => waitMs(attempt))).toStrictEqual([1_000, 2_000, 4_000, 5_000, 5_000])
  })

  it('keeps a wait from falling below the shortest', () => {
    expect(exponential({ firstMs: 100, minMs: 250, maxMs: 5_000 })(0)).toBe(250)
  })

  it.each([
    [0, 750],
    [0.5, 1_000],
    [1, 1_250]
  ])('multiplies by a factor between the two values of jitter: random %p gives %p ms', (random, ms) => {
    expect(exponential({ firstMs: 1_000, maxMs: 9_000, jitter: [0.75, 1.25] })(0, () => random)).toBe(ms)
  })

  it('stays whole and within its bounds for every attempt and every random number', () => {
    const waitMs = exponential({ firstMs: 1_250, minMs: 250, maxMs: 5_000, jitter: [0.2, 1] })
    const isWithin = (attempt: number, random: number): boolean => {
      const ms = waitMs(attempt, () => random)
      return Number.isInteger(ms) && ms >= 250 && ms <= 5_000
    }
    fc.assert(fc.property(fc.nat(2_000), fc.double({ min: 0, max: 1, noNaN: true }), isWithin))
  })
})
