/** A policy for waits: the milliseconds before try number `attempt`, counted from 0. `random` gives numbers from 0 to 1. */
export type Backoff = (attempt: number, random?: () => number) => number

/**
 * Waits that double from `firstMs`, multiplied by a random factor between the two values of `jitter`, and kept between
 * `minMs` and `maxMs`.
 */
export const exponential =
  ({
    firstMs,
    minMs = 0,
    maxMs,
    jitter: [low, high] = [1, 1]
  }: {
    readonly firstMs: number
    readonly minMs?: number
    readonly maxMs: number
    readonly jitter?: readonly [low: number, high: number]
  }): Backoff =>
  (attempt, random = () => 0) => {
    // No wait doubles more often, and 0 times Infinity is NaN.
    const doubled = firstMs * 2 ** Math.min(attempt, 31)
    return Math.round(Math.min(Math.max(doubled * (low + random() * (high - low)), minMs), maxMs))
  }
