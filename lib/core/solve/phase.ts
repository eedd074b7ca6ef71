import { timedOut } from './call.js'
import type { Doubt, Refused, SolveError } from '../model/error.js'
import type { Cause } from '../model/network.js'
import type { TaskRef } from '../model/task.js'

/** Where a task stands. */
export type Stand =
  /** Waiting for its turn, connecting, or between tries. */
  | { readonly _tag: 'Unsent'; readonly attempts: number; readonly cause?: Cause }
  /** createTask has left and is not answered. */
  | { readonly _tag: 'Left' }
  /** The last createTask was answered "later". */
  | { readonly _tag: 'Later'; readonly refused: Refused; readonly attempts: number }
  | Known

/** The task exists, and its id is known. What changes does so in place: a task is asked a hundred times. */
export interface Known {
  readonly _tag: 'Known'
  readonly ref: TaskRef
  asked: number
  causes: ReadonlyArray<Doubt>
  /** Any question was answered, or ended by its own limit. */
  heard: boolean
}

const NONE: ReadonlyArray<Doubt> = []

export const UNSENT: Stand = { _tag: 'Unsent', attempts: 0 }

export const known = (ref: TaskRef): Known => ({ _tag: 'Known', ref, asked: 0, causes: NONE, heard: false })

const CLOSED: Cause = { name: 'Closed', code: 'CLOSED', message: 'the solver was closed before the answer came' }

const UNHEARD: Cause = {
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: 'timed out: no question was answered by then'
}

/** Why a task may have to end: its time, its solver, or its batch. */
export type Why = 'deadline' | 'closed' | Halt

/** What stops a batch: nothing more is created, what is open is asked for to its end. */
export type Halt = 'account' | 'journal'

const afterLater = ({ refused, attempts }: Extract<Stand, { readonly _tag: 'Later' }>, why: Why): SolveError =>
  why === 'deadline' || why === 'closed' || refused.paid === 'unknown'
    ? refused
    : { _tag: 'NotCreated', paid: 'no', reason: why, attempts }

/** One value, read by the deadline, by `close` and by a batch that stops: what the task would be if it ended now. */
export const endedNow = (stand: Stand, why: Why, afterMs: number): SolveError => {
  switch (stand._tag) {
    case 'Unsent': {
      const { attempts, cause } = stand
      return { _tag: 'NotCreated', paid: 'no', reason: why, attempts, ...(cause && { cause }) }
    }
    case 'Left':
      return { _tag: 'CreateUnknown', paid: 'unknown', cause: why === 'closed' ? CLOSED : timedOut(afterMs) }
    case 'Later':
      return afterLater(stand, why)
    case 'Known': {
      const { ref, asked, heard } = stand
      // The only question is still open: to name no cause would say that the service was processing it.
      const causes = asked > 0 && !heard ? [{ cause: UNHEARD }] : stand.causes
      return why === 'closed'
        ? { _tag: 'Interrupted', paid: 'yes', ref }
        : { _tag: 'TimedOut', paid: 'yes', ref, afterMs, asked, causes }
    }
  }
}
