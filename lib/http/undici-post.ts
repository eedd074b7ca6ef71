import { Observable, type Subscriber } from 'rxjs'
import type { Dispatcher } from 'undici'
import {
  causeOf,
  jsonText,
  type CallPath,
  type NetworkEvent,
  type PartialReply,
  type Post,
  type RequestBody
} from '../core/model/network.js'
import type { UndiciDispatcher } from '../core/model/options.js'
import { readBody, readPart, tooLarge } from './read-body.js'

/** Where the service is, and how it is reached. */
export interface Endpoint {
  readonly origin: string
  /** The path of the base URL, without a slash at its end. */
  readonly basePath: string
  readonly create: UndiciDispatcher
  readonly poll: UndiciDispatcher
  /** Whether the connection of a createTask is closed after its reply, so that no createTask uses an idle one. */
  readonly resetAfterCreate: boolean
  /** Counted after decompression. */
  readonly maxReplyBytes: number
}

/** POSTs JSON through undici's `dispatch`: no retries, no redirects. */
export const undiciPost = ({ origin, basePath, create, poll, resetAfterCreate, maxReplyBytes }: Endpoint): Post => {
  const route = (dispatcher: UndiciDispatcher, call: CallPath, reset: boolean) => ({
    dispatcher,
    // The core limits each call. undici's own timeouts would add timers, and would notice only silence.
    request: {
      origin,
      path: basePath + call,
      method: 'POST',
      headers: HEADERS,
      reset,
      headersTimeout: 0,
      bodyTimeout: 0
    }
  })
  const routes = {
    '/createTask': route(create, '/createTask', resetAfterCreate),
    '/getTaskResult': route(poll, '/getTaskResult', false)
  }
  return (call: CallPath, body: RequestBody) =>
    new Observable<NetworkEvent>((subscriber) => {
      const exchange = new Exchange(subscriber, maxReplyBytes)
      const { dispatcher, request } = routes[call]
      try {
        // `body` first: an object that is spread and then extended has a hidden class of its own.
        dispatcher.dispatch({ body: jsonText(body), ...request }, exchange)
      } catch (error) {
        exchange.onResponseError(undefined, error)
      }
      return () => {
        exchange.abort()
      }
    })
}

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json',
  'accept-encoding': 'gzip',
  'user-agent': 'rx-captcha'
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** One request and its reply: maps undici's callbacks to at most one `Sent` and exactly one result. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #subscriber: Subscriber<NetworkEvent>
  readonly #maxReplyBytes: number
  #controller: Pick<Dispatcher.DispatchController, 'abort'> | undefined
  #isAborted = false
  #isOver = false // after the end an abort would only create an error
  #status = 0
  #headers: Headers = {}
  #bytes = 0
  #chunks = NO_CHUNKS

  constructor(subscriber: Subscriber<NetworkEvent>, maxReplyBytes: number) {
    this.#subscriber = subscriber
    this.#maxReplyBytes = maxReplyBytes
  }

  // The only reliable sign that the service may see the request: codes such as ECONNRESET occur before and after it.
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#start(controller)
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#startReply(status, headers)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#add(chunk)
  }

  onResponseEnd(): void {
    this.#isOver = true
    try {
      const body = readBody(concatenated(this.#chunks), this.#encoding, this.#maxReplyBytes)
      this.#end({ _tag: 'Reply', ...this.#replyWith(body) })
    } catch (error) {
      this.#fail(error)
    }
  }

  onResponseError(_: unknown, error: unknown): void {
    this.#isOver = true
    this.#fail(error)
  }

  // The callbacks of undici 6, whose dispatchers an application may bring.

  onConnect(abort: (reason: Error) => void): void {
    this.#start({ abort })
  }

  onHeaders(status: number, rawHeaders: ReadonlyArray<Buffer>): boolean {
    const headers: Record<string, string> = {}
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      headers[String(rawHeaders[at]).toLowerCase()] ??= String(rawHeaders[at + 1])
    }
    this.#startReply(status, headers)
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#add(chunk)
    return true
  }

  onComplete(): void {
    this.onResponseEnd()
  }

  onError(error: unknown): void {
    this.onResponseError(undefined, error)
  }

  /** The subscriber has unsubscribed: a request that is not sent yet must not be sent. */
  get isAborted(): boolean {
    return this.#isAborted
  }

  /** Before the request starts undici has nothing to abort, so the request is aborted when it starts. */
  abort(): void {
    if (this.#isOver) return
    this.#isAborted = true
    this.#controller?.abort(errorOf('AbortError', 'ABORTED', 'the subscriber has unsubscribed'))
  }

  #start(controller: Pick<Dispatcher.DispatchController, 'abort'>): void {
    this.#controller = controller
    if (this.#isAborted) this.abort()
    else this.#subscriber.next({ _tag: 'Sent', received: () => this.#received() })
  }

  #startReply(status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
  }

  #add(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#chunks === NO_CHUNKS) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
    if (this.#bytes > this.#maxReplyBytes) this.#fail(tooLarge(this.#maxReplyBytes))
  }

  #fail(error: unknown): void {
    const received = this.#received()
    this.#chunks = NO_CHUNKS
    this.#end({ _tag: 'Failed', cause: causeOf(error), ...(received && { received }) })
  }

  /** What has arrived of the reply. */
  #received(): PartialReply | undefined {
    if (this.#status === 0) return undefined
    return this.#replyWith(readPart(concatenated(this.#chunks), this.#encoding, this.#maxReplyBytes))
  }

  #replyWith(body: string): PartialReply {
    const retryAfterMs = parseRetryAfter(this.#headers)
    return { status: this.#status, body, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }

  get #encoding(): string {
    return headerValue(this.#headers['content-encoding']).trim()
  }

  #end(result: NetworkEvent): void {
    this.#subscriber.next(result)
    this.#subscriber.complete()
  }
}

// Most replies have one chunk, and a call has none until then; an array that grows takes 17 places at once.
const NO_CHUNKS: Buffer[] = []

const concatenated = (chunks: ReadonlyArray<Buffer>): Buffer =>
  chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)

const headerValue = (value: string | string[] | undefined): string => (Array.isArray(value) ? value[0] : value) ?? ''

// All forms of an HTTP date begin with a day of the week. `Date.parse` alone reads '-5' and '1.5' as dates.
const HTTP_DATE = /^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/

/** `Retry-After` in milliseconds. It gives seconds, or a date that counts from the reply's own `Date`. */
export const parseRetryAfter = (headers: Headers): number | undefined => {
  const given = headerValue(headers['retry-after']).trim()
  if (/^\d+$/.test(given)) return Number(given) * 1_000
  if (!HTTP_DATE.test(given)) return undefined
  const waitMs = Date.parse(given) - (Date.parse(headerValue(headers.date)) || Date.now())
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs)
}

const errorOf = (name: string, code: string, message: string) => Object.assign(new Error(message), { name, code })
