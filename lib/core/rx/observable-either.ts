import * as E from 'fp-ts/lib/Either.js'
import { Observable, map as mapValue, of, type OperatorFunction, type Subscriber } from 'rxjs'

/** An Observable whose expected failures are values; the error channel is left to defects. */
export type ObservableEither<E, A> = Observable<E.Either<E, A>>

export const left = <E>(error: E): Observable<E.Either<E, never>> => of(E.left(error))

const handOver = <B>(next: () => Observable<B>, subscriber: Subscriber<B>): void => {
  try {
    next().subscribe(subscriber)
  } catch (defect) {
    subscriber.error(defect)
  }
}

/**
 * Goes on with what the one value of the source gives. As `exhaustMap`, but what follows takes the subscriber over, so that a
 * task that waits for its answer does not hold on to the steps that it has behind it.
 */
export const andThen =
  <A, B>(next: (value: A) => Observable<B>): OperatorFunction<A, B> =>
  (source) =>
    new Observable((subscriber) => {
      let goesOn = false
      const first = source.subscribe({
        next: (value) => {
          goesOn = true
          handOver(() => next(value), subscriber)
        },
        error: (defect: unknown) => {
          subscriber.error(defect)
        },
        complete: () => {
          if (!goesOn) subscriber.complete()
        }
      })
      subscriber.add(first)
    })

/** Goes on with the `Right`; a `Left` passes as it is. */
export const flatMap = <E, A, B>(
  next: (value: A) => ObservableEither<E, B>
): OperatorFunction<E.Either<E, A>, E.Either<E, B>> =>
  andThen((either) => (E.isLeft(either) ? of(either) : next(either.right)))

/** Changes the `Right`; a `Left` passes as it is. */
export const map = <E, A, B>(change: (value: A) => B): OperatorFunction<E.Either<E, A>, E.Either<E, B>> =>
  mapValue(E.map(change))
