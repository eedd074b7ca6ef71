import * as E from 'fp-ts/lib/Either.js'
import { exhaustMap, map as mapValue, of, type Observable, type OperatorFunction } from 'rxjs'

/** An Observable whose expected failures are values; the error channel is left to defects. */
export type ObservableEither<E, A> = Observable<E.Either<E, A>>

export const left = <E>(error: E): Observable<E.Either<E, never>> => of(E.left(error))

/** Goes on with the `Right`; a `Left` passes as it is. */
export const flatMap =
  <E, A, B>(next: (value: A) => ObservableEither<E, B>): OperatorFunction<E.Either<E, A>, E.Either<E, B>> =>
  (source) =>
    source.pipe(exhaustMap((either) => (E.isLeft(either) ? of(either) : next(either.right))))

/** Changes the `Right`; a `Left` passes as it is. */
export const map = <E, A, B>(change: (value: A) => B): OperatorFunction<E.Either<E, A>, E.Either<E, B>> =>
  mapValue(E.map(change))
