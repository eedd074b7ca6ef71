import { STATUS_CODES, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import { Readable, pipeline } from 'node:stream'
import { createGzip, gzipSync } from 'node:zlib'
import { inState, ready, refusal, type Call, type Document } from './protocol.js'

/** One answer that is due, and what a service without faults would say in it. */
export interface DueReply {
  readonly res: ServerResponse
  readonly correctReply: Document
  readonly clientKey: string
}

/** How a fault answers. */
export interface FaultKind {
  /** The only call it makes sense for; both if left out. */
  readonly on?: Call
  /** The client can read the right answer out of it. */
  readonly valid?: true
  /** Taken as `name=NUMBER`; where it is left out, this. */
  readonly otherwise?: number
  readonly play: (due: DueReply, value: number) => void
}

/** The longest wait a timer holds; a longer one would end at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Acts when the client has left, or has got its answer. */
export const onceClosed = (res: ServerResponse, act: () => void): void => {
  if (res.socket) return void res.once('close', act)
  // Behind another request of a pipelining client a response has no socket yet, and is not told when that one closes.
  const { socket } = res.req
  const over = () => {
    socket.off('close', over)
    res.off('close', over)
    act()
  }
  socket.once('close', over)
  res.once('close', over)
}

/** Acts after a while, at once for 0, and never when the client has left before. */
export const actAfter = (res: ServerResponse, ms: number, act: () => void): void => {
  if (ms === 0) return act()
  const timer = setTimeout(act, ms)
  onceClosed(res, () => clearTimeout(timer))
}

const send = (res: ServerResponse, status: number, body: string | Buffer, headers: OutgoingHttpHeaders) => {
  res.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)
}

export const sendJson = (
  res: ServerResponse,
  body: Document | string | Buffer,
  status = 200,
  headers: OutgoingHttpHeaders = {}
): void =>
  send(res, status, typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body), {
    'content-type': 'application/json',
    ...headers
  })

export const sendHtml = (
  res: ServerResponse,
  status: number,
  reason = 'as ordered by a fault rule',
  headers: OutgoingHttpHeaders = {}
): void => {
  const title = `${status} ${STATUS_CODES[status] ?? 'Status'}`
  const page = `<html><head><title>${title}</title></head><body><h1>${title}</h1><p>${reason}</p></body></html>\n`
  send(res, status, page, { 'content-type': 'text/html; charset=utf-8', ...headers })
}

const document = (change: (correct: Document, clientKey: string) => Document) => (due: DueReply) =>
  sendJson(due.res, change(due.correctReply, due.clientKey))

const text =
  (change: (json: string) => string | Buffer, headers: OutgoingHttpHeaders = {}) =>
  ({ res, correctReply }: DueReply) =>
    sendJson(res, change(JSON.stringify(correctReply)), 200, headers)

const gzipped = { 'content-encoding': 'gzip' }
const half = (text: string) => text.slice(0, text.length / 2)

// Past node's own writer: what goes out is not a whole HTTP message. The socket closes once it is sent.
const raw = (bytes: (json: string) => string) => (due: DueReply) => {
  due.res.req.socket.write(bytes(JSON.stringify(due.correctReply)))
  due.res.req.socket.destroySoon()
}

const repeat = (res: ServerResponse, everyMs: number, act: () => void) => {
  const timer = setInterval(act, everyMs)
  onceClosed(res, () => clearInterval(timer))
}

const dripBody = ({ res, correctReply }: DueReply, everyMs: number) => {
  const body = JSON.stringify(correctReply)
  const left = Array.from(body)
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).flushHeaders()
  // It ends with the last byte, not one later: the client has it all then, and may leave.
  repeat(res, everyMs, () => {
    const next = left.shift()
    if (left.length > 0) res.write(next)
    else res.end(next)
  })
}

// It never comes to the end of the head.
const dripHead = ({ res }: DueReply, everyMs: number) => {
  const left = Array.from('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-drip: ')
  repeat(res, everyMs, () => res.req.socket.write(left.shift() ?? '.'))
}

// It looks like an answer and never says anything: no taskId, no status.
const padding = function* (size: number) {
  const chunk = Buffer.alloc(65_536, ' ')
  yield Buffer.from('{"errorId":0,"padding":"')
  for (let left = size; left > 0; left -= chunk.length) yield chunk.subarray(0, left)
  yield Buffer.from('"}')
}

const pour = (res: ServerResponse, size: number, compressed: boolean) => {
  res.writeHead(200, { 'content-type': 'application/json', ...(compressed ? gzipped : {}) })
  const source = Readable.from(padding(size), { objectMode: false })
  // A client that leaves in the middle is no error of ours.
  if (compressed) pipeline(source, createGzip(), res, () => undefined)
  else pipeline(source, res, () => undefined)
}

const solved = (token: unknown) => document(() => ready({ gRecaptchaResponse: token }))

/** Every fault that has a name, and how it answers. */
export const faultKinds = {
  reset: { play: ({ res }) => res.req.socket.resetAndDestroy() },
  'reset-unread': { play: ({ res }) => res.req.socket.resetAndDestroy() },
  close: { play: ({ res }) => res.req.socket.destroySoon() },
  'close-headers': { play: raw(() => 'HTTP/1.1 200 OK\r\ncontent-type: applica') },
  cut: { play: raw((json) => `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(json)}\r\n\r\n${half(json)}`) },
  'cut-gzip': { play: text((json) => gzipSync(json).subarray(0, 40), gzipped) },
  'bad-gzip': { play: text((json) => json, gzipped) },
  'odd-encoding': { play: text((json) => json, { 'content-encoding': 'zstd' }) },
  gzip: { valid: true, play: text((json) => gzipSync(json), gzipped) },
  silent: { play: () => undefined },
  drip: { valid: true, otherwise: 1_000, play: dripBody },
  'drip-headers': { otherwise: 1_000, play: dripHead },
  slow: {
    valid: true,
    otherwise: 30_000,
    play: ({ res, correctReply }, ms) => actAfter(res, ms, () => sendJson(res, correctReply))
  },
  large: { otherwise: 1_000_000, play: ({ res }, size) => pour(res, size, false) },
  'gzip-bomb': { otherwise: 50_000_000, play: ({ res }, size) => pour(res, size, true) },
  'huge-headers': { play: text((json) => json, { 'x-padding': 'x'.repeat(262_144) }) },
  'not-http': { play: raw(() => 'SSH-2.0-OpenSSH_9.6\r\n') },
  'bad-chunk': { play: raw((json) => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n${json}\r\n`) },
  html: { play: ({ res }) => sendHtml(res, 200) },
  empty: { play: text(() => '') },
  'cut-json': { play: text(half) },
  'not-json': { play: text(() => 'OK') },
  array: { play: text((json) => `[${json}]`) },
  null: { play: text(() => 'null') },
  'no-id': { on: 'createTask', play: document((correct) => ({ ...correct, taskId: undefined })) },
  'null-id': { on: 'createTask', play: document((correct) => ({ ...correct, taskId: null })) },
  'empty-id': { on: 'createTask', play: document((correct) => ({ ...correct, taskId: '' })) },
  'numeric-id': {
    on: 'createTask',
    valid: true,
    play: document((correct) => ('taskId' in correct ? { ...correct, taskId: Number(correct.taskId) } : correct))
  },
  'error-with-id': {
    on: 'createTask',
    valid: true,
    play: document((correct) => ({ ...correct, ...refusal('ERROR_UNKNOWN', 'and still a task was made') }))
  },
  'no-solution': { on: 'getTaskResult', play: document(() => inState('ready')) },
  'empty-token': { on: 'getTaskResult', play: solved('') },
  'number-token': { on: 'getTaskResult', play: solved(3) },
  'null-token': { on: 'getTaskResult', play: solved(null) },
  'unknown-status': { on: 'getTaskResult', play: document(() => inState('waiting')) },
  'idle-status': { on: 'getTaskResult', play: document(() => inState('idle')) },
  'failed-status': { on: 'getTaskResult', play: document(() => inState('failed')) },
  never: { on: 'getTaskResult', play: document(() => inState('processing')) },
  bom: { valid: true, play: text((json) => `\uFEFF${json}`) },
  utf16: { play: text((json) => Buffer.from(`\uFEFF${json}`, 'utf16le')) },
  deep: { play: text(() => '['.repeat(100_000) + ']'.repeat(100_000)) },
  'duplicate-keys': {
    valid: true, // JSON.parse, and every reader that follows it, takes the last one
    play: text((json) => `{"errorId":1,"taskId":"first","status":"failed",${json.slice(1)}`)
  },
  proto: { valid: true, play: text((json) => `{"__proto__":{"errorId":1,"polluted":true},${json.slice(1)}`) },
  'echo-key': {
    play: document((_correct, clientKey) => ({
      ...refusal(`ERROR_KEY_${clientKey}_REJECTED`, `the key ${clientKey} was rejected`),
      request: { clientKey }
    }))
  },
  'null-code': { play: document(() => refusal(null, 'no code at all')) },
  'empty-code': { play: document(() => refusal('', 'an empty code')) },
  'string-error-id': { valid: true, play: document((correct) => ({ ...correct, errorId: String(correct.errorId) })) }
} satisfies Record<string, FaultKind>
