import type { Observable, SchedulerLike } from 'rxjs'
import { Subject, defer, merge } from 'rxjs'
import type { SolverEventBody, Orphan, SolverEvent, EventMeta } from '../model/event.js'

const MAX_UNDELIVERED = 1_000

/** What a solver tells beside its outcomes: events to whoever listens, orphans to the first who ever does. */
export class EventBus {
  readonly #events = new Subject<SolverEvent>()
  readonly #heard = new Subject<Orphan>()
  readonly #unheard: Orphan[] = []

  // Not asObservable(): JSON.stringify of a solver would walk from there to whoever listens, and throw.
  readonly events: Observable<SolverEvent> = defer(() => this.#events)
  readonly orphans: Observable<Orphan> = defer(() => merge(this.#heard, this.#handOut()))

  constructor(private readonly scheduler: SchedulerLike) {}

  get observed(): boolean {
    return this.#events.observed
  }

  emit<H extends SolverEventBody>(label: string | undefined, what: H): EventMeta & H {
    const event = { at: this.scheduler.now(), ...(label !== undefined && { label }), ...what }
    if (this.observed) this.#events.next(event)
    return event
  }

  /** Of more than 1,000 orphans that nobody hears of, the oldest go. */
  orphan(orphan: Orphan): void {
    this.emit(orphan.label, { _tag: 'Orphaned', orphan })
    if (this.#heard.observed) this.#heard.next(orphan)
    else if (this.#unheard.push(orphan) > MAX_UNDELIVERED) this.#unheard.shift()
  }

  // One at a time: who leaves after the first leaves the others to the next.
  *#handOut(): Generator<Orphan> {
    for (let next = this.#unheard.shift(); next; next = this.#unheard.shift()) yield next
  }

  takeUndelivered(): ReadonlyArray<Orphan> {
    return this.#unheard.splice(0)
  }

  complete(): void {
    this.#events.complete()
    this.#heard.complete()
  }
}
