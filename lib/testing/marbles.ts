import { deepStrictEqual } from 'node:assert'
import type { ObservableNotification } from 'rxjs'
import { TestScheduler, type RunHelpers } from 'rxjs/testing'
import type { SolverOptions } from '../core/model/options.js'
import { isRecord } from '../core/validation/problems.js'
import type { Solver } from '../core/solver.js'
import { createSolver } from '../http/create-solver.js'
import { scriptedPost, unscripted, type Script, type ScriptedNetwork, type SeenCall } from './scripted-post.js'
import { timerClock } from './timer-clock.js'

/**
 * What a {@link scriptedSolver} takes: the options of `createSolver`, without those of the network. `clientKey` has a default.
 *
 * @since 0.1.0
 */
export type ScriptedOptions = Partial<Omit<SolverOptions, 'post' | 'baseUrl' | 'dispatcher' | 'maxReplyBytes'>>

/**
 * A real solver, and what its scripted network has received so far.
 *
 * @since 0.1.0
 */
export interface ScriptedSolver extends ScriptedNetwork {
  readonly solver: Solver
}

/**
 * The helpers of a marble test: those of `TestScheduler.run`, the scheduler, and a {@link scriptedSolver} in its virtual time.
 *
 * @since 0.1.0
 */
export interface MarbleHelpers extends RunHelpers {
  readonly scheduler: TestScheduler
  /** A real solver over a scripted network, in the virtual time of the test. */
  readonly scriptedSolver: (script: Script, options?: ScriptedOptions) => ScriptedSolver
}

/**
 * A marble test, for `it` and `test` of any runner. The test gets the helpers of `TestScheduler.run`, and `scriptedSolver` for a
 * whole real solver in virtual time: it creates, polls, waits and gives up as in production, and no time passes.
 *
 * Values are compared strictly, as by `assert.deepStrictEqual` of Node: a field that is `undefined` differs from one that is
 * missing. The scheduler begins at 0, so `createdAt` of the first task is 0. Call `flush()` before you read `calls` or `counts()`.
 * Promises do not run in virtual time: test `close` and async functions with the timers of Node or fake ones.
 *
 * @returns a function without parameters, which throws if an expectation does not hold, or with the message of
 *  {@link scriptedPost} if a call had no reply in the script
 *
 * @example
 * ```ts
 * import { map } from 'rxjs'
 * import { recaptchaV2 } from 'rx-captcha'
 * import { marbles, replies } from 'rx-captcha/testing'
 *
 * const run = marbles(({ scriptedSolver, expectObservable, flush }) => {
 *   const { solver, counts } = scriptedSolver({
 *     '/createTask': [replies.created()],
 *     '/getTaskResult': [replies.processing(), replies.ready()]
 *   })
 *   const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
 *
 *   expectObservable(solver.solve(task).pipe(map(({ _tag }) => _tag))).toBe('6s (R|)', { R: 'Right' })
 *   flush()
 *   console.log(counts()['/getTaskResult'].calls) // prints 2
 * })
 * run()
 * ```
 *
 * @since 0.1.0
 */
export const marbles = (test: (helpers: MarbleHelpers) => void) => (): void => {
  const scheduler = new TestScheduler((actual, expected) => {
    deepStrictEqual(readable(actual), readable(expected))
  })
  const networks: ScriptedNetwork[] = []
  const helpers = {
    scheduler,
    scriptedSolver: (script: Script, options?: ScriptedOptions): ScriptedSolver => {
      const scripted = scriptedSolver(script, { scheduler, ...options })
      networks.push(scripted)
      return scripted
    }
  }
  try {
    const body: (helpers: MarbleHelpers) => unknown = test
    const returned = scheduler.run((run) => body({ ...run, ...helpers }))
    if (isRecord(returned) && 'then' in returned)
      throw new Error('a marble test cannot be async: promises do not run in virtual time')
  } finally {
    for (const { calls } of networks) failIfUnscripted(calls)
  }
}

/**
 * A real solver over a {@link scriptedPost}. In a marble test take the helper of this name; elsewhere it goes by the timers of
 * Node, or by the fake timers of the runner.
 *
 * @throws InvalidOptions as `createSolver` and `scriptedPost` do
 *
 * @example
 * ```ts
 * import { recaptchaV2 } from 'rx-captcha'
 * import { replies, scriptedSolver } from 'rx-captcha/testing'
 *
 * const { solver } = scriptedSolver(
 *   { '/createTask': [replies.created()], '/getTaskResult': [replies.refused('ERROR_CAPTCHA_UNSOLVABLE')] },
 *   { pollEveryMs: 5 }
 * )
 * const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
 *
 * solver.solve(task).subscribe((result) => {
 *   console.log(result._tag === 'Left' && result.left._tag) // prints TaskFailed
 * })
 * ```
 *
 * @since 0.1.0
 */
export const scriptedSolver = (script: Script, options: ScriptedOptions = {}): ScriptedSolver => {
  const { clientKey = 'key-for-tests', random = () => 0.5, scheduler = timerClock(), ...rest } = options
  const network = scriptedPost(script, scheduler)
  return { ...network, solver: createSolver({ ...rest, clientKey, random, scheduler, post: network.post }) }
}

/** Frames with the names of what they are, so that the difference of a failed test can be read. */
const readable = (frames: unknown): unknown => (Array.isArray(frames) ? frames.map(readableFrame) : frames)

const readableFrame = (item: unknown): unknown => {
  if (!isFrame(item)) return item
  const { frame: atMs, notification } = item
  switch (notification.kind) {
    case 'N':
      return { atMs, next: notification.value }
    case 'E':
      return { atMs, error: notification.error as unknown }
    case 'C':
      return { atMs, complete: true }
  }
}

interface Frame {
  readonly frame: number
  readonly notification: ObservableNotification<unknown>
}

const isFrame = (item: unknown): item is Frame => isRecord(item) && 'frame' in item && 'notification' in item

const failIfUnscripted = (calls: ReadonlyArray<SeenCall>): void => {
  const missing = calls.find(({ end }) => end === 'unscripted')
  if (missing) throw unscripted(missing.path, missing.nth)
}
