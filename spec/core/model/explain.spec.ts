import * as fc from 'fast-check'
import { SolveFailure } from '../../../lib/core/interop.js'
import type { CallFailed } from '../../../lib/core/model/call.js'
import { advise, explain, type Advice } from '../../../lib/core/model/explain.js'
import type { ErrorKind, SolveError } from '../../../lib/core/model/error.js'
import type { ErrorCause } from '../../../lib/core/model/network.js'

type Of<Tag extends SolveError['_tag']> = Omit<Extract<SolveError, { readonly _tag: Tag }>, '_tag' | 'paid' | 'ref'>

const ref = { taskId: 'task-17', createdAt: 0 }
const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'read ECONNRESET' }
const timeout: ErrorCause = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no reply within 25000 ms' }

const invalid: SolveError = { _tag: 'InvalidTask', paid: 'no', problems: ['websiteURL: expected an address'] }
const notCreated = (reason: Of<'NotCreated'>['reason'], attempts = 4, why?: ErrorCause): SolveError => ({
  _tag: 'NotCreated',
  paid: 'no',
  reason,
  attempts,
  ...(why && { cause: why })
})
const refused = (of: Of<'Refused'>, paid: 'no' | 'unknown' = 'no'): SolveError => ({ _tag: 'Refused', paid, ...of })
const unknown = (of: Of<'CreateUnknown'>): SolveError => ({ _tag: 'CreateUnknown', paid: 'unknown', ...of })
const failed = (of: Partial<Of<'TaskFailed'>>): SolveError => {
  const defaults = { errorId: 1, errorCode: 'ERROR_X', errorDescription: '', kind: 'task' } as const
  return { _tag: 'TaskFailed', paid: 'yes', ref, ...defaults, ...of }
}
const badReply: SolveError = {
  _tag: 'BadReply',
  paid: 'yes',
  ref,
  status: 502,
  problems: ['the reply: expected JSON'],
  excerpt: '<html>'
}
const timedOut = (causes: Of<'TimedOut'>['causes'], polls = 99): SolveError => ({
  _tag: 'TimedOut',
  paid: 'yes',
  ref,
  afterMs: 300_000,
  polls,
  causes
})
const interrupted: SolveError = { _tag: 'Interrupted', paid: 'yes', ref }

const NOTHING = 'Nothing was paid.'
const PAID = 'It was paid for.'
const PERHAPS = 'Solving it again may pay twice.'

const toDo: Readonly<Record<Advice, RegExp>> = {
  repeat: /can be solved again\.$/,
  resume: /resume\(\) with error\.ref continues it at no further cost\.$/,
  'pay-again': /A new task may succeed; it is charged again\.$/,
  'fix-task': /Correct the fields of the task, then try again\.$/,
  'fix-account': /Check the key, the balance and the permissions of the account first\.$/,
  'fix-setup': /Check the base URL, the network and the certificates\.$/,
  decide: /(Check the cause before you try again|Create a new solver to solve it|they say what arrived)\.$/
}

const CASES: ReadonlyArray<readonly [name: string, SolveError, Advice, paid: string, parts: ReadonlyArray<string>]> = [
  ['fields that do not fit', invalid, 'fix-task', 'nothing was paid.', ['websiteURL: expected an address', 'invalid']],
  [
    'a name that is not resolved',
    notCreated('dns', 4, { ...cause, code: 'ENOTFOUND' }),
    'repeat',
    NOTHING,
    ['ENOTFOUND', 'name', '4 tries']
  ],
  ['a failed connection', notCreated('connect', 1, cause), 'repeat', NOTHING, ['read ECONNRESET', 'after 1 try:']],
  [
    'a refused certificate',
    notCreated('tls', 1, { ...cause, code: 'CERT_HAS_EXPIRED' }),
    'fix-setup',
    NOTHING,
    ['CERT_HAS_EXPIRED']
  ],
  ['a deadline before the createTask', notCreated('deadline', 0), 'repeat', NOTHING, ['deadline passed']],
  [
    'a deadline after one try',
    notCreated('deadline', 1, cause),
    'repeat',
    NOTHING,
    ['created (1 try: read ECONNRESET).']
  ],
  [
    'a deadline after tries',
    notCreated('deadline', 2, cause),
    'repeat',
    NOTHING,
    ['was created (2 tries; the last one: read ECONNRESET).']
  ],
  ['a deadline while it connects', notCreated('deadline', 2), 'repeat', NOTHING, ['was created (2 tries).']],
  ['a stopped batch', notCreated('account', 0), 'fix-account', NOTHING, ['refused the account']],
  [
    'a failed journal',
    notCreated('journal', 0, { ...cause, code: 'ENOSPC' }),
    'decide',
    NOTHING,
    ['The journal', 'ENOSPC']
  ],
  [
    'a closed solver',
    notCreated('closed', 0),
    'decide',
    NOTHING,
    ['The solver was closed', 'Create a new solver to solve it.']
  ],
  [
    'a refused account',
    refused({
      status: 200,
      errorId: 1,
      errorCode: 'ERROR_ZERO_BALANCE',
      errorDescription: 'none left',
      kind: 'account'
    }),
    'fix-account',
    NOTHING,
    ['ERROR_ZERO_BALANCE, "none left", HTTP 200']
  ],
  [
    'a refused request',
    refused({ status: 200, errorId: 1, errorCode: 'ERROR_SITEKEY', errorDescription: '', kind: 'request' }),
    'fix-task',
    NOTHING,
    ['ERROR_SITEKEY, HTTP 200']
  ],
  ['an HTTP 404', refused({ status: 404, kind: 'request' }), 'fix-setup', NOTHING, ['refused', 'HTTP 404']],
  [
    'an HTTP 403 with an empty code',
    refused({ status: 403, errorCode: '', kind: 'request' }),
    'fix-setup',
    NOTHING,
    ['HTTP 403']
  ],
  ['an HTTP 400', refused({ status: 400, kind: 'request' }), 'fix-task', NOTHING, ['HTTP 400']],
  ['an HTTP 422', refused({ status: 422, kind: 'request' }), 'fix-task', NOTHING, ['HTTP 422']],
  [
    'a redirect',
    refused({ status: 307, kind: 'request' }),
    'fix-setup',
    NOTHING,
    ['HTTP 307', 'redirect is not followed']
  ],
  ['an unavailable service', refused({ status: 503, kind: 'unavailable' }), 'repeat', NOTHING, ['HTTP 503']],
  [
    'a refusal with a task error',
    refused({ status: 200, errorCode: 'ERROR_X', kind: 'task' }),
    'repeat',
    NOTHING,
    ['ERROR_X']
  ],
  [
    'an unknown error code',
    refused({ status: 200, errorCode: 'ERROR_NEW', kind: 'unknown' }),
    'decide',
    NOTHING,
    ['ERROR_NEW']
  ],
  [
    'an unavailable service, perhaps paid',
    refused({ status: 503, kind: 'unavailable' }, 'unknown'),
    'decide',
    'may have created a paid task',
    ['HTTP 503']
  ],
  [
    'a refusal with a task error, perhaps paid',
    refused({ status: 200, kind: 'task' }, 'unknown'),
    'decide',
    'may have created a paid task',
    ['HTTP 200']
  ],
  [
    'a refused request, perhaps paid',
    refused({ status: 400, kind: 'request' }, 'unknown'),
    'decide',
    'may have created a paid task',
    ['HTTP 400']
  ],
  [
    'a refused account, perhaps paid',
    refused({ status: 200, kind: 'account' }, 'unknown'),
    'fix-account',
    'may have created a paid task',
    ['HTTP 200']
  ],
  ['a connection reset', unknown({ cause }), 'decide', PERHAPS, ['createTask was sent', 'read ECONNRESET']],
  [
    'unreadable replies',
    notCreated('unreadable', 0),
    'decide',
    NOTHING,
    [
      'Several createTask calls in a row got no usable reply, so the batch was stopped.',
      'First check the errors of the tasks before this one'
    ]
  ],
  [
    'the intent of an earlier run',
    unknown({ problems: ['the journal holds the intent'] }),
    'decide',
    PERHAPS,
    ['createTask may have been sent, and no reply is known: the journal holds the intent.']
  ],
  [
    'a status that is not known',
    timedOut([{ taskStatus: 'queued' }]),
    'resume',
    PAID,
    ['the last problem was: the task had the status "queued"']
  ],
  ['a reply that timed out', unknown({ cause: timeout }), 'decide', PERHAPS, ['timed out', '25000 ms', 'TIMED_OUT']],
  [
    'a reply without a task id',
    unknown({ status: 200, problems: ['taskId: expected a task id'] }),
    'decide',
    PERHAPS,
    ['createTask was sent, but no task id could be read from what arrived: HTTP 200; taskId: expected a task id']
  ],
  [
    'a cause with a name only',
    unknown({ cause: { name: 'Odd', code: '', message: '' } }),
    'decide',
    PERHAPS,
    [': Odd.']
  ],
  [
    'a cause with a code and no message',
    unknown({ cause: { name: 'Odd', code: 'EODD', message: '' } }),
    'decide',
    PERHAPS,
    [': EODD.']
  ],
  [
    'a cause with a message only',
    unknown({ cause: { name: '', code: '', message: 'it broke' } }),
    'decide',
    PERHAPS,
    [': it broke. ']
  ],
  [
    'a task that the service does not know',
    failed({ errorCode: 'ERROR_TASKID_INVALID', notFound: true }),
    'pay-again',
    'It was paid for when it was created.',
    ['The service does not know task', 'ERROR_TASKID_INVALID']
  ],
  ['a failed task', failed({}), 'pay-again', PAID, ['ended task task-17', 'ERROR_X']],
  [
    'a task that failed with an account error',
    failed({ kind: 'account' }),
    'fix-account',
    PAID,
    ['A poll of task task-17 was refused because of the account: ERROR_X']
  ],
  [
    'a task that failed with a request error',
    failed({ kind: 'request', errorDescription: 'bad' }),
    'fix-task',
    PAID,
    ['ERROR_X, "bad"']
  ],
  [
    'a task that failed without a code',
    failed({ kind: 'unknown', errorCode: '' }),
    'decide',
    PAID,
    ['no reason given']
  ],
  ['replies that violate the protocol', badReply, 'resume', PAID, ['task-17', 'HTTP 502; the reply: expected JSON']],
  [
    'a deadline while the task is processing',
    timedOut([]),
    'resume',
    PAID,
    ['timed out', '300000 ms', '99 polls', 'still processing']
  ],
  ['a deadline before the first poll', timedOut([], 0), 'resume', PAID, ['timed out', '0 polls', 'no time for a poll']],
  [
    'a deadline after network failures',
    timedOut([{ status: 500 }, { cause }]),
    'resume',
    PAID,
    ['problem was: read ECONNRESET']
  ],
  [
    'a deadline after an error code',
    timedOut([{ status: 200, errorCode: 'ERROR_RATE_LIMIT' }]),
    'resume',
    PAID,
    ['problem was: ERROR_RATE_LIMIT, HTTP 200']
  ],
  ['a task interrupted by close', interrupted, 'resume', PAID, ['closed before task task-17']]
]

describe('advise', () => {
  it.each(CASES)('gives the advice for %s', (_, error, advice) => {
    expect(advise(error)).toBe(advice)
  })

  const kinds = fc.constantFrom<ErrorKind>('account', 'request', 'unavailable', 'task', 'unknown')
  const texts = fc.option(fc.constantFrom('', 'ERROR_X'), { nil: undefined })
  const statuses = fc.constantFrom(200, 301, 400, 404, 408, 422, 429, 500, 503)
  const reasons = fc.constantFrom<Of<'NotCreated'>['reason']>(
    'dns',
    'connect',
    'tls',
    'deadline',
    'account',
    'closed',
    'unreadable',
    'journal'
  )
  const errors: fc.Arbitrary<SolveError> = fc.oneof(
    fc.constantFrom(invalid, badReply, interrupted, timedOut([]), unknown({ cause }), unknown({ status: 500 })),
    reasons.map((reason) => notCreated(reason)),
    kinds.map((kind) => failed({ kind })),
    fc
      .tuple(kinds, texts, statuses, fc.constantFrom('no', 'unknown'))
      .map(([kind, errorCode, status, paid]) =>
        refused({ kind, status, ...(errorCode !== undefined && { errorCode }) }, paid)
      )
  )

  it('never gives `repeat` for an error that may have been paid for', () => {
    const isUnpaidIfRepeat = (error: SolveError): boolean => advise(error) !== 'repeat' || error.paid === 'no'
    fc.assert(fc.property(errors, isUnpaidIfRepeat), { numRuns: 500 })
  })

  it('gives `resume` only for errors with a reference', () => {
    const hasRef = (error: SolveError): boolean => advise(error) !== 'resume' || 'ref' in error
    fc.assert(fc.property(errors, hasRef), { numRuns: 500 })
  })
})

describe('explain', () => {
  it.each(CASES)('names the cause, whether it was paid for, and what to do: %s', (_, error, advice, paid, parts) => {
    const sentence = explain(error)
    for (const part of [...parts, paid]) expect(sentence).toContain(part)
    expect(sentence).toMatch(toDo[advice])
  })

  it.each(CASES)('consists of whole sentences: %s', (_, error) => {
    expect(explain(error)).toMatch(/^[A-Z`c].*\.$/)
    expect(explain(error)).not.toMatch(/undefined|\[object|null| {2}|\.\.|: \.|; \./)
  })

  it('names only the last of several causes', () => {
    expect(explain(timedOut([{ status: 500 }, { status: 429 }]))).toContain('HTTP 429')
    expect(explain(timedOut([{ status: 500 }, { status: 429 }]))).not.toContain('HTTP 500')
  })

  it('does not repeat a code that is part of the message', () => {
    expect(explain(unknown({ cause }))).toContain(': read ECONNRESET.')
    expect(explain(unknown({ cause: { ...cause, message: 'it broke' } }))).toContain(': it broke (ECONNRESET).')
  })

  it('names every problem of an invalid task', () => {
    expect(explain({ ...invalid, problems: ['a: expected a', 'b: expected b'] })).toContain(
      'a: expected a; b: expected b.'
    )
  })

  it.each([
    [299, false],
    [300, true],
    [399, true],
    [400, false]
  ])('mentions a redirect only if there was one: HTTP %d', (status, isRedirect) => {
    const sentence = explain(refused({ status, kind: 'request' }))
    expect(sentence.includes('redirect')).toBe(isRedirect)
    expect(sentence).toContain(isRedirect ? 'Nothing was paid. A redirect' : 'Nothing was paid. C')
  })

  it('keeps a description of the service on one line', () => {
    expect(explain(failed({ errorDescription: 'two\nlines' }))).not.toContain('\n')
  })

  const EVIL = 'a\u001b[2J\nb\r\tc\u007fd\u0085e\u009b'
  const evilCause = { name: EVIL, code: EVIL, message: `${EVIL}!` }
  const ofEvilTask = (error: SolveError): SolveError =>
    Object.assign({}, error, { ref: { taskId: EVIL, createdAt: 0 } })
  const evilTexts = { status: 400, errorId: 1, errorCode: EVIL, errorDescription: EVIL }
  const evilErrors: ReadonlyArray<SolveError | CallFailed> = [
    { ...invalid, problems: [EVIL] },
    notCreated('tls', 1, evilCause),
    notCreated('deadline', 2, evilCause),
    refused({ ...evilTexts, kind: 'request' }),
    unknown({ cause: evilCause, problems: [EVIL], excerpt: EVIL }),
    unknown({ problems: [EVIL] }),
    ofEvilTask(failed({ ...evilTexts, kind: 'account' })),
    ofEvilTask(failed({ ...evilTexts, notFound: true })),
    ofEvilTask(failed(evilTexts)),
    ofEvilTask({ ...badReply, problems: [EVIL] }),
    ofEvilTask(timedOut([{ cause: evilCause, problems: [EVIL], taskStatus: EVIL }])),
    ofEvilTask(interrupted),
    { _tag: 'CallFailed', path: '/getBalance', ...evilTexts, kind: 'unknown', problems: [EVIL], cause: evilCause }
  ]

  it.each(evilErrors.map((error) => [error._tag, error]))(
    'replaces control characters in every text of the service: %s',
    (_, error) => {
      const sentence = explain(error)
      expect(sentence).toMatch(/^[A-Z`c].*\.$/)
      expect(sentence).not.toMatch(/\p{Cc}/u)
      expect(sentence).toContain('a [2J b c d e')
    }
  )

  it('is the message of a SolveFailure, without control characters', () => {
    expect(new SolveFailure(failed({ errorCode: EVIL })).message).toContain('with an error: a [2J b c d e . It was')
  })

  it('ends the message of OpenSSL without the line break after it', () => {
    const message = 'write EPROTO error:0A00010B:SSL routines::wrong version number:\n'
    expect(explain(notCreated('tls', 1, { name: 'Error', code: 'EPROTO', message }))).toContain('number:. Nothing was')
  })
})
