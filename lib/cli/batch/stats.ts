import { createHistogram } from 'node:perf_hooks'
import * as E from 'fp-ts/lib/Either.js'
import type { CreateUnknown, NotCreated, Refused, SolveError } from '../../core/model/error.js'
import type { SolverEvent } from '../../core/model/event.js'
import { entryAfter, journalTagOf } from '../../core/model/journal.js'
import { refOfResult } from '../../core/model/result.js'
import type { Solved, TaskRef } from '../../core/model/task.js'
import { EXIT, exitCodeOf } from '../shared/exit-code.js'
import type { ItemError } from '../shared/item-error.js'

/** The failures with one tag and code. */
export interface Failures {
  count: number
  /** Their first lines in the input. */
  readonly lines: number[]
  readonly first: ItemError
}

const MAX_LINES = 5

/** The counts of a batch, in memory that does not grow with it. */
export class BatchStats {
  /** Whether every item of the input was pulled. */
  isExhausted = false
  pulled = 0
  solved = 0
  /** Items that ended without a token, {@link resumable} ones included. */
  failed = 0
  /** Tasks that were created in this run. */
  created = 0
  /** createTask calls of this run that may have been accepted, although their replies had no task id. */
  perhapsCreated = 0
  /** createTask calls of this run that count as refused because of an HTTP 503 without a document. */
  assumed = 0
  /** Outcomes of which it is unknown whether they were paid for. */
  inDoubt = 0
  /** Those of them whose last createTask was refused after one that counts as refused. */
  #refusedInDoubt = 0
  /** Items that were finished before this run. */
  skipped = 0
  /** Those of them whose task had failed. */
  failedBefore = 0
  /** Items whose id occurred before in the same input. */
  repeated = 0
  /** Failed tasks that are paid for and can be resumed. */
  resumable = 0
  /** Tasks that were not created, and that the next run tries again. */
  uncreated = 0
  /** Tasks that failed or are in doubt, which `--retry-failed` pays for again. */
  toPayAgain = 0
  worstExit: number = EXIT.solved
  readonly failures = new Map<string, Failures>()
  /** From the reply to createTask to the token, in milliseconds. */
  readonly times = createHistogram()
  #pausedUntil = 0
  readonly #createdAt = new Map<string, number>()
  /** Paid tasks that are in no line of the output, or not yet. */
  readonly unreported = new Set<TaskRef>()
  /** Those of them that can be resumed, and whose lines say that they are in doubt. */
  lateIds = 0
  writeFailures = 0
  /** The error that stopped the batch: the account is refused, or replies to createTask cannot be read. */
  stoppedBy: SolveError | undefined
  /** The last createTask that got no reply of the service; after several in a row the batch is stopped. */
  lastTrouble: CreateUnknown | Refused | undefined

  get active(): number {
    return this.pulled - this.solved - this.failed - this.skipped
  }

  /** Items that need no more work, from this run or before. */
  get done(): number {
    return this.solved + this.failed + this.skipped + this.repeated
  }

  /** createTask calls that may be paid for, without a task that is known. The workers of a queue do not report `assumed`. */
  get perhapsPaid(): number {
    return this.inDoubt + Math.max(0, this.assumed - this.#refusedInDoubt)
  }

  /** For how many milliseconds the service has asked not to be sent a createTask. */
  get pausedMs(): number {
    return Math.max(0, this.#pausedUntil - performance.now())
  }

  onEvent(event: SolverEvent): void {
    if (event._tag === 'Delayed' && event.reason === 'unavailable' && !event.ref)
      this.#pausedUntil = performance.now() + event.waitMs
    if (event._tag === 'Skipped') this.skipped += 1
    if (event._tag === 'AssumedNotCreated') this.assumed += 1
    if (event._tag !== 'Created') return
    this.created += 1
    this.#pausedUntil = 0
    this.#createdAt.set(event.ref.taskId, performance.now())
  }

  /** The journal says that the task of an item failed in an earlier run; the item is skipped. */
  onFailedBefore(): void {
    this.failedBefore += 1
    this.toPayAgain += 1
    this.worstExit = Math.max(this.worstExit, EXIT.paid)
  }

  /** An outcome, whose line is written next. */
  onOutcome(result: E.Either<ItemError, Solved<unknown>>, line: number): void {
    const paid = refOfResult(result)
    if (paid) this.unreported.add(paid)
    if (E.isLeft(result)) {
      this.#onFailure(result.left, line)
      return
    }
    this.solved += 1
    const { taskId } = result.right.ref
    const createdAt = this.#createdAt.get(taskId)
    // A task of an earlier run waited for this one; its time would say nothing about the service.
    if (createdAt !== undefined) this.times.record(Math.max(1, Math.round(performance.now() - createdAt)))
    this.#createdAt.delete(taskId)
  }

  /** The line of an outcome was written. */
  onWritten(result: E.Either<ItemError, Solved<unknown>>): void {
    const paid = refOfResult(result)
    if (paid) this.unreported.delete(paid)
  }

  onWriteFailure(): void {
    this.writeFailures += 1
  }

  /** The id of a task arrived after its item had ended in doubt, with an outcome that is not counted. */
  onLateId(ref: TaskRef, line: number): void {
    this.lateIds += 1
    this.onOutcome(E.left({ _tag: 'Interrupted', paid: 'yes', ref }), line)
  }

  /** Counts what the next run does with the task. */
  #countNext(error: ItemError): void {
    const entry = entryAfter(journalTagOf(error))
    if (entry === 'Known') this.resumable += 1
    else if (error._tag === 'TaskFailed' || entry === 'InDoubt') this.toPayAgain += 1
    // A record that is no task stays one.
    else if (error._tag !== 'InvalidTask') this.uncreated += 1
  }

  #onFailure(error: ItemError, line: number): void {
    this.failed += 1
    if ('ref' in error) this.#createdAt.delete(error.ref.taskId)
    this.worstExit = Math.max(this.worstExit, error._tag === 'InvalidTask' ? EXIT.unpaid : exitCodeOf(error))
    if (error.paid === 'unknown') {
      this.inDoubt += 1
      if (error._tag === 'Refused') this.#refusedInDoubt += 1
    }
    this.#countNext(error)
    if (isStop(error)) this.stoppedBy ??= error
    if (isTrouble(error)) this.lastTrouble = error
    if (isTrouble(error) && error._tag === 'CreateUnknown') this.perhapsCreated += 1
    const detail = 'errorCode' in error ? error.errorCode : error._tag === 'NotCreated' ? error.reason : ''
    const name = [error._tag, detail].filter(Boolean).join(' ')
    const failures = this.failures.get(name) ?? { count: 0, lines: [], first: error }
    failures.count += 1
    if (failures.lines.length < MAX_LINES) failures.lines.push(line)
    this.failures.set(name, failures)
  }
}

const isStop = (error: ItemError): error is NotCreated | Refused =>
  error._tag === 'Refused' ? error.kind === 'account' : error._tag === 'NotCreated' && error.reason === 'unreadable'

/** A document of the service has an `errorId`. A task in doubt from an earlier run got no reply now, so it has no status. */
const isTrouble = (error: ItemError): error is CreateUnknown | Refused =>
  error._tag === 'CreateUnknown'
    ? error.status !== undefined || error.cause !== undefined
    : error._tag === 'Refused' && error.errorId === undefined
