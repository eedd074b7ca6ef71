import { timeoutCause } from './call.js'
import type { ReplyProblem, Refused, SolveError } from '../model/error.js'
import type { ErrorCause } from '../model/network.js'
import type { TaskRef } from '../model/task.js'

/** Where a task stands. */
export type Phase =
  /** Waiting for its turn, connecting, or between tries. */
  | { readonly _tag: 'Unsent'; readonly attempts: number; readonly cause?: ErrorCause }
  /** createTask has left and is not answered. */
  | { readonly _tag: 'Sent' }
  /** The last createTask was answered "later". */
  | { readonly _tag: 'Deferred'; readonly refused: Refused; readonly attempts: number }
  | CreatedPhase

/** The task exists, and its id is known. What changes does so in place: a task is asked a hundred times. */
export interface CreatedPhase {
  readonly _tag: 'Created'
  readonly ref: TaskRef
  polls: number
  causes: ReadonlyArray<ReplyProblem>
  /** Any poll was answered, or ended by its own limit. */
  gotReply: boolean
}

const NONE: ReadonlyArray<ReplyProblem> = []

export const UNSENT: Phase = { _tag: 'Unsent', attempts: 0 }

export const createdPhase = (ref: TaskRef): CreatedPhase => ({
  _tag: 'Created',
  ref,
  polls: 0,
  causes: NONE,
  gotReply: false
})

const CLOSED_CAUSE: ErrorCause = {
  name: 'Closed',
  code: 'CLOSED',
  message: 'the solver was closed before the answer came'
}

const NO_REPLY_CAUSE: ErrorCause = {
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: 'timed out: no poll was answered by then'
}

/** Why a task may have to end: its time, its solver, or its batch. */
export type EndReason = 'deadline' | 'closed' | StopReason

/** What stops a batch: nothing more is created, what is open is asked for to its end. */
export type StopReason = 'account' | 'journal'

const errorIfDeferred = (
  { refused, attempts }: Extract<Phase, { readonly _tag: 'Deferred' }>,
  why: EndReason
): SolveError =>
  why === 'deadline' || why === 'closed' || refused.paid === 'unknown'
    ? refused
    : { _tag: 'NotCreated', paid: 'no', reason: why, attempts }

/** One value, read by the deadline, by `close` and by a batch that stops: what the task would be if it ended now. */
export const errorIfEnded = (stand: Phase, why: EndReason, afterMs: number): SolveError => {
  switch (stand._tag) {
    case 'Unsent': {
      const { attempts, cause } = stand
      return { _tag: 'NotCreated', paid: 'no', reason: why, attempts, ...(cause && { cause }) }
    }
    case 'Sent':
      return { _tag: 'CreateUnknown', paid: 'unknown', cause: why === 'closed' ? CLOSED_CAUSE : timeoutCause(afterMs) }
    case 'Deferred':
      return errorIfDeferred(stand, why)
    case 'Created': {
      const { ref, polls: asked, gotReply: heard } = stand
      // The only poll is still open: to name no cause would say that the service was processing it.
      const causes = asked > 0 && !heard ? [{ cause: NO_REPLY_CAUSE }] : stand.causes
      return why === 'closed'
        ? { _tag: 'Interrupted', paid: 'yes', ref }
        : { _tag: 'TimedOut', paid: 'yes', ref, afterMs, polls: asked, causes }
    }
  }
}
