import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'

/**
 * What is wrong with a value: for each field its path and the expected type, never the value.
 *
 * @since 0.1.0
 */
export type Problems = ReadonlyArray<string>

export const MAX_PROBLEMS = 8

/** io-ts adds numbered entries to its context for the members of unions and intersections, with the same value as their parent. */
const isMember = ({ actual }: t.ContextEntry, parent: t.ContextEntry | undefined): boolean =>
  parent !== undefined && Object.is(actual, parent.actual)

const problemText = ({ context }: t.ValidationError): string => {
  const path = context
    .filter((entry, at) => entry.key !== '' && !isMember(entry, context[at - 1]))
    .map(({ key }) => key)
  const expected = context[context.length - 1]?.type.name ?? 'another value'
  return `${path.length === 0 ? 'the value' : path.join('.')}: expected ${expected}`
}

/** The paths and expected types of what could not be decoded. Values are left out because they may be tokens. */
export const problemsOf = (errors: t.Errors, max = MAX_PROBLEMS): Problems =>
  [...new Set(errors.map(problemText))].slice(0, max)

const orProblem = <A>(read: () => E.Either<Problems, A>, problem: string): E.Either<Problems, A> => {
  try {
    return read()
  } catch {
    return E.left([problem])
  }
}

/** Reads a value from the caller, whose getters may throw. */
export const readSafely = <A>(path: string, read: () => E.Either<Problems, A>): E.Either<Problems, A> =>
  orProblem(read, `${path}: threw an error when read`)

/** Runs the caller's decoder. If it throws or does not return an `Either`, the value is refused. */
export const decodeSafely = <A>(path: string, decode: () => t.Validation<A>): E.Either<Problems, A> =>
  orProblem(() => {
    const decoded = decode()
    return E.isRight(decoded) ? decoded : E.left(problemsOf(decoded.left))
  }, `${path}: its codec threw`)

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A codec that accepts what `is` accepts. Its name completes the sentence "expected …". */
export const refined = <A>(name: string, is: (value: unknown) => value is A): t.Type<A> => {
  const holds = (value: unknown): value is A => {
    try {
      return is(value)
    } catch {
      return false // a Proxy or a getter of the value threw
    }
  }
  return new t.Type(
    name,
    holds,
    (value, context) => (holds(value) ? t.success(value) : t.failure(value, context)),
    t.identity
  )
}

/** The same codec for an optional field. A union would name `undefined` as a second expected type. */
export const optional = <A>({ name, is, validate }: t.Type<A>): t.Type<A | undefined> =>
  new t.Type(
    name,
    (value): value is A | undefined => value === undefined || is(value),
    (value, context) => (value === undefined ? t.success(undefined) : validate(value, context)),
    t.identity
  )

export const NonEmptyString = refined(
  'a string that is not empty',
  (value): value is string => typeof value === 'string' && value.trim() !== ''
)

/** Parses an address. `URL.canParse` is not used: Node 20's refuses every address with an umlaut once it is optimized. */
export const parseUrl = (text: string): URL | undefined => {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
