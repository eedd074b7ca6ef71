import { isDeepStrictEqual } from 'node:util'
import { ruleOf } from './odd-replies.js'
import { clientDisconnects, type Expected, type ExpectedWhen, type When } from './outcomes.js'
import * as onCreate from './outcomes-of-create.js'
import * as onPoll from './outcomes-of-poll.js'
import type { FaultRule } from 'rx-captcha/emulator'

type CallName = 'createTask' | 'getTaskResult'

/** One fault, and what is expected of it on each call that it can affect. */
export interface FaultRow {
  /** Those of `connect` and `TLS` are connection faults; the others are faults of the emulator, or odd replies. */
  readonly kind:
    'connect' | 'TLS' | 'headers' | 'body' | 'status' | 'JSON' | 'shape' | 'protocol' | 'timing' | 'numeric ids'
  readonly fault: string
  readonly expected: Readonly<Partial<Record<CallName, ExpectedWhen>>>
  /** The cause, which `explain` names; left out if the fault is harmless. */
  readonly cause?: RegExp
}

type Row = readonly [
  fault: string,
  createTask: ExpectedWhen | undefined,
  getTaskResult?: ExpectedWhen | undefined,
  cause?: RegExp
]

const rows = (kind: FaultRow['kind'], table: ReadonlyArray<Row>): ReadonlyArray<FaultRow> =>
  table.map(([fault, createTask, getTaskResult, cause]) => ({
    kind,
    fault,
    expected: { ...(createTask && { createTask }), ...(getTaskResult && { getTaskResult }) },
    ...(cause && { cause })
  }))

const { harmless, untrusted, lost, lostUnread, unavailable, assumedNotCreated, wronglyAssumed, refused } = onCreate
const { repeated, repeatedAfterWait, violation, unknownCode, failed, notFound, notReady } = onPoll

const STILL = /the service was still processing it/
const NOT_JSON = /the reply: expected (JSON|a JSON object)/
const NO_ID = /taskId: expected/
const NOT_ONE_DOCUMENT = /the reply: expected one JSON object/
const NO_TOKEN = /solution\.gRecaptchaResponse: expected/
const NO_STATUS = /status: expected "processing" or "ready"/
const BROKEN_OFF = /HTTPParserError|UND_ERR_SOCKET|ECONNRESET/
const TIMED_OUT = /timed out: no reply within \d+ ms/

/** Every fault of the matrix, with the outcomes that docs/errors.md promises. */
export const FAULTS: ReadonlyArray<FaultRow> = [
  ...rows('connect', [
    ['refused', onCreate.neverSent('connect'), onPoll.neverSent, /ECONNREFUSED/],
    ['unresolvable', onCreate.neverSent('dns'), onPoll.neverSent, /ENOTFOUND/],
    ['unreachable', onCreate.neverSent('connect'), onPoll.neverSent, /EHOSTUNREACH/],
    ['connect timeout', onCreate.neverSent('connect'), onPoll.neverSentAfterSeconds, /UND_ERR_CONNECT_TIMEOUT/],
    ['reset on accept', onCreate.neverSent('connect'), onPoll.neverSent, /ECONNRESET/]
  ]),
  ...rows('TLS', [
    ['reset in the handshake', onCreate.neverSent('connect'), onPoll.neverSent, /ECONNRESET/],
    ['not TLS', untrusted, onPoll.neverSent, /ERR_SSL_WRONG_VERSION_NUMBER/],
    ['self-signed certificate', untrusted, onPoll.neverSent, /DEPTH_ZERO_SELF_SIGNED_CERT/],
    ['unknown authority', untrusted, onPoll.neverSent, /UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
    ['expired certificate', untrusted, onPoll.neverSent, /CERT_HAS_EXPIRED/],
    ['certificate not yet valid', untrusted, onPoll.neverSent, /CERT_NOT_YET_VALID/],
    ['certificate for another name', untrusted, onPoll.neverSent, /ERR_TLS_CERT_ALTNAME_INVALID/]
  ]),
  ...rows('headers', [
    ['reset', lost, repeated, /ECONNRESET/],
    ['reset-unread', lostUnread, repeated, /ECONNRESET/],
    ['close', lost, repeated, /UND_ERR_SOCKET/],
    ['close-headers', lost, repeated, /UND_ERR_SOCKET/],
    ['huge-headers', clientDisconnects(lost), clientDisconnects(repeated), /UND_ERR_HEADERS_OVERFLOW/],
    ['large-headers', harmless, onPoll.harmless],
    ['early-hints', harmless, onPoll.harmless],
    ['not-http', lost, repeated, /HTTPParserError/],
    ['unasked-continue', lost, repeated, BROKEN_OFF],
    ['contradictory-framing', lost, repeated, /HTTPParserError|CONTENT_LENGTH_MISMATCH/]
  ]),
  ...rows('body', [
    ['cut', lost, repeated, /UND_ERR_SOCKET/],
    ['bad-chunk', lost, repeated, /HTTPParserError/],
    ['cut-after-id', harmless],
    ['cut-in-id', lost, undefined, BROKEN_OFF],
    ...['reply-unfinished=0', 'unfinished-length', 'reset-after-document', 'bad-second-chunk', 'half-second-chunk'].map(
      (fault): Row => [fault, harmless, onPoll.harmless]
    ),
    ...['no-framing', 'http-1.0', 'more-than-length'].map((fault): Row => [fault, harmless, onPoll.harmless]),
    ['cut-gzip', lost, violation, NOT_JSON],
    ...[
      ...['gzip', 'x-gzip', 'deflate', 'raw-deflate', 'br', 'twice-gzip', 'once-of-twice-gzip', 'identity-and-gzip'],
      ...['unannounced-gzip', 'gzip-without-trailer', 'gzip-with-bad-checksum', 'gzip-then-garbage', 'gzip-of-utf16'],
      ...['bad-gzip', 'odd-encoding', 'charset-as-encoding', 'plain-as-br', 'plain-as-deflate', 'plain-as-list']
    ].map((fault): Row => [fault, harmless, onPoll.harmless]),
    ['large', clientDisconnects(lost), clientDisconnects(repeated), /TOO_LARGE/],
    ['gzip-bomb=2000000', clientDisconnects(lost), clientDisconnects(repeated), /TOO_LARGE/]
  ]),
  ...rows('timing', [
    ['silent', onCreate.tooSlow, onPoll.tooSlow, TIMED_OUT],
    ['drip', onCreate.tooSlow, onPoll.tooSlow, TIMED_OUT],
    ['reply-unfinished', onCreate.readAtTheLimit, onPoll.readAtTheLimit],
    ['unfinished-length-open', onCreate.readAtTheLimit, onPoll.readAtTheLimit],
    ['cut-after-id-open', onCreate.readAtTheLimit],
    ['drip-headers=5', onCreate.tooSlow, onPoll.tooSlow, TIMED_OUT],
    ['slow', onCreate.tooSlow, onPoll.tooSlow, TIMED_OUT],
    ['drip=0', onCreate.harmless, onPoll.harmless],
    ['slow=20', onCreate.harmless, onPoll.harmless],
    ['never', undefined, notReady, STILL],
    ['retry-after', undefined, onPoll.harmless],
    ['processing-retry-after', undefined, repeatedAfterWait, STILL],
    ['processing-202-retry-after', undefined, repeatedAfterWait, STILL],
    ['CAPTCHA_NOT_READY;retry-after=20', undefined, repeatedAfterWait, STILL],
    ['ERROR_TASKID_INVALID;retry-after=20', undefined, repeatedAfterWait, /ERROR_TASKID_INVALID/],
    ['ERROR_NEVER_DOCUMENTED;retry-after=20', undefined, repeatedAfterWait, /ERROR_NEVER_DOCUMENTED/],
    ['ERROR_NO_SLOT_AVAILABLE;retry-after=20', undefined, repeatedAfterWait, /ERROR_NO_SLOT_AVAILABLE/],
    ...[202, 302, 401, 404, 500, 502].map((status): Row => [
      `${status};retry-after=20`,
      undefined,
      repeatedAfterWait,
      new RegExp(`HTTP ${status}`)
    ]),
    ['queued-retry-after', undefined, repeatedAfterWait, /queued/],
    ['no-solution-retry-after', undefined, repeatedAfterWait, /solution: expected/],
    ['not-json-retry-after', undefined, repeatedAfterWait, NOT_JSON],
    ['cut-retry-after', undefined, repeatedAfterWait, BROKEN_OFF]
  ]),
  ...rows('status', [
    ...[500, 502, 504, 599].map((status): Row => [String(status), lost, violation, new RegExp(`HTTP ${status}`)]),
    ...[202, 226].map((status): Row => [String(status), lost, violation, NOT_JSON]),
    ...[301, 302, 303, 307, 308].map((status): Row => [
      String(status),
      refused('request'),
      violation,
      new RegExp(`HTTP ${status}`)
    ]),
    ...[401, 402].map((status): Row => [String(status), refused('account'), violation, new RegExp(`HTTP ${status}`)]),
    ...[400, 403, 404, 413, 451].map((status): Row => [
      String(status),
      refused('request'),
      violation,
      new RegExp(`HTTP ${status}`)
    ]),
    ['408', unavailable, repeated, /HTTP 408/],
    ['429', unavailable, repeated, /HTTP 429/],
    ['429;retry-after=20', unavailable, repeatedAfterWait, /HTTP 429/],
    ['503', assumedNotCreated, repeated, /HTTP 503/],
    ['503;retry-after=20', assumedNotCreated, repeatedAfterWait, /HTTP 503/],
    ['billed+503', wronglyAssumed, undefined, /HTTP 503/],
    ['right@500', onCreate.harmless, onPoll.harmless],
    ['right@404', onCreate.harmless, onPoll.harmless]
  ]),
  ...rows('JSON', [
    ['html', lost, violation, NOT_JSON],
    ...[
      ...['text-before', 'text-after', 'text-around', 'brace-after', 'jsonp', 'event-stream', 'html-around'],
      ...['utf16', 'utf16be', 'utf16-without-bom', 'utf16be-without-bom', 'latin1', 'bom']
    ].map((fault): Row => [fault, harmless, onPoll.harmless]),
    ...['nan', 'raw-line-break', 'trailing-comma'].map((fault): Row => [fault, harmless, onPoll.harmless]),
    ...['unquoted-name', 'python', 'double-encoded', 'wrapped'].map((fault): Row => [
      fault,
      harmless,
      violation,
      /expected/
    ]),
    ['cut-json-after-id', harmless],
    ['cut-json-in-id', lost, undefined, NOT_JSON],
    ['two-documents', harmless, violation, NOT_ONE_DOCUMENT],
    ['error-then-document', harmless, violation, NOT_ONE_DOCUMENT],
    ['two-ids', lost, undefined, NOT_ONE_DOCUMENT],
    ['array-of-two', harmless, violation, NOT_JSON],
    ['empty', lost, violation, NOT_JSON],
    ['cut-json', lost, violation, NOT_JSON],
    ['not-json', lost, violation, NOT_JSON],
    ['deep', lost, violation, NOT_JSON],
    ['array', harmless, violation, NOT_JSON],
    ['null', lost, violation, NOT_JSON],
    ['duplicate-keys', onCreate.harmless, onPoll.harmless],
    ['proto', onCreate.harmless, onPoll.harmless]
  ]),
  ...rows('shape', [
    ['no-id', lost, undefined, NO_ID],
    ['null-id', lost, undefined, NO_ID],
    ['empty-id', lost, undefined, NO_ID],
    ['ready-at-once', onCreate.readyAtOnce],
    ['ready-without-token', onCreate.harmless],
    ['ready-without-id', lost, undefined, NO_ID],
    ['failed-at-once', onCreate.harmless],
    ['processing-at-once', onCreate.harmless],
    ['idle-at-once', onCreate.harmless],
    ['string-error-id', onCreate.harmless, onPoll.harmless],
    ['no-solution', undefined, violation, /solution: expected/],
    ['empty-token', undefined, violation, NO_TOKEN],
    ['number-token', undefined, violation, NO_TOKEN],
    ['null-token', undefined, violation, NO_TOKEN],
    ['unknown-status', undefined, repeated, /waiting/],
    ['idle-status', undefined, repeated, /idle/],
    ['queued-status', undefined, repeated, /queued/],
    ...['failed', 'canceled', 'expired', 'error', 'empty', 'null', 'number'].map((what): Row => [
      `${what}-status`,
      undefined,
      violation,
      NO_STATUS
    ]),
    ['shouted-ready', undefined, violation, NO_STATUS]
  ]),
  ...rows('protocol', [
    ['error-with-id', onCreate.harmless],
    ['echo-key', refused('unknown'), unknownCode, /ERROR_KEY_\[client key\]_REJECTED/],
    ['null-code', refused('unknown'), unknownCode, /no code at all/],
    ['empty-code', refused('unknown'), unknownCode, /an empty code/],
    ['ERROR_NEVER_DOCUMENTED', refused('unknown'), unknownCode, /ERROR_NEVER_DOCUMENTED/],
    ['ERROR_NEVER_DOCUMENTED@500', refused('unknown'), unknownCode, /ERROR_NEVER_DOCUMENTED/],
    ['ERROR_NEVER_DOCUMENTED@503', unavailable, repeated, /HTTP 503/],
    ['ERROR_ZERO_BALANCE', refused('account'), failed('account'), /ERROR_ZERO_BALANCE/],
    ['ERROR_KEY_DOES_NOT_EXIST@401', refused('account'), failed('account'), /ERROR_KEY_DOES_NOT_EXIST/],
    ['ERROR_GOOGLEKEY', refused('request'), failed('request'), /ERROR_GOOGLEKEY/],
    ['ERROR_CAPTCHA_UNSOLVABLE', refused('task'), failed('task'), /ERROR_CAPTCHA_UNSOLVABLE/],
    ['ERROR_NO_SLOT_AVAILABLE', unavailable, repeated, /ERROR_NO_SLOT_AVAILABLE/],
    ['ERROR_TOO_MUCH_REQUESTS@429', unavailable, repeated, /ERROR_TOO_MUCH_REQUESTS/],
    ['ERROR_TASKID_INVALID', refused('unknown'), notFound, /ERROR_TASKID_INVALID/],
    ['CAPTCHA_NOT_READY', refused('unknown'), notReady, /CAPTCHA_NOT_READY|still processing/],
    ['ERROR_INTERNAL_SERVER_ERROR', lost, violation, /ERROR_INTERNAL_SERVER_ERROR/]
  ]),
  ...rows('numeric ids', [
    ['numeric-id', harmless],
    ...[
      ...[
        'right@200',
        'gzip',
        'text-before',
        'text-around',
        'reply-unfinished=0',
        'unfinished-length',
        'utf16',
        'latin1'
      ],
      ...['bom', 'nan', 'raw-line-break']
    ].map((fault): Row => [fault, harmless, onPoll.harmless]),
    ...['array', 'wrapped', 'python', 'double-encoded', 'two-documents'].map((fault): Row => [
      fault,
      harmless,
      violation,
      /expected/
    ]),
    ['ready-at-once', onCreate.readyAtOnce],
    // A number that ends with the text may have more digits.
    ['cut-after-id', lost, undefined, BROKEN_OFF],
    ['cut-json-after-id', lost, undefined, NOT_JSON],
    ['never', undefined, notReady, STILL],
    ['502', undefined, violation, /HTTP 502/],
    ['ERROR_CAPTCHA_UNSOLVABLE', undefined, failed('task'), /ERROR_CAPTCHA_UNSOLVABLE/]
  ])
]

/** One fault on one call, injected at one time. */
export interface MatrixCase extends Omit<FaultRow, 'expected'> {
  readonly call: CallName
  readonly when: When
  readonly expected: Expected
  readonly title: string
}

const matrixCase = (row: FaultRow, call: CallName, when: When, expectedWhen: ExpectedWhen): MatrixCase => ({
  ...row,
  call,
  when,
  expected: expectedWhen(when),
  title: `${call}, ${when}: ${row.fault}${row.kind === 'numeric ids' ? ', numeric ids' : ''}`
})

const CALLS: ReadonlyArray<CallName> = ['createTask', 'getTaskResult']
const WHENS: ReadonlyArray<When> = ['first', 'n-th', 'always']

/** Not `first` where it ends as `always` does; the runs of `n-th`, too, have right replies after the fault. */
const whensOf = (expectedWhen: ExpectedWhen): ReadonlyArray<When> =>
  isDeepStrictEqual(expectedWhen('first'), expectedWhen('always')) ? ['n-th', 'always'] : WHENS

export const MATRIX: ReadonlyArray<MatrixCase> = FAULTS.flatMap((row) =>
  CALLS.flatMap((call) => {
    const expectedWhen = row.expected[call]
    return expectedWhen ? whensOf(expectedWhen).map((when) => matrixCase(row, call, when, expectedWhen)) : []
  })
)

/**
 * The emulator's rules. The n-th createTask is that of the second of three solves; the n-th poll comes after polls that got
 * "processing". A createTask whose reply is lost or spoiled was paid for.
 */
export const rulesOf = ({ kind, call, when, fault, expected }: MatrixCase): ReadonlyArray<FaultRule | string> => {
  const nthPoll = onPoll.AFFECTED_POLL['n-th']
  const before = call === 'getTaskResult' && when === 'n-th' ? [`${call}:first${nthPoll - 1}:never`] : []
  if (kind === 'connect' || kind === 'TLS') return before
  const at = { first: 1, 'n-th': call === 'createTask' ? 2 : nthPoll, always: 'always' }[when]
  const billed = call === 'createTask' && expected.creates === 1 && expected.accepted === 1 ? 'billed+' : ''
  return [...before, ruleOf(`${call}:${at}:${billed}${fault}`)]
}
