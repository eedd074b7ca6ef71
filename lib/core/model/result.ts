import { isRight, type Either } from 'fp-ts/lib/Either.js'
import type { ReplyProblem, SolveError } from './error.js'
import type { Solved, TaskRef } from './task.js'

/**
 * How a solve ends: `Right(Solved)`, or `Left` with one of the eight errors.
 *
 * @since 0.1.0
 */
export type SolveResult<A> = Either<SolveError, Solved<A>>

/**
 * The state of a task after one poll. `Unanswered` means that this poll did not give the state, and why; the task itself has not
 * ended.
 *
 * @since 0.1.0
 */
export type TaskState<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'Ready'; readonly solution: A }
  | ({ readonly _tag: 'Unanswered' } & ReplyProblem)

/** An error of a solve, or of something that holds one. */
type ErrorWithRef = SolveError | { readonly ref?: TaskRef }

/** The reference of the paid task of an error, if there is one. */
export const refOfError = (error: ErrorWithRef): TaskRef | undefined => ('ref' in error ? error.ref : undefined)

/** The reference of the paid task of a result, if there is one. */
export const refOfResult = (result: Either<ErrorWithRef, Solved<unknown>>): TaskRef | undefined =>
  isRight(result) ? result.right.ref : refOfError(result.left)
