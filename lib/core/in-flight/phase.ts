import type * as E from 'fp-ts/lib/Either.js'
import type { Refused, ReplyProblem, SolveError } from '../model/error.js'
import { CLOSED, type ErrorCause } from '../model/network.js'
import type { Solved, TaskRef } from '../model/task.js'
import type { TaskId } from '../protocol/document.js'

/** How far a task has come. */
export type Phase =
  /** Waiting for a permit, connecting, or between tries of which the last one was not sent. */
  | { readonly _tag: 'Unsent'; readonly attempts: number; readonly cause?: ErrorCause }
  /** createTask was sent and its reply has not ended. */
  | { readonly _tag: 'Sent'; readonly readArrived: ReadArrived }
  /** The service refused the last createTask for now; it will be sent again. */
  | { readonly _tag: 'Deferred'; readonly refused: Refused; readonly attempts: number }
  | CreatedPhase

/**
 * Interprets what has arrived so far of the createTask reply, for a task that has to end because of `cause`. Returns the outcome
 * of the task, or nothing if only its phase has changed or nothing has arrived.
 */
export type ReadArrived = (cause: ErrorCause) => E.Either<SolveError, Solved<unknown>> | undefined

/** The task exists and its id is known. Its fields change in place, because a task is polled a hundred times. */
export interface CreatedPhase {
  readonly _tag: 'Created'
  readonly ref: TaskRef
  /** When createTask was sent, in elapsed milliseconds, if this solver sent it. */
  readonly sentElapsed: number | undefined
  polls: number
  /** When the last poll with the reply "processing" was sent, in elapsed milliseconds. */
  unfinishedElapsed: number | undefined
  /** Why the last polls brought no state. */
  causes: ReadonlyArray<ReplyProblem>
  /** A poll has ended, with a reply or by its own limit. */
  gotReply: boolean
}

export const UNSENT: Phase = { _tag: 'Unsent', attempts: 0 }

/** The reference of a task whose createTask was sent at `createdAt`. */
// Spread last: a property added after a spread gives every reference its own hidden class.
export const refOf = ({ taskId, numeric }: TaskId, createdAt: number): TaskRef => ({
  taskId,
  createdAt,
  ...(numeric && { numeric })
})

export const createdPhase = (ref: TaskRef, sentElapsed?: number): CreatedPhase => ({
  _tag: 'Created',
  ref,
  sentElapsed,
  polls: 0,
  unfinishedElapsed: undefined,
  causes: NO_CAUSES,
  gotReply: false
})

const NO_CAUSES: ReadonlyArray<ReplyProblem> = []

/** Nothing of the task has reached the service, or the service said that nothing was created. */
export const isUncreated = ({ _tag }: Phase): boolean => _tag === 'Unsent' || _tag === 'Deferred'

/** Why the last try of createTask could not be sent. */
export const unsentCause = (phase: Phase): ErrorCause | undefined => (phase._tag === 'Unsent' ? phase.cause : undefined)

/** Whether certainly no task was created: as {@link isUncreated}, but `false` after an assumed refusal. */
export const isCertainlyUncreated = (phase: Phase): boolean =>
  phase._tag === 'Unsent' || (phase._tag === 'Deferred' && phase.refused.paid === 'no')

/** Why a task may have to end: its deadline, its solver, or its batch. */
export type EndReason = 'deadline' | 'closed' | StopReason

/** Why a batch stops: no task of it is created any more, and those that exist are polled to completion. */
export type StopReason = 'account' | 'unreadable' | 'journal'

/** The error of a task that ends in this phase. The deadline, `close` and a batch that stops all read it. */
export const errorIfEnded = (phase: Phase, reason: EndReason, afterMs: number): SolveError => {
  switch (phase._tag) {
    case 'Unsent': {
      const { attempts, cause } = phase
      return { _tag: 'NotCreated', paid: 'no', reason, attempts, ...(cause && { cause }) }
    }
    case 'Sent':
      return { _tag: 'CreateUnknown', paid: 'unknown', cause: causeOfEnd(reason, afterMs) }
    case 'Deferred': {
      const { refused, attempts } = phase
      const isByBatch = reason !== 'deadline' && reason !== 'closed'
      return isByBatch && refused.paid === 'no' ? { _tag: 'NotCreated', paid: 'no', reason, attempts } : refused
    }
    case 'Created': {
      const { ref, polls, gotReply } = phase
      if (reason === 'closed') return { _tag: 'Interrupted', paid: 'yes', ref }
      // Without a cause the error would say that the service was processing the task.
      const causes = polls > 0 && !gotReply ? [{ cause: NO_POLL_ENDED }] : phase.causes
      return { _tag: 'TimedOut', paid: 'yes', ref, afterMs, polls, causes }
    }
  }
}

/** Why the reply to createTask is read no further. */
export const causeOfEnd = (reason: EndReason, afterMs: number): ErrorCause =>
  reason === 'closed' ? CLOSED : timeoutCause(afterMs)

/** The cause of an error after a limit of the library. */
export const timeoutCause = (afterMs: number): ErrorCause => ({
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: `timed out: no reply within ${String(afterMs)} ms`
})

const NO_POLL_ENDED: ErrorCause = {
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: 'timed out: no poll got a reply'
}
