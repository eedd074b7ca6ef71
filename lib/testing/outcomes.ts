import type * as E from 'fp-ts/lib/Either.js'
import type { ErrorKind, SolveError } from '../core/model/error.js'
import type { Orphan } from '../core/model/event.js'
import { isRecord } from '../core/validation/problems.js'
import { recaptchaV2, type RecaptchaV2Solution } from '../core/model/recaptcha-v2.js'
import type { Solved, TaskRef } from '../core/model/task.js'

/**
 * The fields of a value that a caller wants to set; one that is `undefined` keeps its default.
 *
 * @since 0.1.0
 */
export type Given<T> = { readonly [K in keyof T]?: T[K] | undefined }

/**
 * A builder for each way in which a solve can end: `Solved`, and the tag of every {@link SolveError}.
 *
 * @since 0.1.0
 */
export type OutcomeBuilders = {
  /** `Right` with the solution. */
  readonly Solved: <A = RecaptchaV2Solution>(fields?: Given<Solved<A>>) => E.Right<Solved<A>>
} & {
  readonly [T in SolveError['_tag']]: (
    fields?: Given<Omit<Extract<SolveError, { readonly _tag: T }>, '_tag'>>
  ) => E.Left<Extract<SolveError, { readonly _tag: T }>>
}

/**
 * The outcomes of a solve, one builder for each: `outcomes.Solved()` returns a `Right`, and `outcomes.TimedOut()` and the other
 * seven errors return a `Left`. Every field has a default and can be given. The types are exact: `.right` is the `Solved`, and
 * `.left` the error, without a check of `_tag`.
 *
 * By default the solution is that of a reCAPTCHA task that was created at 0, and was ready at its second poll, at 6 s.
 * `readyAt`, `useBefore` and `expiresAt` follow `ref.createdAt`: for code that compares them with the time of day, give
 * `ref: taskRef({ createdAt: Date.now() })`. A solution of another kind has `useBefore` and `expiresAt` only if you give them.
 * Each error is by default its typical case; `Refused` and `TaskFailed` get an error code of the given `kind`.
 *
 * @example
 * ```ts
 * import { explain } from 'rx-captcha'
 * import { outcomes } from 'rx-captcha/testing'
 *
 * const solved = outcomes.Solved({ solution: { gRecaptchaResponse: 'a-token' } })
 * const failed = outcomes.TaskFailed({ errorDescription: 'no worker could solve it' })
 *
 * console.log(solved.right.solution.gRecaptchaResponse, explain(failed.left)) // prints a-token The service ended task task-1
 * ```
 *
 * @see docs/errors.md for each error and its fields
 * @since 0.1.0
 */
export const outcomes: OutcomeBuilders = {
  Solved: (fields) => ({ _tag: 'Right', right: solvedOf(fields) }),
  InvalidTask: (fields) =>
    leftOf({ _tag: 'InvalidTask', paid: 'no', problems: ['websiteKey: expected a string that is not empty'] }, fields),
  NotCreated: (fields) =>
    leftOf({ _tag: 'NotCreated', paid: 'no', reason: 'connect', attempts: 4, cause: REFUSED_CONNECTION }, fields),
  Refused: (fields) =>
    leftOf({ _tag: 'Refused', paid: 'no', status: 200, ...serviceError(fields?.kind ?? 'account') }, fields),
  CreateUnknown: (fields) => leftOf({ _tag: 'CreateUnknown', paid: 'unknown', cause: CLOSED_CONNECTION }, fields),
  TaskFailed: (fields) => leftOf({ _tag: 'TaskFailed', ...paid(), ...serviceError(fields?.kind ?? 'task') }, fields),
  BadReply: (fields) =>
    leftOf(
      {
        _tag: 'BadReply',
        ...paid(),
        status: 200,
        problems: ['status: expected "processing" or "ready"'],
        excerpt: '{"errorId":0,"status":"failed"}'
      },
      fields
    ),
  TimedOut: (fields) => leftOf({ _tag: 'TimedOut', ...paid(), afterMs: 300_000, polls: 96, causes: [] }, fields),
  Interrupted: (fields) => leftOf({ _tag: 'Interrupted', ...paid() }, fields)
}

/**
 * A reference, by default to the task `task-1`, created at 0.
 *
 * @example
 * ```ts
 * import { outcomes, taskRef } from 'rx-captcha/testing'
 *
 * const { left } = outcomes.TimedOut({ ref: taskRef({ taskId: 'task-7' }) })
 * console.log(left.ref.taskId, left.paid) // prints task-7 yes
 * ```
 *
 * @since 0.1.0
 */
export const taskRef = (fields?: Given<TaskRef>): TaskRef => fill<TaskRef>({ taskId: 'task-1', createdAt: 0 }, fields)

/**
 * A paid task that its subscriber unsubscribed from, for `orphans` and `close` of a stub; by default a reCAPTCHA task.
 *
 * @example
 * ```ts
 * import { orphan, stubSolver } from 'rx-captcha/testing'
 *
 * const { orphans } = stubSolver({ orphans: [orphan({ label: 'orders' })] })
 * orphans.subscribe(({ ref, label }) => console.log(ref.taskId, label)) // prints task-1 orders
 * ```
 *
 * @since 0.1.0
 */
export const orphan = (fields?: Given<Orphan>): Orphan => fill<Orphan>({ ref: taskRef(), task: recaptchaV2 }, fields)

const REFUSED_CONNECTION = { name: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 192.0.2.1:443' }
const CLOSED_CONNECTION = { name: 'SocketError', code: 'UND_ERR_SOCKET', message: 'other side closed' }

const paid = () => ({ paid: 'yes', ref: taskRef() }) as const

/** What the service says with an error of this kind. */
const serviceError = (kind: ErrorKind) => ({ errorId: 1, errorCode: CODE_OF_KIND[kind], errorDescription: '', kind })

const CODE_OF_KIND: Readonly<Record<ErrorKind, string>> = {
  account: 'ERROR_ZERO_BALANCE',
  request: 'ERROR_RECAPTCHA_INVALID_SITEKEY',
  unavailable: 'ERROR_NO_SLOT_AVAILABLE',
  task: 'ERROR_CAPTCHA_UNSOLVABLE',
  unknown: 'ERROR_OF_A_NEW_KIND'
}

const leftOf = <T extends SolveError>(defaults: T, fields: Given<Omit<T, '_tag'>> | undefined): E.Left<T> => ({
  _tag: 'Left',
  left: fill(defaults, fields)
})

const solvedOf = <A>(fields: Given<Solved<A>> = {}): Solved<A> => {
  const { ref = taskRef(), solution = { gRecaptchaResponse: 'token-1' } } = fields
  const { createdAt } = ref
  const solved = { ref, solution, readyAt: createdAt + 6_000 }
  const instants = isToken(solution) ? { useBefore: createdAt + 63_000, expiresAt: createdAt + 123_000 } : {}
  // Without a given solution, A is the solution of recaptchaV2.
  return fill({ ...solved, ...instants } as Solved<A>, fields)
}

const isToken = (solution: unknown): boolean => isRecord(solution) && 'gRecaptchaResponse' in solution

/** The defaults, with the given fields in their place. */
export const fill = <T extends object>(defaults: T, given: object = {}): T => ({
  ...defaults,
  ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
})
