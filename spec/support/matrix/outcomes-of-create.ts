import {
  hurried,
  hurriedToDeadline,
  shortTimeouts,
  solved,
  unlimited,
  type Expected,
  type ExpectedWhen
} from './outcomes.js'

// What is expected of a fault on createTask. A task needs one poll here.

/** The client can read the correct reply. */
export const harmless: ExpectedWhen = () => solved

/** The correct reply never ends, so the client reads what arrived when its limit passes. */
export const readAtTheLimit: ExpectedWhen = () => ({
  ...solved,
  polls: { atLeast: 1 },
  pace: shortTimeouts,
  clientDisconnects: true
})

/** The reply holds the solution. */
export const readyAtOnce: ExpectedWhen = () => ({ ...solved, polls: 0 })

const notCreated: Expected = {
  tag: 'NotCreated',
  paid: 'no',
  creates: 0,
  accepted: 0,
  polls: 0,
  pace: unlimited
}

/** createTask was never sent, so it is tried up to four times. */
export const neverSent =
  (reason: 'dns' | 'connect'): ExpectedWhen =>
  (when) =>
    when === 'always' ? { ...notCreated, fields: { reason, attempts: 4 }, pace: hurried } : { ...solved, pace: hurried }

/** createTask was never sent, and is not tried again, because the certificate stays what it is. */
export const untrusted: ExpectedWhen = () => ({ ...notCreated, fields: { reason: 'tls', attempts: 1 } })

/** createTask was sent, and its reply is lost or not readable. Here it was paid for. It is never sent again. */
export const lost: ExpectedWhen = () => ({
  tag: 'CreateUnknown',
  paid: 'unknown',
  creates: 1,
  accepted: 1,
  polls: 0,
  pace: unlimited
})

/** The same for the client, but the service did not read the request. */
export const lostUnread: ExpectedWhen = (when) => ({ ...lost(when), accepted: 0 })

/** As `lost`, after the limit of the client. */
export const tooSlow: ExpectedWhen = (when) => ({ ...lost(when), pace: shortTimeouts, clientDisconnects: true })

const refusal: Expected = { tag: 'Refused', paid: 'no', creates: 1, accepted: 0, polls: 0, pace: unlimited }

/** The service refused the task. */
export const refused =
  (kind: 'account' | 'request' | 'task' | 'unknown'): ExpectedWhen =>
  () => ({ ...refusal, fields: { kind } })

/** Nothing was created, and the service asks for a wait. */
export const unavailable: ExpectedWhen = (when) =>
  when === 'always'
    ? { ...refusal, fields: { kind: 'unavailable' }, creates: { atLeast: 2 }, pace: hurriedToDeadline }
    : { ...solved, creates: 2, pace: hurried }

/** A 503 without a document counts as `unavailable`, and the assumption is emitted as an event. */
export const assumedNotCreated: ExpectedWhen = (when) => ({
  ...unavailable(when),
  ...(when === 'always' && { paid: 'unknown' }),
  assumesNotCreated: true
})

/** The same, but the assumption is wrong. */
export const wronglyAssumed: ExpectedWhen = (when) => ({
  ...assumedNotCreated(when),
  accepted: when === 'always' ? { atLeast: 2 } : 2
})
