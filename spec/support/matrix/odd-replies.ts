import type { OutgoingHttpHeaders } from 'node:http'
import { gzipSync } from 'node:zlib'
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
    send(reply, change(JSON.stringify(reply.correctReply)), headers)

const replaced = (replace: (correct: JsonObject) => JsonObject) => (reply: FaultReply) =>
  send(reply, JSON.stringify(replace(reply.correctReply)))

const onCreate = (replace: (correct: JsonObject) => JsonObject): OddReply => ({
  on: 'createTask',
  fault: replaced(replace)
})
const onPoll = (document: JsonObject): OddReply => ({ on: 'getTaskResult', fault: replaced(() => document) })

const NO_ERROR = { errorId: 0, errorCode: null, errorDescription: null }
const inState = (status: string): JsonObject => ({ ...NO_ERROR, status })
const ready = (token: unknown): JsonObject => ({
  ...NO_ERROR,
  solution: { gRecaptchaResponse: token },
  status: 'ready'
})
const refusal = (errorCode: string | null, errorDescription: string) => ({ errorId: 1, errorCode, errorDescription })

const GZIP = { 'content-encoding': 'gzip' }

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
  ['bad-gzip', { fault: changed((json) => json, GZIP) }],
  ['odd-encoding', { fault: changed((json) => json, { 'content-encoding': 'zstd' }) }],
  ['array', { fault: changed((json) => `[${json}]`) }],
  ['null', { fault: changed(() => 'null') }],
  ['bom', { isReadable: true, fault: changed((json) => `\uFEFF${json}`) }],
  ['utf16', { fault: changed((json) => Buffer.from(`\uFEFF${json}`, 'utf16le')) }],
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
  ['failed-status', onPoll(inState('failed'))],
  ['null-code', { fault: replaced(() => refusal(null, 'no code at all')) }],
  ['empty-code', { fault: replaced(() => refusal('', 'an empty code')) }],
  [
    'string-error-id',
    { isReadable: true, fault: replaced((correct) => ({ ...correct, errorId: String(correct.errorId) })) }
  ]
])
