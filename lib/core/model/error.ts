import type { ErrorCause } from './network.js'
import type { Problems } from '../validation/problems.js'
import type { TaskRef } from './task.js'

/**
 * What an error of the service means to the caller: `account` applies to every task of this key; `request` means that this
 * task is wrong and stays wrong; `unavailable` means that nothing was created and the client has to wait; `task` means that
 * this task failed and a new one may succeed; `unknown` is a code without a known meaning.
 *
 * @since 0.1.0
 */
export type ErrorKind = 'account' | 'request' | 'unavailable' | 'task' | 'unknown'

/**
 * What an error code means: an {@link ErrorKind}, `notFound` (the service knows no such task) or `pending` (not ready, poll
 * again).
 *
 * @since 0.1.0
 */
export type CodeMeaning = ErrorKind | 'notFound' | 'pending'

/**
 * Why one poll did not give the state of the task: it got no reply (`cause`), or a reply without a valid state (`status`,
 * `errorCode`, `problems`), or a state that this library does not know (`taskStatus`, such as `queued`).
 *
 * @since 0.1.0
 */
export interface ReplyProblem {
  readonly cause?: ErrorCause
  readonly status?: number
  readonly errorCode?: string
  readonly problems?: Problems
  readonly taskStatus?: string
}

/**
 * The fields of the task are invalid, or the argument is not a task or not a reference. Nothing was sent, nothing was paid.
 *
 * @since 0.1.0
 */
export interface InvalidTask {
  readonly _tag: 'InvalidTask'
  readonly paid: 'no'
  readonly problems: Problems
}

/**
 * No task was created, so nothing was paid: createTask was never sent, or each one that was sent was refused temporarily. `reason`:
 * the name was not resolved (`dns`), no connection was made (`connect`), the certificate was not accepted (`tls`), the deadline
 * passed (`deadline`), the solver was closed (`closed`), or the batch was stopped because the service refused the account
 * (`account`), several createTask calls in a row got no usable reply (`unreadable`), or the journal failed (`journal`).
 *
 * @since 0.1.0
 */
export interface NotCreated {
  readonly _tag: 'NotCreated'
  readonly paid: 'no'
  readonly reason: 'dns' | 'connect' | 'tls' | 'deadline' | 'account' | 'unreadable' | 'journal' | 'closed'
  /** How many times createTask was tried. */
  readonly attempts: number
  readonly cause?: ErrorCause
}

/**
 * The service refused the last createTask. `paid` is `no`, or `unknown` if an earlier try ended with an HTTP 503 without a
 * document, which counts as a refusal but may not have been one.
 *
 * @since 0.1.0
 */
export interface Refused {
  readonly _tag: 'Refused'
  readonly paid: 'no' | 'unknown'
  /** The HTTP status. */
  readonly status: number
  readonly errorId?: number
  readonly errorCode?: string
  readonly errorDescription?: string
  readonly kind: ErrorKind
}

/**
 * createTask was sent, and no task id could be read from what arrived. A task may exist and be paid for.
 *
 * @since 0.1.0
 */
export interface CreateUnknown {
  readonly _tag: 'CreateUnknown'
  readonly paid: 'unknown'
  readonly status?: number
  readonly cause?: ErrorCause
  readonly problems?: Problems
  /** The beginning of what arrived, as in {@link BadReply}: a person may find the id in it. */
  readonly excerpt?: string
}

/**
 * The service ended the task with an error. The task is paid for.
 *
 * `notFound`: the service does not know the task, by an error code that means `notFound`. If `createTask` returned its id, the
 * task was paid for and is lost. A reference from elsewhere may be wrong, and then nothing shows that a task was paid for.
 *
 * @since 0.1.0
 */
export interface TaskFailed {
  readonly _tag: 'TaskFailed'
  readonly paid: 'yes'
  readonly ref: TaskRef
  readonly errorId: number
  readonly errorCode: string
  readonly errorDescription: string
  readonly kind: ErrorKind
  readonly notFound?: true
}

/**
 * Three replies in a row violated the protocol. The task is paid for; `resume` continues it.
 *
 * @since 0.1.0
 */
export interface BadReply {
  readonly _tag: 'BadReply'
  readonly paid: 'yes'
  readonly ref: TaskRef
  readonly status: number
  readonly problems: Problems
  /** The beginning of the last reply. Strings over 40 characters are cut, and the client key is redacted. */
  readonly excerpt: string
}

/**
 * The deadline passed before the task was ready. The task is paid for; `resume` continues it.
 *
 * @since 0.1.0
 */
export interface TimedOut {
  readonly _tag: 'TimedOut'
  readonly paid: 'yes'
  readonly ref: TaskRef
  readonly afterMs: number
  /** How many times the task was polled. */
  readonly polls: number
  /** Why the last polls did not give a state, at most three; empty if the task was still processing at each poll. */
  readonly causes: ReadonlyArray<ReplyProblem>
}

/**
 * The solver was closed before the task was ready. The task is paid for; `resume` continues it.
 *
 * @since 0.1.0
 */
export interface Interrupted {
  readonly _tag: 'Interrupted'
  readonly paid: 'yes'
  readonly ref: TaskRef
}

/**
 * Every way in which a solve can fail. The set is closed: a `switch` over `_tag` needs no `default`.
 *
 * @see docs/errors.md for what to do about each
 * @since 0.1.0
 */
export type SolveError =
  InvalidTask | NotCreated | Refused | CreateUnknown | TaskFailed | BadReply | TimedOut | Interrupted
