import * as t from 'io-ts'
import type { ErrorKind } from './error.js'
import type { ErrorCause, JsonValue, ServicePath } from './network.js'
import { checkOptions, durationFrom } from './options.js'
import { problemsAsJson } from '../validation/json.js'
import { isRecord, optional, refined, type Problems } from '../validation/problems.js'
import { isDecoder } from './task.js'

/**
 * Another call of the same protocol, made by {@link defineCall}.
 *
 * @since 0.1.0
 */
export interface CallSpec<A> {
  /** Its path below the base URL, such as `/getBalance`. */
  readonly path: ServicePath
  /** What is read from the document of the reply, once its `errorId` is 0. */
  readonly reply: t.Decoder<unknown, A>
  /** The fields of the request; the client key is added. @defaultValue none */
  readonly body?: { readonly [field: string]: JsonValue } | undefined
  /** The limit of the call. @defaultValue `resultTimeoutMs` of the solver */
  readonly timeoutMs?: number | undefined
}

/**
 * A call of {@link Solver.call} failed. It got no reply (`cause`), or the service replied with an error (`errorCode`, `kind`), or
 * with something other than the call expects (`problems`). Nothing in it holds the client key.
 *
 * @since 0.1.0
 */
export interface CallFailed {
  readonly _tag: 'CallFailed'
  readonly path: ServicePath
  /** The HTTP status, if a reply arrived. */
  readonly status?: number
  readonly errorId?: number
  readonly errorCode?: string
  readonly errorDescription?: string
  readonly kind?: ErrorKind
  readonly cause?: ErrorCause
  readonly problems?: Problems
}

/**
 * Defines a call of the same protocol beyond the two that solve tasks, for {@link Solver.call}. The service documents none. Similar
 * services have `/getBalance` and others; docs/protocol.md says where each was seen.
 *
 * @throws InvalidOptions at once, also for `/createTask` and `/getTaskResult`: only `solve` and `resume` keep track of a paid task
 *
 * @example
 * ```ts
 * import * as t from 'io-ts'
 * import { createSolver, defineCall, explain } from 'rx-captcha'
 *
 * const getBalance = defineCall({ path: '/getBalance', reply: t.type({ balance: t.number }) })
 * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
 *
 * solver.call(getBalance).subscribe((result) => {
 *   console.log(result._tag === 'Right' ? `balance: ${result.right.balance}` : explain(result.left)) // prints balance:
 * })
 * ```
 *
 * @since 0.1.0
 */
export const defineCall = <A>(call: CallSpec<A>): CallSpec<A> => checkOptions<CallSpec<A>>(callCodecs, call)

const OTHER_PATH = /^(\/[\w.~-]*\w[\w.~-]*)+$/
const TASK_PATH = /^\/+(createTask|getTaskResult)$/i

const callCodecs = {
  path: t.intersection([
    refined(
      'a path such as /getBalance, without a query',
      (path): path is ServicePath => typeof path === 'string' && OTHER_PATH.test(path)
    ),
    refined(
      'a call other than those of solve, createTask and getTaskResult',
      (path): path is ServicePath => typeof path !== 'string' || !TASK_PATH.test(path)
    )
  ]),
  reply: refined('a decoder of io-ts', isDecoder),
  body: optional(
    refined(
      'an object that JSON can hold, without clientKey, which is added',
      (body): body is NonNullable<CallSpec<unknown>['body']> =>
        isRecord(body) && !('clientKey' in body) && problemsAsJson('body', body).length === 0
    )
  ),
  timeoutMs: optional(durationFrom(1))
}
