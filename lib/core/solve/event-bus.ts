import type { Observable, SchedulerLike } from 'rxjs'
import { Subject, defer, merge } from 'rxjs'
import type { Happening, Orphan, SolverEvent, Stamp } from '../model/event.js'

const MOST_UNHEARD = 1_000

/** What a solver tells beside its outcomes: events to whoever listens, orphans to the first who ever does. */
export class News {
  readonly #events = new Subject<SolverEvent>()
  readonly #heard = new Subject<Orphan>()
  readonly #unheard: Orphan[] = []

  // Not asObservable(): JSON.stringify of a solver would walk from there to whoever listens, and throw.
  readonly events: Observable<SolverEvent> = defer(() => this.#events)
  readonly orphans: Observable<Orphan> = defer(() => merge(this.#heard, this.#handOut()))

  constructor(private readonly scheduler: SchedulerLike) {}

  get isHeard(): boolean {
    return this.#events.observed
  }

  tell<H extends Happening>(label: string | undefined, what: H): Stamp & H {
    const event = { at: this.scheduler.now(), ...(label !== undefined && { label }), ...what }
    if (this.isHeard) this.#events.next(event)
    return event
  }

  /** Of more than 1,000 orphans that nobody hears of, the oldest go. */
  orphan(orphan: Orphan): void {
    this.tell(orphan.label, { _tag: 'Orphaned', orphan })
    if (this.#heard.observed) this.#heard.next(orphan)
    else if (this.#unheard.push(orphan) > MOST_UNHEARD) this.#unheard.shift()
  }

  // One at a time: who leaves after the first leaves the others to the next.
  *#handOut(): Generator<Orphan> {
    for (let next = this.#unheard.shift(); next; next = this.#unheard.shift()) yield next
  }

  takeUnheard(): ReadonlyArray<Orphan> {
    return this.#unheard.splice(0)
  }

  end(): void {
    this.#events.complete()
    this.#heard.complete()
  }
}
