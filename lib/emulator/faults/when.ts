import type { When } from './fault.js'

/** Whether a rule applies at a count; `draw` gives a number from 0 to 1. */
export type Applies = (count: number, draw: () => number) => boolean

export const appliesOf = (when: When, now: () => number): Applies => {
  if (when === 'always') return () => true
  if ('nth' in when) return (count) => count === when.nth
  if ('first' in when) return (count) => count <= when.first
  if ('share' in when) return (_, draw) => draw() < when.share
  let endsAt: number | undefined
  return () => now() < (endsAt ??= now() + when.forMs)
}

/** Reads the form of the command line: `always`, `2`, `first2`, `10%`, `500ms` or `2s`. */
export const readWhen = (text: string): When | undefined => {
  const [, first, number = '', unit] = /^(first)?(\d+(?:\.\d+)?)(%|ms|s)?$/.exec(text) ?? []
  if (text === 'always') return text
  if (number === '' || (first && unit)) return undefined
  const value = Number(number)
  if (first) return { first: value }
  if (unit === '%') return { share: value / 100 }
  return unit ? { forMs: unit === 's' ? value * 1_000 : value } : { nth: value }
}

/** The form of the command line. */
export const whenText = (when: When): string => {
  if (when === 'always') return when
  if ('nth' in when) return String(when.nth)
  if ('first' in when) return `first${when.first}`
  return 'share' in when ? `${Number((when.share * 100).toFixed(6))}%` : `${when.forMs}ms`
}

/** Whether the number of a `when` is in range. */
export const isValidWhen = (when: When): boolean => {
  if (when === 'always') return true
  if ('nth' in when) return isCount(when.nth)
  if ('first' in when) return isCount(when.first)
  if ('share' in when) return when.share >= 0 && when.share <= 1
  return 'forMs' in when && when.forMs > 0
}

const isCount = (count: number) => Number.isSafeInteger(count) && count > 0
