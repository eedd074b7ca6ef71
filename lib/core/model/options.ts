import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { SchedulerLike } from 'rxjs'
import type { CodeMeaning } from './error.js'
import type { Post } from './network.js'
import type { OptionCodecs } from '../validation/check-options.js'
import { isRecord, optional, refined } from '../validation/problems.js'

export { InvalidOptions, checkOptions } from '../validation/check-options.js'

/**
 * A dispatcher of undici, by its shape: an `Agent`, a `ProxyAgent`, or your own. Those of undici 6, 7 and 8 are tested; it need
 * not be the undici that this library has installed.
 *
 * @since 0.1.0
 */
export interface UndiciDispatcher {
  // A method: its parameters are compared leniently, so the dispatchers of several undici versions are assignable.

  /** Sends one request and calls the handler back, as undici documents it. */
  dispatch(options: object, handler: object): boolean
}

/**
 * What `createSolver` takes; only `clientKey` is required. Every optional field also accepts `undefined`. Durations are whole
 * milliseconds from 1 to 2,147,483,647, the longest wait that a timer can hold.
 *
 * @since 0.1.0
 */
export interface SolverOptions {
  /** The key of the account, at least 8 characters, so that it can be redacted from errors and events by its value. */
  readonly clientKey: string
  /**
   * Address of the service; a path is kept. `https:`, or `http:` on this machine only, because every request holds the key.
   * @defaultValue 'https://api.1captcha.vip'
   */
  readonly baseUrl?: string | undefined
  /** The delay before the first poll and after each reply. From the 110th poll on, each is twice the one before. @defaultValue 3_000 */
  readonly pollEveryMs?: number | undefined
  /**
   * The deadline of a task. It counts from its permit for createTask, without the wait for the permit, and in `resume` from
   * the subscription. The service itself ends a task after 300 s. @defaultValue 300_000
   */
  readonly giveUpAfterMs?: number | undefined
  /** The limit of one createTask call. @defaultValue 25_000 */
  readonly createTimeoutMs?: number | undefined
  /** The limit of one getTaskResult call. @defaultValue 10_000 */
  readonly resultTimeoutMs?: number | undefined
  /** How many createTask calls are sent per second, at a fixed interval; may be a fraction. @defaultValue no limit */
  readonly createsPerSecond?: number | undefined
  /**
   * How many tasks may be open at a time, over all solves of the solver. Set it to the number that the account allows.
   * Further ones wait before their createTask, first in, first out, without a `Delayed` event because the length of the wait is
   * not known; the wait is not part of the deadline. {@link SolverCounts} defines which tasks are open. `resume` never waits, because
   * its task exists already, but it counts. From 1 to 1,000,000. @defaultValue no limit
   */
  readonly maxOpenTasks?: number | undefined
  /** The largest reply that is read, in bytes after decompression. @defaultValue 262_144 */
  readonly maxReplyBytes?: number | undefined
  /**
   * Returns what an error code means. It is called before the built-in table is read, never with an empty code; if it returns
   * `undefined`, the table decides.
   */
  readonly meaningOf?: ((errorCode: string) => CodeMeaning | undefined) | undefined
  /**
   * A dispatcher of undici for proxies and TLS settings. It must not retry requests; `close` does not close it. A single one
   * serves both calls, so a createTask may use an idle connection that the service is closing. With `{ create, poll }`, every
   * createTask opens a new connection, as long as nothing else uses `create`.
   * @defaultValue the solver's own connections, at most 1,024: docs/decisions/0003-connections.md
   */
  readonly dispatcher?:
    UndiciDispatcher | { readonly create: UndiciDispatcher; readonly poll: UndiciDispatcher } | undefined
  /** Another network in place of undici's; `baseUrl`, `dispatcher` and `maxReplyBytes` are then refused. */
  readonly post?: Post | undefined
  /**
   * The clock of all waits, for tests in virtual time. A scheduler with its own `now` measures waits by it; RxJS's other
   * schedulers count as the default.
   * @defaultValue asyncScheduler, made to never fire early, and not affected when the system clock is set
   */
  readonly scheduler?: SchedulerLike | undefined
  /** Numbers from 0 to 1, for jitter; `Math.random` replaces anything else. @defaultValue Math.random */
  readonly random?: (() => number) | undefined
}

/**
 * What `withOptions` changes.
 *
 * @since 0.1.0
 */
export interface ScopeOptions {
  /** Put on every event and orphan of the tasks that this solver solves. */
  readonly label?: string | undefined
  /** As in {@link SolverOptions}. */
  readonly giveUpAfterMs?: number | undefined
  /** As in {@link SolverOptions}. */
  readonly pollEveryMs?: number | undefined
}

/**
 * How many tasks of a solver are open, and how many wait to be created.
 *
 * @since 0.1.0
 */
export interface SolverCounts {
  /**
   * Tasks that have a permit for createTask, or are resumed, and have not ended. A task has ended when its outcome was emitted or
   * its subscriber has unsubscribed, and no createTask of it is in flight. `createTask` opens a task only until it emits, because
   * the solver does not follow it any further; for the same reason orphans do not count.
   */
  readonly open: number
  /** Solves that wait for their first permit: for an open task to end, for `createsPerSecond`, or for the end of a pause. */
  readonly waiting: number
}

/** The options that the core itself uses. */
export type CoreOptions = Pick<
  SolverOptions,
  | 'clientKey'
  | 'pollEveryMs'
  | 'giveUpAfterMs'
  | 'createTimeoutMs'
  | 'resultTimeoutMs'
  | 'createsPerSecond'
  | 'maxOpenTasks'
  | 'meaningOf'
>

/** {@link CoreOptions} with every default filled in. */
export interface Settings {
  readonly clientKey: string
  readonly pollEveryMs: number
  readonly giveUpAfterMs: number
  readonly createTimeoutMs: number
  readonly resultTimeoutMs: number
  readonly createsPerSecond: number | undefined
  readonly maxOpenTasks: number | undefined
  readonly meaningOf: (errorCode: string) => CodeMeaning | undefined
}

/** Fills in the defaults of checked options. */
export const resolveOptions = ({
  clientKey,
  pollEveryMs = 3_000,
  giveUpAfterMs = 300_000,
  createTimeoutMs = 25_000,
  resultTimeoutMs = 10_000,
  createsPerSecond,
  maxOpenTasks,
  meaningOf = () => undefined
}: CoreOptions): Settings => ({
  clientKey,
  pollEveryMs,
  giveUpAfterMs,
  createTimeoutMs,
  resultTimeoutMs,
  createsPerSecond,
  maxOpenTasks,
  meaningOf: checkedMeaningOf(meaningOf)
})

const KnownMeaning = t.keyof({
  account: null,
  request: null,
  unavailable: null,
  task: null,
  unknown: null,
  notFound: null,
  pending: null
} satisfies Record<CodeMeaning, null>)

/** The caller's function must not break a solve if it throws or returns anything but a meaning. */
const checkedMeaningOf =
  (meaningOf: (errorCode: string) => CodeMeaning | undefined) =>
  (errorCode: string): CodeMeaning | undefined => {
    const meaning = E.tryCatch(
      () => meaningOf(errorCode),
      () => undefined
    )
    return E.isRight(meaning) && KnownMeaning.is(meaning.right) ? meaning.right : undefined
  }

/** Node runs a longer timer after 1 ms, which would turn a long wait into a busy loop. */
export const MAX_TIMER_MS = 2 ** 31 - 1

export const integerBetween = (from: number, to: number, unit: string): t.Type<number> =>
  refined(
    `a whole number of ${unit} from ${String(from)} to ${String(to)}`,
    (value): value is number => Number.isInteger(value) && Number(value) >= from && Number(value) <= to
  )

/** A wait that a timer can hold. */
export const durationFrom = (fromMs: 0 | 1): t.Type<number> => integerBetween(fromMs, MAX_TIMER_MS, 'milliseconds')

export const isFunction = refined(
  'a function',
  (value): value is (...args: ReadonlyArray<never>) => unknown => typeof value === 'function'
)

export const Scheduler = refined(
  'a scheduler of RxJS',
  (value): value is SchedulerLike =>
    isRecord(value) && typeof value.schedule === 'function' && typeof value.now === 'function'
)

/** The codecs of the options of `close`. */
export const closeOptionCodecs = { graceMs: optional(durationFrom(0)) }

/** The highest number of tasks at a time. */
export const MAX_TASKS = 1_000_000

const MIN_KEY_LENGTH = 8

const isClientKey = (value: unknown): value is string =>
  typeof value === 'string' && value.length >= MIN_KEY_LENGTH && value === value.trim()

/** Two checks, at most one of which fails, because a missing key nearly always comes from an unset environment variable. */
const ClientKey = t.intersection([
  refined(
    'the key of the account, but there is none (is its environment variable set?)',
    (value): value is string => value !== '' && value !== undefined
  ),
  refined(
    `a string of at least ${String(MIN_KEY_LENGTH)} characters, without white space around it`,
    (value): value is string => value === '' || value === undefined || isClientKey(value)
  )
])

export const Rate = refined(
  'a number from 0.001 to 1000',
  (value): value is number => typeof value === 'number' && value >= 0.001 && value <= 1_000
)

/** The codec of each field of the core's options. */
export const coreOptionCodecs = {
  clientKey: ClientKey,
  pollEveryMs: optional(durationFrom(1)),
  giveUpAfterMs: optional(durationFrom(1)),
  createTimeoutMs: optional(durationFrom(1)),
  resultTimeoutMs: optional(durationFrom(1)),
  createsPerSecond: optional(Rate),
  maxOpenTasks: optional(integerBetween(1, MAX_TASKS, 'tasks')),
  meaningOf: optional(isFunction)
} satisfies OptionCodecs<CoreOptions>

export const scopeOptionCodecs = {
  label: optional(t.string),
  giveUpAfterMs: optional(durationFrom(1)),
  pollEveryMs: optional(durationFrom(1))
} satisfies OptionCodecs<ScopeOptions>
