import type { ErrorCause } from './network.js'
import type { Problems, TaskRef } from './task.js'

/**
 * What an error code of the service means for the caller: `account` holds for every task of this key, `request` for this
 * task unchanged, `later` says that nothing was created and asks for a wait, `task` that this task failed and another may
 * succeed; `unknown` is a code that nobody knows.
 *
 * @since 0.1.0
 */
export type ErrorKind = 'account' | 'request' | 'unavailable' | 'task' | 'unknown'

/**
 * Why one poll brought no state of the task: no answer (`cause`), or one that says too little (`status` and beside).
 *
 * @since 0.1.0
 */
export interface ReplyProblem {
  readonly cause?: ErrorCause
  readonly status?: number
  readonly errorCode?: string
  readonly problems?: Problems
}

/**
 * The fields of the task do not fit. Nothing was sent, nothing paid.
 *
 * @since 0.1.0
 */
export interface InvalidTask {
  readonly _tag: 'InvalidTask'
  readonly paid: 'no'
  readonly problems: Problems
}

/**
 * The createTask never left this machine: no name, no connection, no trust, no time, the solver was closed, or its batch was
 * stopped, by an account that cannot be used or by a journal that cannot be written. Not paid.
 *
 * @since 0.1.0
 */
export interface NotCreated {
  readonly _tag: 'NotCreated'
  readonly paid: 'no'
  readonly reason: 'dns' | 'connect' | 'tls' | 'deadline' | 'account' | 'closed' | 'journal'
  /** How many times createTask was tried. */
  readonly attempts: number
  readonly cause?: ErrorCause
}

/**
 * The service said no, so no task exists. Not paid; `unknown` if an earlier 503 without a document was taken for a no.
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
 * The createTask left, and no readable answer came back: a task may exist and be paid for, its id is not known.
 *
 * @since 0.1.0
 */
export interface CreateUnknown {
  readonly _tag: 'CreateUnknown'
  readonly paid: 'unknown'
  readonly status?: number
  readonly cause?: ErrorCause
  readonly problems?: Problems
}

/**
 * The service ended the task with an error. Paid.
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
}

/**
 * Three answers in one run fell outside the protocol. Paid; `resume` can go on.
 *
 * @since 0.1.0
 */
export interface BadReply {
  readonly _tag: 'BadReply'
  readonly paid: 'yes'
  readonly ref: TaskRef
  readonly status: number
  readonly problems: Problems
  /** The beginning of the last answer; strings over 40 characters are cut, the client key is taken out. */
  readonly excerpt: string
}

/**
 * The deadline passed. Paid; `resume` can go on.
 *
 * @since 0.1.0
 */
export interface TimedOut {
  readonly _tag: 'TimedOut'
  readonly paid: 'yes'
  readonly ref: TaskRef
  readonly afterMs: number
  /** How many polls were asked. */
  readonly polls: number
  /** Why the last polls without a state had none, at most three; empty if the task was simply not ready. */
  readonly causes: ReadonlyArray<ReplyProblem>
}

/**
 * The solver was closed while the task was open. Paid; `resume` can go on.
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
