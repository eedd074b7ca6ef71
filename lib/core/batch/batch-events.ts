import * as E from 'fp-ts/lib/Either.js'
import { Observable, tap } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { BatchEventBody, BatchMeta, Orphan } from '../model/event.js'
import { endedEvent } from '../in-flight/ended.js'
import type { EventBus } from '../in-flight/event-bus.js'
import { UNSENT } from '../in-flight/phase.js'

type EventOf<Tag> = Extract<BatchEventBody, { readonly _tag: Tag }>

/** The events of one run of a batch, with its counts. */
export class BatchEvents {
  readonly id: number
  readonly #bus: EventBus
  readonly #about: Omit<BatchMeta, 'at'>
  readonly #startedAt: number
  #isStopped = false
  #pulled = 0
  #solved = 0
  #failed = 0
  #skipped = 0

  constructor(bus: EventBus, label: string | undefined) {
    this.id = bus.nextId()
    this.#bus = bus
    this.#about = { ...(label !== undefined && { label }), batchId: this.id }
    this.#startedAt = bus.elapsedMs()
  }

  /** Emits `BatchStarted` before the outcomes of the batch, and `BatchEnded` after them. */
  around<T>(outcomes: Observable<T>, concurrency: number): Observable<T> {
    return new Observable((subscriber) => {
      let end: EventOf<'BatchEnded'>['end'] = 'unsubscribed'
      this.#emit({ _tag: 'BatchStarted', concurrency })
      const noted = tap<T>({
        error: () => {
          end = 'failed'
        },
        complete: () => {
          end = 'completed'
        }
      })
      // A listener may unsubscribe synchronously from the event.
      if (!subscriber.closed) outcomes.pipe(noted).subscribe(subscriber)
      // Added last, so that it runs after the active tasks are unsubscribed.
      subscriber.add(() => {
        this.#emitEnded(end)
      })
    })
  }

  onPulled(): void {
    this.#pulled += 1
  }

  onResult(result: E.Either<SolveError, unknown>): void {
    if (E.isRight(result)) this.#solved += 1
    else this.#failed += 1
  }

  skipped(key: string): void {
    this.#skipped += 1
    this.#emit({ _tag: 'Skipped', key })
  }

  /** No item is pulled any more. Only the first reason is emitted. */
  stopped(reason: EventOf<'BatchStopped'>['reason']): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#emit({ _tag: 'BatchStopped', reason })
  }

  /** An item has ended without a solve. Its events are those of a solve all the same, so that each outcome has an `Ended`. */
  endedUnsolved(error: SolveError): void {
    const bus = this.#bus
    if (!bus.observed) return
    const about = { ...this.#about, solveId: bus.nextId() }
    const startedAt = bus.elapsedMs()
    bus.emit(about, { _tag: 'Started', operation: 'solve' })
    const ending = { operation: 'solve', phase: UNSENT, startedAt, queueMs: undefined, clock: bus } as const
    bus.emit(about, endedEvent({ ...ending, result: E.left(error) }))
  }

  /** The outcome of a paid task was neither saved nor emitted. */
  orphaned(orphan: Orphan): void {
    this.#bus.emitOrphan({ ...this.#about, solveId: this.#bus.nextId() }, orphan)
  }

  #emit(body: BatchEventBody): void {
    this.#bus.emitOfBatch(this.#about, body)
  }

  #emitEnded(end: EventOf<'BatchEnded'>['end']): void {
    this.#emit({
      _tag: 'BatchEnded',
      end,
      pulled: this.#pulled,
      solved: this.#solved,
      failed: this.#failed,
      skipped: this.#skipped,
      totalMs: this.#bus.elapsedMs() - this.#startedAt
    })
  }
}
