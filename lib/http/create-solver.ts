import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { asyncScheduler, type SchedulerLike } from 'rxjs'
import { buildSolver } from '../core/build-solver.js'
import type { Ports, Post } from '../core/model/network.js'
import {
  MAX_TIMER_MS,
  Scheduler,
  checkOptions,
  coreOptionCodecs,
  integerBetween,
  isFunction,
  resolveOptions,
  type SolverOptions,
  type UndiciDispatcher
} from '../core/model/options.js'
import { optional, parseUrl, refined } from '../core/validation/problems.js'
import type { Solver } from '../core/solver.js'
import { diagnostics } from '../diagnostics/diagnostics.js'
import { realClock } from './clock.js'
import { Connections } from './connections.js'
import { isLoopback } from './loopback.js'
import { withProxyHint } from './proxy-hint.js'
import { undiciPost } from './undici-post.js'

/**
 * Creates the client of one account at the service.
 *
 * It opens no connection before the first solve, and does not keep the process alive once no task is active.
 *
 * @param options - only `clientKey` is required
 * @throws InvalidOptions at once, with every problem and every unknown option
 *
 * @example
 * ```ts
 * import { createSolver, explain, recaptchaV2 } from 'rx-captcha'
 *
 * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
 * const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
 *
 * solver.solve(task).subscribe((result) => {
 *   console.log(result._tag === 'Right' ? result.right.solution.gRecaptchaResponse : explain(result.left))
 *   // prints 03A
 * })
 * ```
 *
 * @since 0.1.0
 */
export const createSolver = (options: SolverOptions): Solver => {
  const checked = checkOptions<SolverOptions>(solverOptionCodecs, options, ({ post }) => (post ? REPLACED_BY_POST : {}))
  const { scheduler, random = Math.random } = checked
  const { post, close } = openNetwork(checked)
  return buildSolver(
    { post, ...clockOf(scheduler), random: checkedRandom(random), close, ...diagnostics },
    resolveOptions(checked)
  )
}

/** The caller's function must not break a solve if it throws or returns anything but a number from 0 to 1. */
const checkedRandom = (random: () => unknown) => (): number => {
  const given = E.toUnion(E.tryCatch(random, () => undefined))
  return typeof given === 'number' && given >= 0 && given <= 1 ? given : Math.random()
}

/** RxJS's schedulers measure by the system clock, which may be set, so they are replaced with {@link realClock}. */
const clockOf = (scheduler: SchedulerLike = asyncScheduler): Pick<Ports, 'scheduler' | 'elapsed'> => {
  // All schedulers of RxJS share this function, except those with virtual time.
  if (Reflect.get(scheduler, 'now') !== Reflect.get(asyncScheduler, 'now')) return { scheduler }
  const clock = realClock()
  return { scheduler: clock, elapsed: clock.elapsed }
}

export const DEFAULT_BASE_URL = 'https://api.1captcha.vip'
const DEFAULT_MAX_REPLY_BYTES = 262_144

interface Network {
  readonly post: Post
  readonly close: () => Promise<void>
}

/** The network of a solver. `close` closes what the solver opened, and nothing of the caller's. */
const openNetwork = (options: SolverOptions): Network => {
  if (options.post) return { post: options.post, close: () => Promise.resolve() }
  const { baseUrl = DEFAULT_BASE_URL, maxReplyBytes = DEFAULT_MAX_REPLY_BYTES, dispatcher } = options
  const address = new URL(baseUrl)
  const { origin, pathname } = address
  const place = { origin, basePath: pathname.replace(/\/+$/, ''), maxReplyBytes }
  if (dispatcher) {
    const { create, poll } = 'create' in dispatcher ? dispatcher : { create: dispatcher, poll: dispatcher }
    return { post: undiciPost({ ...place, create, poll, isForeign: true }), close: () => Promise.resolve() }
  }
  const connections = new Connections(origin)
  const { create, poll } = connections
  const post = undiciPost({ ...place, create, poll, isForeign: false })
  return { post: withProxyHint(post, address), close: () => connections.close() }
}

/** One check of an address. It accepts everything that is not an address, so that only one problem is reported. */
const addressThat = (name: string, holds: (url: URL) => boolean) =>
  refined(name, (value): value is string => {
    const url = typeof value === 'string' ? parseUrl(value) : undefined
    return url === undefined || holds(url)
  })

const BaseUrl = t.intersection([
  refined(
    `an address such as ${DEFAULT_BASE_URL}`,
    (value): value is string => typeof value === 'string' && parseUrl(value) !== undefined
  ),
  addressThat(
    'https (http on this machine only), because every request holds the client key',
    ({ protocol, hostname }) => protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
  ),
  addressThat('no user name or password in it', ({ username, password }) => username === '' && password === ''),
  addressThat('no query and no fragment', ({ search, hash }) => search === '' && hash === '')
])

const hasDispatch = (value: unknown): value is UndiciDispatcher =>
  typeof value === 'object' && value !== null && 'dispatch' in value && typeof value.dispatch === 'function'

const DispatcherOption = refined(
  'a dispatcher of undici, or { create, poll } with two of them',
  (value): value is NonNullable<SolverOptions['dispatcher']> =>
    hasDispatch(value) ||
    (typeof value === 'object' &&
      value !== null &&
      'create' in value &&
      'poll' in value &&
      hasDispatch(value.create) &&
      hasDispatch(value.poll))
)

const solverOptionCodecs = {
  ...coreOptionCodecs,
  baseUrl: optional(BaseUrl),
  maxReplyBytes: optional(integerBetween(1, MAX_TIMER_MS, 'bytes')),
  dispatcher: optional(DispatcherOption),
  post: optional(isFunction),
  scheduler: optional(Scheduler),
  random: optional(isFunction)
}

const Nothing = optional(
  refined('nothing, because post brings its own network', (_value): _value is undefined => false)
)

// The caller's network has its own address, connections and limits.
const REPLACED_BY_POST = { baseUrl: Nothing, maxReplyBytes: Nothing, dispatcher: Nothing }
