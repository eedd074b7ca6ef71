import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, Subject, defer, from, map, of, type Observable, type ObservableInput } from 'rxjs'
import { checkBatch, type BatchOptions, type Outcome } from '../core/model/batch.js'
import { defineCall, type CallFailed, type CallSpec } from '../core/model/call.js'
import type { SolveError } from '../core/model/error.js'
import type { Orphan, TaskEvent } from '../core/model/event.js'
import { CLOSED } from '../core/model/network.js'
import { checkOptions, closeOptionCodecs, scopeOptionCodecs, type ScopeOptions } from '../core/model/options.js'
import type { SolutionOf, TaskSpec } from '../core/model/task.js'
import type { Solver } from '../core/solver.js'
import { checkedEvent, checkedResult, checkedState } from './check-solution.js'
import { fill } from './outcomes.js'
import { byRef, byTask, type StubCall, type StubContext } from './stub-call.js'
import { memberCodecs, type StubMembers } from './stub-members.js'

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
 * The stub refuses what {@link Solver} refuses, without a call of your function. `withOptions`, `solveAll`, `call` and `close` throw
 * `InvalidOptions` at once. An invalid task or reference ends as `InvalidTask`. Once the stub is closed, a solve ends as
 * `NotCreated`, a `resume` as `Interrupted`, `call` as `CallFailed`, and `solveAll` completes without an outcome; another `close`
 * returns the promise of the first. A solve that was subscribed to before emits what your function emits.
 *
 * A solution that the decoder of the task would never return is an error of the Observable, so that a misspelt field does not pass
 * the test.
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
  let leftOpen: Promise<ReadonlyArray<Orphan>> | undefined
  const close: Solver['close'] = (options) => {
    if (options !== undefined) checkOptions(closeOptionCodecs, options)
    calls.push({ member: 'close', ...(options && { options }) })
    if (leftOpen) return leftOpen
    leftOpen = given.close?.(options) ?? Promise.resolve([])
    // After `leftOpen` is set, because a subscriber may call `close` when `orphans` completes.
    closed.complete()
    return leftOpen
  }
  const withScope = (scope: ScopeOptions): Solver => {
    const context: StubContext = {
      given,
      record: (member, call) => {
        calls.push({ member, ...call, ...(Object.keys(scope).length > 0 && { options: scope }) })
      },
      isClosed: () => leftOpen !== undefined
    }
    return {
      ...solves(context),
      ...resumes(context),
      ...singleCalls(context),
      solveAll: batches(context),
      withOptions: (options) => {
        const checked = checkOptions<ScopeOptions>(scopeOptionCodecs, options)
        return given.withOptions?.(options) ?? withScope(fill(scope, checked))
      },
      orphans: from(given.orphans ?? closed),
      events: from(given.events ?? closed),
      call: otherCalls(context),
      counts: given.counts ?? (() => ({ open: 0, waiting: 0 })),
      close,
      [Symbol.asyncDispose]: () => close().then(() => undefined)
    }
  }
  return { ...withScope({}), calls }
}

const solves = (context: StubContext): Pick<Solver, 'solve' | 'solveWithProgress'> => ({
  solve: (task) => {
    const solve = needed(context, 'solve')
    return byTask(context, 'solve', task, (checked) =>
      E.isLeft(checked) ? of(checked) : from(solve(task)).pipe(map(checkedResult('solve', checked.right)))
    )
  },
  solveWithProgress: (task) => {
    const solve = needed(context, 'solveWithProgress')
    return byTask(context, 'solveWithProgress', task, (checked) =>
      E.isLeft(checked)
        ? of(settledWith(checked))
        : from(solve(task)).pipe(map(checkedEvent('solveWithProgress', checked.right)))
    )
  }
})

const resumes = (context: StubContext): Pick<Solver, 'resume' | 'resumeWithProgress'> => ({
  resume: (task, given) => {
    const resume = needed(context, 'resume')
    return byRef(context, 'resume', task, given, (checked) =>
      E.isLeft(checked)
        ? of(checked)
        : from(resume(task, checked.right.ref)).pipe(map(checkedResult('resume', checked.right.kind)))
    )
  },
  resumeWithProgress: (task, given) => {
    const resume = needed(context, 'resumeWithProgress')
    return byRef(context, 'resumeWithProgress', task, given, (checked) =>
      E.isLeft(checked)
        ? of(settledWith(checked))
        : from(resume(task, checked.right.ref)).pipe(map(checkedEvent('resumeWithProgress', checked.right.kind)))
    )
  }
})

const singleCalls = (context: StubContext): Pick<Solver, 'createTask' | 'getTaskResult'> => ({
  createTask: (task) => {
    const create = needed(context, 'createTask')
    return byTask(context, 'createTask', task, (checked) => (E.isLeft(checked) ? of(checked) : from(create(task))))
  },
  getTaskResult: (task, given) => {
    const get = needed(context, 'getTaskResult')
    return byRef(context, 'getTaskResult', task, given, (checked) =>
      E.isLeft(checked)
        ? of(checked)
        : from(get(task, checked.right.ref)).pipe(map(E.map(checkedState('getTaskResult', checked.right.kind))))
    )
  }
})

const batches =
  (context: StubContext): Solver['solveAll'] =>
  <T, S extends TaskSpec<unknown>>(
    items: ObservableInput<T>,
    toTask: (item: T) => S,
    options?: BatchOptions<T, SolutionOf<S>>
  ) => {
    const solveAll = needed(context, 'solveAll')
    checkBatch(items, toTask, options)
    return defer(() => {
      context.record('solveAll', { items })
      if (context.isClosed()) return EMPTY
      // The outcomes do not say which task they belong to, so their solutions cannot be checked.
      return from(solveAll(items, toTask, options as BatchOptions<T>)) as Observable<Outcome<T, SolutionOf<S>>>
    })
  }

const otherCalls =
  (context: StubContext): Solver['call'] =>
  <A>(spec: CallSpec<A>) => {
    const call = needed(context, 'call')
    const { path } = defineCall(spec)
    return defer(() => {
      context.record('call', { path })
      if (context.isClosed()) return of(E.left<CallFailed>({ _tag: 'CallFailed', path, cause: CLOSED }))
      return from(call(spec)) as Observable<E.Either<CallFailed, A>>
    })
  }

const needed = <K extends keyof StubMembers>({ given }: StubContext, name: K): NonNullable<StubMembers[K]> => {
  const member = given[name]
  if (!member) throw new Error(`stubSolver: ${name} was called but not given; write stubSolver({ ${name}: … })`)
  return member
}

const settledWith = (result: E.Left<SolveError>): TaskEvent<never> => ({ at: 0, solveId: 0, _tag: 'Settled', result })
