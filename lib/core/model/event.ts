import type { SolveError } from './error.js'
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
 * A paid task whose subscriber unsubscribed before an outcome. `resume(orphan.task, orphan.ref)` continues it.
 *
 * @since 0.1.0
 */
export interface Orphan {
  readonly ref: TaskRef
  readonly task: Resumable<unknown>
  readonly label?: string
}

/**
 * A step of one task on its way to an outcome.
 *
 * `Created`: the task exists and is paid for. `Polled`: getTaskResult is about to be sent, for the `polls`-th time.
 * `Delayed`: a wait beyond the usual pace, because of `createsPerSecond` (`rate`), a service that asked for a wait
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
export type TaskEvent<A> = EventMeta & (TaskStep | { readonly _tag: 'Settled'; readonly result: SolveResult<A> })

/**
 * A {@link SolverEvent} without its time and label.
 *
 * @since 0.1.0
 */
export type SolverEventBody =
  | TaskStep
  | { readonly _tag: 'Ended'; readonly tag: 'Solved' | SolveError['_tag']; readonly ref?: TaskRef }
  | { readonly _tag: 'Orphaned'; readonly orphan: Orphan }
  | { readonly _tag: 'Lost'; readonly error: SolveError }
  | { readonly _tag: 'Skipped'; readonly key: string }

/**
 * Everything that happens in a solver, for logs and metrics. Holds no client key and no solution.
 *
 * `Ended`: a task has an outcome; `tag` is `Solved` or the tag of the error. `Orphaned`: a task was emitted on `orphans`.
 * `Lost`: a createTask ended without a task id after its subscriber had unsubscribed or got a `CreateUnknown`; `error` is how
 * it ended. `Skipped`: a batch skipped an item, because its key is finished in the journal or is being solved already.
 *
 * @since 0.1.0
 */
export type SolverEvent = EventMeta & SolverEventBody
