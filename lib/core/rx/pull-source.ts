import { Observable, Subject, map, take, zip, type ObservableInput, type Subscriber } from 'rxjs'

/** A source that gives one item per subscription. */
export interface PullSource<T> {
  /** Emits the next item, or completes without one at the end. It is subscribed to again once it has completed. */
  readonly next: Observable<T>
  readonly close: () => void
}

export const pullFrom = <T>(items: ObservableInput<T>): PullSource<T> =>
  isAsyncIterable(items) ? fromAsyncIterable(items) : isIterable(items) ? fromIterable(items) : fromPushed(items)

const isAsyncIterable = <T>(items: ObservableInput<T>): items is AsyncIterable<T> => Symbol.asyncIterator in items
const isIterable = <T>(items: ObservableInput<T>): items is Iterable<T> => Symbol.iterator in items

/** Reads a result as `for…of` does: any truthy `done` ends the iteration, and a result that is not an object is an error. */
const settle = <T>(subscriber: Subscriber<T>, result: IteratorResult<T, unknown>): void => {
  if (Object(result) !== result) throw new TypeError('the result of the iterator is not an object')
  if (!result.done) subscriber.next(result.value)
  subscriber.complete()
}

const fromIterable = <T>(items: Iterable<T>): PullSource<T> => {
  const iterator = items[Symbol.iterator]()
  let isRunning = false
  let isClosed = false
  const close = (): void => {
    isClosed = true
    // A generator that runs refuses to return: it may have stopped the batch itself.
    if (!isRunning) iterator.return?.()
  }
  const next = (): IteratorResult<T, unknown> => {
    isRunning = true
    try {
      return iterator.next()
    } finally {
      isRunning = false
    }
  }
  return {
    next: new Observable((subscriber) => {
      const result = next()
      const isReturnDue = isClosed
      // Before its return, which may throw.
      settle(subscriber, result)
      if (isReturnDue && !result.done) close()
    }),
    close
  }
}

const fromAsyncIterable = <T>(items: AsyncIterable<T>): PullSource<T> => {
  const iterator = items[Symbol.asyncIterator]()
  return {
    next: new Observable((subscriber) => {
      Promise.resolve(iterator.next())
        .then((result) => {
          settle(subscriber, result)
        })
        .catch((error: unknown) => {
          subscriber.error(error)
        })
    }),
    // The result is already complete, so a failure could not be reported.
    close: () => void iterator.return?.().then(undefined, () => undefined)
  }
}

const fromPushed = <T>(items: ObservableInput<T>): PullSource<T> => {
  const requests = new Subject<void>()
  const pulled = new Subject<T>()
  const pairing = zip(items, requests)
    .pipe(map(([item]) => item))
    .subscribe(pulled)
  return {
    next: new Observable((subscriber) => {
      const pull = pulled.pipe(take(1)).subscribe(subscriber)
      requests.next()
      return pull
    }),
    close: () => {
      pairing.unsubscribe()
    }
  }
}
