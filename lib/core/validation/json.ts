import { MAX_PROBLEMS, type Problems } from './problems.js'

/**
 * What is wrong with an object that is to be sent as JSON: it cannot be written, or JSON would change or leave out a part of it
 * without an error, as it writes NaN as null. Fields that are `undefined` are left out, and objects with `toJSON` are written as that
 * returns.
 *
 * @param name - names the object itself in a problem; parts of it are named by their paths
 */
export const problemsAsJson = (name: string, value: unknown): Problems => {
  const problems: string[] = []
  /** The objects around the part that is written, from the outermost one, each with its key. */
  const around: { readonly object: unknown; readonly key: string }[] = []
  try {
    // Its replacer is called with each part after `toJSON`, and so with exactly what is written.
    const text = JSON.stringify(value, function (this: object, key: string, part: unknown): unknown {
      while (around.length > 0 && around.at(-1)?.object !== this) around.pop()
      const expected = expectedInsteadOf(part, this, key)
      if (expected === undefined) {
        around.push({ object: part, key })
        return part
      }
      const path = [...around.slice(1).map((outer) => outer.key), key].join('.')
      if (around.length > 0 && problems.length < MAX_PROBLEMS) problems.push(`${path}: expected ${expected}`)
      return undefined
    })
    if (problems.length > 0) return problems
    if (text.startsWith('{')) return []
  } catch {
    // A circular object, a bigint, or a getter that throws.
  }
  return [`${name}: expected an object that JSON can hold`]
}

const expectedInsteadOf = (part: unknown, holder: object, key: string): string | undefined => {
  switch (typeof part) {
    case 'number':
      return Number.isFinite(part) ? undefined : 'a finite number'
    case 'function':
    case 'symbol':
      return ANOTHER
    case 'undefined':
      return Array.isArray(holder) ? ANOTHER : undefined
    case 'object':
      if (part === null) return classOf(Reflect.get(holder, key)) === 'Date' ? 'a valid date' : undefined
      return isLost(part) ? ANOTHER : undefined
    case 'string':
    case 'boolean':
    case 'bigint': // written by a toJSON of its prototype, or else JSON throws
      return undefined
  }
}

const ANOTHER = 'a value that JSON can hold'

/** JSON writes a Map, a Set, an ArrayBuffer or a RegExp as `{}`, and a typed array as an object with numbered fields. */
const isLost = (part: object): boolean =>
  ArrayBuffer.isView(part) || (!Array.isArray(part) && classOf(part) !== 'Object' && Object.keys(part).length === 0)

/** `Date` for a date, also for one of another realm. */
const classOf = (value: unknown): string => Object.prototype.toString.call(value).slice('[object '.length, -1)
