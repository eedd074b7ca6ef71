import { Subscription, type SchedulerAction, type SchedulerLike } from 'rxjs'

type Work<T> = (this: SchedulerAction<T>, state?: T) => void

/**
 * Virtual time for long runs. The scheduler of RxJS sorts all actions whenever one is added, and does not count them; this
 * one keeps them in a heap, and `pending` counts those that are not cancelled.
 */
export class VirtualClock implements SchedulerLike {
  pending = 0
  readonly #heap: Queued[] = []
  #now = 0
  #count = 0

  now(): number {
    return this.#now
  }

  schedule<T>(work: Work<T>, delayMs = 0, state?: T): Subscription {
    return new Action(this, work).schedule(state, delayMs)
  }

  /** Runs the next action; returns whether there was one. */
  step(): boolean {
    let next = this.#pop()
    while (next?.isCancelled) next = this.#pop()
    if (!next) return false
    this.#now = next.dueAt
    this.cancel(next)
    next.act()
    return true
  }

  queue(delayMs: number, act: () => void): Queued {
    const queued = { dueAt: this.#now + delayMs, nth: (this.#count += 1), act, isCancelled: false }
    this.pending += 1
    this.#push(queued)
    return queued
  }

  cancel(queued: Queued | undefined): void {
    if (!queued || queued.isCancelled) return
    queued.isCancelled = true
    this.pending -= 1
  }

  #push(queued: Queued): void {
    const heap = this.#heap
    let at = heap.push(queued) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (isBefore(heap[above]!, queued)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = queued
  }

  #pop(): Queued | undefined {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below += 1
      if (isBefore(last, heap[below]!)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
    return first
  }
}

interface Queued {
  readonly dueAt: number
  readonly nth: number
  readonly act: () => void
  /** A cancelled action stays in the heap until it is due, and is skipped then. */
  isCancelled: boolean
}

const isBefore = (a: Queued, b: Queued): boolean => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.nth < b.nth)

class Action<T> extends Subscription implements SchedulerAction<T> {
  #queued: Queued | undefined

  constructor(
    private readonly clock: VirtualClock,
    private readonly work: Work<T>
  ) {
    super()
    this.add(() => this.clock.cancel(this.#queued))
  }

  schedule(state?: T, delayMs = 0): Subscription {
    if (this.closed) return this
    this.clock.cancel(this.#queued)
    const queued = this.clock.queue(delayMs, () => {
      this.work.call(this, state)
      if (this.#queued === queued) this.unsubscribe()
    })
    this.#queued = queued
    return this
  }
}
