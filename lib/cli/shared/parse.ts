import { MAX_TIMER_MS } from '../../core/model/options.js'
import { WrongUsage } from './context.js'

/** Reads one option or variable; `name` is what the user wrote it as. */
export type Read<A> = (name: string, text: string) => A

/** Strictly digits: `1e3`, `0x10` and `3.0` are more often a slip than meant. */
export const whole =
  (from: number, to: number, what: string): Read<number> =>
  (name, text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= from && value <= to) return value
    throw new WrongUsage(`${name}: expected ${what}, a whole number from ${from} to ${to}, not ${JSON.stringify(text)}`)
  }

/** A rate, which may have decimals; its bounds are the solver's. */
export const rate: Read<number> = (name, text) => {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text)
  throw new WrongUsage(`${name}: expected a number such as 20 or 0.5, not ${JSON.stringify(text)}`)
}

export const duration = whole(1, MAX_TIMER_MS, 'milliseconds')

const LATEST_INSTANT = 8_640_000_000_000_000

// Ten digits are seconds, and would stand for a day in January 1970.
export const instant = whole(1_000_000_000_000, LATEST_INSTANT, 'epoch milliseconds')

export const port = whole(0, 65_535, 'a port')

export const seed = whole(0, 2 ** 32 - 1, 'a seed')

const wait = whole(0, MAX_TIMER_MS, 'milliseconds or MIN-MAX')

/** `N` or `MIN-MAX`. */
export const range: Read<number | readonly [min: number, max: number]> = (name, text) => {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? []
  if (first === undefined || last === undefined) return wait(name, text)
  const [min, max] = [wait(name, first), wait(name, last)]
  if (min > max) throw new WrongUsage(`${name}: expected MIN-MAX with the smaller number first, not ${text}`)
  return [min, max]
}

/** What was given, read; `undefined` stays. */
export const optional = <A>(read: Read<A>, name: string, text: string | undefined): A | undefined =>
  text === undefined ? undefined : read(name, text)
