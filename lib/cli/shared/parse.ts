import { InvalidArgumentError } from 'commander'
import { MAX_TIMER_MS } from '../../core/model/options.js'

/** Parses the text of an option or of its variable; throws commander's error for text that does not fit. */
export type Parse<A> = (text: string) => A

/** Digits only: `1e3`, `0x10` and `3.0` are more often a mistake than meant. */
const integerParser =
  (from: number, to: number, what: string): Parse<number> =>
  (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= from && value <= to) return value
    throw new InvalidArgumentError(`Expected ${what} from ${from} to ${to}.`)
  }

export const duration = integerParser(1, MAX_TIMER_MS, 'a whole number of milliseconds')

// Ten digits are seconds, and would name a day in January 1970.
export const instant = integerParser(1_000_000_000_000, 8_640_000_000_000_000, 'epoch milliseconds')

export const port = integerParser(0, 65_535, 'a port')

export const seed = integerParser(0, 2 ** 32 - 1, 'a whole number')

export const concurrency = integerParser(1, 100_000, 'a whole number')

export const limit = integerParser(1, 1_000_000_000, 'a whole number')

export const graceSeconds = integerParser(0, 86_400, 'a whole number of seconds')

/** BullMQ makes keys of the name. */
export const queueName: Parse<string> = (text) => {
  if (text !== '' && !text.includes(':')) return text
  throw new InvalidArgumentError('Expected a name without a colon.')
}

/** A rate may have decimals. */
export const rate: Parse<number> = (text) => {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (value >= 0.001 && value <= 1_000) return value
  throw new InvalidArgumentError('Expected a number from 0.001 to 1000, such as 20 or 0.5.')
}

const wait = integerParser(0, MAX_TIMER_MS, 'MIN-MAX, or a whole number of milliseconds')

/** `N` or `MIN-MAX`. */
export const waitRange: Parse<number | readonly [min: number, max: number]> = (text) => {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? []
  if (first === undefined || last === undefined) return wait(text)
  const [min, max] = [wait(first), wait(last)]
  if (min > max) throw new InvalidArgumentError('Expected MIN-MAX with the smaller number first.')
  return [min, max]
}

/** Collects the values of an option that may be repeated. */
export const collect = (value: string, previous: ReadonlyArray<string>): ReadonlyArray<string> => [...previous, value]
