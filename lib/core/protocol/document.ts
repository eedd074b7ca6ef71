import * as E from 'fp-ts/lib/Either.js'
import { isRecord, type Problems } from '../validation/problems.js'
import { NOT_JSON, parseLenient, parseStrict } from './lenient-json.js'

/** A JSON object from the service, and the three fields that both calls share; a text is `''` if it is absent. */
export interface Document {
  readonly fields: object
  readonly errorId?: number
  readonly errorCode: string
  readonly errorDescription: string
}

/** Whether the service itself wrote a document: gateways send JSON objects too, some of them with an `errorCode`. */
export const hasErrorId = ({ errorId }: Document): boolean => errorId !== undefined

/**
 * Reads the document of a reply. A body that is not JSON is searched for one JSON object with an `errorId`, because servers
 * print warnings before and after it. The object may have raw control characters in its strings, `NaN`, `Infinity` or
 * `undefined` as a value, which is read as null, and commas before closing brackets.
 */
export const readDocument = (body: string): E.Either<Problems, Document> => {
  const value = parseLenient(body.charCodeAt(0) === BYTE_ORDER_MARK ? body.slice(1) : body)
  if (value === NOT_JSON) return findDocument(body)
  return isRecord(value) ? E.right(documentOf(value)) : E.left(['the reply: expected a JSON object'])
}

const BYTE_ORDER_MARK = 0xfeff

const findDocument = (text: string): E.Either<Problems, Document> => {
  const [found, ...others] = objectsIn(text).filter((object) => 'errorId' in object)
  if (found === undefined) return E.left(['the reply: expected JSON'])
  return others.length === 0 ? E.right(documentOf(found)) : E.left(['the reply: expected one JSON object'])
}

/** The JSON objects in a text. Broken ones are passed over as a whole: an object within one is not the document. */
const objectsIn = (text: string): ReadonlyArray<object> => {
  const objects: object[] = []
  const opening = /\{\s*"/g
  for (let match = opening.exec(text); match; match = opening.exec(text)) {
    const end = endOfObject(text, match.index)
    if (end === undefined) break
    const value = parseLenient(text.slice(match.index, end))
    if (isRecord(value)) objects.push(value)
    opening.lastIndex = end
  }
  return objects
}

/** The index after the brace that closes the one at `from`; nothing if it is never closed. */
const endOfObject = (text: string, from: number): number | undefined => {
  const parts = /"[^"\\]*(?:\\[^][^"\\]*)*"|[{}"]/g
  parts.lastIndex = from
  let depth = 0
  for (let part = parts.exec(text); part; part = parts.exec(text)) {
    if (part[0] === '"') return undefined // a string that is never closed
    if (part[0] === '{') depth += 1
    else if (part[0] === '}') depth -= 1
    if (depth === 0) return parts.lastIndex
  }
  return undefined
}

const documentOf = (fields: object): Document => {
  const { errorId, errorCode, errorDescription }: Partial<Record<keyof Document, unknown>> = fields
  const id = errorIdOf(errorId)
  return {
    fields,
    ...(Number.isFinite(id) && { errorId: id }),
    errorCode: fieldText(errorCode),
    errorDescription: fieldText(errorDescription)
  }
}

const errorIdOf = (value: unknown): number =>
  typeof value === 'string' ? parseInt(value, 10) : typeof value === 'number' ? value : NaN

const fieldText = (value: unknown): string =>
  typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : ''

/** The id of a task as it stands in a reply; `numeric` if it is a JSON number. */
export interface TaskId {
  readonly taskId: string
  readonly numeric?: true
}

/** The values of the complete `taskId` members in a text, at any depth, each once. */
export const findTaskIds = (text: string): ReadonlyArray<TaskId> => {
  const ids = [...text.matchAll(MEMBER)].map(([, quoted, digits]) =>
    digits === undefined ? stringId(parseStrict(`"${String(quoted)}"`)) : numericId(digits)
  )
  return [...new Map(ids.flatMap((id) => (id ? [[id.taskId, id]] : []))).values()]
}

// A number that ends with the text may have been cut.
const MEMBER = /"taskId"\s*:\s*(?:"([^"\\]*(?:\\[^][^"\\]*)*)"|(\d+)(?=[\s,}\]]))/g

/** Replaces single and escaped quotes with those of JSON, for a text in another notation or within a string. */
export const unquoted = (text: string): string => text.replace(/\\(["\\])/g, '$1').replaceAll("'", '"')

/** An id that the service gave as a string. Services that write every value as a string send "0" or "null" if there is no task. */
export const stringId = (value: unknown): TaskId | undefined =>
  typeof value === 'string' && !NO_ID.test(value.trim()) ? { taskId: value } : undefined

const NO_ID = /^(0*|null|undefined|none)$/i

/** An id that the service gave as a number. Services send 0 if there is no task. */
export const numericId = (digits: string): TaskId | undefined =>
  /^[1-9]/.test(digits) ? { taskId: digits, numeric: true } : undefined
