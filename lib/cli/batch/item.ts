import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { problemsOf, type Problems } from '../../core/model/problems.js'
import { recaptchaV2, type RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { TaskSpec } from '../../core/model/task.js'
import type { CsvRecord } from './records.js'
import type { Line } from './lines.js'

/** One task of the input, or one line of it that is none: then its task ends as `InvalidTask`. */
export interface Item {
  readonly line: number
  readonly id?: string | number
  readonly isBad: boolean
  readonly task: TaskSpec<RecaptchaV2Solution>
  /** What it is known by from one run to the next: its id, or else what it says. */
  readonly content: string
}

const orNothing = <A>(codec: t.Type<A>): t.Type<A | null | undefined> =>
  t.union([codec, t.null, t.undefined], codec.name)

const Fields = t.intersection([
  t.type({ websiteURL: t.string, websiteKey: t.string }),
  t.partial({ isInvisible: orNothing(t.boolean), id: orNothing(t.union([t.string, t.number], 'string or number')) })
])

type Task = Item['task']

const bad = (problems: Problems): Task => ({
  ...recaptchaV2({ websiteURL: '', websiteKey: '' }),
  payload: E.left(problems)
})

const hashOf = (...parts: ReadonlyArray<unknown>): string =>
  `sha256:${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)}`

const badItem = ({ number, text }: Line, problems: Problems): Item => {
  const told = problems.map((problem) => `line ${number}: ${problem}`)
  return { line: number, isBad: true, task: bad(told), content: hashOf(text) }
}

const CLIENT_KEY = 'websiteKey: this is the client key; expected the site key of the page'

/** Reads what a line says; `clientKey` is refused as the key of a page. */
const itemOf = (line: Line, value: unknown, clientKey: string): Item => {
  const fields = Fields.decode(value)
  if (E.isLeft(fields)) return badItem(line, problemsOf(fields.left))
  const { websiteURL, websiteKey, isInvisible, id } = fields.right
  if (websiteKey === clientKey) return badItem(line, [CLIENT_KEY])
  const task = recaptchaV2({ websiteURL, websiteKey, isInvisible: isInvisible ?? undefined })
  if (E.isLeft(task.payload)) return badItem(line, task.payload.left)
  const content = hashOf(websiteURL, websiteKey, isInvisible === true)
  return { line: line.number, isBad: false, task, content, ...(id !== undefined && id !== null && id !== '' && { id }) }
}

const TOO_LONG: Problems = ['expected a task; it is too long to be one']

export const itemOfJson = (line: Line, clientKey: string): Item => {
  if (line.isCut) return badItem(line, TOO_LONG)
  try {
    return itemOf(line, JSON.parse(line.text), clientKey)
  } catch {
    // Not what the parser says: it repeats the text.
    return badItem(line, ['expected JSON'])
  }
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false]
])

export const itemOfCsv = ({ line, fields }: CsvRecord, clientKey: string): Item => {
  if (line.isCut) return badItem(line, TOO_LONG)
  if (!fields) return badItem(line, ['expected CSV; a quote is out of place'])
  const { isInvisible } = fields
  const flag = isInvisible === undefined ? undefined : (FLAGS.get(isInvisible.trim().toLowerCase()) ?? isInvisible)
  return itemOf(line, { ...fields, isInvisible: flag }, clientKey)
}

/**
 * Gives each item its key: its id, or else the hash of what it says, numbered where the same is said again. So lines may be
 * added, taken away and put in another order between two runs. Remembers every key.
 */
export class KeyRing {
  readonly #seen = new Map<string, number>()

  /** `undefined` for an id that was there before. */
  keyOf({ id, content }: Item): string | undefined {
    const name = id === undefined ? content : String(id)
    const times = (this.#seen.get(name) ?? 0) + 1
    this.#seen.set(name, times)
    if (times === 1) return name
    return id === undefined ? `${name}#${times}` : undefined
  }
}
