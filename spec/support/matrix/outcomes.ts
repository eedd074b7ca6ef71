import type { SolveError } from 'rx-captcha'

/** When a fault strikes: the first time, once after it went well, or whenever it can. */
export type When = 'first' | 'n-th' | 'always'

/** Exactly so many, or at least. */
export type Count = number | { readonly atLeast: number }

/** How long a cell's solver waits, and how many times faster than the real clock. */
export interface Pace {
  readonly speed: number
  readonly limits: Readonly<Record<'pollEveryMs' | 'giveUpAfterMs' | 'createTimeoutMs' | 'resultTimeoutMs', number>>
}

/** What the struck solve comes to, and what of it the service saw. */
export interface Expected {
  readonly tag: 'Right' | SolveError['_tag']
  readonly paid?: SolveError['paid']
  /** Further fields of the error. */
  readonly beside?: object
  readonly creates: Count
  /** Creates that made a task, and so were paid for. */
  readonly accepted: Count
  readonly polls: Count
  readonly pace: Pace
  /** The client hangs up first, so that the service sees the end of the exchange later than the client. */
  readonly hangsUp?: true
  /** The client takes a 503 for "nothing was created". */
  readonly assumes?: true
}

/** What follows from a fault. */
export type Follows = (when: When) => Expected

/** The smallest gap between an answer and the next poll, in real milliseconds. */
export const GAP_MS = 10

const LONG_MS = 30_000

const pace = (limits: Partial<Pace['limits']> = {}, speed = 1): Pace => {
  const longMs = LONG_MS * speed
  const unhurried = { giveUpAfterMs: longMs, createTimeoutMs: longMs, resultTimeoutMs: longMs }
  return { speed, limits: { pollEveryMs: GAP_MS * speed, ...unhurried, ...limits } }
}

/** No limit comes near. */
export const unlimited = pace()
/** Ends at the deadline, which leaves time for a good many polls. */
export const toDeadline = pace({ giveUpAfterMs: 300 })
export const toLateDeadline = pace({ giveUpAfterMs: 3_000 })
/** Gives up a silent call long before that. */
export const impatient = pace({ giveUpAfterMs: 700, createTimeoutMs: 200, resultTimeoutMs: 150 })
/** Where the waits of the gate (3 to 60 s) and between tries (up to 5 s) are met. */
export const hurried = pace({}, 100)
/** Ends while the gate is shut: its first waits are about 5, 10 and 20 s. */
export const hurriedToDeadline = pace({ giveUpAfterMs: 26_000 }, 100)

/** The service took one task, and was asked once. */
export const right: Expected = { tag: 'Right', creates: 1, accepted: 1, polls: 1, pace: unlimited }

/** The same, where the client hangs up on the answer. */
export const hangingUp =
  (follows: Follows): Follows =>
  (when) => ({ ...follows(when), hangsUp: true })
