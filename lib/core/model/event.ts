import type * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from './error.js'
import type { Resumable, Solved, TaskRef } from './task.js'

/** When it happened, in epoch milliseconds of the scheduler, and the label of `withOptions`. */
export interface EventMeta {
  readonly at: number
  readonly label?: string
}

/**
 * A task whose caller left before an outcome. `resume(orphan.task, orphan.ref)` goes on with it.
 *
 * @since 0.1.0
 */
export interface Orphan {
  readonly ref: TaskRef
  readonly task: Resumable<unknown>
  readonly label?: string
}

/** What happens on the way of one task. `Delayed` tells of a wait beyond the usual pace, and why. */
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
 * What `solveWithProgress` emits; the last one is `Settled`.
 *
 * `Created`: the task exists and is paid for. `Asked`: a poll leaves. `Delayed`: a wait beyond the pace: the rate
 * limit, a service that asked to come later, a network failure, a reply outside the protocol. `Assumed`: a 503 without a
 * document was taken for "nothing was created", and createTask is repeated.
 *
 * @since 0.1.0
 */
export type TaskEvent<A> = EventMeta &
  (TaskStep | { readonly _tag: 'Settled'; readonly result: E.Either<SolveError, Solved<A>> })

/** What happens to a solver's tasks, without its stamp. */
export type SolverEventBody =
  | TaskStep
  | { readonly _tag: 'Ended'; readonly tag: 'Solved' | SolveError['_tag']; readonly ref?: TaskRef }
  | { readonly _tag: 'Orphaned'; readonly orphan: Orphan }
  | { readonly _tag: 'Lost'; readonly error: SolveError }
  | { readonly _tag: 'Skipped'; readonly key: string }

/**
 * Everything that happens in a solver, for logs and metrics; no client key, no solution.
 *
 * `Ended` tells the tag of the outcome, `Solved` or that of the error. `Orphaned`: a task was put on `orphans`. `Lost`: a
 * createTask whose caller had left, or had been told `CreateUnknown`, ended without a task id, as `error` says. `Skipped`: the
 * journal of a batch says that the item of this key is finished, or it is under way already.
 *
 * @since 0.1.0
 */
export type SolverEvent = EventMeta & SolverEventBody
