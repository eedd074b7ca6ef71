import { hurried, hurriedToDeadline, impatient, right, unlimited, type Expected, type Follows } from './outcomes.js'

// What follows from a fault on createTask, class by class. One task needs one poll here.

/** The right answer can be read all the same. */
export const harmless: Follows = () => right

const notCreated: Expected = {
  tag: 'NotCreated',
  paid: 'no',
  creates: 0,
  accepted: 0,
  polls: 0,
  pace: unlimited
}

/** It never left, so it is repeated, up to four times. */
export const neverLeft =
  (reason: 'dns' | 'connect'): Follows =>
  (when) =>
    when === 'always' ? { ...notCreated, beside: { reason, attempts: 4 }, pace: hurried } : { ...right, pace: hurried }

/** It never left, and never will as long as the certificate is what it is. */
export const distrusted: Follows = () => ({ ...notCreated, beside: { reason: 'tls', attempts: 1 } })

/** It left, and its answer is lost or says nothing: here it was paid for, and it is never repeated. */
export const lost: Follows = () => ({
  tag: 'CreateUnknown',
  paid: 'unknown',
  creates: 1,
  accepted: 1,
  polls: 0,
  pace: unlimited
})

/** The same for the client, but the service never took it. */
export const lostUnread: Follows = (when) => ({ ...lost(when), accepted: 0 })

/** As `lost`, and the client has to end it. */
export const tooSlow: Follows = (when) => ({ ...lost(when), pace: impatient, hangsUp: true })

const refusal: Expected = { tag: 'Refused', paid: 'no', creates: 1, accepted: 0, polls: 0, pace: unlimited }

/** The service said no. */
export const refused =
  (kind: 'account' | 'request' | 'task' | 'unknown'): Follows =>
  () => ({ ...refusal, beside: { kind } })

/** Nothing was created, the service asks for a wait. */
export const later: Follows = (when) =>
  when === 'always'
    ? { ...refusal, beside: { kind: 'unavailable' }, creates: { atLeast: 2 }, pace: hurriedToDeadline }
    : { ...right, creates: 2, pace: hurried }

/** A 503 without a document is taken for that, and told as an assumption. */
export const assumed: Follows = (when) => ({
  ...later(when),
  ...(when === 'always' && { paid: 'unknown' }),
  assumes: true
})

/** And here it was a wrong one. */
export const assumedWrongly: Follows = (when) => ({
  ...assumed(when),
  accepted: when === 'always' ? { atLeast: 2 } : 2
})
