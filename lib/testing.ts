import * as E from 'fp-ts/lib/Either.js'
import type { Observable, SchedulerLike } from 'rxjs'
import { EMPTY, NEVER, concat, defer, map, of, throwError, timer } from 'rxjs'
import type { SolveError } from './core/model/error.js'
import type { ErrorCause, JsonValue, CallPath, Post, NetworkEvent } from './core/model/network.js'
import type { Solver } from './core/solver.js'
import type { Solved, TaskRef } from './core/model/task.js'

/**
 * One call that a scripted network saw.
 *
 * @since 0.1.0
 */
export interface SeenCall {
  readonly path: CallPath
  readonly body: JsonValue
}

/**
 * What a scripted network does with one call: a document under HTTP 200, or anything else that a network can do.
 *
 * @since 0.1.0
 */
export type Scripted =
  | {
      readonly document: JsonValue
      readonly status?: number
      readonly afterMs?: number
      readonly retryAfterMs?: number
    }
  | { readonly body: string; readonly status?: number; readonly afterMs?: number; readonly retryAfterMs?: number }
  | { readonly failed: Partial<ErrorCause>; readonly sent?: boolean; readonly afterMs?: number }
  | { readonly silent: true }

const wiresOf = (scripted: Scripted, scheduler: SchedulerLike): Observable<NetworkEvent> => {
  const sent = of<NetworkEvent>({ _tag: 'Sent' })
  if ('silent' in scripted) return concat(sent, NEVER)
  const after = <T>(value: T) => {
    const afterMs = scripted.afterMs ?? 0
    return afterMs === 0 ? of(value) : timer(afterMs, scheduler).pipe(map(() => value))
  }
  if ('failed' in scripted) {
    const cause = { name: 'Error', code: '', message: '', ...scripted.failed }
    return concat(scripted.sent === false ? EMPTY : sent, after<NetworkEvent>({ _tag: 'Failed', cause }))
  }
  const { status = 200, retryAfterMs } = scripted
  const body = 'body' in scripted ? scripted.body : JSON.stringify(scripted.document)
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs }
  return concat(sent, after<NetworkEvent>({ _tag: 'Reply', status, body, ...retry }))
}

/**
 * A network for marble tests: answers the calls of each path in the order of its script, the last entry again and again.
 * `calls` tells what was asked. Give it the scheduler of the test where an entry has `afterMs`.
 *
 * @since 0.1.0
 */
export const scriptedPost = (
  script: Readonly<Record<CallPath, ReadonlyArray<Scripted>>>,
  scheduler: SchedulerLike
): { readonly post: Post; readonly calls: ReadonlyArray<SeenCall> } => {
  const calls: SeenCall[] = []
  const post: Post = (path, body) =>
    defer(() => {
      const before = calls.filter((call) => call.path === path).length
      calls.push({ path, body })
      const scripted = script[path][Math.min(before, script[path].length - 1)]
      if (!scripted) return throwError(() => new Error(`the script has no answer to ${path}`))
      return wiresOf(scripted, scheduler)
    })
  return { post, calls }
}

/**
 * The answers of a service that behaves, for {@link scriptedPost}.
 *
 * @since 0.1.0
 */
export const answers = {
  created: (taskId = 'task-1'): Scripted => ({
    document: { errorId: 0, errorCode: '', errorDescription: '', taskId }
  }),
  processing: (): Scripted => ({
    document: { errorId: 0, errorCode: null, errorDescription: null, status: 'processing' }
  }),
  ready: (gRecaptchaResponse = 'token-1'): Scripted => ({
    document: { errorId: 0, errorCode: null, errorDescription: null, solution: { gRecaptchaResponse }, status: 'ready' }
  }),
  refused: (errorCode: string, errorDescription = ''): Scripted => ({
    document: { errorId: 1, errorCode, errorDescription }
  })
}

const aRef: TaskRef = { taskId: 'task-1', createdAt: 0 }

/**
 * Outcomes, for a stub solver.
 *
 * @since 0.1.0
 */
export const outcomes = {
  solved: <A>(solution: A, ref: TaskRef = aRef): E.Either<SolveError, Solved<A>> =>
    E.right({ ref, solution, readyAt: ref.createdAt }),
  failed: (error: SolveError): E.Either<SolveError, never> => E.left(error)
}

const unstubbed = (name: string) => (): never => {
  throw new Error(`stubSolver: ${name} was called but not given`)
}

/**
 * A solver of the given members, for tests of code that takes one. A member that was not given throws when it is called;
 * `orphans` and `events` are empty and `close` resolves.
 *
 * ```ts
 * const solver = stubSolver({ solve: () => of(outcomes.solved({ gRecaptchaResponse: 'token' })) as never })
 * ```
 *
 * @since 0.1.0
 */
export const stubSolver = (members: Partial<Solver>): Solver => {
  const stub: Solver = {
    solve: unstubbed('solve'),
    solveWithProgress: unstubbed('solveWithProgress'),
    resume: unstubbed('resume'),
    resumeWithProgress: unstubbed('resumeWithProgress'),
    createTask: unstubbed('createTask'),
    getTaskResult: unstubbed('getTaskResult'),
    solveAll: unstubbed('solveAll'),
    withOptions: () => stub,
    orphans: EMPTY,
    events: EMPTY,
    close: () => Promise.resolve([]),
    ...members
  }
  return stub
}
