import type { Observable, SchedulerLike } from 'rxjs'
import { Subject, defer, merge } from 'rxjs'
import type { EventMeta, Orphan, SolverEvent, SolverEventBody } from '../model/event.js'

const MAX_UNDELIVERED = 1_000

/** The events and orphans of a solver. Events go to the current subscribers; orphans are buffered for the first one. */
export class EventBus {
  readonly #scheduler: SchedulerLike
  readonly #events = new Subject<SolverEvent>()
  readonly #delivered = new Subject<Orphan>()
  readonly #undelivered: Orphan[] = []
  readonly #collected: Orphan[] = []
  #isCollecting = false

  // Not asObservable(): JSON.stringify(solver) would reach the subscribers through it, and throw.
  readonly events: Observable<SolverEvent> = defer(() => this.#events)
  readonly orphans: Observable<Orphan> = defer(() => merge(this.#delivered, this.#deliver()))

  constructor(scheduler: SchedulerLike) {
    this.#scheduler = scheduler
  }

  get observed(): boolean {
    return this.#events.observed
  }

  emit<Body extends SolverEventBody>(label: string | undefined, body: Body): EventMeta & Body {
    const event = { at: this.#scheduler.now(), ...(label !== undefined && { label }), ...body }
    if (this.observed) this.#events.next(event)
    return event
  }

  /** Emits an orphan. Without a subscriber it is buffered, and drops the oldest beyond 1,000. */
  emitOrphan(orphan: Orphan): void {
    this.emit(orphan.label, { _tag: 'Orphaned', orphan })
    if (this.#delivered.observed) this.#delivered.next(orphan)
    else if (this.#undelivered.push(orphan) > MAX_UNDELIVERED) this.#undelivered.shift()
    // Last: a subscriber may close the solver synchronously, which starts the collecting.
    if (this.#isCollecting) this.#collected.push(orphan)
  }

  /** From now on every orphan is also kept for {@link takeCollected}. */
  collectOrphans(): void {
    this.#isCollecting = true
  }

  /** The orphans since {@link collectOrphans}, and those without a subscriber. */
  takeCollected(): ReadonlyArray<Orphan> {
    return [...this.#collected.splice(0), ...this.#undelivered.splice(0)]
  }

  complete(): void {
    this.#events.complete()
    this.#delivered.complete()
  }

  // One at a time: a subscriber that leaves after the first orphan leaves the others to the next.
  *#deliver(): Generator<Orphan> {
    for (let next = this.#undelivered.shift(); next; next = this.#undelivered.shift()) yield next
  }
}
