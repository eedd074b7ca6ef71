import { Observable, type ObservableInput, type Subscriber, type Subscription } from 'rxjs'
import { pullFrom, type PullSource } from './pull-source.js'

/** How a run goes through its items. */
export interface PullOptions<T, R> {
  readonly items: ObservableInput<T>
  readonly concurrency: number
  /** What is done with one item: gives at most one value, then completes. */
  readonly project: (item: T, index: number) => Observable<R>
  /** When it emits or errors, no more is taken; what is open is finished before an error is passed on. */
  readonly takeUntil: Observable<unknown>
}

/** One run: takes an item whenever fewer than `concurrency` are under way, and never more. */
class Run<T, R> {
  readonly #supply: PullSource<T>
  // Not one Subscription for all: it looks through its list for each one that ends.
  readonly #open = new Set<Subscription>()
  #taking: Subscription | undefined
  #taken = 0
  #underWay = 0
  #isTaking = false
  #isPumping = false
  #isOver = false
  #failure: { readonly error: unknown } | undefined

  constructor(
    private readonly course: PullOptions<T, R>,
    private readonly subscriber: Subscriber<R>
  ) {
    this.#supply = pullFrom(course.items)
  }

  start(): void {
    const { course, subscriber } = this
    subscriber.add(() => {
      this.#stop()
      for (const working of this.#open) working.unsubscribe()
    })
    subscriber.add(
      course.takeUntil.subscribe({
        next: () => {
          this.#stop()
          this.#pump()
        },
        error: (error: unknown) => {
          this.#stop()
          this.#fail(error)
        }
      })
    )
    this.#pump()
  }

  // What is taken may end at once, and take the next one: a loop, or a long list would overflow the stack.
  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (!this.#isOver && !this.#isTaking && this.#underWay < this.course.concurrency) this.#take()
    this.#isPumping = false
    if (!this.#isOver || this.#underWay > 0) return
    if (this.#failure) this.subscriber.error(this.#failure.error)
    else this.subscriber.complete()
  }

  #take(): void {
    let isThere = false
    this.#isTaking = true
    this.#taking = this.#supply.next.subscribe({
      next: (item) => {
        isThere = true
        this.#isTaking = false
        // It is taken, even if that was the last one; but nobody is there to hear of it if its own arrival made them leave.
        if (this.subscriber.closed) return
        this.#begin(item)
        this.#pump()
      },
      error: (error: unknown) => {
        this.#isOver = true
        this.#fail(error)
      },
      complete: () => {
        if (isThere) return
        this.#isOver = true
        this.#pump()
      }
    })
  }

  #begin(item: T): void {
    const { course, subscriber } = this
    this.#underWay += 1
    const working = course.project(item, this.#taken++).subscribe({
      next: (result) => {
        subscriber.next(result)
      },
      error: (error: unknown) => {
        this.#stop()
        this.#fail(error)
      }
    })
    this.#open.add(working)
    working.add(() => {
      this.#open.delete(working)
      this.#underWay -= 1
      this.#pump()
    })
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#pump()
  }

  #stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#taking?.unsubscribe()
    try {
      this.#supply.close()
    } catch {
      // An iterator that fails to end has nothing left to tell: its items are no longer wanted.
    }
  }
}

/**
 * Works through items, so many at a time, and emits what comes of each as it ends. Items are asked for one by one, when there
 * is room for them.
 */
export const pullMergeMap = <T, R>(course: PullOptions<T, R>): Observable<R> =>
  new Observable((subscriber) => {
    new Run(course, subscriber).start()
  })
