import { EMPTY, NEVER, Observable, concat, map, of, tap, throwError, timer } from 'rxjs'
import type { SchedulerLike } from 'rxjs'
import { checkOptions, type OptionCodecs } from '../core/validation/check-options.js'
import type { CallPath, NetworkEvent, Post, RequestBody, ServicePath } from '../core/model/network.js'
import { optional, refined } from '../core/validation/problems.js'
import type { Scripted } from './replies.js'
import { timerClock } from './timer-clock.js'

/**
 * What a scripted network does with the calls of each path: a list, of which each call takes the next entry and the last entry is
 * repeated; or a function of the body and of the number of the call, from 1. A call of a path that is left out is an error.
 *
 * @since 0.1.0
 */
export type Script = {
  readonly [Path in ServicePath]?: ReadonlyArray<Scripted> | ((body: RequestBody, nth: number) => Scripted) | undefined
}

/**
 * One call that a scripted network received, and how it ended. `open`: it has not ended. `unsubscribed`: the caller
 * unsubscribed before the reply. `unscripted`: the script has no reply to it. Instants are milliseconds of the scheduler.
 *
 * @since 0.1.0
 */
export interface SeenCall {
  readonly path: ServicePath
  readonly body: RequestBody
  /** The number of the call among those of its path, from 1. */
  readonly nth: number
  readonly at: number
  readonly end: 'open' | 'replied' | 'failed' | 'unsubscribed' | 'unscripted'
  readonly endedAt?: number
}

/**
 * How often a path was called, and how many of these calls the caller unsubscribed from before their reply.
 *
 * @since 0.1.0
 */
export interface CallCounts {
  readonly calls: number
  readonly unsubscribed: number
}

/**
 * A scripted network, and what it has received so far.
 *
 * @since 0.1.0
 */
export interface ScriptedNetwork {
  /** The network, for the option `post` of `createSolver`. */
  readonly post: Post
  /** The calls in the order in which they were received; a call is listed when it is subscribed to. */
  readonly calls: ReadonlyArray<SeenCall>
  /** By path: those of createTask and getTaskResult, and of every other path that was called. */
  readonly counts: () => Readonly<Record<CallPath, CallCounts> & Partial<Record<ServicePath, CallCounts>>>
}

/**
 * A network whose replies are data. It replies to each call as the script says, and lists what it received.
 *
 * A call that the script has no reply to errors with a message that names the call. Within a solve such an error is the `cause`
 * of the outcome, as every failure of a network is; {@link marbles} fails the test with it.
 *
 * @param scheduler - measures `afterMs`; the scheduler of the test, or by default the timers of Node, which fake timers replace
 * @throws InvalidOptions for a path or an entry that is not valid
 *
 * @example
 * ```ts
 * import { createSolver, recaptchaV2 } from 'rx-captcha'
 * import { replies, scriptedPost } from 'rx-captcha/testing'
 *
 * const { post, counts } = scriptedPost({
 *   '/createTask': [{ body: 'Bad Gateway', status: 502 }],
 *   '/getTaskResult': [replies.ready()]
 * })
 * const solver = createSolver({ clientKey: 'key-for-tests', post })
 * const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
 *
 * solver.solve(task).subscribe((result) => {
 *   const { '/createTask': create, '/getTaskResult': poll } = counts()
 *   console.log(result._tag === 'Left' && result.left._tag, create.calls, poll.calls) // prints CreateUnknown 1 0
 * })
 * ```
 *
 * @since 0.1.0
 */
export const scriptedPost = (script: Script, scheduler: SchedulerLike = timerClock()): ScriptedNetwork => {
  const checked = checkOptions<Script>(scriptCodecs(script), script)
  const calls: SeenCall[] = []
  const callsOfPath = new Map<ServicePath, number>()
  const post: Post = (path, body) =>
    new Observable((subscriber) => {
      const nth = (callsOfPath.get(path) ?? 0) + 1
      callsOfPath.set(path, nth)
      const index = calls.push({ path, body, nth, at: scheduler.now(), end: 'open' }) - 1
      const end = (how: SeenCall['end']): void => {
        const call = calls[index]
        if (call?.end === 'open') calls[index] = { ...call, end: how, endedAt: scheduler.now() }
      }
      const scripted = entryOf(checked[path], body, nth)
      if (scripted === undefined) end('unscripted')
      const events = scripted === undefined ? throwError(() => unscripted(path, nth)) : eventsOf(scripted, scheduler)
      subscriber.add(() => {
        end('unsubscribed')
      })
      subscriber.add(
        events
          .pipe(
            tap(({ _tag }) => {
              if (_tag !== 'Sent') end(_tag === 'Reply' ? 'replied' : 'failed')
            })
          )
          .subscribe(subscriber)
      )
    })
  return { post, calls, counts: () => countCalls(calls) }
}

const entryOf = (entries: Script[ServicePath], body: RequestBody, nth: number): Scripted | undefined =>
  typeof entries === 'function' ? entries(body, nth) : entries?.[Math.min(nth, entries.length) - 1]

/** The error of a call without a reply in the script. */
export const unscripted = (path: ServicePath, nth: number): Error =>
  new Error(`the script has no reply to ${path} (call ${nth} of this path); add one to the script`)

const countCalls = (calls: ReadonlyArray<SeenCall>): ReturnType<ScriptedNetwork['counts']> => {
  const counts = new Map<ServicePath, CallCounts>()
  for (const { path, end } of calls) {
    const { calls: count, unsubscribed } = counts.get(path) ?? NO_CALLS
    counts.set(path, { calls: count + 1, unsubscribed: unsubscribed + (end === 'unsubscribed' ? 1 : 0) })
  }
  return { '/createTask': NO_CALLS, '/getTaskResult': NO_CALLS, ...Object.fromEntries(counts) }
}

const NO_CALLS: CallCounts = { calls: 0, unsubscribed: 0 }

const KINDS = ['document', 'body', 'failed', 'silent']

const Entries = refined(
  'an array of replies, or a function that returns one',
  (value): value is NonNullable<Script[ServicePath]> =>
    typeof value === 'function' ||
    (Array.isArray(value) &&
      value.every((entry) => typeof entry === 'object' && entry !== null && KINDS.some((kind) => kind in entry)))
)

const SOLVE_PATHS: ReadonlyArray<CallPath> = ['/createTask', '/getTaskResult']

/** Any path may be scripted, because `defineCall` makes calls of others. */
const scriptCodecs = (script: unknown): OptionCodecs<Script> => {
  const paths = Object.keys(script ?? {}).filter((path) => path.startsWith('/'))
  return Object.fromEntries([...SOLVE_PATHS, ...paths].map((path) => [path, optional(Entries)]))
}

const eventsOf = (scripted: Scripted, scheduler: SchedulerLike): Observable<NetworkEvent> => {
  const received = 'received' in scripted ? scripted.received : undefined
  const sent = of<NetworkEvent>({ _tag: 'Sent', ...(received && { received: () => received }) })
  if ('silent' in scripted) return concat(sent, NEVER)
  const delayed = (event: NetworkEvent): Observable<NetworkEvent> => {
    const { afterMs = 0 } = scripted
    return afterMs === 0 ? of(event) : timer(afterMs, scheduler).pipe(map(() => event))
  }
  if ('failed' in scripted) {
    const cause = { name: 'Error', code: '', message: '', ...scripted.failed }
    return concat(
      scripted.sent === false ? EMPTY : sent,
      delayed({ _tag: 'Failed', cause, ...(received && { received }) })
    )
  }
  const { status = 200, retryAfterMs } = scripted
  const body = 'body' in scripted ? scripted.body : JSON.stringify(scripted.document)
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs }
  return concat(sent, delayed({ _tag: 'Reply', status, body, ...retry }))
}
