import type { SolveError } from 'rx-captcha'

/** When a fault is injected: the first time, once after calls that went well, or always. */
export type When = 'first' | 'n-th' | 'always'

/** An exact count, or a lower bound. */
export type Count = number | { readonly atLeast: number }

/** The limits of a solver, and how many times faster than the real clock its clock runs. */
export interface Pace {
  readonly speed: number
  readonly limits: Readonly<Record<'pollEveryMs' | 'giveUpAfterMs' | 'createTimeoutMs' | 'resultTimeoutMs', number>>
}

/** The outcome of the affected solve, and what the service counts. */
export interface Expected {
  readonly tag: 'Right' | SolveError['_tag']
  readonly paid?: SolveError['paid']
  /** Further fields of the error. */
  readonly fields?: object
  readonly creates: Count
  /** createTask requests that created a task, and so were paid for. */
  readonly accepted: Count
  readonly polls: Count
  readonly pace: Pace
  /** The client ends the connection, so the service sees the end of the exchange later than the client. */
  readonly clientDisconnects?: true
  /** The service asks for this wait before the next poll, in milliseconds of the client's clock. */
  readonly waitMs?: number
  /** The client takes a 503 for "nothing was created". */
  readonly assumesNotCreated?: true
}

/** What is expected of a fault, by when it is injected. */
export type ExpectedWhen = (when: When) => Expected

/** The shortest time from a reply to the next poll, in real milliseconds. */
export const GAP_MS = 10

const LONG_MS = 30_000

const pace = (limits: Partial<Pace['limits']> = {}, speed = 1): Pace => {
  const longMs = LONG_MS * speed
  const longLimits = { giveUpAfterMs: longMs, createTimeoutMs: longMs, resultTimeoutMs: longMs }
  return { speed, limits: { pollEveryMs: GAP_MS * speed, ...longLimits, ...limits } }
}

/** All limits are out of reach. */
export const unlimited = pace()
/** Reaches the deadline after a good many polls. */
export const toDeadline = pace({ giveUpAfterMs: 200 })
export const toLateDeadline = pace({ giveUpAfterMs: 3_000 })
/** Ends a silent call long before the deadline. */
export const shortTimeouts = pace({ giveUpAfterMs: 700, createTimeoutMs: 200, resultTimeoutMs: 150 })
/** For the pauses of the limiter (3 to 60 s) and between tries (up to 5 s). */
export const hurried = pace({}, 100)
/** Reaches the deadline while the limiter is paused: its first pauses are about 5, 10 and 20 s. */
export const hurriedToDeadline = pace({ giveUpAfterMs: 26_000 }, 100)

/** One task and one poll. */
export const solved: Expected = { tag: 'Right', creates: 1, accepted: 1, polls: 1, pace: unlimited }

/** The same, but the client ends the connection. */
export const clientDisconnects =
  (expected: ExpectedWhen): ExpectedWhen =>
  (when) => ({ ...expected(when), clientDisconnects: true })
