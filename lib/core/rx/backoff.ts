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
  (attempt, random = () => 0) =>
    Math.round(Math.min(Math.max(firstMs * 2 ** attempt * (low + random() * (high - low)), minMs), maxMs))
