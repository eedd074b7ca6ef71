import * as E from 'fp-ts/lib/Either.js'
import { from, type ObservableInput } from 'rxjs'
import type { BatchOptions, Outcome } from '../core/model/batch.js'
import type { CallFailed, CallSpec } from '../core/model/call.js'
import type { OptionCodecs } from '../core/validation/check-options.js'
import type { SolveError } from '../core/model/error.js'
import type { Orphan, SolverEvent, TaskEvent } from '../core/model/event.js'
import { isFunction, type ScopeOptions } from '../core/model/options.js'
import { optional, refined } from '../core/validation/problems.js'
import type { SolveResult, TaskState } from '../core/model/result.js'
import type { Resumable, TaskRef, TaskSpec } from '../core/model/task.js'
import type { Solver } from '../core/solver.js'
/**
 * What the members of a `stubSolver` do. They are those of {@link Solver}, for tasks of any kind, and may return an array or a
 * promise in place of an Observable.
 *
 * @since 0.1.0
 */
export interface StubMembers {
  /** In place of `solve`. */
  readonly solve?: ((task: TaskSpec<unknown>) => ObservableInput<SolveResult<unknown>>) | undefined
  /** In place of `solveWithProgress`. */
  readonly solveWithProgress?: ((task: TaskSpec<unknown>) => ObservableInput<TaskEvent<unknown>>) | undefined
  /** In place of `resume`. */
  readonly resume?: ((task: Resumable<unknown>, ref: TaskRef) => ObservableInput<SolveResult<unknown>>) | undefined
  /** In place of `resumeWithProgress`. */
  readonly resumeWithProgress?:
    ((task: Resumable<unknown>, ref: TaskRef) => ObservableInput<TaskEvent<unknown>>) | undefined
  /** In place of `createTask`. */
  readonly createTask?: ((task: TaskSpec<unknown>) => ObservableInput<E.Either<SolveError, TaskRef>>) | undefined
  /** In place of `getTaskResult`. */
  readonly getTaskResult?:
    ((task: Resumable<unknown>, ref: TaskRef) => ObservableInput<E.Either<SolveError, TaskState<unknown>>>) | undefined
  /** In place of `solveAll`. */
  readonly solveAll?:
    | (<T>(
        items: ObservableInput<T>,
        toTask: (item: T) => TaskSpec<unknown>,
        options?: BatchOptions<T>
      ) => ObservableInput<Outcome<T, unknown>>)
    | undefined
  /** In place of `call`. */
  readonly call?: ((call: CallSpec<unknown>) => ObservableInput<E.Either<CallFailed, unknown>>) | undefined
  /** In place of `withOptions`. */
  readonly withOptions?: ((options: ScopeOptions) => Solver) | undefined
  readonly orphans?: ObservableInput<Orphan> | undefined
  readonly events?: ObservableInput<SolverEvent> | undefined
  /** In place of `counts`. */
  readonly counts?: Solver['counts'] | undefined
  /** In place of `close`. */
  readonly close?: Solver['close'] | undefined
}

const isGivenSource = (value: unknown): value is ObservableInput<never> =>
  E.isRight(
    E.tryCatch(
      () => from(value as ObservableInput<never>),
      () => undefined
    )
  )

const StubSource = refined('an Observable, an array or another source', isGivenSource)

/** What a member has to be. */
export const memberCodecs: OptionCodecs<StubMembers> = {
  solve: optional(isFunction),
  solveWithProgress: optional(isFunction),
  resume: optional(isFunction),
  resumeWithProgress: optional(isFunction),
  createTask: optional(isFunction),
  getTaskResult: optional(isFunction),
  solveAll: optional(isFunction),
  call: optional(isFunction),
  withOptions: optional(isFunction),
  orphans: optional(StubSource),
  events: optional(StubSource),
  counts: optional(isFunction),
  close: optional(isFunction)
}
