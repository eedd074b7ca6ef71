import * as E from 'fp-ts/lib/Either.js'
import { Subject, defer, from, map, of, type Observable, type ObservableInput } from 'rxjs'
import type { BatchOptions, Outcome } from '../core/model/batch.js'
import { checkOptions } from '../core/validation/check-options.js'
import type { CallFailed, CallSpec } from '../core/model/call.js'
import type { InvalidTask } from '../core/model/error.js'
import type { TaskEvent } from '../core/model/event.js'
import type { JsonValue, ServicePath } from '../core/model/network.js'
import type { ScopeOptions } from '../core/model/options.js'
import type { Problems } from '../core/validation/problems.js'
import type { SolutionOf, TaskRef, TaskSpec } from '../core/model/task.js'
import type { Solver } from '../core/solver.js'
import { checkedEvent, checkedResult, checkedState } from './check-solution.js'
import { memberCodecs, type StubMembers } from './stub-members.js'

/**
 * One call of a stub. A call of a cold member is recorded when it is subscribed to, because that is when a real solver would pay.
 *
 * @since 0.1.0
 */
export interface StubCall {
  readonly member: Exclude<keyof Solver, 'withOptions' | 'orphans' | 'events' | 'counts' | typeof Symbol.asyncDispose>
  /** The task, as createTask would send it: `{ type, websiteURL, … }`. */
  readonly payload?: JsonValue
  /** What is wrong with the fields of an invalid task. */
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

/**
 * A stub, and how it was called.
 *
 * @since 0.1.0
 */
export interface StubSolver extends Solver {
  readonly calls: ReadonlyArray<StubCall>
}

/**
 * A solver that does what you give it, for tests of code that takes a solver. It sends nothing, and records every call.
 *
 * Calling a member that was not given throws an `Error` that names the member. Some members have a default: `withOptions` returns
 * the same stub and notes its options in `calls`, `orphans` and `events` emit nothing and complete when the stub is closed,
 * `counts` returns zeros, `close` resolves with no orphans, and `await using` calls `close`.
 *
 * An invalid task ends as `InvalidTask`, as it does in production, without a call of your function. A solution that the decoder of
 * the task would never return is an error of the Observable, so that a misspelt field does not pass the test.
 *
 * @throws InvalidOptions for a member that no solver has
 *
 * @example
 * ```ts
 * import { recaptchaV2 } from 'rx-captcha'
 * import { outcomes, stubSolver } from 'rx-captcha/testing'
 *
 * const solution = { gRecaptchaResponse: 'a-token' }
 * const stub = stubSolver({ solve: () => [outcomes.Solved({ solution })] })
 *
 * stub.solve(recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'your-site-key' })).subscribe((result) => {
 *   console.log(result._tag, JSON.stringify(stub.calls)) // prints Right [{"member":"solve","payload":{"websiteURL":
 * })
 * ```
 *
 * @since 0.1.0
 */
export const stubSolver = (members: StubMembers = {}): StubSolver => {
  const given = checkOptions<StubMembers>(memberCodecs, members)
  const calls: StubCall[] = []
  const closed = new Subject<never>()
  const withScope = (scope: ScopeOptions): Solver => {
    const record: RecordCall = (member, call) => {
      calls.push({ member, ...call, ...(Object.keys(scope).length > 0 && { options: scope }) })
    }
    const close: Solver['close'] = (options) => {
      calls.push({ member: 'close', ...(options && { options }) })
      closed.complete()
      return given.close?.(options) ?? Promise.resolve([])
    }
    return {
      ...solves(given, record),
      ...singleCalls(given, record),
      solveAll: batches(given, record),
      withOptions: given.withOptions ?? ((options) => withScope({ ...scope, ...options })),
      orphans: from(given.orphans ?? closed),
      events: from(given.events ?? closed),
      call: otherCalls(given, record),
      counts: given.counts ?? (() => ({ open: 0, waiting: 0 })),
      close,
      [Symbol.asyncDispose]: () => close().then(() => undefined)
    }
  }
  return { ...withScope({}), calls }
}

type RecordCall = (member: StubCall['member'], call: Omit<StubCall, 'member'>) => void

const solves = (
  given: StubMembers,
  record: RecordCall
): Pick<Solver, 'solve' | 'solveWithProgress' | 'resume' | 'resumeWithProgress'> => ({
  solve: (task) => {
    const solve = needed(given, 'solve')
    return byTask(record, 'solve', task, (problems) =>
      problems ? of(invalid(problems)) : from(solve(task)).pipe(map(checkedResult('solve', task)))
    )
  },
  solveWithProgress: (task) => {
    const solve = needed(given, 'solveWithProgress')
    return byTask(record, 'solveWithProgress', task, (problems) =>
      problems
        ? of<TaskEvent<never>>({ at: 0, solveId: 0, _tag: 'Settled', result: invalid(problems) })
        : from(solve(task)).pipe(map(checkedEvent('solveWithProgress', task)))
    )
  },
  resume: (task, ref) => {
    const resume = needed(given, 'resume')
    return byRef(record, 'resume', ref, () => from(resume(task, ref)).pipe(map(checkedResult('resume', task))))
  },
  resumeWithProgress: (task, ref) => {
    const resume = needed(given, 'resumeWithProgress')
    return byRef(record, 'resumeWithProgress', ref, () =>
      from(resume(task, ref)).pipe(map(checkedEvent('resumeWithProgress', task)))
    )
  }
})

const singleCalls = (given: StubMembers, record: RecordCall): Pick<Solver, 'createTask' | 'getTaskResult'> => ({
  createTask: (task) => {
    const create = needed(given, 'createTask')
    return byTask(record, 'createTask', task, (problems) => (problems ? of(invalid(problems)) : from(create(task))))
  },
  getTaskResult: (task, ref) => {
    const get = needed(given, 'getTaskResult')
    return byRef(record, 'getTaskResult', ref, () =>
      from(get(task, ref)).pipe(map(E.map(checkedState('getTaskResult', task))))
    )
  }
})

const batches =
  (given: StubMembers, record: RecordCall): Solver['solveAll'] =>
  <T, S extends TaskSpec<unknown>>(
    items: ObservableInput<T>,
    toTask: (item: T) => S,
    options?: BatchOptions<T, SolutionOf<S>>
  ) => {
    const solveAll = needed(given, 'solveAll')
    return defer(() => {
      record('solveAll', { items })
      // The outcomes do not say which task they belong to, so their solutions cannot be checked.
      return from(solveAll(items, toTask, options as BatchOptions<T>)) as Observable<Outcome<T, SolutionOf<S>>>
    })
  }

const otherCalls =
  (given: StubMembers, record: RecordCall): Solver['call'] =>
  <A>(spec: CallSpec<A>) => {
    const call = needed(given, 'call')
    return defer(() => {
      record('call', { path: spec.path })
      return from(call(spec)) as Observable<E.Either<CallFailed, A>>
    })
  }

const needed = <K extends keyof StubMembers>(given: StubMembers, name: K): NonNullable<StubMembers[K]> => {
  const member = given[name]
  if (!member) throw new Error(`stubSolver: ${name} was called but not given; write stubSolver({ ${name}: … })`)
  return member
}

const byTask = <A, R>(
  record: RecordCall,
  member: StubCall['member'],
  { payload }: TaskSpec<A>,
  run: (problems: Problems | undefined) => Observable<R>
): Observable<R> =>
  defer(() => {
    record(member, E.isLeft(payload) ? { problems: payload.left } : { payload: payload.right })
    return run(E.isLeft(payload) ? payload.left : undefined)
  })

const byRef = <R>(
  record: RecordCall,
  member: StubCall['member'],
  ref: TaskRef,
  run: () => Observable<R>
): Observable<R> =>
  defer(() => {
    record(member, { ref })
    return run()
  })

const invalid = (problems: Problems): E.Either<InvalidTask, never> =>
  E.left({ _tag: 'InvalidTask', paid: 'no', problems })
