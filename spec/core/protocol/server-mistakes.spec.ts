import { interpretCreate, interpretPoll } from '../../../lib/core/protocol/interpret.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import type { CallResult } from '../../../lib/core/model/network.js'
import type { ReadOptions } from '../../../lib/core/protocol/reply.js'

const options: ReadOptions = { meaningOf: () => undefined, scrub: (text) => text }

const reply = (body: string): CallResult => ({ _tag: 'Reply', status: 200, body })
const create = (body: string) => interpretCreate(options, recaptchaV2.solution, reply(body), true)
const poll = (body: string) => interpretPoll(options, recaptchaV2.solution, reply(body), false)

const created = { errorId: 0, errorCode: '', errorDescription: '', taskId: 'id-1' }
const processing = { errorId: 0, errorCode: null, errorDescription: null, status: 'processing' }
const ready = { ...processing, status: 'ready', solution: { gRecaptchaResponse: 'token' } }
const refusal = (errorCode: string) => ({ errorId: 1, errorCode, errorDescription: 'a reason' })

const mistakes: ReadonlyArray<[mistake: string, (json: string) => string]> = [
  ['NaN', (json) => json.replace(/}$/, ',"cost":NaN}')],
  ['-Infinity', (json) => json.replace(/^{/, '{"balance":-Infinity,')],
  ['undefined', (json) => json.replace(/}$/, ',"ip":undefined}')],
  ['a line break in a string', (json) => json.replace(/^{/, '{"note":"a\r\nb\tc",')],
  ['a comma too many', (json) => json.replace(/}$/, ',\n}')],
  ['all of these behind a warning', (json) => `<b>Warning</b> ${json.replace(/}$/, ',"note":"a\nb","cost":NaN,}')}`]
]

describe.each(mistakes)('a reply with %s', (_, spoil) => {
  const spoilt = (body: unknown) => spoil(JSON.stringify(body))

  it('creates the task', () => {
    expect(create(spoilt(created))).toStrictEqual({ _tag: 'Created', id: { taskId: 'id-1' } })
  })

  it('refuses the task', () => {
    expect(create(spoilt(refusal('ERROR_ZERO_BALANCE')))).toMatchObject({
      _tag: 'Refused',
      refused: { errorCode: 'ERROR_ZERO_BALANCE', kind: 'account' },
      hasDocument: true
    })
  })

  it('is a state of the task', () => {
    expect(poll(spoilt(processing))).toStrictEqual({ _tag: 'Processing' })
    expect(poll(spoilt(ready))).toStrictEqual({ _tag: 'Ready', solution: { gRecaptchaResponse: 'token' } })
    expect(poll(spoilt(refusal('ERROR_CAPTCHA_UNSOLVABLE')))).toMatchObject({ _tag: 'Failed', kind: 'task' })
  })
})

describe('a reply whose errorId or token is no value', () => {
  it.each([
    '{"errorId":NaN,"status":"ready","solution":{"gRecaptchaResponse":"token"}}',
    '{"errorId":0,"status":undefined,"solution":{"gRecaptchaResponse":"token"}}',
    '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":NaN}}',
    '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"\n\t"}}'
  ])('is no success: %s', (body) => {
    expect(poll(body)).toMatchObject({ _tag: 'BadReply' })
  })
})

describe.each([0, '0', ' 00 ', 'null', 'NULL', 'undefined', 'none', 'None'])('a reply whose taskId is %j', (taskId) => {
  it('refuses the task if it has an error', () => {
    const result = create(JSON.stringify({ ...refusal('ERROR_ZERO_BALANCE'), taskId }))
    expect(result).toMatchObject({ _tag: 'Refused', refused: { errorCode: 'ERROR_ZERO_BALANCE', paid: 'no' } })
  })

  it('may have created a task if it has errorId 0, and is shown', () => {
    const body = JSON.stringify({ ...created, taskId })
    const problem = { status: 200, problems: ['taskId: expected a task id'], excerpt: body }
    expect(create(body)).toStrictEqual({ _tag: 'Unknown', problem })
  })

  it('may have created a task if it is cut off, and is shown', () => {
    const body = JSON.stringify({ ...created, taskId }).replace(/}$/, ',"cost":')
    const problem = { status: 200, problems: ['the reply: expected JSON'], excerpt: body }
    expect(create(body)).toStrictEqual({ _tag: 'Unknown', problem })
  })
})

describe.each(['10', '0x0', '0-0', 'nullable', 'none-1', '-0'])('a reply whose taskId is %j', (taskId) => {
  it('creates the task, also beside an error', () => {
    const fields = [created, refusal('ERROR_ZERO_BALANCE')]
    const results = fields.map((document) => create(JSON.stringify({ ...document, taskId })))
    expect(results).toStrictEqual([
      { _tag: 'Created', id: { taskId } },
      { _tag: 'Created', id: { taskId } }
    ])
  })
})
