import * as E from 'fp-ts/lib/Either.js'
import { readDocument, type Document } from '../../../lib/core/protocol/document.js'

const documentIn = (body: string): Document => {
  const document = readDocument(body)
  if (E.isLeft(document)) throw new Error(document.left.join())
  return document.right
}

describe('readDocument', () => {
  it('reads the documented reply, with its empty strings', () => {
    const fields = { errorId: 0, errorCode: '', errorDescription: '', taskId: '61138bb6-19fb' }
    const read = { fields, errorId: 0, errorCode: '', errorDescription: '' }
    expect(readDocument(JSON.stringify(fields))).toStrictEqual(E.right(read))
  })

  it.each(['{"errorId":0}', '{"taskId":"id-1"}'])('skips a byte order mark before %s', (body) => {
    expect(documentIn(`\ufeff${body}`).fields).toStrictEqual(JSON.parse(body))
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
    ['with NaN', '{"taskId":"id-1","cost":NaN}', { taskId: 'id-1', cost: null }],
    ['in several lines, with a line break in a string', '{\n"taskId":"a\nb"\r\n}', { taskId: 'a\nb' }],
    ['after a byte order mark', '\ufeff{"taskId":"id-1",}', { taskId: 'id-1' }]
  ])('reads a document %s as a whole one, without an errorId', (_, body, fields) => {
    expect(documentIn(body)).toStrictEqual({ fields, errorCode: '', errorDescription: '' })
  })

  it('finds the document in an array that is broken', () => {
    expect(documentIn('[{"errorId":0},]').errorId).toBe(0)
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

const DOCUMENT = '{"errorId":0,"status":"ready","solution":{"text":"a } and a \\" in {"}}'

describe('readDocument in a text', () => {
  it.each([
    ['after a warning', `<br />\n<b>Warning</b>: Undefined index in <b>/a.php</b> on line 7<br />\n${DOCUMENT}`],
    ['before a comment', `${DOCUMENT}\n<!-- served in 3 ms -->`],
    ['between both', `Notice: "x" ${DOCUMENT} <p class="end">`],
    ['after a brace that opens no object', `function () { return } {} ${DOCUMENT}`],
    ['after an object without errorId', `{"level":"warn"} ${DOCUMENT}`],
    ['before a broken object', `${DOCUMENT} {"errorId":0,"status"`],
    ['after a byte order mark and a blank line', `\ufeff\n\n${DOCUMENT};`],
    ['after two byte order marks', `\ufeff\ufeff${DOCUMENT}`],
    ['in a callback', `callback(${DOCUMENT})`],
    ['in several lines', `x ${JSON.stringify(JSON.parse(DOCUMENT), null, 2)}`]
  ])('finds the document %s', (_, body) => {
    expect(documentIn(body).fields).toStrictEqual(JSON.parse(DOCUMENT))
  })

  it('finds a document with mistakes, and none within it', () => {
    expect(documentIn(`x {"errorId":0,"cost":NaN,"last":${DOCUMENT},}`).fields).toMatchObject({ cost: null })
  })

  it.each([
    ['two documents', `${DOCUMENT}${DOCUMENT}`, 'one JSON object'],
    ['a document within a broken one', `x {"errorId":0,"cost":?,"last":${DOCUMENT}}`, 'JSON'],
    ['a document within one that is cut off', `x {"errorId":0,"last":${DOCUMENT},`, 'JSON'],
    ['a document within a string', `x {"errorId":0,"last":${JSON.stringify(DOCUMENT)},`, 'JSON'],
    ['a document in a string that is cut off', `x {"a":"${DOCUMENT.slice(0, 20)}`, 'JSON'],
    ['objects without errorId', 'x {"status":"ready"} {"solution":{"text":"a"}}', 'JSON']
  ])('finds none in %s', (_, body, expected) => {
    expect(readDocument(body)).toStrictEqual(E.left([`the reply: expected ${expected}`]))
  })

  it('reads megabytes', () => {
    const body = `x ${'{"a":"\\""} '.repeat(300_000)} {"long":"${'y'.repeat(3_000_000)}"} ${DOCUMENT}`
    expect(documentIn(body).errorId).toBe(0)
  })

  it('takes no quadratic time for a long string that is never closed', () => {
    const startedAt = performance.now()
    readDocument(`x {"a":"${'\\"'.repeat(50_000)}`)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})
