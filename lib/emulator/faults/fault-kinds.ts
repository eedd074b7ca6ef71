import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { Readable, pipeline } from 'node:stream'
import { createGzip, gzipSync } from 'node:zlib'
import type { FaultName, FaultReply } from './fault.js'
import { inState, jsonOf, ready, refusal, type CallName, type JsonObject } from '../protocol.js'
import { actAfter, actEvery, sendHtml, sendJson } from '../response.js'

/** How a named fault replies. */
export interface FaultKind {
  /** The calls to which it applies; all if left out. */
  readonly on?: ReadonlyArray<CallName>
  /** Whether the client can read the correct reply from it. */
  readonly isReadable?: boolean
  /** The default number of a fault that may be written as `name=NUMBER`. */
  readonly defaultNumber?: number
  readonly send: (reply: FaultReply, number: number) => void
}

const changed =
  (change: (json: string) => string | Buffer, headers: OutgoingHttpHeaders = {}) =>
  ({ res, correctJson }: FaultReply) =>
    sendJson(res, change(correctJson), 200, headers)

const replaced = (replace: (correct: JsonObject, clientKey: string) => JsonObject) => (reply: FaultReply) =>
  sendJson(reply.res, jsonOf(replace(reply.correctReply, reply.clientKey)))

// Writes to the socket, because Node's response sends only whole HTTP messages. The socket closes after the last byte.
const raw = (bytesOf: (json: string) => string) => (reply: FaultReply) => {
  reply.res.req.socket.write(bytesOf(reply.correctJson))
  reply.res.req.socket.destroySoon()
}

const half = (text: string) => text.slice(0, text.length / 2)

const GZIP = { 'content-encoding': 'gzip' }

const dripBody = ({ res, correctJson }: FaultReply, everyMs: number) => {
  const remaining = Array.from(correctJson)
  const contentLength = Buffer.byteLength(correctJson)
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': contentLength }).flushHeaders()
  // The reply ends with its last byte, because a client that has all bytes may disconnect.
  actEvery(res, everyMs, () => {
    const next = remaining.shift()
    if (remaining.length > 0) res.write(next)
    else res.end(next)
  })
}

// The head never ends.
const dripHead = ({ res }: FaultReply, everyMs: number) => {
  const remaining = Array.from('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-drip: ')
  actEvery(res, everyMs, () => res.req.socket.write(remaining.shift() ?? '.'))
}

// Without a content-length the body is sent in chunks, and ends with an empty one.
const sendUnfinished = ({ res, correctJson }: FaultReply, closeAfterMs: number) => {
  res.writeHead(200, { 'content-type': 'application/json' }).write(correctJson)
  if (closeAfterMs !== NEVER) actAfter(res, closeAfterMs, () => res.req.socket.destroySoon())
}

const NEVER = Infinity

// The form of PHP. Its headers were sent before the script could name JSON as the content type.
const WARNING =
  '<br />\n<b>Warning</b>:  Undefined array key "proxy" in <b>/var/www/api/task.php</b> on line <b>118</b><br />\n'
const AS_PHP = { 'content-type': 'text/html; charset=UTF-8' }

// Valid JSON without a taskId and a status.
const padding = function* (size: number) {
  const chunk = Buffer.alloc(65_536, ' ')
  yield Buffer.from('{"errorId":0,"padding":"')
  for (let remaining = size; remaining > 0; remaining -= chunk.length) yield chunk.subarray(0, remaining)
  yield Buffer.from('"}')
}

const pour = (res: ServerResponse, size: number, isCompressed: boolean) => {
  res.writeHead(200, { 'content-type': 'application/json', ...(isCompressed ? GZIP : {}) })
  const source = Readable.from(padding(size), { objectMode: false })
  // A client that disconnects in the middle is not an error of the emulator.
  if (isCompressed) pipeline(source, createGzip(), res, () => undefined)
  else pipeline(source, res, () => undefined)
}

/** Every fault that has a name. */
export const FAULT_KINDS: Readonly<Record<FaultName, FaultKind>> = {
  reset: { send: ({ res }) => res.req.socket.resetAndDestroy() },
  'reset-unread': { send: ({ res }) => res.req.socket.resetAndDestroy() },
  close: { send: ({ res }) => res.req.socket.destroySoon() },
  'close-headers': { send: raw(() => 'HTTP/1.1 200 OK\r\ncontent-type: applica') },
  cut: { send: raw((json) => `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${half(json)}`) },
  'not-http': { send: raw(() => 'SSH-2.0-OpenSSH_9.6\r\n') },
  silent: { send: () => undefined },
  drip: { isReadable: true, defaultNumber: 1_000, send: dripBody },
  'drip-headers': { defaultNumber: 1_000, send: dripHead },
  slow: {
    isReadable: true,
    defaultNumber: 30_000,
    send: ({ res, correctJson }, ms) => actAfter(res, ms, () => sendJson(res, correctJson))
  },
  'reply-unfinished': { isReadable: true, defaultNumber: NEVER, send: sendUnfinished },
  large: { defaultNumber: 1_000_000, send: ({ res }, size) => pour(res, size, false) },
  'gzip-bomb': { defaultNumber: 50_000_000, send: ({ res }, size) => pour(res, size, true) },
  html: { send: ({ res }) => sendHtml(res, 200, 'injected by a fault rule') },
  empty: { send: changed(() => '') },
  'cut-json': { send: changed(half) },
  'not-json': { send: changed(() => 'OK') },
  gzip: { isReadable: true, send: changed((json) => gzipSync(json), GZIP) },
  'text-before': { isReadable: true, send: changed((json) => WARNING + json, AS_PHP) },
  'no-id': { on: ['createTask'], send: replaced((correct) => ({ ...correct, taskId: undefined })) },
  'numeric-id': {
    on: ['createTask'],
    isReadable: true,
    send: replaced((correct) =>
      'taskId' in correct ? { ...correct, taskId: BigInt(String(correct.taskId)) } : correct
    )
  },
  // The service itself adds the solution to the correct reply.
  'ready-at-once': { on: ['createTask'], isReadable: true, send: changed((json) => json) },
  never: { on: ['getTaskResult'], send: replaced(() => inState('processing')) },
  'retry-after': {
    on: ['getTaskResult'],
    isReadable: true,
    defaultNumber: 5,
    send: ({ res, correctJson }, seconds) => sendJson(res, correctJson, 200, { 'retry-after': String(seconds) })
  },
  'no-solution': { on: ['getTaskResult'], send: replaced(() => inState('ready')) },
  'empty-token': { on: ['getTaskResult'], send: replaced(() => ready({ gRecaptchaResponse: '' })) },
  'unknown-status': { on: ['getTaskResult'], send: replaced(() => inState('waiting')) },
  'echo-key': {
    on: ['createTask', 'getTaskResult', 'getBalance'],
    send: replaced((_correct, clientKey) => ({
      ...refusal(`ERROR_KEY_${clientKey}_REJECTED`, `the key ${clientKey} was rejected`),
      request: { clientKey }
    }))
  }
}
