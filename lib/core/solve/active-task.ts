import * as E from 'fp-ts/lib/Either.js'
import type { Observer, Subscriber } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { Orphan, Stamp, Step } from '../model/event.js'
import type { Notes } from '../batch/journaled.js'
import type { News } from './event-bus.js'
import { UNSENT, endedNow, known, type Halt, type Stand, type Why } from './phase.js'
import type { Resumable, TaskRef } from '../model/task.js'

/** Many subscriptions that end together, if anything stops them. */
export interface Batch {
  halted: Halt | undefined
}

/** What a subscription is about. */
export interface Intent<R> {
  readonly task: Resumable<unknown>
  readonly label: string | undefined
  readonly giveUpAfterMs: number
  /** The task, where it exists already. */
  readonly ref: TaskRef | undefined
  /** A whole solve: leaving it makes an orphan, and its success is an end. One call alone does neither. */
  readonly whole: boolean
  /** Hears every step. */
  readonly onStep?: ((event: Stamp & Step) => void) | undefined
  /** Hears the outcome before the subscriber does. */
  readonly onSettled?: ((result: E.Either<SolveError, R>) => void) | undefined
  /** The batch that it is part of. */
  readonly batch?: Batch | undefined
  /** Where it is written down. */
  readonly notes?: Notes | undefined
}

/** One subscription under way. It is settled once, or left. */
export interface Life {
  stand: Stand
  readonly giveUpAfterMs: number
  /** Where it is written down, if a journal is kept. */
  readonly notes: Notes | undefined
  /** Why its batch creates nothing more. */
  readonly halted: Halt | undefined
  readonly tell: (step: Step) => void
  /** What it would be if it ended now. */
  readonly endedNow: (why: Why) => SolveError
  readonly asOrphan: (ref: TaskRef) => Orphan
  /** Tells that a createTask ended without an id after its caller had gone. */
  readonly lost: (error: SolveError) => void
}

/** A {@link Life} as `Lives` keeps it. */
export class Member<R> implements Life, Observer<E.Either<SolveError, R>> {
  stand: Stand
  readonly giveUpAfterMs: number
  #settled = false

  constructor(
    private readonly intent: Intent<R>,
    private readonly news: News,
    private readonly subscriber: Subscriber<E.Either<SolveError, R>>
  ) {
    this.stand = intent.ref ? known(intent.ref) : UNSENT
    this.giveUpAfterMs = intent.giveUpAfterMs
  }

  tell(step: Step): void {
    const { label, onStep } = this.intent
    // A hundred steps a task, and mostly nobody listens.
    if (!onStep && !this.news.isHeard) return
    const event = this.news.tell(label, step)
    onStep?.(event)
  }

  get notes(): Notes | undefined {
    return this.intent.notes
  }

  get halted(): Halt | undefined {
    return this.intent.batch?.halted
  }

  isOf(batch: Batch): boolean {
    return this.intent.batch === batch
  }

  endedNow(why: Why): SolveError {
    return endedNow(this.stand, why, this.giveUpAfterMs)
  }

  /** Settles it, unless it is settled already. */
  next(result: E.Either<SolveError, R>): void {
    if (this.#settled) return
    this.#settled = true
    const { whole, label, onSettled } = this.intent
    const tag = E.isLeft(result) ? result.left._tag : 'Solved'
    const ref = this.stand._tag === 'Known' && { ref: this.stand.ref }
    if (whole || E.isLeft(result)) this.news.tell(label, { _tag: 'Ended', tag, ...ref })
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

  lost(error: SolveError): void {
    this.news.tell(this.intent.label, { _tag: 'Lost', error })
  }

  asOrphan(ref: TaskRef): Orphan {
    const { task, label } = this.intent
    return { ref, task, ...(label !== undefined && { label }) }
  }

  /** The paid task that would be forgotten if nobody were told, now that the subscriber is gone. */
  get forgotten(): Orphan | undefined {
    const { stand } = this
    return stand._tag === 'Known' && this.intent.whole && !this.#settled ? this.asOrphan(stand.ref) : undefined
  }
}
