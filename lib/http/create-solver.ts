import { Socket } from 'node:net'
import type { SchedulerLike } from 'rxjs'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import {
  MAX_TIMER_MS,
  isFunction,
  problemsIn,
  problemsOfOptions,
  resolveOptions,
  throwIfAny,
  integerBetween,
  type SolveOptions
} from '../core/model/options.js'
import type { Post } from '../core/model/network.js'
import type { Solver } from '../core/solver.js'
import { buildSolver } from '../core/build-solver.js'
import { urlOf, type Problems } from '../core/model/task.js'
import { realClock } from './clock.js'
import { undiciPost } from './undici-post.js'

/**
 * What `createSolver` takes: how to ask and wait ({@link SolveOptions}), and where the service is.
 *
 * @since 0.1.0
 */
export interface SolverOptions extends SolveOptions {
  /**
   * Address of the service; a path is kept. `https:`, or `http:` for this machine only, as the key travels in every body.
   * @defaultValue 'https://api.1captcha.vip'
   */
  readonly baseUrl?: string | undefined
  /** The largest reply that is read, in bytes after decompression. @defaultValue 262_144 */
  readonly maxReplyBytes?: number | undefined
  /**
   * undici's, for proxies and TLS. It must not retry, and is not closed by us. A single one serves both calls, and then a
   * createTask may ride an idle connection that the service is just closing; with `{ create, poll }` it cannot, as long as
   * `create` serves nothing else.
   * @defaultValue two Agents of our own, with at most 1,024 connections each
   */
  readonly dispatcher?: Dispatcher | { readonly create: Dispatcher; readonly poll: Dispatcher } | undefined
  /** Another network instead of undici's; then `baseUrl`, `dispatcher` and `maxReplyBytes` are refused. */
  readonly post?: Post | undefined
  /** The clock of all waits. @defaultValue RxJS's asyncScheduler, kept from ringing early */
  readonly scheduler?: SchedulerLike | undefined
  /** For jitter, from 0 to 1. @defaultValue Math.random */
  readonly random?: (() => number) | undefined
}

const DEFAULT_BASE_URL = 'https://api.1captcha.vip'
const DEFAULT_MAX_REPLY_BYTES = 262_144
// For each of the two calls. 10,000 waiting tasks need 900 of them, if an answer takes 300 ms. Without a bound a process that
// falls behind opens thousands, looks through all of them for each poll, and never catches up.
const MAX_CONNECTIONS = 1_024

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)

const problemsOfUrl = (name: string, value: unknown): Problems => {
  if (value === undefined) return []
  const url = typeof value === 'string' ? urlOf(value) : undefined
  if (!url) return [`${name}: expected an address such as ${DEFAULT_BASE_URL}`]
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  return [
    ...(isSafe ? [] : [`${name}: expected https (http only for this machine): the client key travels in every body`]),
    ...(url.username || url.password ? [`${name}: expected no user name or password in it`] : []),
    ...(url.search || url.hash ? [`${name}: expected no query and no fragment`] : [])
  ]
}

const dispatches = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'dispatch' in value && typeof value.dispatch === 'function'

const problemsOfDispatcher = (name: string, value: unknown): Problems =>
  value === undefined ||
  dispatches(value) ||
  (typeof value === 'object' &&
    value !== null &&
    'create' in value &&
    'poll' in value &&
    dispatches(value.create) &&
    dispatches(value.poll))
    ? []
    : [`${name}: expected a dispatcher of undici, or { create, poll } with two of them`]

const problemsOfScheduler = (name: string, value: unknown): Problems =>
  value === undefined || (typeof value === 'object' && value !== null && 'schedule' in value && 'now' in value)
    ? []
    : [`${name}: expected a scheduler of RxJS`]

const ofNetwork = ['baseUrl', 'dispatcher', 'maxReplyBytes'] as const

const problemsOf = (options: SolverOptions): Problems => [
  ...problemsOfOptions(options),
  ...problemsIn(options, {
    baseUrl: problemsOfUrl,
    maxReplyBytes: integerBetween(1, MAX_TIMER_MS, 'bytes'),
    dispatcher: problemsOfDispatcher,
    post: isFunction,
    scheduler: problemsOfScheduler,
    random: isFunction
  }),
  ...ofNetwork
    .filter((name) => options.post !== undefined && options[name] !== undefined)
    .map((name) => `${name}: not together with post, which brings its own network`)
]

/** The connections that are being made: they would outlive `destroy` by ten seconds, and keep the process alive. */
class PendingConnections {
  readonly #sockets = new Set<Socket>()
  // It returns the socket, which its type keeps to itself. One AbortSignal for all would keep a listener of each.
  readonly #open: (...args: Parameters<buildConnector.connector>) => unknown = buildConnector({})

  readonly connect: buildConnector.connector = (options, callback) => {
    const socket = this.#open(options, callback)
    if (!(socket instanceof Socket)) return
    this.#sockets.add(socket)
    const made = (): void => void this.#sockets.delete(socket)
    socket.once(options.protocol === 'https:' ? 'secureConnect' : 'connect', made).once('close', made)
  }

  end(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** The network of a solver, and how what is ours of it ends. */
const openNetwork = (options: SolverOptions): { readonly post: Post; readonly close: () => Promise<void> } => {
  if (options.post) return { post: options.post, close: () => Promise.resolve() }
  const { baseUrl = DEFAULT_BASE_URL, maxReplyBytes = DEFAULT_MAX_REPLY_BYTES, dispatcher } = options
  const { origin, pathname } = new URL(baseUrl)
  const service = { origin, basePath: pathname.replace(/\/+$/, ''), maxReplyBytes }
  if (dispatcher) {
    const { create, poll } = 'create' in dispatcher ? dispatcher : { create: dispatcher, poll: dispatcher }
    return { post: undiciPost({ ...service, create, poll: poll }), close: () => Promise.resolve() }
  }
  const connecting = new PendingConnections()
  const connect = connecting.connect
  const [create, poll] = [
    new Agent({ connect, connections: MAX_CONNECTIONS }),
    new Agent({ connect, connections: MAX_CONNECTIONS })
  ]
  const close = async (): Promise<void> => {
    await Promise.all([create.destroy(), poll.destroy()])
    connecting.end()
  }
  return { post: undiciPost({ ...service, create, poll: poll }), close }
}

/**
 * The client of one account at the service.
 *
 * Opens no connection before the first solve, and keeps no process alive once nothing is under way.
 *
 * @param options - only `clientKey` is needed
 * @throws InvalidOptions at once, with every problem: a mistake in the program, not an outcome
 * @since 0.1.0
 */
export const createSolver = (options: SolverOptions): Solver => {
  throwIfAny(problemsOf(options))
  const { scheduler = realClock, random = Math.random } = options
  const network = openNetwork(options)
  return buildSolver({ post: network.post, scheduler, random, end: network.close }, resolveOptions(options))
}
