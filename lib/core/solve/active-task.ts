import * as E from 'fp-ts/lib/Either.js'
import type { Observer, Subscriber } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { Orphan, EventMeta, TaskStep } from '../model/event.js'
import type { JournalHooks } from '../batch/journaled.js'
import type { EventBus } from './event-bus.js'
import { UNSENT, errorIfEnded, createdPhase, type StopReason, type Phase, type EndReason } from './phase.js'
import type { Resumable, TaskRef } from '../model/task.js'

/** Many subscriptions that end together, if anything stops them. */
export interface Batch {
  stopReason: StopReason | undefined
}

/** What a subscription is about. */
export interface TrackOptions<R> {
  readonly task: Resumable<unknown>
  readonly label: string | undefined
  readonly giveUpAfterMs: number
  /** The task, where it exists already. */
  readonly ref: TaskRef | undefined
  /** A whole solve: leaving it makes an orphan, and its success is an end. One call alone does neither. */
  readonly isSolve: boolean
  /** Hears every step. */
  readonly onStep?: ((event: EventMeta & TaskStep) => void) | undefined
  /** Hears the outcome before the subscriber does. */
  readonly onSettled?: ((result: E.Either<SolveError, R>) => void) | undefined
  /** The batch that it is part of. */
  readonly batch?: Batch | undefined
  /** Where it is written down. */
  readonly journal?: JournalHooks | undefined
}

/** One subscription under way. It is settled once, or left. */
export interface ActiveTask {
  phase: Phase
  readonly giveUpAfterMs: number
  /** Where it is written down, if a journal is kept. */
  readonly journal: JournalHooks | undefined
  /** Why its batch creates nothing more. */
  readonly stopReason: StopReason | undefined
  readonly emit: (step: TaskStep) => void
  /** What it would be if it ended now. */
  readonly errorIfEnded: (why: EndReason) => SolveError
  readonly asOrphan: (ref: TaskRef) => Orphan
  /** Tells that a createTask ended without an id after its caller had gone. */
  readonly emitLost: (error: SolveError) => void
}

/** A {@link ActiveTask} as `Lives` keeps it. */
export class TrackedTask<R> implements ActiveTask, Observer<E.Either<SolveError, R>> {
  phase: Phase
  readonly giveUpAfterMs: number
  #settled = false

  constructor(
    private readonly intent: TrackOptions<R>,
    private readonly news: EventBus,
    private readonly subscriber: Subscriber<E.Either<SolveError, R>>
  ) {
    this.phase = intent.ref ? createdPhase(intent.ref) : UNSENT
    this.giveUpAfterMs = intent.giveUpAfterMs
  }

  emit(step: TaskStep): void {
    const { label, onStep } = this.intent
    // A hundred steps a task, and mostly nobody listens.
    if (!onStep && !this.news.observed) return
    const event = this.news.emit(label, step)
    onStep?.(event)
  }

  get journal(): JournalHooks | undefined {
    return this.intent.journal
  }

  get stopReason(): StopReason | undefined {
    return this.intent.batch?.stopReason
  }

  isOf(batch: Batch): boolean {
    return this.intent.batch === batch
  }

  errorIfEnded(why: EndReason): SolveError {
    return errorIfEnded(this.phase, why, this.giveUpAfterMs)
  }

  /** Settles it, unless it is settled already. */
  next(result: E.Either<SolveError, R>): void {
    if (this.#settled) return
    this.#settled = true
    const { isSolve: whole, label, onSettled } = this.intent
    const tag = E.isLeft(result) ? result.left._tag : 'Solved'
    const ref = this.phase._tag === 'Created' && { ref: this.phase.ref }
    if (whole || E.isLeft(result)) this.news.emit(label, { _tag: 'Ended', tag, ...ref })
    onSettled?.(result)
    this.subscriber.next(result)
    this.subscriber.complete()
  }

  error(defect: unknown): void {
    this.subscriber.error(defect)
  }

  complete(): void {
    this.subscriber.complete()
  }

  emitLost(error: SolveError): void {
    this.news.emit(this.intent.label, { _tag: 'Lost', error })
  }

  asOrphan(ref: TaskRef): Orphan {
    const { task, label } = this.intent
    return { ref, task, ...(label !== undefined && { label }) }
  }

  /** The paid task that would be forgotten if nobody were told, now that the subscriber is gone. */
  get orphan(): Orphan | undefined {
    const { phase: stand } = this
    return stand._tag === 'Created' && this.intent.isSolve && !this.#settled ? this.asOrphan(stand.ref) : undefined
  }
}
