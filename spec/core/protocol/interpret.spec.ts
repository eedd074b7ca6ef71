import * as fc from 'fast-check'
import { interpretPoll, interpretCreate } from '../../../lib/core/protocol/interpret.js'
import type { ReadOptions } from '../../../lib/core/protocol/reply.js'
import { CODE_MEANINGS } from '../../../lib/core/protocol/error-codes.js'
import type { CodeMeaning } from '../../../lib/core/model/error.js'
import type { CallResult, ErrorCause } from '../../../lib/core/model/network.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { anyCharacter } from '../../support/characters.js'

const options: ReadOptions = {
  meaningOf: () => undefined,
  scrub: (text) => text.replaceAll('the-client-key', '[client key]')
}
const optionsWith = (meaning: CodeMeaning | undefined): ReadOptions => ({ ...options, meaningOf: () => meaning })

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

const create = (result: CallResult, readOptions = options) =>
  interpretCreate(readOptions, recaptchaV2.solution, result, true)
const poll = (result: CallResult, readOptions = options, isNew = false) =>
  interpretPoll(readOptions, recaptchaV2.solution, result, isNew)

const created = { errorId: 0, errorCode: '', errorDescription: '', taskId: 'id-1' }
const processing = { errorId: 0, errorCode: null, errorDescription: null, status: 'processing' }
const ready = { ...processing, status: 'ready', solution: { gRecaptchaResponse: 'token' } }

type CodeClass = CodeMeaning | 'serverError'

// The codes that services of this family are known to use, as far as a reCAPTCHA task can get them.
const codes: Readonly<Record<CodeClass, ReadonlyArray<string>>> = {
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

/** A tag and a kind: one entry of the tables in docs/protocol.md. */
const tagAndKind = (read: ReturnType<typeof create> | ReturnType<typeof poll>): string => {
  const kind = 'refused' in read ? read.refused.kind : 'kind' in read ? read.kind : ''
  return kind === '' ? read._tag : `${read._tag} ${kind}`
}

describe('the table of error codes', () => {
  const expectedByClass: Readonly<Record<CodeClass, readonly [create: string, poll: string, pollOfNew: string]>> = {
    account: ['Refused account', 'Failed account', 'Failed account'],
    request: ['Refused request', 'Failed request', 'Failed request'],
    unavailable: ['Unavailable unavailable', 'Unavailable', 'Unavailable'],
    task: ['Refused task', 'Failed task', 'Failed task'],
    unknown: ['Refused unknown', 'Unknown unknown', 'Unknown unknown'],
    notFound: ['Refused unknown', 'Failed task', 'NotYetKnown'],
    pending: ['Refused unknown', 'Processing', 'Processing'],
    serverError: ['Unknown', 'BadReply', 'BadReply']
  }

  it.each(Object.entries(codes).flatMap(([meaning, of]) => of.map((code) => [code, meaning as CodeClass] as const)))(
    'gives %s the meaning %s for both calls',
    (code, meaning) => {
      const result = reply(refusal(code))
      expect([
        tagAndKind(create(result)),
        tagAndKind(poll(result)),
        tagAndKind(poll(result, options, true))
      ]).toStrictEqual(expectedByClass[meaning])
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
  ])('is overridden by meaningOf: %s', (meaning) => {
    const result = reply(refusal('ERROR_ZERO_BALANCE'))
    const readOptions = optionsWith(meaning)
    expect([
      tagAndKind(create(result, readOptions)),
      tagAndKind(poll(result, readOptions)),
      tagAndKind(poll(result, readOptions, true))
    ]).toStrictEqual(expectedByClass[meaning])
  })

  it('has exactly these codes', () => {
    const expected = Object.entries(codes).flatMap(([meaning, of]) => of.map((code) => `${code} ${meaning}`))
    expect([...CODE_MEANINGS].map((entry) => entry.join(' ')).sort()).toStrictEqual(expected.sort())
  })

  it('is used if meaningOf returns nothing', () => {
    expect(tagAndKind(create(reply(refusal('ERROR_ZERO_BALANCE')), optionsWith(undefined)))).toBe('Refused account')
  })

  it.each([null, '', '  '])('is not used, nor is meaningOf, for the code %j', (code) => {
    expect(tagAndKind(create(reply(refusal(code)), optionsWith('account')))).toBe('Refused unknown')
  })

  it('finds a code with white space around it', () => {
    expect(tagAndKind(create(reply(refusal(' ERROR_ZERO_BALANCE\n'))))).toBe('Refused account')
  })

  it.each(['error_zero_balance', 'toString', '__proto__', 'account'])('does not find %s', (code) => {
    expect(tagAndKind(create(reply(refusal(code))))).toBe('Refused unknown')
  })

  it.each([0, 1, '1', null, undefined, 'x'])('is used with errorId %j too', (errorId) => {
    const result = reply({ ...refusal('ERROR_ZERO_BALANCE'), errorId })
    expect([tagAndKind(create(result)), tagAndKind(poll(result))]).toStrictEqual(['Refused account', 'Failed account'])
  })
})

describe('a reply without a known error code', () => {
  it.each<readonly [name: string, CallResult, create: string, poll: string]>([
    ['HTTP 408', reply('', 408), 'Unavailable unavailable', 'Unavailable'],
    ['HTTP 429', reply('', 429), 'Unavailable unavailable', 'Unavailable'],
    ['HTTP 503', reply('', 503), 'Unavailable unavailable', 'Unavailable'],
    ['HTTP 408 with a document', reply(refusal('ERROR_NEW'), 408), 'Unavailable unavailable', 'Unavailable'],
    ['HTTP 429 with a document', reply(refusal(null), 429), 'Unavailable unavailable', 'Unavailable'],
    ['HTTP 503 with a document', reply(refusal('ERROR_NEW'), 503), 'Unavailable unavailable', 'Unavailable'],
    ['an unknown code', reply(refusal('ERROR_NEW')), 'Refused unknown', 'Unknown unknown'],
    ['errorId 1 and no code', reply(refusal(null)), 'Refused unknown', 'Unknown unknown'],
    ['errorId "17"', reply(refusal(null, '17')), 'Refused unknown', 'Unknown unknown'],
    ['an unknown code and HTTP 400', reply(refusal('ERROR_NEW'), 400), 'Refused unknown', 'Unknown unknown'],
    ['an unknown code and HTTP 500', reply(refusal('ERROR_NEW'), 500), 'Refused unknown', 'Unknown unknown'],
    ['errorId 0 and an unknown code', reply(refusal('ERROR_NEW', 0)), 'Unknown', 'BadReply'],
    ['errorId -1', reply(refusal(null, -1)), 'Unknown', 'BadReply'],
    ['errorId true', reply(refusal(null, true)), 'Unknown', 'BadReply'],
    ['HTTP 200 without a body', reply(''), 'Unknown', 'BadReply'],
    ['HTTP 204', reply('', 204), 'Unknown', 'BadReply'],
    ['HTTP 200 with an HTML page', reply('<html>'), 'Unknown', 'BadReply'],
    ['HTTP 200 with truncated JSON', reply('{"errorId":0,"taskId":"id'), 'Unknown', 'BadReply'],
    ['HTTP 200 with an array', reply([]), 'Unknown', 'BadReply'],
    ['HTTP 200 with an empty object', reply({}), 'Unknown', 'BadReply'],
    ['HTTP 300', reply('', 300), 'Refused request', 'BadReply'],
    ['HTTP 301', reply('', 301), 'Refused request', 'BadReply'],
    ['HTTP 307', reply('<html>', 307), 'Refused request', 'BadReply'],
    ['HTTP 400', reply('', 400), 'Refused request', 'BadReply'],
    ['HTTP 401', reply('', 401), 'Refused account', 'BadReply'],
    ['HTTP 401 with errorId 0', reply({ errorId: 0 }, 401), 'Refused account', 'BadReply'],
    ['HTTP 402', reply('<html>', 402), 'Refused account', 'BadReply'],
    ['HTTP 403', reply('<html>', 403), 'Refused request', 'BadReply'],
    ['HTTP 404', reply('<html>', 404), 'Refused request', 'BadReply'],
    ['HTTP 499', reply('{}', 499), 'Refused request', 'BadReply'],
    ['HTTP 500', reply('', 500), 'Unknown', 'BadReply'],
    ['HTTP 502', reply('<html>', 502), 'Unknown', 'BadReply'],
    ['HTTP 504', reply('{}', 504), 'Unknown', 'BadReply'],
    ['HTTP 599', reply('', 599), 'Unknown', 'BadReply']
  ])('is classified by its HTTP status, then by its errorId: %s', (_, result, onCreate, onPoll) => {
    expect([tagAndKind(create(result)), tagAndKind(poll(result))]).toStrictEqual([onCreate, onPoll])
  })
})

describe('a reply with a known error code', () => {
  it('is classified by it before its HTTP status', () => {
    expect(tagAndKind(create(reply(refusal('ERROR_ZERO_BALANCE'), 429)))).toBe('Refused account')
    expect(tagAndKind(poll(reply(refusal('CAPTCHA_NOT_READY'), 503)))).toBe('Processing')
  })
})

describe('a documented reply', () => {
  it.each([200, 201, 307, 400, 429, 500, 503])('to createTask is read as Created with HTTP %d', (status) => {
    expect(create(reply(created, status))).toStrictEqual({ _tag: 'Created', id: { taskId: 'id-1' } })
  })

  it.each([0, 1, '1', null, undefined])('to createTask is read as Created with errorId %j', (errorId) => {
    const result = reply({ errorId, errorCode: 'ERROR_ZERO_BALANCE', taskId: 17 })
    expect(create(result)).toStrictEqual({ _tag: 'Created', id: { taskId: '17', numeric: true } })
  })

  it.each([0, '', '  ', null, undefined, {}, -5])('to createTask is read as Unknown with the id %j', (taskId) => {
    expect(create(reply({ ...created, taskId }))).toMatchObject({
      _tag: 'Unknown',
      problem: { status: 200, problems: ['taskId: expected a task id'] }
    })
  })

  it.each([200, 307, 400, 429, 500, 503])(
    'to getTaskResult is read as the state of the task with HTTP %d',
    (status) => {
      expect(poll(reply(processing, status))).toStrictEqual({ _tag: 'Processing' })
      expect(poll(reply(ready, status))).toStrictEqual({ _tag: 'Ready', solution: { gRecaptchaResponse: 'token' } })
    }
  )

  it('to getTaskResult is read as the state of the task in spite of a known error code', () => {
    expect(tagAndKind(poll(reply({ ...processing, errorCode: 'ERROR_ZERO_BALANCE' })))).toBe('Processing')
  })

  it('to getTaskResult is not read as a state with another errorId', () => {
    expect(tagAndKind(poll(reply({ ...ready, errorId: 1 })))).toBe('Unknown unknown')
  })

  it.each([
    ['an empty token', { ...ready, solution: { gRecaptchaResponse: '' } }],
    ['a token that is a number', { ...ready, solution: { gRecaptchaResponse: 7 } }],
    ['no solution', { ...ready, solution: null }],
    ['a status that says it has ended', { ...ready, status: 'failed' }],
    ['no status', { ...ready, status: undefined }]
  ])('to getTaskResult is read as BadReply with %s', (_, fields) => {
    expect(tagAndKind(poll(reply(fields)))).toBe('BadReply')
  })
})

describe('a network failure', () => {
  it('of a createTask that was sent is read as Unknown, with its cause', () => {
    const result = failed('ECONNRESET')
    const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'it failed' }
    expect(interpretCreate(options, recaptchaV2.solution, result, true)).toStrictEqual({
      _tag: 'Unknown',
      problem: { cause }
    })
  })

  it('of getTaskResult is read as NoReply, with its cause', () => {
    const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'it failed' }
    expect(poll(failed('ECONNRESET'))).toStrictEqual({ _tag: 'NoReply', cause })
  })
})

const brokenOff = (body: string, status = 200): CallResult => ({
  _tag: 'Failed',
  cause: { name: 'Error', code: 'UND_ERR_SOCKET', message: 'other side closed' },
  received: { status, body }
})

describe('a reply that broke off', () => {
  it.each([
    ['the whole document', JSON.stringify(created)],
    ['a document that is cut off after the id', '{"taskId":"id-1","errorId'],
    ['a document after a warning', `Warning ${JSON.stringify(created)}`]
  ])('to createTask is read as Created with %s', (_, body) => {
    expect(create(brokenOff(body))).toStrictEqual({ _tag: 'Created', id: { taskId: 'id-1' } })
  })

  it('to createTask is read as what its document says', () => {
    expect(tagAndKind(create(brokenOff(JSON.stringify(refusal('ERROR_ZERO_BALANCE')))))).toBe('Refused account')
    expect(tagAndKind(create(brokenOff(JSON.stringify(refusal(null)), 503)))).toBe('Unavailable unavailable')
  })

  it.each([200, 401, 404, 429, 503])('to createTask is read as Unknown without a document, with HTTP %d', (status) => {
    expect(create(brokenOff('{"errorId":1,"errorCode":"ERR', status))).toStrictEqual({
      _tag: 'Unknown',
      problem: {
        status,
        cause: { name: 'Error', code: 'UND_ERR_SOCKET', message: 'other side closed' },
        problems: ['the reply: expected JSON'],
        excerpt: '{"errorId":1,"errorCode":"ERR'
      }
    })
  })

  it('to createTask keeps the wait that its head asked for', () => {
    const received = { status: 429, body: JSON.stringify(refusal(null)), retryAfterMs: 7_000 }
    const result: CallResult = { ...brokenOff(''), received } as CallResult
    expect(create(result)).toMatchObject({ _tag: 'Unavailable', retryAfterMs: 7_000 })
  })

  it('to createTask has no excerpt if no byte of its body arrived', () => {
    expect(create(brokenOff(''))).not.toHaveProperty('problem.excerpt')
  })

  it('to getTaskResult is read as the state of the task with the whole document', () => {
    expect(poll(brokenOff(JSON.stringify(processing)))).toStrictEqual({ _tag: 'Processing' })
    expect(poll(brokenOff(JSON.stringify(ready)))).toMatchObject({ _tag: 'Ready' })
  })

  it.each([200, 503])('to getTaskResult is read as NoReply without a document, with HTTP %d', (status) => {
    expect(poll(brokenOff(JSON.stringify(ready).slice(0, -1), status))).toMatchObject({ _tag: 'NoReply' })
  })
})

describe('a reply to createTask with the result', () => {
  it('is read as Created and ready', () => {
    expect(create(reply({ ...ready, taskId: 'id-1' }))).toStrictEqual({
      _tag: 'Created',
      id: { taskId: 'id-1' },
      ready: { solution: { gRecaptchaResponse: 'token' } }
    })
  })

  it.each([
    ['processing', { ...processing, taskId: 'id-1' }],
    ['idle', { ...processing, status: 'idle', taskId: 'id-1' }],
    ['failed', { ...processing, status: 'failed', taskId: 'id-1' }],
    ['ready, without a valid solution', { ...ready, solution: {}, taskId: 'id-1' }],
    ['ready, with an errorId', { ...ready, errorId: 1, taskId: 'id-1' }]
  ])('is read as Created only, if its status is %s', (_, fields) => {
    expect(create(reply(fields))).toStrictEqual({ _tag: 'Created', id: { taskId: 'id-1' } })
  })
})

describe('a status that this library does not know', () => {
  it('is read as OtherStatus, at most 40 characters of it and no client key', () => {
    const read = poll(reply({ ...processing, status: `the-client-key ${'x'.repeat(60)}` }))
    expect(read).toStrictEqual({ _tag: 'OtherStatus', taskStatus: `[client key] ${'x'.repeat(27)}` })
  })
})

describe('a reply to createTask with an id in an unusual place', () => {
  it.each([
    ['no errorId', { data: { taskId: 'id-1' } }],
    ['errorId 0', { errorId: 0, data: [{ taskId: 'id-1' }] }]
  ])('is read as Created with %s', (_, fields) => {
    expect(create(reply(fields))).toStrictEqual({ _tag: 'Created', id: { taskId: 'id-1' } })
  })

  it('is read as Refused with an errorId above 0', () => {
    expect(tagAndKind(create(reply({ ...refusal('ERROR_TASK_ABSENT'), data: { taskId: 'id-1' } })))).toBe(
      'Refused request'
    )
  })
})

describe('an interpreted reply', () => {
  it('holds the beginning of an unreadable reply to createTask', () => {
    expect(create(reply('<html>the-client-key</html>', 502))).toMatchObject({
      problem: { status: 502, excerpt: '<html>[client key]</html>' }
    })
  })

  it('holds the error document of a refusal', () => {
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
      },
      hasDocument: true
    })
  })

  it('holds only the status of a refusal without a document', () => {
    const refused = { _tag: 'Refused', paid: 'no', status: 404, kind: 'request' }
    expect(create(reply('<html>', 404))).toStrictEqual({ _tag: 'Refused', refused, hasDocument: false })
  })

  it.each(['{"message":"Forbidden"}', '{}', '{"errorCode":"FORBIDDEN"}', '{"errorId":null,"errorCode":403}'])(
    'has no document of the service without an errorId: %s',
    (body) => {
      expect(create(reply(body, 403))).toMatchObject({ _tag: 'Refused', hasDocument: false })
      expect(create(reply(body, 503))).toMatchObject({ _tag: 'Unavailable', assumed: true })
      expect(poll(reply(body, 503))).toMatchObject({ _tag: 'Unavailable', hasDocument: false })
    }
  )

  it.each(['{"errorId":1}', '{"errorId":"0","errorCode":""}'])(
    'has a document of the service with an errorId: %s',
    (body) => {
      expect(create(reply(body, 403))).toMatchObject({ _tag: 'Refused', hasDocument: true })
      expect(create(reply(body, 503))).toMatchObject({ _tag: 'Unavailable', assumed: false })
      expect(poll(reply(body, 503))).toMatchObject({ _tag: 'Unavailable', hasDocument: true })
    }
  )

  it('holds the error document of a failed task', () => {
    expect(poll(reply(refusal('ERROR_CAPTCHA_UNSOLVABLE', 12)))).toStrictEqual({
      _tag: 'Failed',
      kind: 'task',
      status: 200,
      errorId: 12,
      errorCode: 'ERROR_CAPTCHA_UNSOLVABLE',
      errorDescription: 'a reason'
    })
  })

  it('holds the error code and the problems of an unreadable reply to createTask', () => {
    expect(create(reply(refusal('ERROR_INTERNAL_SERVER_ERROR'), 500))).toMatchObject({
      problem: { status: 500, problems: ['errorCode: ERROR_INTERNAL_SERVER_ERROR', 'taskId: expected a task id'] }
    })
  })

  it('holds the status, the problems and an excerpt of a reply that violates the protocol', () => {
    expect(poll(reply('{"errorId":0,"status":"failed"}', 502))).toStrictEqual({
      _tag: 'BadReply',
      status: 502,
      problems: ['status: expected "processing" or "ready"'],
      excerpt: '{"errorId":0,"status":"failed"}'
    })
  })

  it.each([0, 7_000, NaN])('holds the wait that an unavailable service asked for: %d ms', (retryAfterMs) => {
    expect(create(reply('', 429, retryAfterMs))).toMatchObject({ retryAfterMs })
  })

  it('holds no wait if an unavailable service asked for none', () => {
    expect(create(reply('', 429))).not.toHaveProperty('retryAfterMs')
  })

  it.each<readonly [name: string, CallResult, isAssumed: boolean]>([
    ['HTTP 503 without a document', reply('', 503), true],
    ['HTTP 503 with an HTML page', reply('<html>', 503), true],
    ['HTTP 503 with another JSON object', reply({ message: 'Service Unavailable' }, 503), true],
    ['HTTP 503 with a document', reply(refusal(null), 503), false],
    ['HTTP 429 without a document', reply('', 429), false],
    ['HTTP 408 without a document', reply('', 408), false]
  ])('holds whether it is only assumed that an unavailable service created nothing: %s', (_, result, assumed) => {
    expect(create(result)).toMatchObject({ _tag: 'Unavailable', assumed })
  })

  it('holds the error code of an unavailable poll, and whether it had a document', () => {
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

  it('holds at most 500 characters of each string', () => {
    const long = { errorId: 1, errorCode: 'C'.repeat(600), errorDescription: 'D'.repeat(600) }
    expect(create(reply(long))).toMatchObject({
      refused: { errorCode: 'C'.repeat(500), errorDescription: 'D'.repeat(500) }
    })
    const problem = `errorCode: ${'C'.repeat(489)}`
    expect(poll(reply({ ...long, errorId: 0 }))).toMatchObject({ problems: [problem, expect.anything()] })
  })
})

describe('any reply', () => {
  const TOKEN = '03AGdBq25SxXT-pmSeBXjzScW-EiocHwwpwqtk1QXlJnGnU-a-token-of-the-service'
  const texts = fc.oneof(
    fc.constantFrom(TOKEN, '', ' ', '0', '1', 'processing', 'ready', 'idle', '__proto__', 'constructor'),
    fc.constantFrom(...CODE_MEANINGS.keys()),
    fc.string({ unit: anyCharacter })
  )
  const values = fc.oneof(texts, fc.constantFrom(0, 1, -1, 1.5, 2 ** 53, null, true), fc.jsonValue())
  const names = fc.constantFrom('errorId', 'errorCode', 'errorDescription', 'taskId', 'status', 'solution', '__proto__')
  const solutions = fc.oneof(fc.record({ gRecaptchaResponse: values }, { requiredKeys: [] }), values)
  // Built from members, because an object could not hold a name twice, nor `__proto__` as an ordinary name.
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
  const bodies = fc.oneof(replies, nearlyReady, cuts, fc.json(), fc.string({ unit: anyCharacter }))
  const statuses = fc.oneof(fc.constantFrom(200, 301, 400, 408, 429, 500, 503), fc.integer())
  const results: fc.Arbitrary<CallResult> = fc.record({ _tag: fc.constant('Reply'), status: statuses, body: bodies })

  const createTags = ['Created', 'Unavailable', 'Refused', 'Unknown']
  const pollTags = ['Processing', 'OtherStatus', 'NotYetKnown', 'Ready', 'Unavailable', 'Failed', 'Unknown', 'BadReply']

  it('is interpreted without throwing', () => {
    const isInterpreted = (result: CallResult, isNew: boolean): boolean =>
      createTags.includes(create(result)._tag) && pollTags.includes(poll(result, options, isNew)._tag)
    fc.assert(fc.property(results, fc.boolean(), isInterpreted), { numRuns: 2_000 })
  })

  it('has no token in its problems', () => {
    const hidesToken = (result: CallResult): boolean => {
      const [created, polled] = [create(result), poll(result)]
      const problem = created._tag === 'Unknown' ? (created.problem.problems ?? []) : []
      const problems = [...problem, ...(polled._tag === 'BadReply' ? polled.problems : [])]
      return !problems.some((problem) => !problem.startsWith('errorCode: ') && problem.includes(TOKEN.slice(0, 10)))
    }
    fc.assert(fc.property(results, hidesToken), { numRuns: 1_000 })
  })

  it('has no whole token in its excerpt', () => {
    const hidesToken = (result: CallResult): boolean => {
      const polled = poll(result)
      return polled._tag !== 'BadReply' || !polled.excerpt.includes(TOKEN)
    }
    fc.assert(fc.property(results, hidesToken), { numRuns: 1_000 })
  })

  it('is read as Ready exactly if it has errorId 0, the status ready, and a token that is not blank', () => {
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
      const isReadyState = (errorId === 0 || errorId === '0') && own.get('status') === 'ready'
      return isReadyState && typeof token === 'string' && /\S/.test(token)
    }
    let seen = 0
    const agrees = (result: CallResult): boolean => {
      const expected = isReady(result._tag === 'Reply' ? result.body : '')
      if (expected) seen += 1
      return (poll(result)._tag === 'Ready') === expected
    }
    fc.assert(fc.property(results, agrees), { numRuns: 1_000, seed: 7 })
    expect(seen).toBeGreaterThan(20)
  })

  it.each([
    ['arrays', '[', ']'],
    ['objects', '{"a":', '}']
  ])('is interpreted if it nests 100,000 %s', (_, opening, closing) => {
    const deep = `${opening.repeat(100_000)}0${closing.repeat(100_000)}`
    for (const name of ['errorId', 'errorCode', 'taskId', 'status', 'solution']) {
      const result = reply(`{"errorId":0,"status":"ready","${name}":${deep}}`)
      expect([create(result)._tag, poll(result)._tag]).toStrictEqual(['Unknown', 'BadReply'])
    }
    expect([create(reply(deep))._tag, poll(reply(deep))._tag]).toStrictEqual(['Unknown', 'BadReply'])
  })

  it('is read by the last of two members with the same name', () => {
    expect(create(reply('{"taskId":"id-1","taskId":"id-2"}'))).toStrictEqual({
      _tag: 'Created',
      id: { taskId: 'id-2' }
    })
    expect(tagAndKind(poll(reply('{"errorId":0,"status":"ready","status":"processing"}')))).toBe('Processing')
  })
})
