import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import {
  asyncScheduler,
  catchError,
  exhaustMap,
  firstValueFrom,
  map,
  of,
  retry,
  throwError,
  timer,
  type MonoTypeOperatorFunction,
  type Observable,
  type OperatorFunction,
  type SchedulerLike
} from 'rxjs'
import type { SolveError } from './model/error.js'
import { advise, explain } from './model/explain.js'
import { MAX_TIMER_MS, problemsIn, throwIfAny, integerBetween } from './model/options.js'

const isSolveError = (error: unknown): error is SolveError =>
  typeof error === 'object' && error !== null && '_tag' in error && 'paid' in error

/**
 * Thrown by {@link orThrow}. `error` is the `Left`; the message is what `explain` says of it.
 *
 * @since 0.1.0
 */
export class SolveFailure<Failure = SolveError> extends Error {
  override readonly name = 'SolveFailure'

  constructor(readonly error: Failure) {
    super(isSolveError(error) ? explain(error) : 'The source ended with a Left.')
  }
}

/**
 * Emits the `Right`, and errors with a {@link SolveFailure} on a `Left`, for code that wants exceptions.
 *
 * ```
 * source   ---(R|)      source   ---(L|)
 * result   ---(r|)      result   ---#
 * ```
 *
 * Never put `retry()` behind it: it would pay for a new task after every failure. Use {@link retryLeft} before it.
 *
 * @since 0.1.0
 */
export const orThrow = <Failure, A>(): OperatorFunction<E.Either<Failure, A>, A> =>
  map((either) => {
    if (E.isLeft(either)) throw new SolveFailure(either.left)
    return either.right
  })

/**
 * The first `Either` of an Observable as an fp-ts TaskEither. Every run subscribes, and so buys a task of its own.
 *
 * @since 0.1.0
 */
export const toTaskEither =
  <Failure, A>(source: Observable<E.Either<Failure, A>>): TE.TaskEither<Failure, A> =>
  () =>
    firstValueFrom(source)

/**
 * How {@link retryLeft} repeats.
 *
 * @since 0.1.0
 */
export interface RetryOptions {
  /** How many times at most it subscribes again. */
  readonly count: number
  /** The wait before each, in milliseconds. @defaultValue 0 */
  readonly delayMs?: number | undefined
  /** Which errors are worth it. @defaultValue those with the advice `repeat`, after which nothing is ever paid twice */
  readonly when?: ((error: SolveError) => boolean) | undefined
  /** @defaultValue asyncScheduler */
  readonly scheduler?: SchedulerLike | undefined
}

class Again<A> extends Error {
  constructor(readonly either: E.Either<SolveError, A>) {
    super()
  }
}

/**
 * Subscribes to the source again when it ends with a `Left` that is worth repeating; the last `Left` passes.
 *
 * ```
 * source   --(L|)  --(R|)
 * result   ---------(R|)
 * ```
 *
 * By default it never pays twice. With a `when` of your own, look at `error.paid`.
 *
 * @throws InvalidOptions for a `delayMs` that no timer can hold
 * @since 0.1.0
 */
export const retryLeft = <A>({
  count,
  delayMs = 0,
  when,
  scheduler = asyncScheduler
}: RetryOptions): MonoTypeOperatorFunction<E.Either<SolveError, A>> => {
  throwIfAny(problemsIn({ delayMs }, { delayMs: integerBetween(0, MAX_TIMER_MS, 'milliseconds') }))
  const isWorthIt = when ?? ((error: SolveError): boolean => advise(error) === 'repeat')
  return (source) =>
    source.pipe(
      exhaustMap((either) =>
        E.isLeft(either) && isWorthIt(either.left) ? throwError(() => new Again(either)) : of(either)
      ),
      // Only our own signal is repeated; a defect passes.
      retry({
        count,
        delay: (error: unknown) => (error instanceof Again ? timer(delayMs, scheduler) : throwError(() => error))
      }),
      catchError((error: unknown) =>
        error instanceof Again ? of((error as Again<A>).either) : throwError(() => error)
      )
    )
}
