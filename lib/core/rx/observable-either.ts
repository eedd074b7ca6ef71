import * as E from 'fp-ts/lib/Either.js'
import { Observable, map as mapValue, of, type OperatorFunction, type Subscriber } from 'rxjs'
import { subscribeWithin } from './subscribe-within.js'

/** An Observable whose expected failures are values; its error channel carries defects only. */
export type ObservableEither<E, A> = Observable<E.Either<E, A>>

export const left = <E>(error: E): Observable<E.Either<E, never>> => of(E.left(error))

export const right = <A>(value: A): Observable<E.Either<never, A>> => of(E.right(value))

/** Maps the `Right`; a `Left` passes through. */
export const map = <E, A, B>(change: (value: A) => B): OperatorFunction<E.Either<E, A>, E.Either<E, B>> =>
  mapValue(E.map(change))

/** Maps the `Right` to an Observable and mirrors it; a `Left` passes through. */
export const flatMap = <E, A, B>(
  next: (value: A) => ObservableEither<E, B>
): OperatorFunction<E.Either<E, A>, E.Either<E, B>> =>
  andThen((either) => (E.isLeft(either) ? of(either) : next(either.right)))

/**
 * Maps the one value of the source to an Observable and mirrors it, as `exhaustMap` does. That Observable is subscribed to
 * with the same subscriber, so that a task that waits for a reply does not retain the operators of earlier steps.
 */
export const andThen =
  <A, B>(next: (value: A) => Observable<B>): OperatorFunction<A, B> =>
  (source) =>
    new Observable((subscriber) => {
      let hasValue = false
      subscribeWithin(subscriber, source, {
        next: (value) => {
          hasValue = true
          subscribeTo(() => next(value), subscriber)
        },
        error: (defect: unknown) => {
          subscriber.error(defect)
        },
        complete: () => {
          if (!hasValue) subscriber.complete()
        }
      })
    })

const subscribeTo = <B>(next: () => Observable<B>, subscriber: Subscriber<B>): void => {
  try {
    const second = next()
    // An event within `next` may have unsubscribed.
    if (!subscriber.closed) second.subscribe(subscriber)
  } catch (defect) {
    subscriber.error(defect)
  }
}
