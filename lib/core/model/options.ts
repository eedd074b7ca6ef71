import type { CodeMeaning } from '../protocol/error-codes.js'
import type { Problems } from './task.js'

/**
 * How a solver asks, waits and gives up. Every field also takes `undefined`; durations are whole milliseconds from 1 to
 * 2,147,483,647, the longest wait that a timer can hold.
 *
 * @since 0.1.0
 */
export interface SolveOptions {
  /** The key of the account, at least 8 characters, so that it can be taken out of errors and logs by its value. */
  readonly clientKey: string
  /** The wait between an answer and the next poll, and before the first one. @defaultValue 3_000 */
  readonly pollEveryMs?: number | undefined
  /**
   * When to give up, counted from the moment the task may be created (waiting for a turn is not counted), in `resume` from
   * the subscription. The service ends a task by itself after 300 s. @defaultValue 300_000
   */
  readonly giveUpAfterMs?: number | undefined
  /** The limit of one createTask call. @defaultValue 25_000 */
  readonly createTimeoutMs?: number | undefined
  /** The limit of one getTaskResult call. @defaultValue 10_000 */
  readonly resultTimeoutMs?: number | undefined
  /** How many createTask calls may leave in a second, at even distances; fractions are fine. @defaultValue no limit */
  readonly createsPerSecond?: number | undefined
  /** What an error code means; asked before the built-in table, never for an empty code. `undefined` leaves it to that. */
  readonly meaningOf?: ((errorCode: string) => CodeMeaning | undefined) | undefined
}

/**
 * What `withOptions` changes.
 *
 * @since 0.1.0
 */
export interface ScopeOptions {
  /** Stands in every event and orphan of the tasks solved with it. */
  readonly label?: string | undefined
  /** As in {@link SolveOptions}. */
  readonly giveUpAfterMs?: number | undefined
}

/** Options, complete and checked. */
export interface Settings {
  readonly clientKey: string
  readonly pollEveryMs: number
  readonly giveUpAfterMs: number
  readonly createTimeoutMs: number
  readonly resultTimeoutMs: number
  readonly createsPerSecond: number | undefined
  readonly meaningOf: (errorCode: string) => CodeMeaning | undefined
}

/**
 * Thrown at once by `createSolver`, `withOptions` and `close` for options that cannot work: a mistake in the program, not an
 * outcome. `problems` names each field and its bounds; values are not repeated, they may be secret.
 *
 * @since 0.1.0
 */
export class InvalidOptions extends Error {
  override readonly name = 'InvalidOptions'

  constructor(readonly problems: Problems) {
    super(`Invalid options: ${problems.join('; ')}. Nothing was sent.`)
  }
}

/** Node runs a longer timer after 1 ms, which would turn a long wait into a busy loop. */
export const MAX_TIMER_MS = 2 ** 31 - 1

const MIN_KEY_LENGTH = 8

/** What is wrong with a field, or nothing. */
export type Check = (name: string, value: unknown) => ReadonlyArray<string>

/** `value` is a whole number within bounds, or left out. */
export const integerBetween =
  (from: number, to: number, unit: string): Check =>
  (name, value) =>
    value === undefined || (Number.isInteger(value) && Number(value) >= from && Number(value) <= to)
      ? []
      : [`${name}: expected a whole number of ${unit} from ${String(from)} to ${String(to)}`]

const duration = integerBetween(1, MAX_TIMER_MS, 'milliseconds')

const rate: Check = (name, value) =>
  value === undefined || (typeof value === 'number' && value >= 0.001 && value <= 1_000)
    ? []
    : [`${name}: expected a number from 0.001 to 1000`]

const key: Check = (name, value) => {
  if (typeof value !== 'string' || value.trim().length < MIN_KEY_LENGTH)
    return [`${name}: expected a string of at least ${String(MIN_KEY_LENGTH)} characters`]
  return value === value.trim() ? [] : [`${name}: expected no white space at its beginning or end`]
}

/** `value` is a function, or left out. */
export const isFunction: Check = (name, value) =>
  value === undefined || typeof value === 'function' ? [] : [`${name}: expected a function`]

const text: Check = (name, value) =>
  value === undefined || typeof value === 'string' ? [] : [`${name}: expected a string`]

/** Runs each check on the field of its name. */
export const problemsIn = <O extends object>(options: O, checks: { readonly [K in keyof O]?: Check }): Problems =>
  Object.entries<Check | undefined>(checks).flatMap(
    ([name, check]) => check?.(name, new Map(Object.entries(options)).get(name)) ?? []
  )

/** All that is wrong with the core's options. */
export const problemsOfOptions = (options: SolveOptions): Problems =>
  problemsIn(options, {
    clientKey: key,
    pollEveryMs: duration,
    giveUpAfterMs: duration,
    createTimeoutMs: duration,
    resultTimeoutMs: duration,
    createsPerSecond: rate,
    meaningOf: isFunction
  })

export const problemsOfScope = (options: ScopeOptions): Problems =>
  problemsIn(options, { label: text, giveUpAfterMs: duration })

export const problemsOfClose = (options: { readonly graceMs?: number | undefined }): Problems =>
  problemsIn(options, { graceMs: integerBetween(0, MAX_TIMER_MS, 'milliseconds') })

export const throwIfAny = (problems: Problems): void => {
  if (problems.length > 0) throw new InvalidOptions(problems)
}

const MEANINGS: ReadonlySet<unknown> = new Set<CodeMeaning>([
  'account',
  'request',
  'unavailable',
  'task',
  'unknown',
  'notFound',
  'pending'
])

/** A table of the caller that throws or answers nonsense must not break a solve: ours is asked then. */
const safely =
  (kindOf: (errorCode: string) => CodeMeaning | undefined) =>
  (errorCode: string): CodeMeaning | undefined => {
    try {
      const meaning = kindOf(errorCode)
      return MEANINGS.has(meaning) ? meaning : undefined
    } catch {
      return undefined
    }
  }

/** Fills in the defaults of checked options. */
export const resolveOptions = ({
  clientKey,
  pollEveryMs = 3_000,
  giveUpAfterMs = 300_000,
  createTimeoutMs = 25_000,
  resultTimeoutMs = 10_000,
  createsPerSecond,
  meaningOf: kindOf = () => undefined
}: SolveOptions): Settings => ({
  clientKey,
  pollEveryMs,
  giveUpAfterMs,
  createTimeoutMs,
  resultTimeoutMs,
  createsPerSecond,
  meaningOf: safely(kindOf)
})
