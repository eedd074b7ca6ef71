import type { OutgoingHttpHeaders } from 'node:http'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import type { Socket } from 'node:net'
import type { FaultReply, FaultRule } from 'rx-captcha/emulator'

type JsonObject = FaultReply['correctReply']

/** A reply that no service should send, as a fault function of the emulator. */
export interface OddReply {
  /** The only call that it fits; both if left out. */
  readonly on?: 'createTask' | 'getTaskResult'
  /** The client can read the correct reply from it. */
  readonly isReadable?: boolean
  readonly fault: (reply: FaultReply) => void
}

/** A rule in the form of the command line, whose fault may also be the name of an odd reply. */
export const ruleOf = (text: string): FaultRule | string => {
  const [, on, when = '', billed, name = ''] = /^(createTask|getTaskResult):([^:]+):(billed\+)?(.+)$/.exec(text) ?? []
  const odd = ODD_REPLIES.get(name)
  if (!odd || (on !== 'createTask' && on !== 'getTaskResult')) return text
  return { on, when: whenOf(when), fault: odd.fault, isReadable: odd.isReadable, billed: billed !== undefined }
}

const whenOf = (text: string): FaultRule['when'] => {
  if (text === 'always') return 'always'
  return text.startsWith('first') ? { first: Number(text.slice(5)) } : { nth: Number(text) }
}

const send = ({ res }: FaultReply, body: string | Buffer, headers: OutgoingHttpHeaders = {}): void => {
  const length = Buffer.byteLength(body)
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': length, ...headers }).end(body)
}

const changed =
  (change: (json: string) => string | Buffer, headers?: OutgoingHttpHeaders) =>
  (reply: FaultReply): void =>
    send(reply, change(reply.correctJson), headers)

const replaced = (replace: (correct: JsonObject) => JsonObject, headers?: OutgoingHttpHeaders) => (reply: FaultReply) =>
  send(reply, JSON.stringify(replace(reply.correctReply)), headers)

/** Sends these bytes instead of an HTTP message, and then does to the connection what is to be done to it. */
const raw =
  (bytesOf: (json: string) => string | Buffer, end: (socket: Socket) => void) =>
  ({ res, correctJson }: FaultReply): void => {
    const { socket } = res.req
    socket.write(bytesOf(correctJson), () => end(socket))
  }

const closes = (socket: Socket) => socket.destroySoon()
const staysOpen = () => undefined
/** After a few milliseconds, because a reset may overtake bytes that were sent before. */
const resets = (socket: Socket) => void setTimeout(() => socket.resetAndDestroy(), 5)

const withHead =
  (head: string, change = (json: string) => json) =>
  (json: string) =>
    `HTTP/1.1 200 OK\r\n${head}\r\n\r\n${change(json)}`
/** Announces more bytes than come. */
const unfinished = (change?: (json: string) => string) => withHead('content-length: 100000', change)
const chunk = (json: string) => `${Buffer.byteLength(json).toString(16)}\r\n${json}\r\n`
const chunked = (end: string) => withHead('transfer-encoding: chunked', (json) => chunk(json) + end)

/** The document up to a place within the value of `taskId`, or just after it. */
const upTo =
  (pattern: RegExp) =>
  (json: string): string =>
    pattern.exec(json)?.[0] ?? ''

const onCreate = (replace: (correct: JsonObject) => JsonObject): OddReply => ({
  on: 'createTask',
  fault: replaced(replace)
})
const onPoll = (document: JsonObject, headers?: OutgoingHttpHeaders): OddReply => ({
  on: 'getTaskResult',
  fault: replaced(() => document, headers)
})

const NO_ERROR = { errorId: 0, errorCode: null, errorDescription: null }
const inState = (status: unknown): JsonObject => ({ ...NO_ERROR, status })
const ready = (token: unknown): JsonObject => ({
  ...NO_ERROR,
  solution: { gRecaptchaResponse: token },
  status: 'ready'
})
const refusal = (errorCode: string | null, errorDescription: string) => ({ errorId: 1, errorCode, errorDescription })

const encoded = (encoding: string, encode: (json: string) => string | Buffer = (json) => json): OddReply => ({
  isReadable: true,
  fault: changed(encode, { 'content-encoding': encoding })
})
const legible = (change: (json: string) => string | Buffer): OddReply => ({ isReadable: true, fault: changed(change) })

const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16()

const half = (text: string) => text.slice(0, text.length / 2)

const GZIP = { 'content-encoding': 'gzip' }
const TEXT_AFTER = '\n<!-- page generated in 0.012 s, {"cached":false} -->'
/** Seconds, far beyond the pace of the matrix. */
const RETRY_AFTER = { 'retry-after': '20' }

/** The odd replies, by their names in the matrix. */
export const ODD_REPLIES: ReadonlyMap<string, OddReply> = new Map<string, OddReply>([
  ['huge-headers', { fault: changed((json) => json, { 'x-padding': 'x'.repeat(262_144) }) }],
  [
    'bad-chunk',
    {
      fault: ({ res, correctReply }) => {
        const { socket } = res.req
        socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n${JSON.stringify(correctReply)}\r\n`)
        socket.destroySoon()
      }
    }
  ],
  ['cut-gzip', { fault: changed((json) => gzipSync(json).subarray(0, 40), GZIP) }],
  ['bad-gzip', encoded('gzip')],
  ['odd-encoding', encoded('zstd')],
  ['charset-as-encoding', encoded('UTF-8')],
  ['plain-as-br', encoded('br')],
  ['plain-as-deflate', encoded('deflate')],
  ['plain-as-list', encoded('gzip, br')],
  ['x-gzip', encoded('X-GZip', (json) => gzipSync(json))],
  ['br', encoded('br', (json) => brotliCompressSync(json))],
  ['deflate', encoded('deflate', (json) => deflateSync(json))],
  ['raw-deflate', encoded('deflate', (json) => deflateRawSync(json))],
  ['twice-gzip', encoded('gzip, gzip', (json) => gzipSync(gzipSync(json)))],
  ['once-of-twice-gzip', encoded('gzip, gzip', (json) => gzipSync(json))],
  ['identity-and-gzip', encoded('identity, gzip', (json) => gzipSync(json))],
  ['unannounced-gzip', legible((json) => gzipSync(json))],
  ['gzip-without-trailer', encoded('gzip', (json) => gzipSync(json).subarray(0, -8))],
  [
    'gzip-with-bad-checksum',
    encoded('gzip', (json) => Buffer.concat([gzipSync(json).subarray(0, -8), Buffer.alloc(8, 7)]))
  ],
  ['gzip-then-garbage', encoded('gzip', (json) => Buffer.concat([gzipSync(json), Buffer.from('\r\n<!-- -->')]))],
  ['gzip-of-utf16', encoded('gzip', (json) => gzipSync(Buffer.from(`\uFEFF${json}`, 'utf16le')))],
  ['unfinished-length', { fault: raw(unfinished(), closes), isReadable: true }],
  ['unfinished-length-open', { fault: raw(unfinished(), staysOpen), isReadable: true }],
  ['reset-after-document', { fault: raw(unfinished(), resets), isReadable: true }],
  ['bad-second-chunk', { fault: raw(chunked('ZZ\r\nmore'), closes), isReadable: true }],
  ['half-second-chunk', { fault: raw(chunked('5\r\n\n'), closes), isReadable: true }],
  ['no-framing', { fault: raw(withHead('content-type: application/json'), closes), isReadable: true }],
  ['http-1.0', { fault: raw((json) => `HTTP/1.0 200 OK\r\n\r\n${json}`, closes), isReadable: true }],
  [
    'more-than-length',
    {
      fault: raw((json) => withHead(`content-length: ${Buffer.byteLength(json)}`)(json) + TEXT_AFTER, closes),
      isReadable: true
    }
  ],
  [
    'early-hints',
    {
      fault: raw(
        (json) => `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${withHead('content-type: application/json')(json)}`,
        closes
      ),
      isReadable: true
    }
  ],
  [
    'unasked-continue',
    { fault: raw((json) => `HTTP/1.1 100 Continue\r\n\r\n${withHead('content-type: application/json')(json)}`, closes) }
  ],
  ['contradictory-framing', { fault: raw(withHead('content-length: 9\r\ntransfer-encoding: chunked', chunk), closes) }],
  ['cut-after-id', { on: 'createTask', fault: raw(unfinished(upTo(/^.*"taskId":"?[\w-]+"?/)), closes) }],
  ['cut-after-id-open', { on: 'createTask', fault: raw(unfinished(upTo(/^.*"taskId":"?[\w-]+"?/)), staysOpen) }],
  ['cut-json-after-id', { on: 'createTask', fault: changed(upTo(/^.*"taskId":"?[\w-]+"?/)) }],
  ['cut-in-id', { on: 'createTask', fault: raw(unfinished(upTo(/^.*"taskId":"?[\w-]{8}/)), closes) }],
  ['cut-json-in-id', { on: 'createTask', fault: changed(upTo(/^.*"taskId":"?[\w-]{8}/)) }],
  ['large-headers', { isReadable: true, fault: changed((json) => json, { 'x-padding': 'x'.repeat(200_000) }) }],
  ['array', { fault: changed((json) => `[${json}]`) }],
  ['null', { fault: changed(() => 'null') }],
  ['array-of-two', { fault: changed((json) => `[${json},${json}]`) }],
  ['wrapped', { fault: changed((json) => `{"errorId":0,"data":{"result":${json}}}`) }],
  ['double-encoded', { fault: changed((json) => JSON.stringify(json)) }],
  ['python', { fault: changed((json) => json.replaceAll('"', "'").replaceAll('null', 'None')) }],
  ['two-documents', { fault: changed((json) => `${json}\n${json}`) }],
  ['error-then-document', { fault: changed((json) => `{"errorId":1,"errorCode":"ERROR_CACHE"}${json}`) }],
  ['two-ids', { on: 'createTask', fault: changed((json) => `${json}{"errorId":0,"taskId":"another-id"}`) }],
  ['text-after', legible((json) => json + TEXT_AFTER)],
  ['text-around', legible((json) => `<script>if(a){b('c')}</script>{"cached":false} ${json}${TEXT_AFTER}`)],
  ['brace-after', legible((json) => `${json}}`)],
  ['jsonp', legible((json) => `/**/callback(${json});`)],
  ['event-stream', legible((json) => `event: message\ndata: ${json}\n\n`)],
  ['html-around', legible((json) => `<html><body><pre>${json}</pre></body></html>`)],
  ['nan', { fault: changed((json) => `{"cost":NaN,${json.slice(1)}`) }],
  ['raw-line-break', { fault: changed((json) => `{"note":"a\nb",${json.slice(1)}`) }],
  ['trailing-comma', { fault: changed((json) => `${json.slice(0, -1)},}`) }],
  ['unquoted-name', { fault: changed((json) => `{note:"",${json.slice(1)}`) }],
  ['bom', legible((json) => `\uFEFF${json}`)],
  ['utf16', legible((json) => Buffer.from(`\uFEFF${json}`, 'utf16le'))],
  ['utf16be', legible((json) => utf16be(`\uFEFF${json}`))],
  ['utf16-without-bom', legible((json) => Buffer.from(json, 'utf16le'))],
  ['utf16be-without-bom', legible((json) => utf16be(json))],
  ['latin1', legible((json) => Buffer.from(`{"note":"d\u00e9j\u00e0",${json.slice(1)}`, 'latin1'))],
  ['deep', { fault: changed(() => '['.repeat(100_000) + ']'.repeat(100_000)) }],
  [
    'duplicate-keys',
    {
      isReadable: true, // JSON.parse takes the last of them
      fault: changed((json) => `{"errorId":1,"taskId":"first","status":"failed",${json.slice(1)}`)
    }
  ],
  [
    'proto',
    { isReadable: true, fault: changed((json) => `{"__proto__":{"errorId":1,"polluted":true},${json.slice(1)}`) }
  ],
  ['null-id', onCreate((correct) => ({ ...correct, taskId: null }))],
  ['empty-id', onCreate((correct) => ({ ...correct, taskId: '' }))],
  [
    'error-with-id',
    {
      ...onCreate((correct) => ({ ...correct, ...refusal('ERROR_UNKNOWN', 'and a task was created nevertheless') })),
      isReadable: true
    }
  ],
  ['number-token', onPoll(ready(3))],
  ['null-token', onPoll(ready(null))],
  ['idle-status', onPoll(inState('idle'))],
  ['queued-status', onPoll(inState('queued'))],
  ['failed-status', onPoll(inState('failed'))],
  ['canceled-status', onPoll(inState('canceled'))],
  ['expired-status', onPoll(inState('EXPIRED'))],
  ['error-status', onPoll(inState('error'))],
  ['shouted-ready', onPoll({ ...ready('token'), status: 'READY' })],
  ['empty-status', onPoll(inState(' '))],
  ['null-status', onPoll(inState(null))],
  ['number-status', onPoll(inState(1))],
  ['processing-retry-after', onPoll(inState('processing'), RETRY_AFTER)],
  [
    'processing-202-retry-after',
    {
      on: 'getTaskResult',
      fault: ({ res }) => res.writeHead(202, RETRY_AFTER).end(JSON.stringify(inState('processing')))
    }
  ],
  ['queued-retry-after', onPoll(inState('queued'), RETRY_AFTER)],
  ['no-solution-retry-after', onPoll(inState('ready'), RETRY_AFTER)],
  ['not-json-retry-after', { on: 'getTaskResult', fault: changed(() => 'OK', RETRY_AFTER) }],
  [
    'cut-retry-after',
    { on: 'getTaskResult', fault: raw(withHead('retry-after: 20\r\ncontent-length: 100000', half), closes) }
  ],
  ['ready-without-token', onCreate((correct) => ({ ...correct, ...ready('') }))],
  ['ready-without-id', onCreate(() => ready('token'))],
  ['failed-at-once', { ...onCreate((correct) => ({ ...correct, status: 'failed' })), isReadable: true }],
  ['processing-at-once', { ...onCreate((correct) => ({ ...correct, status: 'processing' })), isReadable: true }],
  ['idle-at-once', { ...onCreate((correct) => ({ ...correct, status: 'idle' })), isReadable: true }],
  ['null-code', { fault: replaced(() => refusal(null, 'no code at all')) }],
  ['empty-code', { fault: replaced(() => refusal('', 'an empty code')) }],
  [
    'string-error-id',
    { isReadable: true, fault: replaced((correct) => ({ ...correct, errorId: String(correct.errorId) })) }
  ]
])
