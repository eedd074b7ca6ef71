import type { Subscriber } from 'rxjs'

/** Permission to send one createTask. The first call of a method ends it; later calls are ignored. */
export interface Permit {
  /** The service created the task. */
  readonly succeeded: () => void
  /** The service asked for a wait. Returns for how many milliseconds no permit is given; 0 if only this task has to wait. */
  readonly unavailable: (retryAfterMs: number | undefined) => number
  /** The service itself refused the task. */
  readonly refused: () => void
  /** The reply does not say whether the service created the task, or does not come from the service. */
  readonly unreadable: () => void
  /** The call ended in any other way. */
  readonly release: () => void
}

export type QueueName = 'new' | 'retry'

/**
 * The subscribers that wait for a permit: first in, first out, retries before new tasks. It also counts the open tasks, because
 * while `maxOpen` are open, new ones wait. A retry belongs to an open task.
 */
export class PermitQueue {
  readonly #retries = new Set<Subscriber<Permit>>()
  readonly #new = new Set<Subscriber<Permit>>()
  readonly #maxOpen: number
  #open = 0

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen
  }

  get counts(): { readonly open: number; readonly waiting: number } {
    return { open: this.#open, waiting: this.#new.size }
  }

  get size(): number {
    return this.#retries.size + this.#new.size
  }

  hasRoomFor(queue: QueueName): boolean {
    return queue === 'retry' || this.#open < this.#maxOpen
  }

  /** The next one, unless it has to wait until a task ends. */
  get first(): { readonly queue: QueueName; readonly subscriber: Subscriber<Permit> } | undefined {
    const queue = this.#retries.size > 0 ? 'retry' : 'new'
    const [subscriber] = this.#of(queue)
    return subscriber && this.hasRoomFor(queue) ? { queue, subscriber } : undefined
  }

  /** Adds a subscriber until it unsubscribes, which then calls `onLeave`. */
  add(queue: QueueName, subscriber: Subscriber<Permit>, onLeave: () => void): void {
    const waiting = this.#of(queue)
    waiting.add(subscriber)
    subscriber.add(() => {
      waiting.delete(subscriber)
      onLeave()
    })
  }

  openTask(): void {
    this.#open += 1
  }

  closeTask(): void {
    this.#open -= 1
  }

  #of(queue: QueueName): Set<Subscriber<Permit>> {
    return queue === 'retry' ? this.#retries : this.#new
  }
}
