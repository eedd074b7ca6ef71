import { suggest } from '../../core/validation/suggest.js'
import { WrongUsage } from '../shared/context.js'
import { trimmed } from '../shared/decode.js'

const REQUIRED = ['websiteURL', 'websiteKey'] as const
const FIELDS = [...REQUIRED, 'isInvisible', 'id'] as const

/** Reads the header of a CSV. Known names get the case of the task's fields. Throws for a header that cannot be used. */
export const checkedHeader = (cells: ReadonlyArray<string>): ReadonlyArray<string> => {
  const names = cells.map((cell) => FIELDS.find((field) => isSame(field, trimmed(cell))) ?? trimmed(cell))
  const twice = FIELDS.find((field) => names.indexOf(field) !== names.lastIndexOf(field))
  if (twice) throw new WrongUsage(`the input: its header has the column ${twice} twice`)
  const [misnamed] = misnamedIn(names)
  if (misnamed) throw new WrongUsage(`the input: its header has an unknown column ${misnamed}`)
  const missing = REQUIRED.filter((field) => !names.includes(field))
  if (missing.length === 0) return names
  throw new WrongUsage(
    `the input: its header has no column${missing.length > 1 ? 's' : ''} ${missing.join(' and ')}; expected a header such as ${FIELDS.join(',')}`
  )
}

/** Names that are probably misspelt fields. A task without such a field would be another task. */
export const misnamedIn = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  // The names that resemble `id`, such as `ip`, mean other things.
  const missing = FIELDS.filter((field) => field !== 'id' && !names.includes(field))
  return names.flatMap((name) => {
    const field = suggest(name.replace(/[\s_-]/g, ''), missing)
    return field === undefined || isField(name) ? [] : [`${name} (did you mean ${field}?)`]
  })
}

const isField = (name: string): boolean => FIELDS.some((field) => field === name)

/** Throws if the text begins with a header whose columns are separated by something other than commas. */
export const refuseOtherSeparators = (start: string): void => {
  const [, separator] = /^[^,\r\n]*website(?:url|key)["']? *([;\t|]) *["']?\w/i.exec(start) ?? []
  if (separator === undefined) return
  throw new WrongUsage(`the input: its columns are separated by ${SEPARATORS.get(separator)}, expected commas`)
}

const SEPARATORS = new Map(Object.entries({ ';': 'semicolons', '\t': 'tabs', '|': 'vertical bars' }))

const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()
