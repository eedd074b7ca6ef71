import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import {
  createTaskBody,
  getTaskResultBody,
  readState,
  readTaskId,
  searchTaskId
} from '../../../lib/core/protocol/codec.js'
import { readDocument, type Document } from '../../../lib/core/protocol/document.js'
import { jsonText } from '../../../lib/core/model/network.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

const documentIn = (body: string): Document => {
  const document = readDocument(body)
  if (E.isLeft(document)) throw new Error(document.left.join())
  return document.right
}

const idIn = (body: string) => readTaskId(body, documentIn(body))

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
    const body = getTaskResultBody('a-client-key', { taskId: 'id-1', createdAt: 0 })
    expect(body).toStrictEqual({ clientKey: 'a-client-key', taskId: 'id-1' })
  })

  it.each(['7', '9007199254740991', '9007199254740993', '123456789012345678901234567890'])(
    'of getTaskResult holds the numeric id %s as a number, to the digit',
    (taskId) => {
      const body = getTaskResultBody('a-client-key', { taskId, createdAt: 0, numeric: true })
      expect(jsonText(body)).toBe(`{"clientKey":"a-client-key","taskId":${taskId}}`)
    }
  )
})

describe('readTaskId', () => {
  it.each([
    ['"61138bb6-19fb"', '61138bb6-19fb'],
    ['"01"', '01'],
    ['"a\\u0062\\/c"', 'ab/c']
  ])('reads %s as "%s"', (taskId, expected) => {
    expect(idIn(`{"errorId":0,"taskId":${taskId}}`)).toStrictEqual(E.right({ taskId: expected }))
  })

  it.each([
    ['1', '1'],
    ['1e3', '1000'],
    ['999999999999999', '999999999999999'],
    ['9007199254740991', '9007199254740991'],
    ['9007199254740993', '9007199254740993'],
    ['123456789012345678901234567890', '123456789012345678901234567890']
  ])('reads the number %s as "%s"', (taskId, expected) => {
    expect(idIn(`{"errorId":0,"taskId":${taskId}}`)).toStrictEqual(E.right({ taskId: expected, numeric: true }))
  })

  it('reads every digit of a long number with white space around it', () => {
    const id = { taskId: '9007199254740993', numeric: true }
    expect(idIn('{"taskId" :\n 9007199254740993 ,"errorId":0}')).toStrictEqual(E.right(id))
  })

  it('reads a long number among other ids', () => {
    const id = { taskId: '9007199254740993', numeric: true }
    const body = '{"parent":{"taskId":7},"last":{"taskId":"9007199254740992"},"taskId":9007199254740993}'
    expect(idIn(body)).toStrictEqual(E.right(id))
  })

  it('refuses a long number if its digits stand there twice', () => {
    expect(E.isLeft(idIn('{"a":{"taskId":9007199254740993},"taskId":9007199254740992}'))).toBe(true)
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
    '"0"',
    '"null"',
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
    expect(idIn('{"errorId":{"toString":1},"errorCode":[],"taskId":"id-1"}')).toStrictEqual(E.right({ taskId: 'id-1' }))
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

  it.each(['idle', 'queued', 'not ready yet', 'constructor', '__proto__', 'Processing'])(
    'reads the status %j as another one',
    (status) => {
      expect(stateIn({ errorId: 0, status })).toStrictEqual(E.right({ _tag: 'Other', status }))
    }
  )

  it.each(['READY', 'failed', 'Failed', 'error', 'canceled', 'expired', 'timeout', 'done', 'completed', ' failed'])(
    'refuses the status %j, which says that the task has ended',
    (status) => {
      expect(E.isLeft(stateIn({ errorId: 0, status }))).toBe(true)
    }
  )

  it.each(['', ' ', null, 1, undefined])('refuses the status %j', (status) => {
    const problem = 'status: expected "processing" or "ready"'
    expect(stateIn({ errorId: 0, status })).toStrictEqual(E.left([problem]))
  })

  it.each([1, -1, '1', '', null, false, undefined])('refuses a state with errorId %j', (errorId) => {
    expect(stateIn({ errorId, status: 'processing' })).toStrictEqual(E.left(['errorId: expected 0']))
  })

  it('reads no solution from a prototype', () => {
    const body = '{"errorId":0,"status":"ready","__proto__":{"solution":{"gRecaptchaResponse":"token"}}}'
    expect(E.isLeft(readState(recaptchaV2.solution, documentIn(body)))).toBe(true)
  })

  it.each([{}, { right: 'token' }, null])('refuses a solution if its decoder returns %j', (returned) => {
    const odd = { name: 'odd', validate: () => returned, decode: () => returned } as never
    expect(stateIn({ errorId: 0, status: 'ready', solution: {} }, odd)).toStrictEqual(
      E.left(['solution: its codec threw'])
    )
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

describe('searchTaskId', () => {
  it.each([
    ['cut off after the id', '{"errorId":0,"taskId":"id-1","cost":'],
    ['cut off at once after the id', '{"errorId":0,"taskId":"id-1"'],
    ['with NaN', '{"errorId":0,"taskId":"id-1","cost":NaN}'],
    ['with a raw line break in a string', '{"errorId":0,"errorDescription":"a\nb","taskId":"id-1"}'],
    ['with a comma too many', '{"errorId":0,"taskId":"id-1",}'],
    ['in an array', '[{"errorId":0,"taskId":"id-1"}]'],
    ['twice with the same id', '{"errorId":0,"taskId":"id-1"}{"errorId":0,"taskId":"id-1"}'],
    ['between HTML', '<b>Warning</b>: {"taskId":"id-1" <br>'],
    ['with white space', '{"taskId" \n: \t"id-1" x'],
    ['within a JSON string', JSON.stringify('{"errorId":0,"taskId":"id-1"}')],
    ['within a JSON string, cut off', '"{\\"errorId\\":0,\\"taskId\\":\\"id-1\\",'],
    ['with single quotes', "{'errorId': 0, 'taskId': 'id-1'}"]
  ])('finds the id of a document %s', (_, body) => {
    expect(searchTaskId(body, false)).toStrictEqual({ taskId: 'id-1' })
  })

  it.each(['{"taskId":9007199254740993,"cost":NaN}', '{"taskId":9007199254740993}x', '{"taskId":9007199254740993 '])(
    'finds a number, to the digit, in %s',
    (body) => {
      expect(searchTaskId(body, false)).toStrictEqual({ taskId: '9007199254740993', numeric: true })
    }
  )

  it.each([
    ['a string that is cut off', '{"errorId":0,"taskId":"id-1'],
    ['a number that is cut off', '{"errorId":0,"taskId":12345'],
    ['0', '{"errorId":0,"taskId":0,'],
    ['an empty string', '{"errorId":0,"taskId":"",'],
    ['a string with a raw line break', '{"errorId":0,"taskId":"a\nb",'],
    ['a number with a fraction', '{"taskId":1.5,'],
    ['another name', '{"lasttaskId":"id-1","taskIds":"id-2",'],
    ['two different ids', '{"taskId":"id-1","parent":{"taskId":"id-2"},'],
    ['a value that is no member', 'no "taskId" given: "id-1"']
  ])('finds nothing in %s', (_, body) => {
    expect(searchTaskId(body, false)).toBeUndefined()
  })

  it.each([
    ['cut off', '{"errorId":1,"errorCode":"ERROR_BAD_DUPLICATES","taskId":"id-1","x'],
    ['with another id in a member', '{"errorId":12,"errorCode":"E","last":{"taskId":"id-1"},"cost":?}']
  ])('finds an id in a broken refusal too, because it may be paid for: %s', (_, body) => {
    expect(searchTaskId(body, false)).toStrictEqual({ taskId: 'id-1' })
  })

  it('finds the id next to a text that quotes a refusal', () => {
    const body = `{"errorId":0,"errorDescription":${JSON.stringify('not "errorId":1')},"taskId":"id-1",`
    expect(searchTaskId(body, false)).toStrictEqual({ taskId: 'id-1' })
  })

  it.each([
    ['a\\/b', 'a/b'],
    ['ab\\/cd\\u0065fg', 'ab/cdefg'],
    ['a\\"\\\\', 'a"\\']
  ])('reads the escapes of an id: %s', (written, taskId) => {
    expect(searchTaskId(`{"taskId":"${written}","cost":NaN}`, false)).toStrictEqual({ taskId })
  })

  it('finds an id in an unusual place of a document', () => {
    expect(searchTaskId('{"errorId":0,"data":{"taskId":"id-1"}}', true)).toStrictEqual({ taskId: 'id-1' })
  })

  it('finds an id in a document that says errorId 0, whatever a part of it says', () => {
    expect(searchTaskId('{"errorId":0,"data":{"taskId":"id-1"},"last":{"errorId":1}}', true)).toStrictEqual({
      taskId: 'id-1'
    })
  })

  it('finds no id in one text of a document', () => {
    expect(searchTaskId(`{"errorId":0,"note":"'taskId':'id-2'"}`, true)).toBeUndefined()
  })

  it('finds no id in the texts of a document', () => {
    const body = JSON.stringify({ errorId: 0, errorDescription: 'not "taskId":"id-1"', note: "'taskId':'id-2'" })
    expect(searchTaskId(body, true)).toBeUndefined()
  })

  it('prefers an id in double quotes to what a text says', () => {
    const body = `{"errorDescription":"not 'taskId':'id-2'","taskId":"id-1","cost":NaN}`
    expect(searchTaskId(body, false)).toStrictEqual({ taskId: 'id-1' })
  })

  it('reads megabytes', () => {
    const long = `{"errorDescription":"${'x\\"'.repeat(3_000_000)}","cost":NaN,"taskId":"id-1",`
    expect(searchTaskId(long, false)).toStrictEqual({ taskId: 'id-1' })
  })
})
