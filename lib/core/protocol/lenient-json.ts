import { isRecord } from '../validation/problems.js'

/** What {@link parseStrict} and {@link parseLenient} return for a text that they cannot parse. */
export const NOT_JSON = Symbol('not JSON')

export const parseStrict = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return NOT_JSON
  }
}

/**
 * Parses JSON, and objects with three mistakes that servers make: raw control characters in strings are kept, values that
 * JSON does not have (`NaN`, `Infinity`, `undefined`) become null, and a comma before a closing bracket is skipped.
 */
export const parseLenient = (text: string): unknown => {
  const value = parseStrict(text)
  if (value !== NOT_JSON) return value
  const corrected = parseStrict(withoutMistakes(text))
  return isRecord(corrected) ? corrected : NOT_JSON
}

// [^ -\uffff]: control characters. C libraries print nan and inf. No part can grow long, so that the pass is linear.
const PARTS = /\\[^]|"|[^ -\uffff]|[+-]?(?:nan|inf(?:inity)?)|undefined|,(?=\s*[}\]])/gi

const withoutMistakes = (text: string): string => {
  let isInString = false
  return text.replace(PARTS, (part) => {
    if (part === '"') isInString = !isInString
    if (part === '"' || part.startsWith('\\')) return part
    const isControl = part < ' '
    if (isInString) return isControl ? JSON.stringify(part).slice(1, -1) : part
    if (isControl) return part
    return part === ',' ? '' : 'null'
  })
}
