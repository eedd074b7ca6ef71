import * as fc from 'fast-check'
import { interpretPoll, interpretCreate, type ReadOptions } from '../../../lib/core/protocol/interpret.js'
import { CODE_MEANINGS } from '../../../lib/core/protocol/error-codes.js'
import type { CodeMeaning } from '../../../lib/core/model/error.js'
import type { CallResult, ErrorCause } from '../../../lib/core/model/network.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

const reading: ReadOptions = {
  meaningOf: () => undefined,
  scrub: (text) => text.replaceAll('the-client-key', '[client key]')
}
const knowing = (meaning: CodeMeaning | undefined): ReadOptions => ({ ...reading, meaningOf: () => meaning })

const reply = (body: unknown, status = 200, retryAfterMs?: number): CallResult => ({
  _tag: 'Reply',
  status,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  ...(retryAfterMs !== undefined && { retryAfterMs })
})
const failed = (code: string): CallResult => ({ _tag: 'Failed', cause: { name: 'Error', code, message: 'it failed' } })
const refusal = (errorCode: string | null, errorId: unknown = 1) => ({
  errorId,
  errorCode,
  errorDescription: 'a reason'
})

const create = (answer: CallResult, by = reading) => interpretCreate(by, answer, true)
const poll = (answer: CallResult, by = reading, young = false) => interpretPoll(by, recaptchaV2.solution, answer, young)

const created = { errorId: 0, errorCode: '', errorDescription: '', taskId: 'id-1' }
const processing = { errorId: 0, errorCode: null, errorDescription: null, status: 'processing' }
const ready = { ...processing, status: 'ready', solution: { gRecaptchaResponse: 'token' } }

type Sense = CodeMeaning | 'serverError'

// Written from the list of codes that the family of services is known to use, those that a reCAPTCHA task can meet.
const codes: Readonly<Record<Sense, ReadonlyArray<string>>> = {
  account: [
    ...['ERROR_KEY_DOES_NOT_EXIST', 'ERROR_WRONG_USER_KEY', 'ERROR_KEY_DENIED_ACCESS', 'ERROR_KEY_BANNED'],
    ...['ERROR_KEY_TEMP_BLOCKED', 'ERROR_INVALID_KEY_TYPE', 'ERROR_ZERO_BALANCE', 'ERROR_SETTLEMENT_FAILED'],
    ...['ERROR_ACCOUNT_SUSPENDED', 'ERROR_IP_NOT_ALLOWED', 'ERROR_IP_BLOCKED', 'ERROR_IP_BANNED', 'IP_BANNED'],
    'MAX_USER_TURN'
  ],
  unavailable: [
    ...['ERROR_NO_SLOT_AVAILABLE', 'ERROR_ALL_WORKERS_FILTERED', 'ERROR_SERVICE_UNAVALIABLE'],
    ...['ERROR_SERVICE_UNAVAILABLE', 'ERROR_SERVICE_NOT_AVAILABLE', 'ERROR_RATE_LIMIT', 'ERROR_TOO_MUCH_REQUESTS'],
    'ERROR_THREADS_MAXIMUM'
  ],
  request: [
    ...['ERROR_TASK_ABSENT', 'ERROR_TASK_NOT_SUPPORTED', 'ERROR_NO_SUCH_METHOD', 'ERROR_PAGE_NOT_FOUND'],
    ...['ERROR_BAD_REQUEST', 'ERROR_BAD_PARAMETERS', 'ERROR_REQUIRED_FIELDS', 'ERROR_INVALID_TASK_DATA'],
    ...['ERROR_RECAPTCHA_INVALID_SITEKEY', 'ERROR_GOOGLEKEY', 'ERROR_SITEKEY', 'ERROR_WRONG_GOOGLEKEY'],
    ...['ERROR_RECAPTCHA_INVALID_DOMAIN', 'ERROR_PAGEURL', 'ERROR_BAD_TOKEN_OR_PAGEURL', 'ERROR_DOMAIN_NOT_ALLOWED'],
    ...['ERROR_INVISIBLE_RECAPTCHA', 'ERROR_VISIBLE_RECAPTCHA']
  ],
  task: [
    ...['ERROR_CAPTCHA_UNSOLVABLE', 'ERROR_RECAPTCHA_TIMEOUT', 'ERROR_FAILED_LOADING_WIDGET'],
    ...['ERROR_BAD_DUPLICATES', 'ERROR_TASK_CANCELED', 'ERROR_TASK_TIMEOUT']
  ],
  unknown: [],
  notFound: [
    ...['ERROR_NO_SUCH_CAPCHA_ID', 'WRONG_CAPTCHA_ID', 'ERROR_WRONG_CAPTCHA_ID', 'ERROR_TASKID_INVALID'],
    ...['ERROR_WRONG_ID_FORMAT', 'ERROR_CAPTCHA_ID']
  ],
  pending: ['CAPTCHA_NOT_READY', 'CAPCHA_NOT_READY'],
  serverError: ['ERROR_INTERNAL_SERVER_ERROR']
}

/** A tag, and beside it a kind: one cell of the tables in the contract. */
const cell = (read: ReturnType<typeof create> | ReturnType<typeof poll>): string => {
  const kind = 'refused' in read ? read.refused.kind : 'kind' in read ? read.kind : ''
  return kind === '' ? read._tag : `${read._tag} ${kind}`
}

describe('the table of codes', () => {
  const cells: Readonly<Record<Sense, readonly [create: string, poll: string, young: string]>> = {
    account: ['Refused account', 'Failed account', 'Failed account'],
    request: ['Refused request', 'Failed request', 'Failed request'],
    unavailable: ['Unavailable unavailable', 'Unavailable', 'Unavailable'],
    task: ['Refused task', 'Failed task', 'Failed task'],
    unknown: ['Refused unknown', 'Unknown unknown', 'Unknown unknown'],
    notFound: ['Refused unknown', 'Failed task', 'NotYetKnown'],
    pending: ['Refused unknown', 'Processing', 'Processing'],
    serverError: ['Unknown', 'BadReply', 'BadReply']
  }

  it.each(Object.entries(codes).flatMap(([meaning, of]) => of.map((code) => [code, meaning as Sense] as const)))(
    'gives %s the meaning %s in both calls',
    (code, meaning) => {
      const answer = reply(refusal(code))
      expect([cell(create(answer)), cell(poll(answer)), cell(poll(answer, reading, true))]).toStrictEqual(
        cells[meaning]
      )
    }
  )

  it.each<readonly [CodeMeaning]>([
    ['account'],
    ['request'],
    ['unavailable'],
    ['task'],
    ['unknown'],
    ['notFound'],
    ['pending']
  ])('gives way to a meaning of the caller: %s', (meaning) => {
    const answer = reply(refusal('ERROR_ZERO_BALANCE'))
    const [by, read] = [knowing(meaning), cells[meaning]]
    expect([cell(create(answer, by)), cell(poll(answer, by)), cell(poll(answer, by, true))]).toStrictEqual(read)
  })

  it('holds these codes and no others', () => {
    const expected = Object.entries(codes).flatMap(([meaning, of]) => of.map((code) => `${code} ${meaning}`))
    expect([...CODE_MEANINGS].map((entry) => entry.join(' ')).sort()).toStrictEqual(expected.sort())
  })

  it('is asked when the caller has no meaning', () => {
    expect(cell(create(reply(refusal('ERROR_ZERO_BALANCE')), knowing(undefined)))).toBe('Refused account')
  })

  it.each([null, '', '  '])('is not asked, nor is the caller, for the code %j', (code) => {
    expect(cell(create(reply(refusal(code)), knowing('account')))).toBe('Refused unknown')
  })

  it('finds a code with white space around it', () => {
    expect(cell(create(reply(refusal(' ERROR_ZERO_BALANCE\n'))))).toBe('Refused account')
  })

  it.each(['error_zero_balance', 'toString', '__proto__', 'account'])('does not know %s', (code) => {
    expect(cell(create(reply(refusal(code))))).toBe('Refused unknown')
  })

  it.each([0, 1, '1', null, undefined, 'x'])('holds under errorId %j as well', (errorId) => {
    const answer = reply({ ...refusal('ERROR_ZERO_BALANCE'), errorId })
    expect([cell(create(answer)), cell(poll(answer))]).toStrictEqual(['Refused account', 'Failed account'])
  })
})

describe('an answer without a known code', () => {
  it.each<readonly [what: string, CallResult, create: string, poll: string]>([
    ['408', reply('', 408), 'Unavailable unavailable', 'Unavailable'],
    ['429', reply('', 429), 'Unavailable unavailable', 'Unavailable'],
    ['503', reply('', 503), 'Unavailable unavailable', 'Unavailable'],
    ['408 with a document', reply(refusal('ERROR_NEW'), 408), 'Unavailable unavailable', 'Unavailable'],
    ['429 with a document', reply(refusal(null), 429), 'Unavailable unavailable', 'Unavailable'],
    ['503 with a document', reply(refusal('ERROR_NEW'), 503), 'Unavailable unavailable', 'Unavailable'],
    ['a new code', reply(refusal('ERROR_NEW')), 'Refused unknown', 'Unknown unknown'],
    ['errorId 1 and no code', reply(refusal(null)), 'Refused unknown', 'Unknown unknown'],
    ['errorId "17"', reply(refusal(null, '17')), 'Refused unknown', 'Unknown unknown'],
    ['a new code under 400', reply(refusal('ERROR_NEW'), 400), 'Refused unknown', 'Unknown unknown'],
    ['a new code under 500', reply(refusal('ERROR_NEW'), 500), 'Refused unknown', 'Unknown unknown'],
    ['errorId 0 and a new code', reply(refusal('ERROR_NEW', 0)), 'Unknown', 'BadReply'],
    ['errorId -1', reply(refusal(null, -1)), 'Unknown', 'BadReply'],
    ['errorId true', reply(refusal(null, true)), 'Unknown', 'BadReply'],
    ['200 and no body', reply(''), 'Unknown', 'BadReply'],
    ['204', reply('', 204), 'Unknown', 'BadReply'],
    ['200 and a page', reply('<html>'), 'Unknown', 'BadReply'],
    ['200, cut', reply('{"errorId":0,"taskId":"id'), 'Unknown', 'BadReply'],
    ['200 and an array', reply([]), 'Unknown', 'BadReply'],
    ['200 and an empty object', reply({}), 'Unknown', 'BadReply'],
    ['301', reply('', 301), 'Refused request', 'BadReply'],
    ['307', reply('<html>', 307), 'Refused request', 'BadReply'],
    ['400', reply('', 400), 'Refused request', 'BadReply'],
    ['401 with errorId 0', reply({ errorId: 0 }, 401), 'Refused request', 'BadReply'],
    ['404', reply('<html>', 404), 'Refused request', 'BadReply'],
    ['499', reply('{}', 499), 'Refused request', 'BadReply'],
    ['500', reply('', 500), 'Unknown', 'BadReply'],
    ['502', reply('<html>', 502), 'Unknown', 'BadReply'],
    ['504', reply('{}', 504), 'Unknown', 'BadReply'],
    ['599', reply('', 599), 'Unknown', 'BadReply']
  ])('%s is read by its status, then its errorId', (_, answer, onCreate, onAsk) => {
    expect([cell(create(answer)), cell(poll(answer))]).toStrictEqual([onCreate, onAsk])
  })

  it('is read by its known code before its status', () => {
    expect(cell(create(reply(refusal('ERROR_ZERO_BALANCE'), 429)))).toBe('Refused account')
    expect(cell(poll(reply(refusal('CAPTCHA_NOT_READY'), 503)))).toBe('Processing')
  })
})

describe('a good answer', () => {
  it.each([200, 201, 307, 400, 429, 500, 503])('to createTask is a task under HTTP %d', (status) => {
    expect(create(reply(created, status))).toStrictEqual({ _tag: 'Created', taskId: 'id-1' })
  })

  it.each([0, 1, '1', null, undefined])('to createTask is a task under errorId %j', (errorId) => {
    const answer = reply({ errorId, errorCode: 'ERROR_ZERO_BALANCE', taskId: 17 })
    expect(create(answer)).toStrictEqual({ _tag: 'Created', taskId: '17' })
  })

  it.each([0, '', '  ', null, undefined, {}, -5])('to createTask is none with the id %j', (taskId) => {
    expect(create(reply({ ...created, taskId }))).toStrictEqual({
      _tag: 'Unknown',
      problem: { status: 200, problems: ['taskId: expected a task id'] }
    })
  })

  it.each([200, 307, 400, 429, 500, 503])('to getTaskResult is its state under HTTP %d', (status) => {
    expect(poll(reply(processing, status))).toStrictEqual({ _tag: 'Processing' })
    expect(poll(reply(ready, status))).toStrictEqual({ _tag: 'Ready', solution: { gRecaptchaResponse: 'token' } })
  })

  it('to getTaskResult counts before a known code', () => {
    expect(cell(poll(reply({ ...processing, errorCode: 'ERROR_ZERO_BALANCE' })))).toBe('Processing')
  })

  it('to getTaskResult is none under another errorId', () => {
    expect(cell(poll(reply({ ...ready, errorId: 1 })))).toBe('Unknown unknown')
  })

  it.each([
    ['an empty token', { ...ready, solution: { gRecaptchaResponse: '' } }],
    ['a token that is a number', { ...ready, solution: { gRecaptchaResponse: 7 } }],
    ['no solution', { ...ready, solution: null }],
    ['an unknown status', { ...ready, status: 'idle' }],
    ['no status', { ...ready, status: undefined }]
  ])('to getTaskResult is none with %s', (_, fields) => {
    expect(cell(poll(reply(fields)))).toBe('BadReply')
  })
})

describe('a failure of the network', () => {
  it('to createTask that has left is unknown, with its cause', () => {
    const answer = failed('ECONNRESET')
    const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'it failed' }
    expect(interpretCreate(reading, answer, true)).toStrictEqual({ _tag: 'Unknown', problem: { cause } })
  })

  it.each([
    ['dns', ['ENOTFOUND', 'ENODATA', 'EAI_AGAIN', 'EAI_FAIL']],
    ['connect', ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'ECONNRESET', '']],
    ['tls', ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_TLS_CERT_ALTNAME_INVALID', 'CERT_HAS_EXPIRED', 'CRL_HAS_EXPIRED']],
    ['tls', ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']],
    ['tls', ['HOSTNAME_MISMATCH', 'INVALID_CA', 'EPROTO']]
  ])('to createTask that never left is named %s', (reason, codes) => {
    for (const code of codes) {
      expect([code, interpretCreate(reading, failed(code), false)]).toMatchObject([code, { _tag: 'NotSent', reason }])
    }
  })

  it('to createTask that never left keeps its cause', () => {
    const cause: ErrorCause = { name: 'Error', code: 'ENOTFOUND', message: 'it failed' }
    expect(interpretCreate(reading, failed('ENOTFOUND'), false)).toMatchObject({ problem: { cause } })
  })

  it('to getTaskResult is silence, with its cause', () => {
    const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'it failed' }
    expect(poll(failed('ECONNRESET'))).toStrictEqual({ _tag: 'NoReply', cause })
  })
})

describe('what is told beside the meaning', () => {
  it('of a refusal is what the service said', () => {
    expect(create(reply(refusal('ERROR_ZERO_BALANCE', 10), 402))).toStrictEqual({
      _tag: 'Refused',
      refused: {
        _tag: 'Refused',
        paid: 'no',
        status: 402,
        errorId: 10,
        errorCode: 'ERROR_ZERO_BALANCE',
        errorDescription: 'a reason',
        kind: 'account'
      }
    })
  })

  it('of a refusal without a document is its status alone', () => {
    const refused = { _tag: 'Refused', paid: 'no', status: 404, kind: 'request' }
    expect(create(reply('<html>', 404))).toStrictEqual({ _tag: 'Refused', refused })
  })

  it('of a task that failed is what the service said', () => {
    expect(poll(reply(refusal('ERROR_CAPTCHA_UNSOLVABLE', 12)))).toStrictEqual({
      _tag: 'Failed',
      kind: 'task',
      status: 200,
      errorId: 12,
      errorCode: 'ERROR_CAPTCHA_UNSOLVABLE',
      errorDescription: 'a reason'
    })
  })

  it('of a broken answer to createTask is its code, then what did not fit', () => {
    expect(create(reply(refusal('ERROR_INTERNAL_SERVER_ERROR'), 500))).toMatchObject({
      problem: { status: 500, problems: ['errorCode: ERROR_INTERNAL_SERVER_ERROR', 'taskId: expected a task id'] }
    })
  })

  it('of an answer outside the protocol is its status, what did not fit, and its beginning', () => {
    expect(poll(reply('{"errorId":0,"status":"idle"}', 502))).toStrictEqual({
      _tag: 'BadReply',
      status: 502,
      problems: ['status: expected "processing" or "ready"'],
      excerpt: '{"errorId":0,"status":"idle"}'
    })
  })

  it.each([0, 7_000, NaN])('of "later" is the wait asked for: %d ms', (retryAfterMs) => {
    expect(create(reply('', 429, retryAfterMs))).toMatchObject({ retryAfterMs })
    expect(poll(reply('', 429, retryAfterMs))).toMatchObject({ retryAfterMs })
  })

  it('of "later" is no wait where none was asked for', () => {
    expect(create(reply('', 429))).not.toHaveProperty('retryAfterMs')
    expect(poll(reply('', 429))).not.toHaveProperty('retryAfterMs')
  })

  it.each<readonly [what: string, CallResult, assumed: boolean]>([
    ['503 without a document', reply('', 503), true],
    ['503 and a page', reply('<html>', 503), true],
    ['503 and a foreign object', reply({ message: 'Service Unavailable' }, 503), true],
    ['503 with a document', reply(refusal(null), 503), false],
    ['429 without a document', reply('', 429), false],
    ['408 without a document', reply('', 408), false]
  ])('of "later" is whether nothing created is an assumption: %s', (_, answer, assumed) => {
    expect(create(answer)).toMatchObject({ _tag: 'Unavailable', assumed })
  })

  it('of "later" to a poll is its code, and that it could be read', () => {
    expect(poll(reply(refusal('ERROR_RATE_LIMIT')))).toStrictEqual({
      _tag: 'Unavailable',
      problem: { status: 200, errorCode: 'ERROR_RATE_LIMIT' },
      hasDocument: true
    })
    expect(poll(reply('', 503))).toStrictEqual({ _tag: 'Unavailable', problem: { status: 503 }, hasDocument: false })
  })

  it('holds no client key', () => {
    const echo = { errorId: 1, errorCode: 'BAD the-client-key', errorDescription: 'no account the-client-key' }
    const broken = { ...echo, errorId: 0 }
    const read = [create(reply(echo)), poll(reply(echo)), create(reply(broken)), poll(reply(broken))]
    expect(read.map(({ _tag }) => _tag)).toStrictEqual(['Refused', 'Unknown', 'Unknown', 'BadReply'])
    expect(JSON.stringify(read)).not.toContain('the-client-key')
    expect(JSON.stringify(read)).toContain('[client key]')
  })

  it('holds at most 500 characters of each text', () => {
    const long = { errorId: 1, errorCode: 'C'.repeat(600), errorDescription: 'D'.repeat(600) }
    expect(create(reply(long))).toMatchObject({
      refused: { errorCode: 'C'.repeat(500), errorDescription: 'D'.repeat(500) }
    })
    const problem = `errorCode: ${'C'.repeat(489)}`
    expect(poll(reply({ ...long, errorId: 0 }))).toMatchObject({ problems: [problem, expect.anything()] })
  })
})

describe('whatever comes back', () => {
  const TOKEN = '03AGdBq25SxXT-pmSeBXjzScW-EiocHwwpwqtk1QXlJnGnU-a-token-of-the-service'
  const texts = fc.oneof(
    fc.constantFrom(TOKEN, '', ' ', '0', '1', 'processing', 'ready', 'idle', '__proto__', 'constructor'),
    fc.constantFrom(...CODE_MEANINGS.keys()),
    fc.string({ unit: 'binary' })
  )
  const values = fc.oneof(texts, fc.constantFrom(0, 1, -1, 1.5, 2 ** 53, null, true), fc.jsonValue())
  const names = fc.constantFrom('errorId', 'errorCode', 'errorDescription', 'taskId', 'status', 'solution', '__proto__')
  const solutions = fc.oneof(fc.record({ gRecaptchaResponse: values }, { requiredKeys: [] }), values)
  // Written member by member, so that names can come twice and __proto__ is a name as any other.
  const member = fc.oneof(
    fc.tuple(names, values),
    fc.tuple(fc.constant('solution'), solutions),
    fc.tuple(fc.constant('errorId'), fc.constantFrom(0, '0')),
    fc.tuple(fc.constant('status'), fc.constantFrom('ready', 'processing'))
  )
  const replies = fc
    .array(member, { maxLength: 8 })
    .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()}}`)
  const nearlyReady = fc
    .record({
      errorId: fc.constantFrom<unknown>(0, 0, '0', 1, null),
      status: fc.constantFrom('ready', 'ready', 'processing', 'Ready'),
      solution: fc.record({ gRecaptchaResponse: texts })
    })
    .map((fields) => JSON.stringify(fields))
  const cuts = fc.tuple(replies, fc.nat(200)).map(([body, at]) => body.slice(0, at))
  const bodies = fc.oneof(replies, nearlyReady, cuts, fc.json(), fc.string({ unit: 'binary' }))
  const statuses = fc.oneof(fc.constantFrom(200, 301, 400, 408, 429, 500, 503), fc.integer())
  const answers: fc.Arbitrary<CallResult> = fc.record({ _tag: fc.constant('Reply'), status: statuses, body: bodies })

  const createTags = ['Created', 'Unavailable', 'Refused', 'Unknown']
  const askTags = ['Processing', 'NotYetKnown', 'Ready', 'Unavailable', 'Failed', 'Unknown', 'BadReply']

  it('is read, and never throws', () => {
    const isRead = (answer: CallResult, young: boolean): boolean =>
      createTags.includes(create(answer)._tag) && askTags.includes(poll(answer, reading, young)._tag)
    fc.assert(fc.property(answers, fc.boolean(), isRead), { numRuns: 2_000 })
  })

  it('never puts a token among the problems', () => {
    const keepsQuiet = (answer: CallResult): boolean => {
      const [bought, asked] = [create(answer), poll(answer)]
      const problem = bought._tag === 'Unknown' ? (bought.problem.problems ?? []) : []
      const problems = [...problem, ...(asked._tag === 'BadReply' ? asked.problems : [])]
      return !problems.some((problem) => !problem.startsWith('errorCode: ') && problem.includes(TOKEN.slice(0, 10)))
    }
    fc.assert(fc.property(answers, keepsQuiet), { numRuns: 1_000 })
  })

  it('never gives an excerpt with a whole token', () => {
    const keepsQuiet = (answer: CallResult): boolean => {
      const asked = poll(answer)
      return asked._tag !== 'BadReply' || !asked.excerpt.includes(TOKEN)
    }
    fc.assert(fc.property(answers, keepsQuiet), { numRuns: 1_000 })
  })

  it('is ready exactly with errorId 0, status ready, and a token that is not blank', () => {
    const isReady = (body: string): boolean => {
      let json: unknown
      try {
        json = JSON.parse(body)
      } catch {
        return false
      }
      if (typeof json !== 'object' || json === null || Array.isArray(json)) return false
      const own = new Map<string, unknown>(Object.entries(json))
      const solution = own.get('solution')
      const token: unknown =
        typeof solution === 'object' && solution !== null
          ? Object.getOwnPropertyDescriptor(solution, 'gRecaptchaResponse')?.value
          : undefined
      const errorId = own.get('errorId')
      const said = (errorId === 0 || errorId === '0') && own.get('status') === 'ready'
      return said && typeof token === 'string' && /\S/.test(token)
    }
    let seen = 0
    const agrees = (answer: CallResult): boolean => {
      const expected = isReady(answer._tag === 'Reply' ? answer.body : '')
      if (expected) seen += 1
      return (poll(answer)._tag === 'Ready') === expected
    }
    fc.assert(fc.property(answers, agrees), { numRuns: 1_000, seed: 7 })
    expect(seen).toBeGreaterThan(20)
  })

  it.each([
    ['arrays', '[', ']'],
    ['objects', '{"a":', '}']
  ])('is read when it nests 100,000 %s', (_, opening, closing) => {
    const deep = `${opening.repeat(100_000)}0${closing.repeat(100_000)}`
    for (const name of ['errorId', 'errorCode', 'taskId', 'status', 'solution']) {
      const answer = reply(`{"errorId":0,"status":"ready","${name}":${deep}}`)
      expect([create(answer)._tag, poll(answer)._tag]).toStrictEqual(['Unknown', 'BadReply'])
    }
    expect([create(reply(deep))._tag, poll(reply(deep))._tag]).toStrictEqual(['Unknown', 'BadReply'])
  })

  it('takes the last of two members of one name', () => {
    expect(create(reply('{"taskId":"id-1","taskId":"id-2"}'))).toStrictEqual({ _tag: 'Created', taskId: 'id-2' })
    expect(cell(poll(reply('{"errorId":0,"status":"ready","status":"processing"}')))).toBe('Processing')
  })
})
