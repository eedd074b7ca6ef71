import { createHash } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { isRecord, problemsOf, refined, type Problems } from '../../core/validation/problems.js'
import { recaptchaV2, type RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { TaskSpec } from '../../core/model/task.js'
import { trimmed } from '../shared/decode.js'
import { misnamedIn } from './fields.js'
import { itemIdOf, type ItemId } from './item-id.js'
import type { InputRecord } from './records.js'

/** One task of the input. If the record does not describe a task, the task ends as `InvalidTask`. */
export interface Item {
  readonly line: number
  readonly id?: ItemId
  readonly isBad: boolean
  readonly task: TaskSpec<RecaptchaV2Solution>
  /** A hash of what the task says: its key if it has no id. */
  readonly content: string
}

/** Reads a record of the input; the client key is refused as the key of a page. */
export const itemOf = (record: InputRecord, clientKey: string | undefined): Item => {
  if ('problem' in record) return badItem(record, [record.problem])
  const misnamed = misnamedIn(Object.keys(record.value ?? {}))
  if (misnamed.length > 0) return badItem(record, misnamed)
  const fields = ItemFields.decode(record.value)
  if (E.isLeft(fields)) return badItem(record, problemsOf(fields.left))
  const { isInvisible } = fields.right
  const [websiteURL, websiteKey] = [trimmed(fields.right.websiteURL), trimmed(fields.right.websiteKey)]
  if (websiteKey === clientKey) return badItem(record, [CLIENT_KEY])
  const invisible = invisibleIn(websiteURL, websiteKey)
  if (invisible.length > 0) return badItem(record, invisible)
  const task = recaptchaV2({ websiteURL, websiteKey, isInvisible: isInvisible ?? undefined })
  if (E.isLeft(task.payload)) return badItem(record, task.payload.left)
  const content = hashOf(websiteURL, websiteKey, isInvisible === true)
  return { ...placeOf(record), isBad: false, task, content }
}

const CLIENT_KEY = 'websiteKey: this is the client key; expected the site key of the page'

// Refined: a union would report one problem for each of its members.
const orNull = <A>(name: string, { is }: t.Type<A>) =>
  refined(name, (value): value is A | null | undefined => value === undefined || value === null || is(value))

const ItemFields = t.intersection([
  t.type({ websiteURL: t.string, websiteKey: t.string }),
  t.partial({
    isInvisible: orNull('true or false', t.boolean),
    id: orNull('string or number', t.union([t.string, t.number]))
  })
])

/** What is wrong with text that looks right on a screen: a task for it would be paid for in vain. */
const invisibleIn = (websiteURL: string, websiteKey: string): Problems => [
  ...(/\p{Cc}/u.test(websiteURL) ? ['websiteURL: expected no control characters'] : []),
  ...(/[\s\p{C}\p{Default_Ignorable_Code_Point}]/u.test(websiteKey)
    ? ['websiteKey: expected no white space and no invisible characters']
    : [])
]

const badItem = (record: InputRecord, problems: Problems): Item => {
  const task = { ...recaptchaV2({ websiteURL: '', websiteKey: '' }), payload: E.left(problems) }
  return { ...placeOf(record), isBad: true, task, content: hashOf(record.content) }
}

/** The line and the id. A bad record has its id too, so that its outcome can be matched once it is corrected. */
const placeOf = (record: InputRecord): Pick<Item, 'line' | 'id'> => {
  const { line, content } = record
  const id = 'value' in record && isRecord(record.value) ? record.value.id : undefined
  const hasId = typeof id === 'number' || (typeof id === 'string' && id !== '')
  return { line, ...(hasId && { id: itemIdOf(content, id) }) }
}

const hashOf = (...parts: ReadonlyArray<unknown>): string =>
  `${HASH_PREFIX}${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)}`

const HASH_PREFIX = 'sha256:'

/** An item with its place in the input, counted from 0, and its key if the batch can be continued. */
export interface KeyedItem extends Item {
  readonly index: number
  readonly key: string | undefined
}

/** What is counted while an input is read. */
interface InputCounts {
  /** Whether every item was read. */
  isExhausted: boolean
  /** Items that repeat another one, with its id. */
  repeated: number
}

/** An item with its key. */
type ItemWithKey = Item & Pick<KeyedItem, 'key'>

/** Numbers the items. With `withKey` each gets a key, and an item for which it has none is left out. */
export const keyedItems = async function* (
  items: AsyncIterable<Item>,
  counts: InputCounts,
  withKey: (item: Item) => ItemWithKey | undefined = (item) => ({ ...item, key: undefined })
): AsyncGenerator<KeyedItem> {
  let index = 0
  for await (const item of items) {
    const keyed = withKey(item)
    if (keyed) yield { ...keyed, index }
    else counts.repeated += 1
    index += 1
  }
  counts.isExhausted = true
}

/**
 * Gives the items of one input their keys: the id, or else the hash of the content with a number where content repeats. So
 * lines may be added, removed and reordered between two runs. An item that repeats id and content of another one has no key;
 * one that repeats the id alone becomes a bad record. Every key is kept in memory.
 */
export const itemKeys = (): ((item: Item) => ItemWithKey | undefined) => {
  // How often a content has occurred, or the content of an id as a number, which takes less memory than the hash.
  const seen = new Map<string, number>()
  const byContent = (item: Item): ItemWithKey => {
    const count = (seen.get(item.content) ?? 0) + 1
    seen.set(item.content, count)
    return { ...item, key: count === 1 ? item.content : `${item.content}#${count}` }
  }
  return (item) => {
    if (!item.id) return byContent(item)
    const { key } = item.id
    const [before, now] = [seen.get(key), numberOfContent(item.content)]
    if (before !== undefined) return before === now ? undefined : byContent(withUsedId(item))
    seen.set(key, now)
    return { ...item, key }
  }
}

const numberOfContent = (hash: string): number => Buffer.from(hash.slice(HASH_PREFIX.length), 'base64url').readInt32BE()

/** The item as a bad record. Its content hash differs from that of its task, so that it does not take the key of that task. */
const withUsedId = (item: Item): Item => {
  const { payload } = item.task
  const problems = [...(E.isLeft(payload) ? payload.left : []), ID_USED]
  return {
    ...item,
    isBad: true,
    task: { ...item.task, payload: E.left(problems) },
    content: hashOf(ID_USED, item.content)
  }
}

const ID_USED = 'id: it was used before for another task'
