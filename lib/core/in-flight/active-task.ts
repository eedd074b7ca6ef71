import * as E from 'fp-ts/lib/Either.js'
import type { Observer, Subscriber } from 'rxjs'
import type { Refused, SolveError } from '../model/error.js'
import type { Orphan, SolveEventBody, SolveMeta, TaskStep } from '../model/event.js'
import type { TaskRef } from '../model/task.js'
import { endedEvent } from './ended.js'
import type { EventBus } from './event-bus.js'
import { orphanOf, typeOf } from './orphan.js'
import {
  UNSENT,
  createdPhase,
  causeOfEnd,
  errorIfEnded,
  unsentCause,
  type CreatedPhase,
  type EndReason,
  type Phase,
  type ReadArrived
} from './phase.js'
import type { Batch, JournalHooks, Spending, TrackOptions } from './track-options.js'

/** Where a task counts as open until it has ended. */
export interface OpenTasks {
  closeTask(): void
}

/**
 * One subscription to a solver, and the one owner of the phase of its task. It is settled once, by an outcome, the deadline,
 * `close` or its batch; or its subscriber unsubscribes first.
 */
export class ActiveTask<R = never> implements Pick<Observer<E.Either<SolveError, R>>, 'next' | 'error'> {
  readonly #options: TrackOptions<R>
  readonly #events: EventBus
  readonly #subscriber: Subscriber<E.Either<SolveError, R>>
  readonly #id: number
  readonly #startedAt: number
  #queueMs: number | undefined
  #phase: Phase
  #isSettled = false
  #openIn: OpenTasks | undefined
  /** The subscription, and the createTask calls in flight. */
  #holders = 1

  constructor(options: TrackOptions<R>, events: EventBus, subscriber: Subscriber<E.Either<SolveError, R>>) {
    this.#options = options
    this.#events = events
    this.#subscriber = subscriber
    this.#id = events.nextId()
    this.#startedAt = events.elapsedMs()
    this.#phase = options.ref ? createdPhase(options.ref) : UNSENT
  }

  get phase(): Phase {
    return this.#phase
  }

  get giveUpAfterMs(): number {
    return this.#options.giveUpAfterMs
  }

  /** A solve, and not a single call: unsubscribing early makes an orphan. */
  get isSolve(): boolean {
    const { operation } = this.#options
    return operation === 'solve' || operation === 'resume'
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

  /** A try of createTask begins, or could not be sent because of `cause`. While it connects, the cause of the last try stays. */
  markUnsent(attempts: number, cause = unsentCause(this.#phase)): void {
    this.#queueMs ??= this.#events.elapsedMs() - this.#startedAt
    this.#phase = { _tag: 'Unsent', attempts, ...(cause && { cause }) }
  }

  markSent(readArrived: ReadArrived): void {
    this.#phase = { _tag: 'Sent', readArrived }
  }

  markDeferred(refused: Refused, attempts: number): void {
    this.#phase = { _tag: 'Deferred', refused, attempts }
  }

  /** `elapsed`: when createTask was sent, if this solver sent it. */
  markCreated(ref: TaskRef, elapsed?: number): CreatedPhase {
    const created = createdPhase(ref, elapsed)
    this.#phase = created
    this.spending?.spend()
    return created
  }

  /** It has its outcome, or its subscriber has unsubscribed. */
  get isSettled(): boolean {
    return this.#isSettled
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

  /** The subscription begins. */
  start(): void {
    if (!this.observed) return
    const { operation, task, ref } = this.#options
    const type = typeOf(task)
    this.log({ _tag: 'Started', operation, ...(type !== undefined && { type }), ...(ref && { ref }) })
  }

  emit(step: TaskStep): void {
    const { onStep } = this.#options
    if (!onStep && !this.observed) return
    const event = this.#events.emit(this.#about, step)
    onStep?.(event)
  }

  /** Whether anything reads the events of the solver. */
  get observed(): boolean {
    return this.#events.observed
  }

  /** Emits an event that is not a step, for the events of the solver only. Check {@link observed} before making it. */
  log(body: SolveEventBody): void {
    this.#events.emit(this.#about, body)
  }

  /** A createTask ended without a task id after the subscriber had unsubscribed or got a `CreateUnknown`. */
  emitLost(error: SolveError): void {
    if (this.observed) this.log({ _tag: 'Lost', error })
  }

  /** The task is paid for and the subscriber will not get an outcome. */
  emitOrphan(ref: TaskRef): void {
    this.#events.emitOrphan(this.#about, this.asOrphan(ref))
  }

  asOrphan(ref: TaskRef): Orphan {
    const { task, label } = this.#options
    return orphanOf(ref, task, label)
  }

  get #about(): Omit<SolveMeta, 'at'> {
    const { label, batch } = this.#options
    return { ...(label !== undefined && { label }), solveId: this.#id, ...(batch && { batchId: batch.id }) }
  }

  /** The reference of a paid task that would be lost, because the subscriber has no outcome. */
  get unsettledRef(): TaskRef | undefined {
    return this.#isSettled ? undefined : this.#ownRef
  }

  /** The reference of the task, unless the caller of a single call gave it. */
  get #ownRef(): TaskRef | undefined {
    const isOurs = this.isSolve || this.#options.ref === undefined
    return this.#phase._tag === 'Created' && isOurs ? this.#phase.ref : undefined
  }

  /** Settles the task, unless it is settled already. */
  next(result: E.Either<SolveError, R>): void {
    if (this.#isSettled) return
    this.#isSettled = true
    if (this.#phase._tag === 'Sent' && !isRefused(result)) this.spending?.spend()
    this.#emitEnded(result)
    // A listener has unsubscribed during the event, so the outcome cannot be emitted.
    if (this.#subscriber.closed) {
      this.#orphanIfPaid()
      return
    }
    this.#options.onSettled?.(result, { at: this.#events.now(), ...this.#about })
    this.#subscriber.next(result)
    this.#subscriber.complete()
  }

  /** The subscription has ended. If it has no outcome, a paid task becomes an orphan. */
  leave(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#emitEnded(undefined)
    this.#orphanIfPaid()
  }

  #orphanIfPaid(): void {
    const ref = this.#ownRef
    if (ref) this.emitOrphan(ref)
  }

  error(defect: unknown): void {
    this.#subscriber.error(defect)
  }

  #emitEnded(result: E.Either<SolveError, R> | undefined): void {
    if (!this.observed) return
    const { operation } = this.#options
    const times = { startedAt: this.#startedAt, queueMs: this.#queueMs, clock: this.#events }
    this.log(endedEvent({ operation, phase: this.#phase, result, ...times }))
  }
}

const isRefused = (result: E.Either<SolveError, unknown>): boolean => E.isLeft(result) && result.left._tag === 'Refused'
