import * as fc from 'fast-check'
import { advise, explain, type Advice } from '../../../lib/core/model/explain.js'
import type { ErrorKind, SolveError } from '../../../lib/core/model/error.js'
import type { ErrorCause } from '../../../lib/core/model/network.js'

type Of<Tag extends SolveError['_tag']> = Omit<Extract<SolveError, { readonly _tag: Tag }>, '_tag' | 'paid' | 'ref'>

const ref = { taskId: 'task-17', createdAt: 0 }
const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'read ECONNRESET' }
const limit: ErrorCause = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no reply within 25000 ms' }

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
  const said = { errorId: 1, errorCode: 'ERROR_X', errorDescription: '', kind: 'task' } as const
  return { _tag: 'TaskFailed', paid: 'yes', ref, ...said, ...of }
}
const badReply: SolveError = {
  _tag: 'BadReply',
  paid: 'yes',
  ref,
  status: 502,
  problems: ['the reply: expected JSON'],
  excerpt: '<html>'
}
const timedOut = (causes: Of<'TimedOut'>['causes'], asked = 99): SolveError => ({
  _tag: 'TimedOut',
  paid: 'yes',
  ref,
  afterMs: 300_000,
  polls: asked,
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
  'fix-task': /Correct the fields of the task before the next try\.$/,
  'fix-account': /Check the key, the balance and the permissions of the account first\.$/,
  'fix-setup': /Check the base URL, the network and the certificates\.$/,
  decide: /Look at the cause before the next try\.$/
}

const cases: ReadonlyArray<readonly [what: string, SolveError, Advice, paid: string, says: ReadonlyArray<string>]> = [
  ['fields that do not fit', invalid, 'fix-task', 'nothing was paid.', ['websiteURL: expected an address', 'invalid']],
  [
    'no name',
    notCreated('dns', 4, { ...cause, code: 'ENOTFOUND' }),
    'repeat',
    NOTHING,
    ['ENOTFOUND', 'name', '4 tries']
  ],
  ['no connection', notCreated('connect', 1, cause), 'repeat', NOTHING, ['read ECONNRESET (Error)', 'after 1 try:']],
  [
    'no trust',
    notCreated('tls', 1, { ...cause, code: 'CERT_HAS_EXPIRED' }),
    'fix-setup',
    NOTHING,
    ['CERT_HAS_EXPIRED']
  ],
  ['no time', notCreated('deadline', 0), 'repeat', NOTHING, ['time was up']],
  ['a stopped batch', notCreated('account', 0), 'fix-account', NOTHING, ['refused the account']],
  ['no journal', notCreated('journal', 0, { ...cause, code: 'ENOSPC' }), 'decide', NOTHING, ['The journal', 'ENOSPC']],
  ['a closed solver', notCreated('closed', 0), 'decide', NOTHING, ['The solver was closed']],
  [
    'an account refused',
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
    'a request refused',
    refused({ status: 200, errorId: 1, errorCode: 'ERROR_SITEKEY', errorDescription: '', kind: 'request' }),
    'fix-task',
    NOTHING,
    ['ERROR_SITEKEY, HTTP 200']
  ],
  ['no such page', refused({ status: 404, kind: 'request' }), 'fix-setup', NOTHING, ['refused', 'HTTP 404']],
  ['a no code', refused({ status: 403, errorCode: '', kind: 'request' }), 'fix-setup', NOTHING, ['HTTP 403']],
  ['a bad request', refused({ status: 400, kind: 'request' }), 'fix-task', NOTHING, ['HTTP 400']],
  ['a bad entity', refused({ status: 422, kind: 'request' }), 'fix-task', NOTHING, ['HTTP 422']],
  [
    'a redirect',
    refused({ status: 307, kind: 'request' }),
    'fix-setup',
    NOTHING,
    ['HTTP 307', 'redirect is not followed']
  ],
  ['unavailable', refused({ status: 503, kind: 'unavailable' }), 'repeat', NOTHING, ['HTTP 503']],
  ['a task refused', refused({ status: 200, errorCode: 'ERROR_X', kind: 'task' }), 'repeat', NOTHING, ['ERROR_X']],
  [
    'an unknown code',
    refused({ status: 200, errorCode: 'ERROR_NEW', kind: 'unknown' }),
    'decide',
    NOTHING,
    ['ERROR_NEW']
  ],
  [
    'later in doubt',
    refused({ status: 503, kind: 'unavailable' }, 'unknown'),
    'decide',
    'may be paid for',
    ['HTTP 503']
  ],
  ['a task in doubt', refused({ status: 200, kind: 'task' }, 'unknown'), 'decide', 'may be paid for', ['HTTP 200']],
  [
    'a request in doubt',
    refused({ status: 400, kind: 'request' }, 'unknown'),
    'decide',
    'may be paid for',
    ['HTTP 400']
  ],
  [
    'an account in doubt',
    refused({ status: 200, kind: 'account' }, 'unknown'),
    'fix-account',
    'may be paid for',
    ['HTTP 200']
  ],
  ['a reset', unknown({ cause }), 'decide', PERHAPS, ['createTask was sent', 'read ECONNRESET (Error)']],
  ['a slow answer', unknown({ cause: limit }), 'decide', PERHAPS, ['timed out', '25000 ms', 'TIMED_OUT']],
  [
    'a broken answer',
    unknown({ status: 200, problems: ['taskId: expected a task id'] }),
    'decide',
    PERHAPS,
    ['HTTP 200; taskId: expected a task id']
  ],
  ['a nameless cause', unknown({ cause: { name: 'Odd', code: '', message: '' } }), 'decide', PERHAPS, [': Odd.']],
  ['a code alone', unknown({ cause: { name: 'Odd', code: 'EODD', message: '' } }), 'decide', PERHAPS, [': EODD.']],
  ['a failed task', failed({}), 'pay-again', PAID, ['ended task task-17', 'ERROR_X']],
  ['a failed account', failed({ kind: 'account' }), 'fix-account', PAID, ['task-17']],
  ['a failed request', failed({ kind: 'request', errorDescription: 'bad' }), 'fix-task', PAID, ['ERROR_X, "bad"']],
  ['an unknown end', failed({ kind: 'unknown', errorCode: '' }), 'decide', PAID, ['without a reason']],
  ['answers outside the protocol', badReply, 'resume', PAID, ['task-17', 'HTTP 502; the reply: expected JSON']],
  ['a deadline', timedOut([]), 'resume', PAID, ['timed out', '300000 ms', '99 polls', 'still processing']],
  ['a deadline at once', timedOut([], 0), 'resume', PAID, ['timed out', '0 polls', 'no time for a poll']],
  ['a deadline in trouble', timedOut([{ status: 500 }, { cause }]), 'resume', PAID, ['problem was: read ECONNRESET']],
  [
    'a deadline after a code',
    timedOut([{ status: 200, errorCode: 'ERROR_RATE_LIMIT' }]),
    'resume',
    PAID,
    ['problem was: ERROR_RATE_LIMIT, HTTP 200']
  ],
  ['an interruption', interrupted, 'resume', PAID, ['closed before task task-17']]
]

describe('advise', () => {
  it.each(cases)('says what to do about %s', (_, error, advice) => {
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

  it('never says repeat unless nothing was paid', () => {
    const isCheap = (error: SolveError): boolean => advise(error) !== 'repeat' || error.paid === 'no'
    fc.assert(fc.property(errors, isCheap), { numRuns: 500 })
  })

  it('says resume only where there is a reference', () => {
    const hasRef = (error: SolveError): boolean => advise(error) !== 'resume' || 'ref' in error
    fc.assert(fc.property(errors, hasRef), { numRuns: 500 })
  })
})

describe('explain', () => {
  it.each(cases)('names the cause of %s, whether it was paid for, and what to do', (_, error, advice, paid, says) => {
    const sentence = explain(error)
    for (const part of [...says, paid]) expect(sentence).toContain(part)
    expect(sentence).toMatch(toDo[advice])
  })

  it.each(cases)('is whole sentences about %s', (_, error) => {
    expect(explain(error)).toMatch(/^[A-Z`c].*\.$/)
    expect(explain(error)).not.toMatch(/undefined|\[object|null| {2}|\.\.|: \.|; \./)
  })

  it('tells the last of several troubles', () => {
    expect(explain(timedOut([{ status: 500 }, { status: 429 }]))).toContain('HTTP 429')
    expect(explain(timedOut([{ status: 500 }, { status: 429 }]))).not.toContain('HTTP 500')
  })

  it('repeats a code once that stands in its message already', () => {
    expect(explain(unknown({ cause }))).toContain(': read ECONNRESET (Error).')
    expect(explain(unknown({ cause: { ...cause, message: 'it broke' } }))).toContain(': it broke (ECONNRESET).')
  })

  it('names every field that does not fit', () => {
    expect(explain({ ...invalid, problems: ['a: expected a', 'b: expected b'] })).toContain(
      'a: expected a; b: expected b.'
    )
  })

  it.each([
    [299, false],
    [300, true],
    [399, true],
    [400, false]
  ])('speaks of a redirect only where there is one: HTTP %d', (status, is) => {
    const sentence = explain(refused({ status, kind: 'request' }))
    expect(sentence.includes('redirect')).toBe(is)
    expect(sentence).toContain(is ? 'Nothing was paid. A redirect' : 'Nothing was paid. C')
  })

  it('keeps what the service said on one line', () => {
    expect(explain(failed({ errorDescription: 'two\nlines' }))).not.toContain('\n')
  })
})
