import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { Observable, type Subscriber } from 'rxjs'
import type { Dispatcher } from 'undici'
import { causeOf } from '../core/solve/call.js'
import type { JsonValue, CallPath, Post, NetworkEvent } from '../core/model/network.js'

/** Where the service is, and how it is reached. */
export interface Service {
  readonly origin: string
  /** The path of the base URL, without a slash at its end. */
  readonly basePath: string
  /** createTask has a dispatcher of its own: it must never ride an idle connection. */
  readonly create: Dispatcher
  readonly poll: Dispatcher
  /** Counted after decompression. */
  readonly maxReplyBytes: number
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

const textOf = (value: string | string[] | undefined): string => (Array.isArray(value) ? value[0] : value) ?? ''

// All forms of it begin with a day of the week. `Date.parse` alone takes '-5' and '1.5' for days long gone.
const HTTP_DATE = /^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/

/** `Retry-After` as a wait: seconds, or a date that counts from the reply's own `Date`. */
export const retryAfterOf = (headers: Headers): number | undefined => {
  const given = textOf(headers['retry-after']).trim()
  if (/^\d+$/.test(given)) return Number(given) * 1_000
  if (!HTTP_DATE.test(given)) return undefined
  const waitMs = Date.parse(given) - (Date.parse(textOf(headers.date)) || Date.now())
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs)
}

const inflaters: ReadonlyMap<string, typeof gunzipSync> = new Map([
  ['gzip', gunzipSync],
  ['x-gzip', gunzipSync],
  ['deflate', inflateSync],
  ['br', brotliDecompressSync]
])

const failure = (name: string, code: string, message: string) => Object.assign(new Error(message), { name, code })

const tooLarge = (maxReplyBytes: number): Error =>
  failure('ReplyTooLarge', 'TOO_LARGE', `the reply is larger than maxReplyBytes, ${String(maxReplyBytes)} bytes`)

/** A reply is small by its limit: reading it at once costs less than a stream. */
const readBody = (bytes: Buffer, headers: Headers, maxOutputLength: number): string => {
  const encoding = textOf(headers['content-encoding']).trim().toLowerCase()
  // A bare 429 or 503 may name an encoding of nothing.
  if (encoding === '' || encoding === 'identity' || bytes.length === 0) return bytes.toString()
  const inflate = inflaters.get(encoding)
  if (!inflate) throw failure('UnknownEncoding', 'CONTENT_ENCODING', 'the reply has a content-encoding we cannot read')
  try {
    return inflate(bytes, { maxOutputLength }).toString()
  } catch (error) {
    throw causeOf(error).code === 'ERR_BUFFER_TOO_LARGE' ? tooLarge(maxOutputLength) : error
  }
}

const SENT: NetworkEvent = { _tag: 'Sent' }

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json',
  'accept-encoding': 'gzip',
  'user-agent': 'rx-captcha'
}

/** One exchange: undici's events in, at most one `Sent` and exactly one answer out. */
class Exchange implements Dispatcher.DispatchHandler {
  #controller: Dispatcher.DispatchController | undefined
  #left = false
  #over = false // nothing is left to abort then, and an error to abort with costs more than the rest of an exchange
  #status = 0
  #headers: Headers = {}
  #bytes = 0
  #chunks: Buffer[] = []

  constructor(
    private readonly subscriber: Subscriber<NetworkEvent>,
    private readonly maxReplyBytes: number
  ) {}

  // The only honest sign that the service may see it: codes such as ECONNRESET stand on both sides of it.
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#left) this.leave()
    else this.subscriber.next(SENT)
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.maxReplyBytes) this.#fail(tooLarge(this.maxReplyBytes))
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#over = true
    try {
      const body = readBody(Buffer.concat(this.#chunks), this.#headers, this.maxReplyBytes)
      const retryAfterMs = retryAfterOf(this.#headers)
      this.#end({ _tag: 'Reply', status: this.#status, body, ...(retryAfterMs !== undefined && { retryAfterMs }) })
    } catch (error) {
      this.#fail(error)
    }
  }

  onResponseError(_: unknown, error: unknown): void {
    this.#over = true
    this.#fail(error)
  }

  /** Before the request has started there is nothing to abort yet: it is refused when it starts. */
  leave(): void {
    if (this.#over) return
    this.#left = true
    this.#controller?.abort(failure('Left', 'LEFT', 'the caller has left'))
  }

  #fail(error: unknown): void {
    this.#chunks = []
    this.#end({ _tag: 'Failed', cause: causeOf(error) })
  }

  #end(answer: NetworkEvent): void {
    this.subscriber.next(answer)
    this.subscriber.complete()
  }
}

/** POSTs JSON through undici's `dispatch`: no retries, no redirects, nothing but the exchange itself. */
export const undiciPost = ({ origin, basePath, create, poll: poll, maxReplyBytes }: Service): Post => {
  const routes = {
    '/createTask': { dispatcher: create, path: `${basePath}/createTask`, reset: true },
    '/getTaskResult': { dispatcher: poll, path: `${basePath}/getTaskResult`, reset: false }
  }
  return (call: CallPath, body: JsonValue) =>
    new Observable<NetworkEvent>((subscriber) => {
      const exchange = new Exchange(subscriber, maxReplyBytes)
      const { dispatcher, path, reset } = routes[call]
      try {
        // The limits of a call run in the core; undici's would add timers that only watch for silence.
        const limits = { headersTimeout: 0, bodyTimeout: 0 }
        const request = { origin, path, method: 'POST' as const, headers: HEADERS, reset, ...limits }
        dispatcher.dispatch({ ...request, body: JSON.stringify(body) }, exchange)
      } catch (error) {
        exchange.onResponseError(undefined, error)
      }
      return () => {
        exchange.leave()
      }
    })
}
