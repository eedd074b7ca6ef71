import {
  hurried,
  impatient,
  right,
  toDeadline,
  toLateDeadline,
  unlimited,
  type Count,
  type Expected,
  type Follows,
  type When
} from './outcomes.js'

// What follows from a fault on getTaskResult, class by class.

/** The poll that a fault strikes; those before it are answered "processing". */
export const STRUCK: Readonly<Record<When, number>> = { first: 1, 'n-th': 3, always: 1 }

/** The right answer can be read all the same. */
export const harmless: Follows = (when) => ({ ...right, polls: STRUCK[when] })

// The struck poll costs just itself.
const oneMore = (when: When): Expected => ({ ...right, polls: STRUCK[when] + 1 })

const ended = (tag: 'TimedOut' | 'BadReply' | 'TaskFailed', polls: Count): Expected => ({
  tag,
  paid: 'yes',
  creates: 1,
  accepted: 1,
  polls,
  pace: unlimited
})

/** It never left: the service sees only the other polls. */
export const neverLeft: Follows = (when) =>
  when === 'always' ? { ...ended('TimedOut', 0), pace: toDeadline } : { ...right, polls: STRUCK[when] }

/** The same, found out by a timer of undici's that ticks once a second. */
export const neverLeftLate: Follows = (when) => ({
  ...neverLeft(when),
  pace: when === 'always' ? toLateDeadline : unlimited
})

/** It costs the poll, however often. */
export const costs: Follows = (when) =>
  when === 'always' ? { ...ended('TimedOut', { atLeast: 2 }), pace: toDeadline } : oneMore(when)

/** As `costs`, and the next poll waits as long as the service asks for: here for more than the deadline. */
export const heeds: Follows = (when) =>
  when === 'always' ? { ...ended('TimedOut', 1), pace: toDeadline } : { ...oneMore(when), pace: hurried }

/** As `costs`, and the client has to end it: on a slow machine it may end a good answer as well. */
export const tooSlow: Follows = (when) => ({
  ...costs(when),
  polls: { atLeast: STRUCK[when] + 1 },
  pace: impatient,
  hangsUp: true
})

/** Not ready: asked on and on. */
export const goesOn: Follows = (when) => costs(when)

/** It costs the poll, and three in a run end the asking. */
export const outside: Follows = (when) => (when === 'always' ? ended('BadReply', 3) : oneMore(when))

/** Nobody knows what it means: three in a row end the task. */
export const unknownCode: Follows = (when) =>
  when === 'always' ? { ...ended('TaskFailed', 3), beside: { kind: 'unknown' } } : oneMore(when)

/** The service ended the task. */
export const final =
  (kind: 'account' | 'request' | 'task'): Follows =>
  (when) => ({ ...ended('TaskFailed', STRUCK[when]), beside: { kind } })

/** A service that lags behind for the first ten seconds, which pass in a hurry; then the task is gone. */
export const gone: Follows = (when) =>
  when === 'always'
    ? { ...ended('TaskFailed', { atLeast: 2 }), beside: { kind: 'task' }, pace: hurried }
    : oneMore(when)
