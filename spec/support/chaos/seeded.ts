export type Draw = () => number

/** A generator of reproducible random numbers from 0 to 1, by the mixing steps of mulberry32. */
export const drawsOf = (seed: number): Draw => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Picks one of the items by its weight, which is a probability, or else `otherwise`. */
export const pick = <T>(draw: Draw, weights: ReadonlyArray<readonly [weight: number, item: T]>, otherwise: T): T => {
  let rest = draw()
  for (const [weight, item] of weights) if ((rest -= weight) < 0) return item
  return otherwise
}

/** A whole number from `from` up to, but not including, `to`. */
export const between = (draw: Draw, from: number, to: number): number => from + Math.floor(draw() * (to - from))
