import type { ErrorKind, NotCreated, SolveError } from './error.js'
import type { ErrorCause } from './network.js'
import type { SolveResult } from './result.js'
import type { Resumable, TaskRef } from './task.js'

/**
 * When an event happened, in epoch milliseconds of the scheduler, and the label of `withOptions`.
 *
 * @since 0.1.0
 */
export interface EventMeta {
  readonly at: number
  readonly label?: string
}

/**
 * The time and the label of an event of one solve, and the number of that solve. `solveId` is unique in the process, and all
 * events of a subscription to `solve`, `resume`, `createTask` or `getTaskResult` have the same one. `batchId` is set if the
 * solve belongs to a batch.
 *
 * @since 0.1.0
 */
export interface SolveMeta extends EventMeta {
  readonly solveId: number
  readonly batchId?: number
}

/**
 * The time and the label of an event of a batch, and the number of that batch. It is unique in the process.
 *
 * @since 0.1.0
 */
export interface BatchMeta extends EventMeta {
  readonly batchId: number
}

/**
 * A paid task whose subscriber unsubscribed before an outcome. `resume(orphan.task, orphan.ref)` continues it. `type` is the
 * service's name for the kind of the task. `console.log` and JSON show an orphan without `task`, which holds a decoder.
 *
 * @since 0.1.0
 */
export interface Orphan {
  readonly ref: TaskRef
  readonly task: Resumable<unknown>
  readonly type?: string
  readonly label?: string
}

/**
 * A step of one task on its way to an outcome.
 *
 * `Created`: the task exists and is paid for. `Polled`: getTaskResult is about to be sent, for the `polls`-th time.
 * `Delayed`: a longer wait than usual, because of `createsPerSecond` (`rate`), a service that asked for a wait
 * (`unavailable`), a network failure (`network`) or a reply that violated the protocol (`reply`). `AssumedNotCreated`: an
 * HTTP 503 without a document counts as "nothing was created", and createTask is sent again.
 *
 * @since 0.1.0
 */
export type TaskStep =
  | { readonly _tag: 'Created'; readonly ref: TaskRef }
  | { readonly _tag: 'Polled'; readonly ref: TaskRef; readonly polls: number }
  | {
      readonly _tag: 'Delayed'
      readonly reason: 'rate' | 'unavailable' | 'network' | 'reply'
      readonly waitMs: number
      readonly ref?: TaskRef
    }
  | { readonly _tag: 'AssumedNotCreated'; readonly status: number }

/**
 * What `solveWithProgress` and `resumeWithProgress` emit: each {@link TaskStep}, and finally `Settled` with the outcome.
 *
 * @since 0.1.0
 */
export type TaskEvent<A> = SolveMeta & (TaskStep | { readonly _tag: 'Settled'; readonly result: SolveResult<A> })

/**
 * The first event of every subscription: which member of the solver was subscribed to, for which kind of task, and for which
 * task if it exists already.
 *
 * @since 0.1.0
 */
export interface Started {
  readonly _tag: 'Started'
  readonly operation: 'solve' | 'resume' | 'createTask' | 'getTaskResult'
  readonly type?: string
  readonly ref?: TaskRef
}

/**
 * A byte of createTask may have reached the service: from now on a task may be paid for. `attempts` counts the tries.
 *
 * @since 0.1.0
 */
export interface CreateSent {
  readonly _tag: 'CreateSent'
  readonly attempts: number
}

/**
 * A createTask call has ended, `tookMs` after it began. `result`: the service created a task (`Created`) or refused it
 * (`Refused`); no task id could be read from its reply (`CreateUnknown`); or nothing was sent (`NotSent`). The call may end
 * after the `Ended` of its solve, because createTask is not aborted once it is sent.
 *
 * @since 0.1.0
 */
export interface CreateEnded {
  readonly _tag: 'CreateEnded'
  readonly result: 'Created' | 'Refused' | 'CreateUnknown' | 'NotSent'
  readonly attempts: number
  readonly tookMs: number
  readonly ref?: TaskRef
  /** The HTTP status, if there was a reply without a task id. */
  readonly status?: number
  readonly errorCode?: string
  readonly kind?: ErrorKind
  readonly cause?: ErrorCause
}

/**
 * A getTaskResult call has ended, `tookMs` after it began. `result`: the task is not finished (`Processing`), is solved
 * (`Ready`) or has ended with an error (`TaskFailed`); or its state could not be read (`Unanswered`). A call that is aborted,
 * because its solve ends first, has no such event.
 *
 * @since 0.1.0
 */
export interface PollEnded {
  readonly _tag: 'PollEnded'
  readonly result: 'Processing' | 'Ready' | 'TaskFailed' | 'Unanswered'
  readonly ref: TaskRef
  readonly polls: number
  readonly tookMs: number
  /** The HTTP status of a reply with an error, or without a state. */
  readonly status?: number
  readonly errorCode?: string
  readonly kind?: ErrorKind
  /** A status of the task that this library does not know, such as `queued`. */
  readonly taskStatus?: string
  readonly cause?: ErrorCause
}

/**
 * The end of every subscription. `tag` is `Solved`, the tag of the error, or `Unsubscribed` if it was unsubscribed before an
 * outcome. The success of `createTask` is `Created`, that of `getTaskResult` is `Polled`.
 *
 * `paid` is what was known at this moment. After `unknown` a later `Created` with the same `solveId` says that the task is
 * paid for, and a `Lost` says that no id arrived. Durations are milliseconds of elapsed time.
 *
 * @since 0.1.0
 */
export interface Ended {
  readonly _tag: 'Ended'
  readonly tag: 'Solved' | 'Created' | 'Polled' | 'Unsubscribed' | SolveError['_tag']
  readonly paid: 'no' | 'yes' | 'unknown'
  readonly ref?: TaskRef
  /** How many times the task was polled in this subscription. */
  readonly polls: number
  /** From the subscription to the outcome. */
  readonly totalMs: number
  /** From the subscription until createTask was about to be sent for the first time: the wait for a permit and a journal. */
  readonly queueMs?: number
  /** From the moment at which createTask was sent to the outcome, if this subscription created the task. */
  readonly taskMs?: number
  /**
   * For a solved task: how long, at most, the solution had been ready before it arrived. It is the time since the last poll
   * with the reply "processing" was sent, else since createTask was sent. The token is not older than this.
   */
  readonly lateMs?: number
  readonly errorCode?: string
  readonly kind?: ErrorKind
  /** Why the task was not created. */
  readonly reason?: NotCreated['reason']
}

/**
 * A {@link SolverEvent} of one solve, without its time, its label and its number.
 *
 * @since 0.1.0
 */
export type SolveEventBody =
  | Started
  | CreateSent
  | CreateEnded
  | TaskStep
  | PollEnded
  | Ended
  | { readonly _tag: 'Orphaned'; readonly orphan: Orphan }
  | { readonly _tag: 'Lost'; readonly error: SolveError }

/**
 * A {@link SolverEvent} of a batch, without its time, its label and its number.
 *
 * `Skipped`: an item was skipped, because its key is finished in the journal or is being solved already. `BatchStopped`: no
 * item is pulled any more, because `until` emitted (`until`), `maxCreates` is reached (`maxCreates`) or the solver was closed
 * (`closed`); or, in addition, no more tasks are created, because the service refused the account (`account`), several
 * createTask calls in a row got no usable reply (`unreadable`) or the journal failed (`journal`). Tasks that exist are polled to
 * completion. `BatchEnded`: all items were pulled or the batch was stopped, and no task is active (`completed`), an error ended it
 * (`failed`), or it was unsubscribed (`unsubscribed`).
 *
 * @since 0.1.0
 */
export type BatchEventBody =
  | { readonly _tag: 'BatchStarted'; readonly concurrency: number }
  | { readonly _tag: 'Skipped'; readonly key: string }
  | {
      readonly _tag: 'BatchStopped'
      readonly reason: 'account' | 'unreadable' | 'journal' | 'until' | 'closed' | 'maxCreates'
    }
  | {
      readonly _tag: 'BatchEnded'
      readonly end: 'completed' | 'failed' | 'unsubscribed'
      readonly pulled: number
      readonly solved: number
      readonly failed: number
      readonly skipped: number
      readonly totalMs: number
    }

/**
 * A {@link SolverEvent} without its time, its label and its number.
 *
 * @since 0.1.0
 */
export type SolverEventBody = SolveEventBody | BatchEventBody

/**
 * Everything that happens in a solver, for logs and metrics. Holds no client key and no solution.
 *
 * `Orphaned`: a task was emitted on `orphans`; its `solveId` is a new one if `deliver` could not save the outcome. `Lost`: a
 * createTask ended without a task id after its subscriber had unsubscribed or got a `CreateUnknown`; `error` is how it ended.
 *
 * @see docs/observability.md for each event, its fields, and the diagnostics channel that publishes it
 * @since 0.1.0
 */
export type SolverEvent = (SolveMeta & SolveEventBody) | (BatchMeta & BatchEventBody)

/** What the events of a solver go to, apart from the subscribers of `events`. */
export interface EventSink {
  /** Whether anything reads the events. It is asked before an event is made. */
  readonly observed: boolean
  readonly publish: (event: SolverEvent) => void
}

/** What events need from outside. By default solves are numbered from 1, and there is no sink. */
export interface EventPorts {
  readonly nextId?: (() => number) | undefined
  readonly sink?: EventSink | undefined
}
