import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { JsonValue, RequestBody } from '../model/network.js'
import { decodeSafely, problemsOf, refined, type Problems } from '../validation/problems.js'
import { readSolution, type TaskRef } from '../model/task.js'
import { findTaskIds, numericId, stringId, unquoted, type Document, type TaskId } from './document.js'

/** The body of createTask. */
export const createTaskBody = (clientKey: string, task: JsonValue): RequestBody => ({ clientKey, task })

/** The body of getTaskResult. A numeric id is sent as a number again; beyond 2^53 only a bigint holds all of its digits. */
export const getTaskResultBody = (clientKey: string, { taskId, numeric }: TaskRef): RequestBody => ({
  clientKey,
  taskId: numeric === true ? numberOf(taskId) : taskId
})

const numberOf = (digits: string): number | bigint =>
  Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits)

/** Reads the id of the created task from the document. */
export const readTaskId = (body: string, { fields }: Document): E.Either<Problems, TaskId> => {
  const { taskId }: { readonly taskId?: unknown } = fields
  const id = typeof taskId === 'number' ? idOfNumber(body, taskId) : stringId(taskId)
  return id ? E.right(id) : E.left(['taskId: expected a task id'])
}

// JSON.parse rounds an id beyond 2^53 to the id of another task.
const idOfNumber = (body: string, value: number): TaskId | undefined =>
  Number.isSafeInteger(value)
    ? numericId(String(value))
    : only(findTaskIds(body).filter(({ taskId, numeric }) => numeric === true && Number(taskId) === value))

/** Searches a reply for the id of the created task; `isJson` says that only its place is unusual, not its form. */
export const searchTaskId = (body: string, isJson: boolean): TaskId | undefined => {
  const ids = findTaskIds(body)
  return only(ids.length > 0 || isJson ? ids : findTaskIds(unquoted(body)))
}

const only = <A>([first, ...others]: ReadonlyArray<A>): A | undefined => (others.length === 0 ? first : undefined)

/** A codec that also decodes variants of its type: `read` maps the values that services of the same family send. */
const lenient = <A>(name: string, is: (value: unknown) => value is A, read: (value: unknown) => A | undefined) =>
  new t.Type<A, A, unknown>(
    name,
    is,
    (value, context) => {
      const found = read(value)
      return found === undefined ? t.failure(value, context) : t.success(found)
    },
    t.identity
  )

const isZero = (value: unknown): value is 0 => value === 0

// Documented as an integer. Services of the same family send "0".
const Zero: t.Type<0> = lenient('0', isZero, (value) => (value === '0' || isZero(value) ? 0 : undefined))

// What services of the same family call a task that has ended, other than `ready`.
const ENDED =
  /^(ready|fail|error|cancel|expire|abort|reject|delete|invalid|unsolv|time|complete|done|finish|success|solved)/i

const Status = refined(
  '"processing" or "ready"',
  (value): value is string =>
    value === 'ready' || (typeof value === 'string' && value.trim() !== '' && !ENDED.test(value.trim()))
)

const NoErrorDocument = t.type({ errorId: Zero })

/** Reads the document of a call that is not about a task. */
export const readCallReply = <A>(reply: t.Decoder<unknown, A>, { fields }: Document): E.Either<Problems, A> => {
  const succeeded = NoErrorDocument.decode(fields)
  return E.isLeft(succeeded)
    ? E.left(problemsOf(succeeded.left))
    : decodeSafely('the reply', () => reply.decode(fields))
}

const StateDocument = t.type({ errorId: Zero, status: Status })

/** The state of a task as a reply gives it. `Other`: a status that this library does not know. */
export type ReplyState<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'Ready'; readonly solution: A }
  | { readonly _tag: 'Other'; readonly status: string }

/** Reads the state of a task; a `ready` without a valid solution, and a status that says it has ended, are problems. */
export const readState = <A>(
  solution: t.Decoder<unknown, A>,
  { fields }: Document
): E.Either<Problems, ReplyState<A>> => {
  // `is` goes first because it builds no report, and nearly every reply is valid.
  const state = StateDocument.is(fields) ? E.right(fields) : StateDocument.decode(fields)
  if (E.isLeft(state)) return E.left(problemsOf(state.left))
  const { status } = state.right
  if (status === 'processing') return E.right({ _tag: 'Processing' })
  if (status !== 'ready') return E.right({ _tag: 'Other', status })
  const solved = readSolution(solution, 'solution' in fields ? fields.solution : undefined)
  return E.isLeft(solved) ? solved : E.right({ _tag: 'Ready', solution: solved.right })
}
