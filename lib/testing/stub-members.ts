import * as E from 'fp-ts/lib/Either.js'
import { from, type ObservableInput } from 'rxjs'
import type { BatchOptions, Outcome } from '../core/model/batch.js'
import type { CallFailed, CallSpec } from '../core/model/call.js'
import type { OptionCodecs } from '../core/model/check-options.js'
import type { SolveError } from '../core/model/error.js'
import type { Orphan, SolverEvent, TaskEvent } from '../core/model/event.js'
import { isFunction, type ScopeOptions } from '../core/model/options.js'
import { optional, refined } from '../core/model/problems.js'
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
  readonly solve?: OfTask<SolveResult<unknown>> | undefined
  readonly solveWithProgress?: OfTask<TaskEvent<unknown>> | undefined
  readonly resume?: OfRef<SolveResult<unknown>> | undefined
  readonly resumeWithProgress?: OfRef<TaskEvent<unknown>> | undefined
  readonly createTask?: OfTask<E.Either<SolveError, TaskRef>> | undefined
  readonly getTaskResult?: OfRef<E.Either<SolveError, TaskState<unknown>>> | undefined
  readonly solveAll?:
    | (<T>(
        items: ObservableInput<T>,
        toTask: (item: T) => TaskSpec<unknown>,
        options?: BatchOptions<T>
      ) => ObservableInput<Outcome<T, unknown>>)
    | undefined
  readonly call?: ((call: CallSpec<unknown>) => ObservableInput<E.Either<CallFailed, unknown>>) | undefined
  readonly withOptions?: ((options: ScopeOptions) => Solver) | undefined
  readonly orphans?: ObservableInput<Orphan> | undefined
  readonly events?: ObservableInput<SolverEvent> | undefined
  readonly counts?: Solver['counts'] | undefined
  readonly close?: Solver['close'] | undefined
}

type OfTask<R> = (task: TaskSpec<unknown>) => ObservableInput<R>
type OfRef<R> = (task: Resumable<unknown>, ref: TaskRef) => ObservableInput<R>

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
