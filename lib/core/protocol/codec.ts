import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { JsonValue } from '../model/network.js'
import { problemsOf, type Problems } from '../model/problems.js'
import { readSolution } from '../model/task.js'

/** The body of createTask. */
export const createTaskBody = (clientKey: string, task: JsonValue): JsonValue => ({ clientKey, task })

/** The body of getTaskResult. */
export const getTaskResultBody = (clientKey: string, taskId: string): JsonValue => ({ clientKey, taskId })

/** A JSON object from the service, and the three fields that both calls share; a text is `''` if it is absent. */
export interface Document {
  readonly fields: object
  readonly errorId?: number
  readonly errorCode: string
  readonly errorDescription: string
}

/** Parses a reply as a JSON object; a byte order mark is skipped. */
export const readDocument = (body: string): E.Either<Problems, Document> => {
  const json = E.tryCatch(
    (): unknown => JSON.parse(quoteLongIds(body.charCodeAt(0) === 0xfeff ? body.slice(1) : body)),
    () => ['the reply: expected JSON']
  )
  if (E.isLeft(json)) return json
  const { right: value } = json
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? E.right(documentOf(value))
    : E.left(['the reply: expected a JSON object'])
}

// JSON.parse would round an id beyond 2^53 to the id of another task. A quoted name before a colon is a field, never a value.
const quoteLongIds = (body: string): string => body.replace(/("taskId"\s*:\s*)(\d{16,})(?=\s*[,}])/g, '$1"$2"')

const documentOf = (fields: object): Document => {
  const { errorId, errorCode, errorDescription }: Partial<Record<keyof Document, unknown>> = fields
  const id = errorIdOf(errorId)
  return {
    fields,
    ...(Number.isFinite(id) && { errorId: id }),
    errorCode: textOf(errorCode),
    errorDescription: textOf(errorDescription)
  }
}

const errorIdOf = (value: unknown): number =>
  typeof value === 'string' ? parseInt(value, 10) : typeof value === 'number' ? value : NaN

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : ''

/** A codec that accepts more than it gives: `read` maps what is seen at services of the same family. */
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

const isTaskId = (value: unknown): value is string => typeof value === 'string' && value.trim() !== ''

// Documented as a string. Services of the same family send numbers, and 0 if there is no task.
const TaskId: t.Type<string> = lenient('a task id', isTaskId, (value) => {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value > 0 ? String(value) : undefined
  return isTaskId(value) ? value : undefined
})

const Created = t.type({ taskId: TaskId })

/** Reads the id of the created task. */
export const readTaskId = ({ fields }: Document): E.Either<Problems, string> => {
  const created = Created.decode(fields)
  return E.isLeft(created) ? E.left(problemsOf(created.left)) : E.right(created.right.taskId)
}

const isZero = (value: unknown): value is 0 => value === 0

// Documented as an integer. Services of the same family send "0".
const Zero: t.Type<0> = lenient('0', isZero, (value) => (value === '0' || isZero(value) ? 0 : undefined))

const State = t.type({
  errorId: Zero,
  status: t.keyof({ processing: null, ready: null }, '"processing" or "ready"')
})

/** Reads the state of a task; anything but `processing`, or `ready` with a valid solution, is a problem. */
export const readState = <A>(
  solution: t.Decoder<unknown, A>,
  { fields }: Document
): E.Either<Problems, { readonly _tag: 'Processing' } | { readonly _tag: 'Ready'; readonly solution: A }> => {
  // `is` goes first because it builds no report, and nearly every reply is valid.
  const state = State.is(fields) ? E.right(fields) : State.decode(fields)
  if (E.isLeft(state)) return E.left(problemsOf(state.left))
  if (state.right.status === 'processing') return E.right({ _tag: 'Processing' })
  const solved = readSolution(solution, 'solution' in fields ? fields.solution : undefined)
  return E.isLeft(solved) ? solved : E.right({ _tag: 'Ready', solution: solved.right })
}
