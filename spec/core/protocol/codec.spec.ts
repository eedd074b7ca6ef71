import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import {
  createTaskBody,
  getTaskResultBody,
  readDocument,
  readState,
  readTaskId,
  type Document
} from '../../../lib/core/protocol/codec.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

const documentIn = (body: string): Document => {
  const document = readDocument(body)
  if (E.isLeft(document)) throw new Error(document.left.join())
  return document.right
}

const idIn = (body: string) => readTaskId(documentIn(body))

const stateIn = (fields: unknown, solution: t.Decoder<unknown, unknown> = recaptchaV2.solution) =>
  readState(solution, documentIn(JSON.stringify(fields)))

describe('a request body', () => {
  it('of createTask holds the client key and the task', () => {
    expect(createTaskBody('a-client-key', { type: 'T' })).toStrictEqual({
      clientKey: 'a-client-key',
      task: { type: 'T' }
    })
  })

  it('of getTaskResult holds the client key and the task id', () => {
    expect(getTaskResultBody('a-client-key', 'id-1')).toStrictEqual({ clientKey: 'a-client-key', taskId: 'id-1' })
  })
})

describe('readDocument', () => {
  it('reads the documented reply, with its empty strings', () => {
    const fields = { errorId: 0, errorCode: '', errorDescription: '', taskId: '61138bb6-19fb' }
    const read = { fields, errorId: 0, errorCode: '', errorDescription: '' }
    expect(readDocument(JSON.stringify(fields))).toStrictEqual(E.right(read))
  })

  it('skips a byte order mark', () => {
    expect(documentIn('\ufeff{"errorId":0}').errorId).toBe(0)
  })

  it.each([
    ['an array', '[{"errorId":0}]'],
    ['a string', '"ready"'],
    ['a number', '7'],
    ['null', 'null'],
    ['true', 'true']
  ])('refuses %s', (_, body) => {
    expect(readDocument(body)).toStrictEqual(E.left(['the reply: expected a JSON object']))
  })

  it.each([
    ['an empty body', ''],
    ['an HTML page', '<html></html>'],
    ['truncated JSON', '{"errorId":0,"taskId":"61138'],
    ['two byte order marks', '\ufeff\ufeff{}']
  ])('refuses %s', (_, body) => {
    expect(readDocument(body)).toStrictEqual(E.left(['the reply: expected JSON']))
  })

  it.each([
    ['0', 0],
    ['"0"', 0],
    ['1', 1],
    ['"12"', 12],
    ['-1', -1],
    ['""', undefined],
    ['"x"', undefined],
    ['null', undefined],
    ['true', undefined],
    ['[3]', undefined],
    ['{"toString":1,"valueOf":1}', undefined],
    ['1e999', undefined]
  ])('reads errorId %s as %s', (errorId, expected) => {
    expect(documentIn(`{"errorId":${errorId}}`).errorId).toBe(expected)
  })

  it.each([
    ['"ERROR_X"', 'ERROR_X'],
    ['" ERROR_X\\n"', 'ERROR_X'],
    ['17', '17'],
    ['null', ''],
    ['""', ''],
    ['{"a":1}', '']
  ])('reads errorCode and errorDescription %s as "%s"', (text, expected) => {
    expect(documentIn(`{"errorCode":${text},"errorDescription":${text}}`)).toMatchObject({
      errorCode: expected,
      errorDescription: expected
    })
  })
})

describe('readTaskId', () => {
  it.each([
    ['"61138bb6-19fb"', '61138bb6-19fb'],
    ['"0"', '0'],
    ['1', '1'],
    ['1e3', '1000'],
    ['999999999999999', '999999999999999'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740993', '9007199254740993'],
    ['123456789012345678901234567890', '123456789012345678901234567890']
  ])('reads %s as "%s"', (taskId, expected) => {
    expect(idIn(`{"errorId":0,"taskId":${taskId}}`)).toStrictEqual(E.right(expected))
  })

  it('reads every digit of a long number with white space around it', () => {
    expect(idIn('{"taskId" :\n 9007199254740993 ,"errorId":0}')).toStrictEqual(E.right('9007199254740993'))
  })

  it('leaves a long number inside a string as it is', () => {
    const body = JSON.stringify({ errorDescription: '"taskId":9007199254740993,', taskId: 'id-1' })
    expect(documentIn(body).errorDescription).toBe('"taskId":9007199254740993,')
  })

  it.each([
    '0',
    '-1',
    '1.5',
    '-9007199254740993',
    '1e300',
    '1e999',
    '""',
    '"  "',
    'null',
    'true',
    '[]',
    '["id"]',
    '{}'
  ])('refuses %s', (taskId) => {
    expect(idIn(`{"taskId":${taskId}}`)).toStrictEqual(E.left(['taskId: expected a task id']))
  })

  it('refuses a document without an id', () => {
    expect(idIn('{"errorId":0}')).toStrictEqual(E.left(['taskId: expected a task id']))
  })

  it('reads no id from a prototype', () => {
    expect(E.isLeft(idIn('{"__proto__":{"taskId":"id-1"}}'))).toBe(true)
  })

  it('reads an id whatever the other fields are', () => {
    expect(idIn('{"errorId":{"toString":1},"errorCode":[],"taskId":"id-1"}')).toStrictEqual(E.right('id-1'))
  })
})

describe('readState', () => {
  it.each([0, '0'])('reads processing with errorId %j', (errorId) => {
    expect(stateIn({ errorId, status: 'processing' })).toStrictEqual(E.right({ _tag: 'Processing' }))
  })

  it.each([0, '0'])('reads ready with errorId %j, without the unknown fields of its solution', (errorId) => {
    const solution = { gRecaptchaResponse: 'token', more: 1 }
    const state = { _tag: 'Ready', solution: { gRecaptchaResponse: 'token' } }
    expect(stateIn({ errorId, status: 'ready', solution, cost: '0.001' })).toStrictEqual(E.right(state))
  })

  it.each([
    ['an empty token', { gRecaptchaResponse: '' }, 'solution.gRecaptchaResponse: expected a string that is not empty'],
    ['a blank token', { gRecaptchaResponse: ' ' }, 'solution.gRecaptchaResponse: expected a string that is not empty'],
    ['an object without a token', {}, 'solution.gRecaptchaResponse: expected a string that is not empty'],
    [
      'a token that is a number',
      { gRecaptchaResponse: 7 },
      'solution.gRecaptchaResponse: expected a string that is not empty'
    ],
    ['null', null, 'solution: expected {| gRecaptchaResponse: a string that is not empty |}'],
    ['a bare token', 'token', 'solution: expected {| gRecaptchaResponse: a string that is not empty |}'],
    ['undefined', undefined, 'solution: expected {| gRecaptchaResponse: a string that is not empty |}']
  ])('refuses ready if its solution is %s', (_, solution, problem) => {
    expect(stateIn({ errorId: 0, status: 'ready', solution })).toStrictEqual(E.left([problem]))
  })

  it.each(['idle', 'failed', 'READY', '', 'constructor', '__proto__', null, 1, undefined])(
    'refuses the status %j',
    (status) => {
      const problem = 'status: expected "processing" or "ready"'
      expect(stateIn({ errorId: 0, status })).toStrictEqual(E.left([problem]))
    }
  )

  it.each([1, -1, '1', '', null, false, undefined])('refuses a state with errorId %j', (errorId) => {
    expect(stateIn({ errorId, status: 'processing' })).toStrictEqual(E.left(['errorId: expected 0']))
  })

  it('reads no solution from a prototype', () => {
    const body = '{"errorId":0,"status":"ready","__proto__":{"solution":{"gRecaptchaResponse":"token"}}}'
    expect(E.isLeft(readState(recaptchaV2.solution, documentIn(body)))).toBe(true)
  })

  it('refuses a solution if its decoder throws', () => {
    const throwing = new t.Type<unknown>(
      'throwing',
      t.unknown.is,
      () => {
        throw new Error('03AGdBq25-a-token')
      },
      t.identity
    )
    expect(stateIn({ errorId: 0, status: 'ready', solution: {} }, throwing)).toStrictEqual(
      E.left(['solution: its codec threw'])
    )
  })
})
