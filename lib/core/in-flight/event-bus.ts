import type { Observable, SchedulerLike } from 'rxjs'
import { Subject, defer, merge } from 'rxjs'
import type {
  BatchEventBody,
  BatchMeta,
  EventPorts,
  EventSink,
  Orphan,
  SolveEventBody,
  SolveMeta,
  SolverEvent
} from '../model/event.js'

const MAX_UNDELIVERED = 1_000

interface EventBusPorts extends EventPorts {
  readonly scheduler: SchedulerLike
  /** Elapsed milliseconds since an arbitrary moment. */
  readonly elapsed: () => number
}

/** The events and orphans of a solver. Events go to the current subscribers; orphans are buffered for the first one. */
export class EventBus {
  readonly #scheduler: SchedulerLike
  readonly #elapsed: () => number
  readonly #sink: EventSink | undefined
  readonly #events = new Subject<SolverEvent>()
  readonly #delivered = new Subject<Orphan>()
  readonly #undelivered: Orphan[] = []
  readonly #collected: Orphan[] = []
  #isCollecting = false

  /** The number of the next solve or batch. */
  readonly nextId: () => number
  // Not asObservable(): JSON.stringify(solver) would reach the subscribers through it, and throw.
  readonly events: Observable<SolverEvent> = defer(() => this.#events)
  readonly orphans: Observable<Orphan> = defer(() => merge(this.#delivered, this.#deliver()))

  constructor({ scheduler, elapsed, nextId = counter(), sink }: EventBusPorts) {
    this.#scheduler = scheduler
    this.#elapsed = elapsed
    this.#sink = sink
    this.nextId = nextId
  }

  /** Whether anything reads the events. A task would make a hundred of them, so without a reader none is made. */
  get observed(): boolean {
    return this.#events.observed || this.#sink?.observed === true
  }

  /** Elapsed time in whole milliseconds: V8 keeps them in the object, and allocates every other number. */
  elapsedMs(): number {
    return Math.round(this.#elapsed())
  }

  now(): number {
    return this.#scheduler.now()
  }

  emit<Body extends SolveEventBody>(about: Omit<SolveMeta, 'at'>, body: Body): SolveMeta & Body {
    const event = { at: this.#scheduler.now(), ...about, ...body }
    this.#publish(event)
    return event
  }

  emitOfBatch(about: Omit<BatchMeta, 'at'>, body: BatchEventBody): void {
    if (this.observed) this.#publish({ at: this.#scheduler.now(), ...about, ...body })
  }

  /** Emits an orphan. Without a subscriber it is buffered, and drops the oldest beyond 1,000. */
  emitOrphan(about: Omit<SolveMeta, 'at'>, orphan: Orphan): void {
    if (this.observed) this.emit(about, { _tag: 'Orphaned', orphan })
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

  #publish(event: SolverEvent): void {
    if (this.#events.observed) this.#events.next(event)
    if (this.#sink?.observed) this.#sink.publish(event)
  }

  // One at a time: if a subscriber unsubscribes after the first orphan, the next subscriber gets the others.
  *#deliver(): Generator<Orphan> {
    for (let next = this.#undelivered.shift(); next; next = this.#undelivered.shift()) yield next
  }
}

const counter = () => {
  let last = 0
  return () => (last += 1)
}
