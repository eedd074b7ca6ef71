import {
  hurried,
  shortTimeouts,
  solved,
  toDeadline,
  toLateDeadline,
  unlimited,
  type Count,
  type Expected,
  type ExpectedWhen,
  type When
} from './outcomes.js'

// What is expected of a fault on getTaskResult.

/** The number of the poll that is affected; the polls before it get "processing". */
export const AFFECTED_POLL: Readonly<Record<When, number>> = { first: 1, 'n-th': 3, always: 1 }

/** The client can read the correct reply. */
export const harmless: ExpectedWhen = (when) => ({ ...solved, polls: AFFECTED_POLL[when] })

/** The correct reply never ends, so the client reads what arrived when its limit passes. */
export const readAtTheLimit: ExpectedWhen = (when) => ({
  ...solved,
  polls: { atLeast: AFFECTED_POLL[when] },
  pace: shortTimeouts,
  clientDisconnects: true
})

const oneMore = (when: When): Expected => ({ ...solved, polls: AFFECTED_POLL[when] + 1 })

const ended = (tag: 'TimedOut' | 'BadReply' | 'TaskFailed', polls: Count): Expected => ({
  tag,
  paid: 'yes',
  creates: 1,
  accepted: 1,
  polls,
  pace: unlimited
})

/** The affected polls are never sent, so the service counts only the others. */
export const neverSent: ExpectedWhen = (when) =>
  when === 'always' ? { ...ended('TimedOut', 0), pace: toDeadline } : { ...solved, polls: AFFECTED_POLL[when] }

/** The same, found out by a timer of undici that ticks once a second. */
export const neverSentAfterSeconds: ExpectedWhen = (when) => ({
  ...neverSent(when),
  pace: when === 'always' ? toLateDeadline : unlimited
})

/** The affected poll is repeated, without a limit other than the deadline. */
export const repeated: ExpectedWhen = (when) =>
  when === 'always' ? { ...ended('TimedOut', { atLeast: 2 }), pace: toDeadline } : oneMore(when)

/** As `repeated`, after the 20 s that the service asks for, which is longer than the deadline if it always does. */
export const repeatedAfterWait: ExpectedWhen = (when) =>
  when === 'always'
    ? { ...ended('TimedOut', 1), pace: toDeadline }
    : { ...oneMore(when), pace: hurried, waitMs: 20_000 }

/** As `repeated`, after the limit of the client. On a slow machine the client may end a correct reply as well. */
export const tooSlow: ExpectedWhen = (when) => ({
  ...repeated(when),
  polls: { atLeast: AFFECTED_POLL[when] + 1 },
  pace: shortTimeouts,
  clientDisconnects: true
})

/** The task is not ready, so it is polled again. */
export const notReady: ExpectedWhen = (when) => repeated(when)

/** The affected poll is repeated, and the third violation in a row ends the task. */
export const violation: ExpectedWhen = (when) => (when === 'always' ? ended('BadReply', 3) : oneMore(when))

/** The affected poll is repeated, and the third unknown error in a row ends the task. */
export const unknownCode: ExpectedWhen = (when) =>
  when === 'always' ? { ...ended('TaskFailed', 3), fields: { kind: 'unknown' } } : oneMore(when)

/** The service ended the task. */
export const failed =
  (kind: 'account' | 'request' | 'task'): ExpectedWhen =>
  (when) => ({ ...ended('TaskFailed', AFFECTED_POLL[when]), fields: { kind } })

/** A new task may be unknown for ten seconds, which pass quickly here; after that it has failed. */
export const notFound: ExpectedWhen = (when) =>
  when === 'always'
    ? { ...ended('TaskFailed', { atLeast: 2 }), fields: { kind: 'task' }, pace: hurried }
    : oneMore(when)
