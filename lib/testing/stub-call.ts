import * as E from 'fp-ts/lib/Either.js'
import { defer, type Observable, type ObservableInput } from 'rxjs'
import type { SolveError } from '../core/model/error.js'
import type { JsonValue, ServicePath } from '../core/model/network.js'
import type { ScopeOptions } from '../core/model/options.js'
import {
  readRef,
  readTask,
  type CheckedRef,
  type CheckedTask,
  type Resumable,
  type TaskRef,
  type TaskSpec
} from '../core/model/task.js'
import type { Solver } from '../core/solver.js'
import type { Problems } from '../core/validation/problems.js'
import type { StubMembers } from './stub-members.js'

/**
 * One call of a stub. A call of a cold member is recorded when it is subscribed to, because that is when a real solver would pay.
 *
 * @since 0.1.0
 */
export interface StubCall {
  readonly member: Exclude<keyof Solver, 'withOptions' | 'orphans' | 'events' | 'counts' | typeof Symbol.asyncDispose>
  /** The task, as createTask would send it: `{ type, websiteURL, … }`. */
  readonly payload?: JsonValue
  /** What is wrong with an invalid task or reference. */
  readonly problems?: Problems
  /** The reference that was given to `resume` and `getTaskResult`. */
  readonly ref?: TaskRef
  /** The source that was given to `solveAll`. */
  readonly items?: ObservableInput<unknown>
  /** The path that was given to `call`. */
  readonly path?: ServicePath
  /** The options of `withOptions`, or those of `close`. */
  readonly options?: ScopeOptions & Parameters<Solver['close']>[0]
}

/** What the members of a stub share. */
export interface StubContext {
  readonly given: StubMembers
  readonly record: (member: StubCall['member'], call: Omit<StubCall, 'member'>) => void
  readonly isClosed: () => boolean
}

/** Runs a member with a task that was checked, or with the error of a real solver. */
export const byTask = <A, R>(
  { record, isClosed }: StubContext,
  member: StubCall['member'],
  task: TaskSpec<A>,
  run: (checked: E.Either<SolveError, Resumable<A>>) => Observable<R>
): Observable<R> =>
  defer(() => {
    const read = readTask(task)
    record(member, E.isLeft(read) ? { problems: read.left } : { payload: read.right.payload })
    if (isClosed()) return run(E.left(NOT_CREATED_AFTER_CLOSE))
    return run(E.bimap(invalid, ({ kind }: CheckedTask<A>) => kind)(read))
  })

/** As {@link byTask}, for a task that exists. */
export const byRef = <A, R>(
  { record, isClosed }: StubContext,
  member: StubCall['member'],
  task: Resumable<A>,
  given: TaskRef,
  run: (checked: E.Either<SolveError, CheckedRef<A>>) => Observable<R>
): Observable<R> => {
  const read = readRef(task, given)
  return defer(() => {
    record(member, E.isLeft(read) ? { problems: read.left } : { ref: read.right.ref })
    if (!isClosed()) return run(E.mapLeft(invalid)(read))
    return run(
      E.left(E.isLeft(read) ? NOT_CREATED_AFTER_CLOSE : { _tag: 'Interrupted', paid: 'yes', ref: read.right.ref })
    )
  })
}

const NOT_CREATED_AFTER_CLOSE: SolveError = { _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 0 }

const invalid = (problems: Problems): SolveError => ({ _tag: 'InvalidTask', paid: 'no', problems })
