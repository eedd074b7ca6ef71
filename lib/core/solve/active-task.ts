import * as E from 'fp-ts/lib/Either.js'
import type { Observable, Observer, Subscriber } from 'rxjs'
import type { Refused, SolveError } from '../model/error.js'
import type { EventMeta, Orphan, TaskStep } from '../model/event.js'
import type { ErrorCause } from '../model/network.js'
import type { Resumable, TaskRef } from '../model/task.js'
import type { ObservableEither } from '../rx/observable-either.js'
import type { EventBus } from './event-bus.js'
import {
  UNSENT,
  createdPhase,
  causeOfEnd,
  errorIfEnded,
  type CreatedPhase,
  type EndReason,
  type Phase,
  type ReadArrived,
  type StopReason
} from './phase.js'

/** The tasks of one run of a batch. `stopReason` is set when no more of them may be created. */
export interface Batch {
  stopReason: StopReason | undefined
  /** Pulls no more items, and ends the tasks that are not created. */
  readonly stop: (reason: StopReason) => void
}

/** Where a batch records a task. */
export interface JournalHooks {
  /** Durable before createTask is sent; a `Left` forbids sending it. */
  readonly beforeCreate?: (() => ObservableEither<SolveError, unknown>) | undefined
  /** Durable before the first poll. Emits nothing, completes, never errors. The write starts with the call and runs to its end. */
  readonly afterCreate: (ref: TaskRef) => Observable<never>
}

/** The one createTask that a task of a batch with a spending limit may have accepted. */
export interface Spending {
  /** Takes another one after {@link Spending.spend}; `false` if there is none. */
  readonly take: () => boolean
  /** A createTask was or may have been accepted. */
  readonly spend: () => void
  /** No createTask will be sent any more. */
  readonly giveBack: () => void
}

/** What a subscription to a solver is for. */
export interface TrackOptions<R> {
  readonly task: Resumable<unknown>
  readonly label: string | undefined
  readonly giveUpAfterMs: number
  /** The reference of a task that exists already. */
  readonly ref: TaskRef | undefined
  /** A solve, and not a single call: unsubscribing early makes an orphan, and its success emits `Ended`. */
  readonly isSolve: boolean
  readonly onStep?: ((event: EventMeta & TaskStep) => void) | undefined
  /** Called with the outcome before the subscriber gets it. */
  readonly onSettled?: ((result: E.Either<SolveError, R>) => void) | undefined
  readonly batch?: Batch | undefined
  readonly journal?: JournalHooks | undefined
  readonly spending?: Spending | undefined
}

const isRefused = (result: E.Either<SolveError, unknown>): boolean => E.isLeft(result) && result.left._tag === 'Refused'

/** Where a task counts as open until it has ended. */
export interface OpenTasks {
  closeTask(): void
}

/**
 * One subscription to a solver, and the one owner of the phase of its task. It is settled once, by an outcome, the deadline,
 * `close` or its batch; or its subscriber unsubscribes first.
 */
export class ActiveTask<R = never> implements Observer<E.Either<SolveError, R>> {
  readonly #options: TrackOptions<R>
  readonly #events: EventBus
  readonly #subscriber: Subscriber<E.Either<SolveError, R>>
  #phase: Phase
  #isSettled = false
  #openIn: OpenTasks | undefined
  /** The subscription, and the createTask calls in flight. */
  #holders = 1

  constructor(options: TrackOptions<R>, events: EventBus, subscriber: Subscriber<E.Either<SolveError, R>>) {
    this.#options = options
    this.#events = events
    this.#subscriber = subscriber
    this.#phase = options.ref ? createdPhase(options.ref) : UNSENT
  }

  get phase(): Phase {
    return this.#phase
  }

  get giveUpAfterMs(): number {
    return this.#options.giveUpAfterMs
  }

  get isSolve(): boolean {
    return this.#options.isSolve
  }

  get journal(): JournalHooks | undefined {
    return this.#options.journal
  }

  get spending(): Spending | undefined {
    return this.#options.spending
  }

  get batch(): Batch | undefined {
    return this.#options.batch
  }

  /** From now on the task counts as open in `tasks`, until its subscription and its createTask calls have ended. */
  openIn(tasks: OpenTasks): void {
    this.#openIn = tasks
  }

  hold(): void {
    this.#holders += 1
  }

  release(): void {
    this.#holders -= 1
    if (this.#holders === 0) this.#openIn?.closeTask()
  }

  /** A try of createTask begins, or could not be sent because of `cause`. */
  markUnsent(attempts: number, cause?: ErrorCause): void {
    this.#phase = { _tag: 'Unsent', attempts, ...(cause && { cause }) }
  }

  markSent(readArrived: ReadArrived): void {
    this.#phase = { _tag: 'Sent', readArrived }
  }

  markDeferred(refused: Refused, attempts: number): void {
    this.#phase = { _tag: 'Deferred', refused, attempts }
  }

  /** `elapsed`: when createTask was sent, if this solver did. */
  markCreated(ref: TaskRef, elapsed?: number): CreatedPhase {
    const created = createdPhase(ref, elapsed)
    this.#phase = created
    this.spending?.spend()
    return created
  }

  /** The error of the task if it ended in its phase. */
  errorIfEnded(reason: EndReason): SolveError {
    return errorIfEnded(this.#phase, reason, this.giveUpAfterMs)
  }

  /** The outcome of the task if it ended now: what has arrived of an open reply to createTask is not lost. */
  outcomeIfEnded(reason: EndReason): E.Either<SolveError, never> {
    const phase = this.#phase
    const arrived = phase._tag === 'Sent' ? phase.readArrived(causeOfEnd(reason, this.giveUpAfterMs)) : undefined
    // The result is of the type that this task is tracked for, which the phase does not know.
    return arrived ? (arrived as E.Either<SolveError, never>) : E.left(this.errorIfEnded(reason))
  }

  emit(step: TaskStep): void {
    const { label, onStep } = this.#options
    // A task makes a hundred steps, and usually nothing subscribes.
    if (!onStep && !this.#events.observed) return
    const event = this.#events.emit(label, step)
    onStep?.(event)
  }

  /** A createTask ended without a task id after the subscriber had left. */
  emitLost(error: SolveError): void {
    this.#events.emit(this.#options.label, { _tag: 'Lost', error })
  }

  /** The task is paid for and the subscriber will not get an outcome. */
  emitOrphan(ref: TaskRef): void {
    this.#events.emitOrphan(this.asOrphan(ref))
  }

  asOrphan(ref: TaskRef): Orphan {
    const { task, label } = this.#options
    return { ref, task, ...(label !== undefined && { label }) }
  }

  /** The reference of a paid task that would be lost, because the subscriber has no outcome. */
  get unsettledRef(): TaskRef | undefined {
    const phase = this.#phase
    const { isSolve, ref } = this.#options
    const isOurs = isSolve || ref === undefined
    return phase._tag === 'Created' && isOurs && !this.#isSettled ? phase.ref : undefined
  }

  /** Settles the task, unless it is settled already. */
  next(result: E.Either<SolveError, R>): void {
    if (this.#isSettled) return
    this.#isSettled = true
    if (this.#phase._tag === 'Sent' && !isRefused(result)) this.spending?.spend()
    const { isSolve, label, onSettled } = this.#options
    const tag = E.isLeft(result) ? result.left._tag : 'Solved'
    const ref = this.#phase._tag === 'Created' && { ref: this.#phase.ref }
    if (isSolve || E.isLeft(result)) this.#events.emit(label, { _tag: 'Ended', tag, ...ref })
    onSettled?.(result)
    this.#subscriber.next(result)
    this.#subscriber.complete()
  }

  error(defect: unknown): void {
    this.#subscriber.error(defect)
  }

  complete(): void {
    this.#subscriber.complete()
  }
}
