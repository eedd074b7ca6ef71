import { hangingUp, type Expected, type Follows, type When } from './outcomes.js'
import * as onAsk from './outcomes-of-poll.js'
import * as onCreate from './outcomes-of-create.js'

type Call = 'createTask' | 'getTaskResult'

/** One fault, and what follows from it on each call that can meet it. */
export interface FaultRow {
  /** Those of `connect` and `TLS` are detours, the others are the emulator's. */
  readonly kind: 'connect' | 'TLS' | 'headers' | 'body' | 'status' | 'JSON' | 'shape' | 'protocol' | 'timing'
  readonly fault: string
  readonly follows: Readonly<Partial<Record<Call, Follows>>>
  /** The cause, which `explain` names; left out where nothing comes of it. */
  readonly named?: RegExp
}

type Row = readonly [
  fault: string,
  createTask: Follows | undefined,
  getTaskResult?: Follows | undefined,
  named?: RegExp
]

const rows = (kind: FaultRow['kind'], table: ReadonlyArray<Row>): ReadonlyArray<FaultRow> =>
  table.map(([fault, createTask, getTaskResult, named]) => ({
    kind,
    fault,
    follows: { ...(createTask && { createTask }), ...(getTaskResult && { getTaskResult }) },
    ...(named && { named })
  }))

const { distrusted, lost, lostUnread, later, assumed, assumedWrongly, refused } = onCreate
const { costs, heeds, outside, unknownCode, final, gone, goesOn } = onAsk

const STILL = /the service was still processing it/
const NOT_JSON = /the reply: expected (JSON|a JSON object)/
const NO_ID = /taskId: expected/
const NO_TOKEN = /solution\.gRecaptchaResponse: expected/
const NO_STATUS = /status: expected "processing" or "ready"/
const TIMED_OUT = /timed out: no reply within \d+ ms/

/** Every fault of the matrix. What follows is that of docs/errors.md, one class of faults after the other. */
export const FAULTS: ReadonlyArray<FaultRow> = [
  ...rows('connect', [
    ['refused', onCreate.neverLeft('connect'), onAsk.neverLeft, /ECONNREFUSED/],
    ['unresolvable', onCreate.neverLeft('dns'), onAsk.neverLeft, /ENOTFOUND/],
    ['unreachable', onCreate.neverLeft('connect'), onAsk.neverLeft, /EHOSTUNREACH/],
    ['no connection in time', onCreate.neverLeft('connect'), onAsk.neverLeftLate, /UND_ERR_CONNECT_TIMEOUT/],
    ['reset at accept', onCreate.neverLeft('connect'), onAsk.neverLeft, /ECONNRESET/]
  ]),
  ...rows('TLS', [
    ['reset in the handshake', onCreate.neverLeft('connect'), onAsk.neverLeft, /ECONNRESET/],
    ['not TLS', distrusted, onAsk.neverLeft, /ERR_SSL_WRONG_VERSION_NUMBER/],
    ['signed by itself', distrusted, onAsk.neverLeft, /DEPTH_ZERO_SELF_SIGNED_CERT/],
    ['signed by nobody known', distrusted, onAsk.neverLeft, /UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
    ['expired', distrusted, onAsk.neverLeft, /CERT_HAS_EXPIRED/],
    ['not valid yet', distrusted, onAsk.neverLeft, /CERT_NOT_YET_VALID/],
    ['for another name', distrusted, onAsk.neverLeft, /ERR_TLS_CERT_ALTNAME_INVALID/]
  ]),
  ...rows('headers', [
    ['reset', lost, costs, /ECONNRESET/],
    ['reset-unread', lostUnread, costs, /ECONNRESET/],
    ['close', lost, costs, /UND_ERR_SOCKET/],
    ['close-headers', lost, costs, /UND_ERR_SOCKET/],
    ['huge-headers', hangingUp(lost), hangingUp(costs), /UND_ERR_HEADERS_OVERFLOW/],
    ['not-http', lost, costs, /HTTPParserError/]
  ]),
  ...rows('body', [
    ['cut', lost, costs, /UND_ERR_SOCKET/],
    ['bad-chunk', lost, costs, /HTTPParserError/],
    ['cut-gzip', lost, costs, /Z_BUF_ERROR/],
    ['bad-gzip', lost, costs, /Z_DATA_ERROR/],
    ['odd-encoding', lost, costs, /CONTENT_ENCODING/],
    ['large', hangingUp(lost), hangingUp(costs), /TOO_LARGE/],
    ['gzip-bomb=2000000', hangingUp(lost), hangingUp(costs), /TOO_LARGE/],
    ['gzip', onCreate.harmless, onAsk.harmless]
  ]),
  ...rows('timing', [
    ['silent', onCreate.tooSlow, onAsk.tooSlow, TIMED_OUT],
    ['drip', onCreate.tooSlow, onAsk.tooSlow, TIMED_OUT],
    ['drip-headers=5', onCreate.tooSlow, onAsk.tooSlow, TIMED_OUT],
    ['slow', onCreate.tooSlow, onAsk.tooSlow, TIMED_OUT],
    ['drip=0', onCreate.harmless, onAsk.harmless],
    ['slow=20', onCreate.harmless, onAsk.harmless],
    ['never', undefined, goesOn, STILL]
  ]),
  ...rows('status', [
    ...[500, 502, 504, 599].map((status): Row => [String(status), lost, outside, new RegExp(`HTTP ${status}`)]),
    ...[202, 226].map((status): Row => [String(status), lost, outside, NOT_JSON]),
    ...[301, 302, 303, 307, 308].map((status): Row => [
      String(status),
      refused('request'),
      outside,
      new RegExp(`HTTP ${status}`)
    ]),
    ...[400, 401, 403, 404, 413, 451].map((status): Row => [
      String(status),
      refused('request'),
      outside,
      new RegExp(`HTTP ${status}`)
    ]),
    ['408', later, costs, /HTTP 408/],
    ['429', later, costs, /HTTP 429/],
    ['429;retry-after=20', later, heeds, /HTTP 429/],
    ['503', assumed, costs, /HTTP 503/],
    ['503;retry-after=20', assumed, heeds, /HTTP 503/],
    ['billed+503', assumedWrongly, undefined, /HTTP 503/],
    ['right@500', onCreate.harmless, onAsk.harmless],
    ['right@404', onCreate.harmless, onAsk.harmless]
  ]),
  ...rows('JSON', [
    ['html', lost, outside, NOT_JSON],
    ['empty', lost, outside, NOT_JSON],
    ['cut-json', lost, outside, NOT_JSON],
    ['not-json', lost, outside, NOT_JSON],
    ['utf16', lost, outside, NOT_JSON],
    ['deep', lost, outside, NOT_JSON],
    ['array', lost, outside, NOT_JSON],
    ['null', lost, outside, NOT_JSON],
    ['bom', onCreate.harmless, onAsk.harmless],
    ['duplicate-keys', onCreate.harmless, onAsk.harmless],
    ['proto', onCreate.harmless, onAsk.harmless]
  ]),
  ...rows('shape', [
    ['no-id', lost, undefined, NO_ID],
    ['null-id', lost, undefined, NO_ID],
    ['empty-id', lost, undefined, NO_ID],
    ['numeric-id', onCreate.harmless],
    ['string-error-id', onCreate.harmless, onAsk.harmless],
    ['no-solution', undefined, outside, /solution: expected/],
    ['empty-token', undefined, outside, NO_TOKEN],
    ['number-token', undefined, outside, NO_TOKEN],
    ['null-token', undefined, outside, NO_TOKEN],
    ['unknown-status', undefined, outside, NO_STATUS],
    ['idle-status', undefined, outside, NO_STATUS],
    ['failed-status', undefined, outside, NO_STATUS]
  ]),
  ...rows('protocol', [
    ['error-with-id', onCreate.harmless],
    ['echo-key', refused('unknown'), unknownCode, /ERROR_KEY_\[client key\]_REJECTED/],
    ['null-code', refused('unknown'), unknownCode, /no code at all/],
    ['empty-code', refused('unknown'), unknownCode, /an empty code/],
    ['ERROR_NOBODY_KNOWS', refused('unknown'), unknownCode, /ERROR_NOBODY_KNOWS/],
    ['ERROR_NOBODY_KNOWS@500', refused('unknown'), unknownCode, /ERROR_NOBODY_KNOWS/],
    ['ERROR_NOBODY_KNOWS@503', later, costs, /HTTP 503/],
    ['ERROR_ZERO_BALANCE', refused('account'), final('account'), /ERROR_ZERO_BALANCE/],
    ['ERROR_KEY_DOES_NOT_EXIST@401', refused('account'), final('account'), /ERROR_KEY_DOES_NOT_EXIST/],
    ['ERROR_GOOGLEKEY', refused('request'), final('request'), /ERROR_GOOGLEKEY/],
    ['ERROR_CAPTCHA_UNSOLVABLE', refused('task'), final('task'), /ERROR_CAPTCHA_UNSOLVABLE/],
    ['ERROR_NO_SLOT_AVAILABLE', later, costs, /ERROR_NO_SLOT_AVAILABLE/],
    ['ERROR_TOO_MUCH_REQUESTS@429', later, costs, /ERROR_TOO_MUCH_REQUESTS/],
    ['ERROR_TASKID_INVALID', refused('unknown'), gone, /ERROR_TASKID_INVALID/],
    ['CAPTCHA_NOT_READY', refused('unknown'), goesOn, /CAPTCHA_NOT_READY|still processing/],
    ['ERROR_INTERNAL_SERVER_ERROR', lost, outside, /ERROR_INTERNAL_SERVER_ERROR/]
  ])
]

/** One fault, on one call, struck at one time. */
export interface Cell extends Omit<FaultRow, 'follows'> {
  readonly call: Call
  readonly when: When
  readonly expected: Expected
  readonly title: string
}

const cell = ({ follows: _, ...row }: FaultRow, call: Call, when: When, follows: Follows): Cell => {
  const expected = follows(when)
  return { ...row, call, when, expected, title: `${call}, ${when}: ${row.fault} -> ${expected.tag}` }
}

const CALLS: ReadonlyArray<Call> = ['createTask', 'getTaskResult']
const WHENS: ReadonlyArray<When> = ['first', 'n-th', 'always']

export const CELLS: ReadonlyArray<Cell> = FAULTS.flatMap((row) =>
  CALLS.flatMap((call) => {
    const follows = row.follows[call]
    return follows ? WHENS.map((when) => cell(row, call, when, follows)) : []
  })
)

/**
 * The emulator's rules. The n-th create is the second of three solves; the n-th poll comes after others that were
 * answered "processing". A lost create was paid for.
 */
export const rulesOf = ({ kind, call, when, fault, expected }: Cell): ReadonlyArray<string> => {
  const before = call === 'getTaskResult' && when === 'n-th' ? [`${call}:first${onAsk.STRUCK[when] - 1}:never`] : []
  if (kind === 'connect' || kind === 'TLS') return before
  const at = { first: 1, 'n-th': call === 'createTask' ? 2 : onAsk.STRUCK['n-th'], always: 'always' }[when]
  const billed = expected.tag === 'CreateUnknown' && expected.accepted === 1 ? 'billed+' : ''
  return [...before, `${call}:${at}:${billed}${fault}`]
}
