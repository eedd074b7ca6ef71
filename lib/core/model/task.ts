import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { checkOptions } from '../validation/check-options.js'
import { problemsAsJson } from '../validation/json.js'
import type { JsonValue } from './network.js'
import {
  NonEmptyString,
  decodeSafely,
  isRecord,
  optional,
  problemsOf,
  readSafely,
  refined,
  type Problems
} from '../validation/problems.js'

/**
 * The reference to a task that the service has created. `createdAt` is when its createTask was sent, in epoch milliseconds of
 * the scheduler. The reference survives JSON.
 *
 * @since 0.1.0
 */
export interface TaskRef {
  readonly taskId: string
  readonly createdAt: number
  /** The id came as a JSON number, and is sent back as one. */
  readonly numeric?: true | undefined
}

/**
 * What is needed to read the results of a task: a decoder for its solution, for how long the solution is best used, and for how
 * long it is valid. `type` is the service's name for the kind of the task, for events.
 *
 * @since 0.1.0
 */
export interface Resumable<A> {
  readonly type?: string | undefined
  readonly solution: t.Decoder<unknown, A>
  readonly bestWithinMs?: number | undefined
  readonly validForMs?: number | undefined
}

/**
 * One task to create. `payload` is what createTask sends as `task`, or what is wrong with its fields.
 *
 * @since 0.1.0
 */
export interface TaskSpec<A> extends Resumable<A> {
  readonly type: string
  readonly payload: E.Either<Problems, JsonValue>
}

/**
 * A kind of task: a function that makes a task from its fields, with what is needed to read the results of such tasks.
 *
 * @since 0.1.0
 */
export interface TaskKind<F, A> extends Resumable<A> {
  (fields: F): TaskSpec<A>
}

/**
 * The solution type of a task; for tasks of several kinds it is a union.
 *
 * @since 0.1.0
 */
export type SolutionOf<S> = S extends TaskSpec<infer A> ? A : never

/**
 * A solved task. All instants are epoch milliseconds of the scheduler. `useBefore` and `expiresAt` are set if the kind of
 * task defines such durations. They count from the last moment at which the task was known to be unfinished, so they are
 * never later than the true instants, unless the machine was suspended meanwhile.
 *
 * @since 0.1.0
 */
export interface Solved<A> {
  readonly ref: TaskRef
  readonly solution: A
  readonly readyAt: number
  readonly useBefore?: number
  readonly expiresAt?: number
}

export const isDecoder = (value: unknown): value is t.Decoder<unknown, never> =>
  isRecord(value) && typeof value.validate === 'function'

/**
 * Defines another kind of task of the same protocol.
 *
 * The returned function never throws. With invalid fields it makes a task whose solve ends as `InvalidTask` before anything is
 * sent; so do fields that JSON would change without an error, such as NaN, a function or a Map.
 *
 * @param kind.type - the service's name for the kind, sent as `task.type`
 * @param kind.fields - checks the fields and encodes them for the request
 * @param kind.solution - decodes the `solution` of a ready reply; a solution it refuses is a protocol violation, never a success
 * @param kind.bestWithinMs - within how many milliseconds a solution is best used, for `Solved.useBefore`
 * @param kind.validForMs - for how many milliseconds a solution is valid, for `Solved.expiresAt`
 * @throws InvalidOptions for a kind that cannot work, or a member that no kind has
 *
 * @example
 * ```ts
 * import * as t from 'io-ts'
 * import { defineTask } from 'rx-captcha'
 *
 * const textInImage = defineTask({
 *   type: 'ImageToTextTask',
 *   fields: t.type({ body: t.string }),
 *   solution: t.type({ text: t.string })
 * })
 * const task = textInImage({ body: 'R0lGODlhAQABAAAAACw=' })
 * console.log(task.type) // prints ImageToTextTask
 * ```
 *
 * @since 0.1.0
 */
export const defineTask = <F, A>(kind: {
  readonly type: string
  readonly fields: t.Type<F, JsonValue>
  readonly solution: t.Decoder<unknown, A>
  readonly bestWithinMs?: number | undefined
  readonly validForMs?: number | undefined
}): TaskKind<F, A> => {
  const { type, fields: codec, solution, bestWithinMs, validForMs } = checkOptions<typeof kind>(kindCodecs, kind)
  const resumable: Resumable<A> = { type, solution, bestWithinMs, validForMs }
  // No spread: its properties would be stored outside of the object, or give every task a hidden class of its own.
  return Object.assign(
    (fields: F) => ({ type, payload: payloadOf(type, codec, fields), solution, bestWithinMs, validForMs }),
    resumable
  )
}

const Duration = optional(
  refined('a number of milliseconds from 0', (value): value is number => Number.isFinite(value) && Number(value) >= 0)
)

const kindCodecs = {
  type: NonEmptyString,
  fields: refined(
    'a codec of io-ts',
    (value): value is t.Mixed =>
      isRecord(value) && [value.decode, value.encode].every((one) => typeof one === 'function')
  ),
  solution: refined('a decoder of io-ts', isDecoder),
  bestWithinMs: Duration,
  validForMs: Duration
}

const payloadOf = <F>(type: string, codec: t.Type<F, JsonValue>, fields: F): E.Either<Problems, JsonValue> => {
  const encoded = decodeSafely('the fields', () => E.map((f: F) => codec.encode(f))(codec.decode(fields)))
  if (E.isLeft(encoded)) return encoded
  return readSafely('the fields', () => {
    const { right } = encoded
    if (!isRecord(right)) return E.left(['the fields: expected an object'])
    // The type comes last so that no field can replace it.
    const payload = Object.assign({}, right, { type })
    const isPlain = Object.getPrototypeOf(right) === Object.prototype
    return isPlain || !codec.is(right) || codec.is(payload) ? E.right(payload) : E.left([INHERITED])
  })
}

const INHERITED =
  'the fields: expected own properties; those of a prototype, such as the getters of a class, are not sent'

/** A task that was checked. Its members were read once, because a getter may return another value the next time. */
export interface CheckedTask<A> {
  readonly kind: Resumable<A>
  readonly payload: JsonValue
}

/** Checks a task, which may not have been made by a {@link TaskKind}. */
export const readTask = <A>(task: Partial<TaskSpec<A>> | null | undefined): E.Either<Problems, CheckedTask<A>> =>
  readSafely('the task', () => {
    const payload = readPayload(task?.payload)
    return E.isLeft(payload)
      ? payload
      : E.map((kind: Resumable<A>) => ({ kind, payload: payload.right }))(readKind(task))
  })

/** A task that exists, and the kind that reads its results. */
export interface CheckedRef<A> {
  readonly kind: Resumable<A>
  readonly ref: TaskRef
}

/** Checks a kind and a reference, which may come from a file or a queue. */
export const readRef = <A>(
  task: Partial<Resumable<A>> | null | undefined,
  given: unknown
): E.Either<Problems, CheckedRef<A>> => {
  const kind = readSafely('the task', () => readKind(task))
  if (E.isLeft(kind)) return kind
  return E.map((ref: TaskRef) => ({ kind: kind.right, ref }))(readSafely('ref', () => decodeRef(given)))
}

const TaskProblems = t.array(t.string)

const readPayload = (payload: unknown): E.Either<Problems, JsonValue> => {
  const { _tag, left, right } = isRecord(payload) ? payload : {}
  if (_tag === 'Left' && TaskProblems.is(left)) return E.left(left)
  if (_tag !== 'Right') return E.left(['the task: expected what recaptchaV2({ … }) or another kind returns'])
  const problems = problemsAsJson('the fields', right)
  return problems.length === 0 ? E.right(right as JsonValue) : E.left(problems)
}

const readKind = <A>(task: Partial<Resumable<A>> | null | undefined): E.Either<Problems, Resumable<A>> => {
  const { solution, bestWithinMs, validForMs } = task ?? {}
  if (!isDecoder(solution)) return E.left(['the task: expected recaptchaV2 or another kind'])
  return [bestWithinMs, validForMs].every(Duration.is)
    ? E.right({ solution, bestWithinMs, validForMs })
    : E.left(['the task: expected numbers of milliseconds from 0 as bestWithinMs and validForMs'])
}

/** An instant in epoch milliseconds. JSON would make null of any number that is not finite. */
export const Instant = refined('a number of milliseconds', (value): value is number => Number.isFinite(value))

// Written into the request as it is.
const NumericId = refined(
  'digits, because the reference is numeric',
  (value): value is string => typeof value === 'string' && /^[1-9]\d*$/.test(value)
)

const refCodec = (taskId: t.Type<string>) =>
  t.type(
    { taskId, createdAt: Instant, numeric: optional(refined('true', t.boolean.is)) },
    'a reference { taskId, createdAt }'
  )

const [TextRef, NumericRef] = [refCodec(NonEmptyString), refCodec(NumericId)]

/** Decodes a reference, which may come from a file, a queue or a journal. */
export const decodeRef = (given: unknown): E.Either<Problems, TaskRef> => {
  const { taskId, createdAt, numeric } = isRecord(given) ? given : {}
  const codec = numeric === true ? NumericRef : TextRef
  // Other properties must not get into errors and events.
  const actual = isRecord(given) ? { taskId, createdAt, numeric } : given
  return E.bimap(problemsOf, (ref: t.TypeOf<typeof codec>): TaskRef => ({
    taskId: ref.taskId,
    createdAt: ref.createdAt,
    ...(ref.numeric === true && { numeric: true })
  }))(codec.validate(actual, [{ key: 'ref', type: codec, actual }]))
}

/** Decodes the `solution` of a reply; the paths of its problems begin with `solution`. */
export const readSolution = <A>(solution: t.Decoder<unknown, A>, value: unknown): E.Either<Problems, A> =>
  decodeSafely('solution', () => solution.validate(value, [{ key: 'solution', type: solution, actual: value }]))
