import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import {
  EMPTY,
  asyncScheduler,
  catchError,
  concat,
  concatMap,
  defer,
  firstValueFrom,
  map,
  repeat,
  throwError,
  timer,
  type MonoTypeOperatorFunction,
  type Observable,
  type OperatorFunction,
  type SchedulerLike
} from 'rxjs'
import type { SolveError } from './model/error.js'
import { advise, explain } from './model/explain.js'
import { isExplainable } from './model/explainable.js'
import { Scheduler, checkOptions, durationFrom, integerBetween, isFunction } from './model/options.js'
import { optional } from './validation/problems.js'
import { exponential } from './rx/backoff.js'

/**
 * How {@link retryLeft} retries.
 *
 * @since 0.1.0
 */
export interface RetryOptions {
  /** How many times it resubscribes at most, from 0 to 1,000,000. */
  readonly count: number
  /** The delay before each retry, in milliseconds. @defaultValue 0 */
  readonly delayMs?: number | undefined
  /** Doubles the delay after each retry, up to this many milliseconds. @defaultValue the delay stays as it is */
  readonly maxDelayMs?: number | undefined
  /** Which errors are retried. @defaultValue those with the advice `repeat`, after which nothing is ever paid twice */
  readonly when?: ((error: SolveError) => boolean) | undefined
  /** @defaultValue asyncScheduler */
  readonly scheduler?: SchedulerLike | undefined
}

/**
 * Resubscribes to the source when it ends with a `Left` that is worth a retry; the last `Left` is emitted.
 *
 * ```
 * source   --(L|)  --(R|)      source   --L--R---|
 * result   ---------(R|)       result   -----(LR)|
 * ```
 *
 * Put it on one solve: inside the `mergeMap` over many tasks, never behind it, because a resubscription to all of them would pay for
 * those that are solved again. A source is retried only if its `Left` is its only value. The `Left` is held until the source
 * completes; if another value or an error follows, both are emitted, without a retry.
 *
 * By default it never pays twice. In a `when` of your own, look at `error.paid`.
 *
 * @throws InvalidOptions at once, for options out of bounds
 *
 * @example
 * ```ts
 * import { createSolver, recaptchaV2, retryLeft } from 'rx-captcha'
 *
 * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
 *
 * solver
 *   .solve(recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' }))
 *   .pipe(retryLeft({ count: 2, delayMs: 5_000 }))
 *   .subscribe((result) => console.log(result._tag)) // prints Right
 * ```
 *
 * @since 0.1.0
 */
export const retryLeft = <A>(options: RetryOptions): MonoTypeOperatorFunction<E.Either<SolveError, A>> => {
  const {
    count,
    delayMs = 0,
    maxDelayMs = delayMs,
    when = (error: SolveError) => advise(error) === 'repeat',
    scheduler = asyncScheduler
  } = checkOptions<RetryOptions>(retryOptionCodecs, options)
  const backoff = exponential({ firstMs: delayMs, maxMs: maxDelayMs })
  return (source) =>
    defer(() => {
      let retries = 0
      const isWorthRetry = (result: E.Either<SolveError, A>) => E.isLeft(result) && retries < count && when(result.left)
      /** The only value so far, if it is worth a retry. */
      let held: ReadonlyArray<E.Either<SolveError, A>> = []
      const takeHeld = () => {
        const taken = held
        held = []
        return taken
      }
      return source.pipe(
        concatMap((result, index) => {
          if (index > 0 || !isWorthRetry(result)) return [...takeHeld(), result]
          held = [result]
          return []
        }),
        catchError((error: unknown) =>
          concat(
            takeHeld(),
            throwError(() => error)
          )
        ),
        // Not by recursion: a thousand nested subscriptions overflow the stack.
        repeat({ delay: () => (takeHeld().length === 0 ? EMPTY : timer(backoff(retries++), scheduler)) })
      )
    })
}

const MAX_RETRIES = 1_000_000

const retryOptionCodecs = {
  count: integerBetween(0, MAX_RETRIES, 'retries'),
  delayMs: optional(durationFrom(0)),
  maxDelayMs: optional(durationFrom(0)),
  when: optional(isFunction),
  scheduler: optional(Scheduler)
}

/**
 * Emits the value of a `Right`, and errors with a {@link SolveFailure} on a `Left`, for code that wants exceptions.
 *
 * ```
 * source   ---(R|)      source   ---(L|)
 * result   ---(r|)      result   ---#
 * ```
 *
 * Never put `retry()` after it: it would pay for a new task after every failure. Use {@link retryLeft} before it.
 *
 * @example
 * ```ts
 * import { createSolver, orThrow, recaptchaV2, SolveFailure } from 'rx-captcha'
 *
 * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
 *
 * solver.solve(recaptchaV2({ websiteURL: 'not an address', websiteKey: 'your-site-key' })).pipe(orThrow()).subscribe({
 *   error: (failure) => {
 *     if (failure instanceof SolveFailure) console.log(failure.message) // prints The task is invalid
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
export const orThrow = <Failure, A>(): OperatorFunction<E.Either<Failure, A>, A> =>
  map((either) => {
    if (E.isLeft(either)) throw new SolveFailure(either.left)
    return either.right
  })

/**
 * The error of {@link orThrow}. `error` is the `Left`; the message is what `explain` says about it, if it is an error of this
 * library.
 *
 * @since 0.1.0
 */
export class SolveFailure<Failure = SolveError> extends Error {
  override readonly name = 'SolveFailure'

  constructor(readonly error: Failure) {
    super(messageOfLeft(error))
  }
}

/** The `Left` may be of the caller's own making, and then it may throw when it is read. */
const messageOfLeft = (error: unknown): string => {
  try {
    if (isExplainable(error)) return explain(error)
  } catch {
    // As for any other `Left` without an explanation.
  }
  return 'The source ended with a Left.'
}

/**
 * The first `Either` of an Observable as an fp-ts TaskEither. Every run subscribes, and so pays for a new task.
 *
 * A TaskEither must not reject. `solve` always emits, but a source that completes without a value, as after `takeUntil`, rejects with
 * the `EmptyError` of RxJS, because only the caller can say which `Left` it means. Emit one with `defaultIfEmpty`. An error of the source
 * rejects too.
 *
 * @example
 * ```ts
 * import * as E from 'fp-ts/lib/Either.js'
 * import { defaultIfEmpty, takeUntil, timer } from 'rxjs'
 * import { createSolver, recaptchaV2, toTaskEither, type SolveError } from 'rx-captcha'
 *
 * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
 * const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
 *
 * const cancelled = E.left<SolveError | 'cancelled'>('cancelled')
 * const solveInTime = toTaskEither(solver.solve(task).pipe(takeUntil(timer(0)), defaultIfEmpty(cancelled)))
 * void solveInTime().then((result) => console.log(result._tag === 'Left' && result.left)) // prints cancelled
 * ```
 *
 * @since 0.1.0
 */
export const toTaskEither =
  <Failure, A>(source: Observable<E.Either<Failure, A>>): TaskEither<Failure, A> =>
  () =>
    firstValueFrom(source)
