import { Observable, type Subscriber } from 'rxjs'
import type { QueueEventsLike } from '../ports.js'

/** The ends of jobs, as BullMQ reports them. */
export class JobEnds {
  readonly #events: QueueEventsLike
  readonly #waiting = new Map<string, Set<Subscriber<void>>>()

  constructor(events: QueueEventsLike) {
    this.#events = events
  }

  /** One for each `QueueEvents`, so that a server with many requests has two listeners, not two for each. */
  static readonly #shared = new WeakMap<QueueEventsLike, JobEnds>()

  static from(events: QueueEventsLike): JobEnds {
    const shared = JobEnds.#shared.get(events) ?? new JobEnds(events)
    JobEnds.#shared.set(events, shared)
    return shared
  }

  /** Emits when a job has ended. BullMQ trims its events, so some may be lost in a long disconnection. */
  of(jobId: string): Observable<void> {
    return new Observable((subscriber) => {
      if (this.#waiting.size === 0) this.#listen()
      const subscribers = this.#waiting.get(jobId) ?? new Set()
      this.#waiting.set(jobId, subscribers.add(subscriber))
      return () => {
        subscribers.delete(subscriber)
        if (subscribers.size === 0) this.#waiting.delete(jobId)
        if (this.#waiting.size === 0) this.#unlisten()
      }
    })
  }

  #listen(): void {
    this.#events.on('completed', this.#onEnd)
    this.#events.on('failed', this.#onEnd)
  }

  #unlisten(): void {
    this.#events.off('completed', this.#onEnd)
    this.#events.off('failed', this.#onEnd)
  }

  readonly #onEnd = ({ jobId }: { readonly jobId: string }): void => {
    for (const subscriber of [...(this.#waiting.get(jobId) ?? [])]) subscriber.next()
  }
}
