import * as E from 'fp-ts/lib/Either.js'
import type { Observable, SchedulerLike } from 'rxjs'
import { EMPTY, NEVER, concat, defer, isObservable, map, of, throwError, timer } from 'rxjs'
import { checkOptions, type OptionCodecs } from '../core/model/check-options.js'
import type { SolveError } from '../core/model/error.js'
import type {
  CallPath,
  ErrorCause,
  JsonValue,
  NetworkEvent,
  PartialReply,
  Post,
  RequestBody,
  ServicePath
} from '../core/model/network.js'
import { isFunction } from '../core/model/options.js'
import { optional, refined } from '../core/model/problems.js'
import type { SolveResult } from '../core/model/result.js'
import type { TaskRef } from '../core/model/task.js'
import type { Solver } from '../core/solver.js'

/**
 * One call that a scripted network received.
 *
 * @since 0.1.0
 */
export interface SeenCall {
  readonly path: ServicePath
  readonly body: RequestBody
}

/**
 * What a scripted network does with one call: it replies with a document (HTTP 200 by default) or with any body, it fails, or
 * it stays silent. With `sent: false` it fails before anything is sent; `received` is what arrived of a broken reply.
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
  | {
      readonly failed: Partial<ErrorCause>
      readonly sent?: boolean
      readonly afterMs?: number
      readonly received?: PartialReply
    }
  | { readonly silent: true; readonly received?: PartialReply }

/**
 * What a scripted network does with the calls of each path: of the two that solve tasks, and of each `defineCall`.
 *
 * @since 0.1.0
 */
export type PathScript = Readonly<
  Record<CallPath, ReadonlyArray<Scripted>> & Partial<Record<ServicePath, ReadonlyArray<Scripted>>>
>

/**
 * A network for marble tests. It replies to the calls of each path in the order of the script, and repeats the last entry.
 * `calls` lists the calls that it received. `afterMs` is measured by `scheduler`, the scheduler of the test.
 *
 * @throws InvalidOptions for a script without one of the two calls, or of something that is no path
 *
 * @since 0.1.0
 */
export const scriptedPost = (
  script: PathScript,
  scheduler: SchedulerLike
): { readonly post: Post; readonly calls: ReadonlyArray<SeenCall> } => {
  checkOptions<PathScript>(scriptCodecs(script), script)
  const calls: SeenCall[] = []
  const post: Post = (path, body) =>
    defer(() => {
      const before = calls.filter((call) => call.path === path).length
      calls.push({ path, body })
      const scripts = script[path] ?? []
      const scripted = scripts[Math.min(before, scripts.length - 1)]
      if (!scripted) return throwError(() => new Error(`the script has no reply to ${path}`))
      return eventsOf(scripted, scheduler)
    })
  return { post, calls }
}

const Script = refined('an array of replies', (value): value is ReadonlyArray<Scripted> => Array.isArray(value))

const scriptCodecs = (script: unknown) => ({
  ...Object.fromEntries(Object.keys(script ?? {}).flatMap((path) => (path.startsWith('/') ? [[path, Script]] : []))),
  '/createTask': Script,
  '/getTaskResult': Script
})

const eventsOf = (scripted: Scripted, scheduler: SchedulerLike): Observable<NetworkEvent> => {
  const received = 'received' in scripted ? scripted.received : undefined
  const sent = of<NetworkEvent>({ _tag: 'Sent', ...(received && { received: () => received }) })
  if ('silent' in scripted) return concat(sent, NEVER)
  const delayed = <T>(value: T) => {
    const afterMs = scripted.afterMs ?? 0
    return afterMs === 0 ? of(value) : timer(afterMs, scheduler).pipe(map(() => value))
  }
  if ('failed' in scripted) {
    const cause = { name: 'Error', code: '', message: '', ...scripted.failed }
    return concat(
      scripted.sent === false ? EMPTY : sent,
      delayed<NetworkEvent>({ _tag: 'Failed', cause, ...(received && { received }) })
    )
  }
  const { status = 200, retryAfterMs } = scripted
  const body = 'body' in scripted ? scripted.body : JSON.stringify(scripted.document)
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs }
  return concat(sent, delayed<NetworkEvent>({ _tag: 'Reply', status, body, ...retry }))
}

/**
 * Replies in the form that the service documents, for {@link scriptedPost}.
 *
 * @since 0.1.0
 */
export const replies = {
  /** To createTask: the task was created. */
  created: (taskId = 'task-1'): Scripted => ({
    document: { errorId: 0, errorCode: '', errorDescription: '', taskId }
  }),
  /** To getTaskResult: the task is not finished. */
  processing: (): Scripted => ({
    document: { errorId: 0, errorCode: null, errorDescription: null, status: 'processing' }
  }),
  /** To getTaskResult: the task is finished, with this token. */
  ready: (gRecaptchaResponse = 'token-1'): Scripted => ({
    document: { errorId: 0, errorCode: null, errorDescription: null, solution: { gRecaptchaResponse }, status: 'ready' }
  }),
  /** To either: an error of the service, such as `ERROR_ZERO_BALANCE`. */
  refused: (errorCode: string, errorDescription = ''): Scripted => ({
    document: { errorId: 1, errorCode, errorDescription }
  })
}

const REF: TaskRef = { taskId: 'task-1', createdAt: 0 }

/**
 * Outcomes for a {@link stubSolver}.
 *
 * @since 0.1.0
 */
export const outcomes = {
  /** A `Right` with the solution, which was ready when the task was created. */
  solved: <A>(solution: A, ref: TaskRef = REF): SolveResult<A> => E.right({ ref, solution, readyAt: ref.createdAt }),
  /** A `Left` with the error. */
  failed: (error: SolveError): E.Either<SolveError, never> => E.left(error)
}

/**
 * A solver with the given members, for tests of code that takes one. A member that is not given throws when it is called;
 * `orphans` and `events` are empty, `close` resolves, and `await using` calls `close`.
 *
 * @throws InvalidOptions for a member that no solver has
 *
 * @example
 * ```ts
 * import { of } from 'rxjs'
 * import { outcomes, stubSolver } from 'rx-captcha/testing'
 * import { recaptchaV2 } from 'rx-captcha'
 *
 * const refused = outcomes.failed({ _tag: 'Refused', paid: 'no', status: 200, kind: 'account' })
 * const { solve } = stubSolver({ solve: () => of(refused) })
 *
 * solve(recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'your-site-key' })).subscribe((result) => {
 *   console.log(result._tag) // prints Left
 * })
 * ```
 *
 * @since 0.1.0
 */
export const stubSolver = (members: Partial<Solver>): Solver => {
  checkOptions<Partial<Omit<Solver, typeof Symbol.asyncDispose>>>(memberCodecs, members)
  const stub: Solver = {
    solve: notGiven('solve'),
    solveWithProgress: notGiven('solveWithProgress'),
    resume: notGiven('resume'),
    resumeWithProgress: notGiven('resumeWithProgress'),
    createTask: notGiven('createTask'),
    getTaskResult: notGiven('getTaskResult'),
    solveAll: notGiven('solveAll'),
    call: notGiven('call'),
    withOptions: () => stub,
    orphans: EMPTY,
    events: EMPTY,
    counts: () => ({ open: 0, waiting: 0 }),
    close: () => Promise.resolve([]),
    [Symbol.asyncDispose]: () => stub.close().then(() => undefined),
    ...members
  }
  return stub
}

const ObservableMember = refined('an Observable', isObservable)

const memberCodecs: OptionCodecs<Omit<Solver, typeof Symbol.asyncDispose>> = {
  solve: optional(isFunction),
  solveWithProgress: optional(isFunction),
  resume: optional(isFunction),
  resumeWithProgress: optional(isFunction),
  createTask: optional(isFunction),
  getTaskResult: optional(isFunction),
  solveAll: optional(isFunction),
  call: optional(isFunction),
  withOptions: optional(isFunction),
  orphans: optional(ObservableMember),
  events: optional(ObservableMember),
  counts: optional(isFunction),
  close: optional(isFunction)
}

const notGiven = (name: string) => (): never => {
  throw new Error(`stubSolver: ${name} was called but not given`)
}
