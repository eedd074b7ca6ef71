import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { JsonValue } from './network.js'

/**
 * What did not fit: paths and expected types, never values.
 *
 * @since 0.1.0
 */
export type Problems = ReadonlyArray<string>

/**
 * A task that the service has created. `createdAt` is the instant its createTask left, in epoch milliseconds of the
 * scheduler; the reference survives JSON.
 *
 * @since 0.1.0
 */
export interface TaskRef {
  readonly taskId: string
  readonly createdAt: number
}

/**
 * All that reading an answer needs: how to decode a solution, how long it is best used and how long it is valid.
 *
 * @since 0.1.0
 */
export interface Resumable<A> {
  readonly solution: t.Decoder<unknown, A>
  readonly bestWithinMs?: number | undefined
  readonly validForMs?: number | undefined
}

/**
 * One task to buy. `payload` is what createTask sends as `task`, or what is wrong with the fields it was made of.
 *
 * @since 0.1.0
 */
export interface TaskSpec<A> extends Resumable<A> {
  readonly type: string
  readonly payload: E.Either<Problems, JsonValue>
}

/**
 * A kind of task: makes tasks of its fields, and reads answers to them.
 *
 * @since 0.1.0
 */
export interface TaskKind<F, A> extends Resumable<A> {
  (fields: F): TaskSpec<A>
}

/**
 * The solution type of a task; tasks of mixed kinds give a union.
 *
 * @since 0.1.0
 */
export type SolutionOf<S> = S extends TaskSpec<infer A> ? A : never

/**
 * A solved task. Instants are epoch milliseconds of the scheduler. `useBefore` and `expiresAt` are there if the kind of
 * task has such times; they count from the last moment at which the task was known to be unfinished, so they are never
 * later than the truth.
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

const MAX_PROBLEMS = 8

/** Members of unions and intersections stand numbered in an io-ts context, beside the same value; that says nothing. */
const isNumber = ({ actual }: t.ContextEntry, parent: t.ContextEntry | undefined): boolean =>
  parent !== undefined && Object.is(actual, parent.actual)

const problemOf = ({ context }: t.ValidationError): string => {
  const path = context
    .filter((entry, at) => entry.key !== '' && !isNumber(entry, context[at - 1]))
    .map(({ key }) => key)
  const expected = context[context.length - 1]?.type.name ?? 'another value'
  return `${path.length === 0 ? 'the whole' : path.join('.')}: expected ${expected}`
}

/** Paths and expected types of what did not decode; values stay out, they may be tokens. */
export const problemsOf = (errors: t.Errors): Problems => [...new Set(errors.map(problemOf))].slice(0, MAX_PROBLEMS)

/** Foreign codecs may throw; that is one more way for a value not to fit. */
const decoded = <A>(path: string, decode: () => t.Validation<A>): E.Either<Problems, A> => {
  try {
    return E.mapLeft(problemsOf)(decode())
  } catch {
    return E.left([`${path}: its codec threw`])
  }
}

/** Decodes the `solution` of an answer, so that problems begin with that path. */
export const readSolution = <A>(solution: t.Decoder<unknown, A>, value: unknown): E.Either<Problems, A> =>
  decoded('solution', () => solution.validate(value, [{ key: 'solution', type: solution, actual: value }]))

const isRecord = (value: unknown): value is { readonly [name: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const payloadOf = <F>(type: string, codec: t.Type<F, JsonValue>, fields: F): E.Either<Problems, JsonValue> => {
  const payload = decoded('the fields', () => E.map((f: F) => codec.encode(f))(codec.decode(fields)))
  if (E.isLeft(payload)) return payload
  // The type comes last, so that no field can replace it.
  return isRecord(payload.right)
    ? E.right(Object.assign({}, payload.right, { type }))
    : E.left(['the fields: expected an object'])
}

/**
 * Defines another kind of task of the same protocol.
 *
 * The function it returns never throws: fields that do not fit make a task whose solve ends as `InvalidTask`, before
 * anything is sent.
 *
 * @param kind.type - the service's name of the kind, sent as `task.type`
 * @param kind.fields - checks the fields and encodes them as they are sent
 * @param kind.solution - decodes `solution` of a ready answer; anything it refuses is a `BadReply`, never a success
 * @param kind.bestWithinMs - how long after it is ready a solution is best used, for `Solved.useBefore`
 * @param kind.validForMs - how long after it is ready a solution is accepted, for `Solved.expiresAt`
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
  const { type, fields: codec, solution, bestWithinMs, validForMs } = kind
  const reading: Resumable<A> = { solution, bestWithinMs, validForMs }
  // The spread comes last: what is added to one makes a hidden class for every task, half a kilobyte each.
  return Object.assign((fields: F) => ({ type, payload: payloadOf(type, codec, fields), ...reading }), reading)
}

const refined = <A>(name: string, is: (value: unknown) => value is A): t.Type<A> =>
  new t.Type(name, is, (value, context) => (is(value) ? t.success(value) : t.failure(value, context)), t.identity)

// Not by `URL.canParse`: once it is hot, Node 20's refuses every address with an umlaut.
/** An address, or nothing where the text is none. */
export const urlOf = (text: string): URL | undefined => {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

const WebAddress = refined(
  'an address that begins with http:// or https://',
  (value): value is string =>
    typeof value === 'string' && /^https?:\/\/[^/\s]\S*$/i.test(value) && urlOf(value) !== undefined
)

const NonEmpty = refined(
  'a string that is not empty',
  (value): value is string => typeof value === 'string' && value.trim() !== ''
)

const Flag = refined(
  'boolean',
  (value): value is boolean | undefined => value === undefined || typeof value === 'boolean'
)

const Instant = refined('a number of milliseconds', (value): value is number => Number.isFinite(value))

/** What createTask sends of a task; not everybody makes tasks with a kind. */
export const readPayload = ({ payload }: Partial<TaskSpec<unknown>>): E.Either<Problems, JsonValue> =>
  payload && '_tag' in payload
    ? payload
    : E.left(['the task: expected what recaptchaV2({ … }) or another kind returns'])

// Nothing beside the two fields gets into errors and events.
const Ref = t.strict({ taskId: NonEmpty, createdAt: Instant })

/** Checks a reference, which may come from a file or a queue, and the kind that is to read its answers. */
export const readRef = ({ solution }: Partial<Resumable<unknown>>, ref: unknown): E.Either<Problems, TaskRef> =>
  solution === undefined
    ? E.left(['the task: expected recaptchaV2 or another kind'])
    : E.mapLeft((errors: t.Errors) => problemsOf(errors).map((problem) => `ref.${problem}`))(Ref.decode(ref))

/**
 * The fields of {@link recaptchaV2}.
 *
 * @since 0.1.0
 */
export interface RecaptchaV2Fields {
  /** Address of the page, with `http://` or `https://`. */
  readonly websiteURL: string
  /** The site key of the page. */
  readonly websiteKey: string
  /** `true` for the invisible kind. Left out of the request otherwise. @defaultValue false */
  readonly isInvisible?: boolean | undefined
}

const FieldsShape = t.type({ websiteURL: WebAddress, websiteKey: NonEmpty, isInvisible: Flag })

const Fields = new t.Type<RecaptchaV2Fields, JsonValue>(
  'the fields of a reCAPTCHA v2 task',
  FieldsShape.is,
  FieldsShape.validate,
  ({ websiteURL, websiteKey, isInvisible }) => ({
    websiteURL,
    websiteKey,
    ...(isInvisible === true && { isInvisible })
  })
)

/**
 * The solution of {@link recaptchaV2}.
 *
 * @since 0.1.0
 */
export interface RecaptchaV2Solution {
  /** The token. Single use. */
  readonly gRecaptchaResponse: string
}

const Solution: t.Type<RecaptchaV2Solution> = t.strict({ gRecaptchaResponse: NonEmpty })

/**
 * A reCAPTCHA v2 task (`RecaptchaV2TaskProxyless`), the one kind that the service's page documents.
 *
 * Its token is single use, best used within 60 s and valid for 120 s. Never throws: fields that do not fit end the
 * solve as `InvalidTask` before anything is sent.
 *
 * @see docs/protocol.md#createtask for the fields and where they are documented
 * @since 0.1.0
 */
export const recaptchaV2: TaskKind<RecaptchaV2Fields, RecaptchaV2Solution> = defineTask({
  type: 'RecaptchaV2TaskProxyless',
  fields: Fields,
  solution: Solution,
  bestWithinMs: 60_000,
  validForMs: 120_000
})
