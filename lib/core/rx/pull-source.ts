import { Observable, Subject, map, take, zip, type ObservableInput, type Subscriber } from 'rxjs'

/** Items that are handed out one at a time. RxJS's `from` would read a whole file before the first task is solved. */
export interface PullSource<T> {
  /** Emits the next item, or completes without one when there is none. Subscribed to again once it has completed. */
  readonly next: Observable<T>
  /** No more is wanted. */
  readonly close: () => void
}

const give = <T>(taker: Subscriber<T>, { done, value }: IteratorResult<T, unknown>): void => {
  if (done !== true) taker.next(value)
  taker.complete()
}

const ofIterable = <T>(items: Iterable<T>): PullSource<T> => {
  const iterator = items[Symbol.iterator]()
  return {
    next: new Observable((taker) => {
      give(taker, iterator.next())
    }),
    close: () => {
      iterator.return?.()
    }
  }
}

const ofAsyncIterable = <T>(items: AsyncIterable<T>): PullSource<T> => {
  const iterator = items[Symbol.asyncIterator]()
  return {
    next: new Observable((taker) => {
      iterator.next().then(
        (result) => {
          give(taker, result)
        },
        (error: unknown) => {
          taker.error(error)
        }
      )
    }),
    // Nobody waits for it, and nobody could hear of its failure.
    close: () => void iterator.return?.().then(undefined, () => undefined)
  }
}

/** A source that cannot be asked to wait: what is not taken yet is kept, as `mergeMap` does. */
const ofPushed = <T>(items: ObservableInput<T>): PullSource<T> => {
  const wanted = new Subject<void>()
  const given = new Subject<T>()
  const pairing = zip(items, wanted)
    .pipe(map(([item]) => item))
    .subscribe(given)
  return {
    next: new Observable((taker) => {
      const taking = given.pipe(take(1)).subscribe(taker)
      wanted.next()
      return taking
    }),
    close: () => {
      pairing.unsubscribe()
    }
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === 'object' && value !== null) || typeof value === 'function'

const isAsyncIterable = <T>(items: ObservableInput<T>): items is AsyncIterable<T> => Symbol.asyncIterator in items
const isIterable = <T>(items: ObservableInput<T>): items is Iterable<T> => Symbol.iterator in items

/** Whether items can come out of it. A string would be taken apart into its letters. */
export const isSource = (items: unknown): boolean =>
  isObject(items) &&
  [Symbol.asyncIterator, Symbol.iterator, Symbol.observable, '@@observable', 'then', 'getReader', 'length'].some(
    (name) => name in items
  )

/** Opens a source: whatever can be asked for one item at a time is. */
export const pullFrom = <T>(items: ObservableInput<T>): PullSource<T> =>
  isAsyncIterable(items) ? ofAsyncIterable(items) : isIterable(items) ? ofIterable(items) : ofPushed(items)
