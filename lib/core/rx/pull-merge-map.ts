import { Observable, Subscription, type ObservableInput, type SchedulerLike, type Subscriber } from 'rxjs'
import { pullFrom, type PullSource } from './pull-source.js'

/**
 * `mergeMap` with back-pressure. It pulls the next item of an array, an iterable or an async iterable only when fewer than
 * `concurrency` inner Observables are active; RxJS's `from` would read a whole file before the first of them ends. Promises
 * and Observables cannot be pulled, so their items are buffered, as in `mergeMap`.
 *
 * `room` limits the pulling further: it is taken before an item is pulled, and belongs to the item from then on.
 *
 * `project` returns an Observable of at most one value. When `takeUntil` emits or errors, no more items are pulled, and the
 * result completes or errors once the active inner Observables have ended.
 */
export const pullMergeMap = <T, R>(
  items: ObservableInput<T>,
  project: (item: T, index: number) => Observable<R>,
  options: PullOptions
): Observable<R> =>
  new Observable((subscriber) => {
    new PullLoop(pullFrom(items), project, options, subscriber).start(options.takeUntil)
  })

// Some milliseconds of work, if all of them end synchronously.
const PULLS_IN_A_ROW = 1_000

/** How {@link pullMergeMap} pulls. */
export interface PullOptions {
  readonly concurrency: number
  /** After a thousand items the next one is pulled in a turn of its own, so that a long source keeps no timer waiting. */
  readonly scheduler: SchedulerLike
  readonly takeUntil: Observable<unknown>
  readonly room?: PullRoom | undefined
}

/** Room for pulled items, which others may take as well. */
export interface PullRoom {
  /** Takes room for one item; `false` if there is none now. */
  readonly take: () => boolean
  /** Emits when there may be room again. */
  readonly changed: Observable<unknown>
}

/** Whether `pullMergeMap` accepts a value. A string is refused: it would be split into its letters. */
export const isObservableInput = (items: unknown): items is ObservableInput<unknown> =>
  (typeof items === 'object' && items !== null && ('length' in items || isSource(items))) ||
  (typeof items === 'function' && isSource(items)) // the `length` of a function counts its parameters

const isSource = (items: object): boolean =>
  [Symbol.asyncIterator, Symbol.iterator, Symbol.observable, '@@observable', 'then', 'getReader'].some(
    (name) => name in items
  )

class PullLoop<T, R> {
  readonly #source: PullSource<T>
  readonly #project: (item: T, index: number) => Observable<R>
  readonly #concurrency: number
  readonly #scheduler: SchedulerLike
  readonly #room: PullRoom | undefined
  readonly #subscriber: Subscriber<R>
  // A Set instead of a parent Subscription, whose `remove` is a linear scan.
  readonly #inner = new Set<Subscription>()
  #pulling: Subscription | undefined
  #isPulling = false
  #index = 0
  #inARow = 0
  #pause = Subscription.EMPTY
  #active = 0
  #draining = false
  #stopped = false
  #failure: { readonly error: unknown } | undefined

  constructor(
    source: PullSource<T>,
    project: (item: T, index: number) => Observable<R>,
    { concurrency, scheduler, room }: PullOptions,
    subscriber: Subscriber<R>
  ) {
    this.#source = source
    this.#project = project
    this.#concurrency = concurrency
    this.#scheduler = scheduler
    this.#room = room
    this.#subscriber = subscriber
  }

  start(takeUntil: Observable<unknown>): void {
    this.#subscriber.add(() => {
      this.#stop()
      this.#pause.unsubscribe()
      for (const subscription of this.#inner) subscription.unsubscribe()
    })
    this.#subscriber.add(
      takeUntil.subscribe({
        next: () => {
          this.#stop()
          this.#drain()
        },
        error: (error: unknown) => {
          this.#stop()
          this.#fail(error)
        }
      })
    )
    this.#subscriber.add(
      this.#room?.changed.subscribe(() => {
        this.#drain()
      })
    )
    this.#drain()
  }

  /** Pulls while there is room. A loop: inner Observables may end synchronously, and recursion would overflow the stack. */
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    while (this.#mayPull()) this.#pull()
    this.#draining = false
    if (!this.#stopped || this.#active > 0) return
    if (this.#failure) this.#subscriber.error(this.#failure.error)
    else this.#subscriber.complete()
  }

  /** Whether the next item is pulled; takes the room for it. */
  #mayPull(): boolean {
    if (this.#stopped || this.#isPulling || this.#active >= this.#concurrency || this.#isPaused()) return false
    return this.#room?.take() ?? true
  }

  /** Whether other work comes before the next item. */
  #isPaused(): boolean {
    if (this.#inARow < PULLS_IN_A_ROW) return false
    if (this.#pause.closed)
      this.#pause = this.#scheduler.schedule(() => {
        this.#pause.unsubscribe()
        this.#inARow = 0
        this.#drain()
      })
    return true
  }

  #pull(): void {
    this.#inARow += 1
    let hasItem = false
    this.#isPulling = true
    this.#pulling = this.#source.next.subscribe({
      next: (item) => {
        hasItem = true
        this.#isPulling = false
        // The subscriber may have unsubscribed because of the item itself.
        if (this.#subscriber.closed) return
        this.#subscribeTo(item)
        this.#drain()
      },
      error: (error: unknown) => {
        this.#stopped = true
        this.#fail(error)
      },
      complete: () => {
        if (hasItem) return
        this.#stopped = true
        this.#drain()
      }
    })
  }

  #subscribeTo(item: T): void {
    this.#active += 1
    new Observable<R>((inner) => {
      // First, because the subscriber may unsubscribe while the item is projected and subscribed to.
      this.#inner.add(inner)
      const result = this.#project(item, this.#index++)
      if (!inner.closed) result.subscribe(inner)
      // Last, so that the item has given back what it holds, such as its key, when the next one is pulled.
      inner.add(() => {
        this.#inner.delete(inner)
        this.#active -= 1
        this.#drain()
      })
    }).subscribe({
      next: (result) => {
        this.#subscriber.next(result)
      },
      error: (error: unknown) => {
        this.#stop()
        this.#fail(error)
      }
    })
  }

  /** The first error wins; it is passed on when no inner Observable is active. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#drain()
  }

  #stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#pulling?.unsubscribe()
    try {
      this.#source.close()
    } catch {
      // The items of the iterator are no longer wanted, so its failure to end changes nothing.
    }
  }
}
