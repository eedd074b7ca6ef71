import { Observable, interval, type Subscriber, type Subscription } from 'rxjs'
import type { QueueEventsLike } from './ports.js'

/**
 * When to look for the outcome of a job: at once, because it may have ended before; when BullMQ reports its end; and from time to
 * time, because BullMQ trims its events, and those of a long cut may be lost.
 */
export class JobEnds {
  readonly #events: QueueEventsLike
  readonly #checkEveryMs: number
  readonly #waiting = new Map<string, Set<Subscriber<void>>>()
  #checks: Subscription | undefined

  constructor(events: QueueEventsLike, checkEveryMs: number) {
    this.#events = events
    this.#checkEveryMs = checkEveryMs
  }

  of(jobId: string): Observable<void> {
    return new Observable((subscriber) => {
      if (this.#waiting.size === 0) this.#listen()
      const subscribers = this.#waiting.get(jobId) ?? new Set()
      this.#waiting.set(jobId, subscribers.add(subscriber))
      subscriber.add(() => {
        subscribers.delete(subscriber)
        if (subscribers.size === 0) this.#waiting.delete(jobId)
        if (this.#waiting.size === 0) this.#unlisten()
      })
      subscriber.next()
    })
  }

  #listen(): void {
    this.#events.on('completed', this.#onEnd)
    this.#events.on('failed', this.#onEnd)
    this.#checks = interval(this.#checkEveryMs).subscribe(() => {
      for (const jobId of [...this.#waiting.keys()]) this.#onEnd({ jobId })
    })
  }

  #unlisten(): void {
    this.#events.off('completed', this.#onEnd)
    this.#events.off('failed', this.#onEnd)
    this.#checks?.unsubscribe()
  }

  readonly #onEnd = ({ jobId }: { readonly jobId: string }): void => {
    for (const subscriber of [...(this.#waiting.get(jobId) ?? [])]) subscriber.next()
  }
}
