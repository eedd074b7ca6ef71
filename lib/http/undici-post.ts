import { Observable, type Subscriber } from 'rxjs'
import type { Dispatcher } from 'undici'
import {
  causeOf,
  jsonText,
  type NetworkEvent,
  type PartialReply,
  type Post,
  type RequestBody,
  type ServicePath
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
  /** Whether the dispatchers are the caller's. Then a createTask has a connection of its own, so that it uses no idle one. */
  readonly isForeign: boolean
  /** Counted after decompression. */
  readonly maxReplyBytes: number
}

/** POSTs JSON through undici's `dispatch`: no retries, no redirects. */
export const undiciPost = ({ origin, basePath, create, poll, isForeign, maxReplyBytes }: Endpoint): Post => {
  const route = (dispatcher: UndiciDispatcher, call: ServicePath, reset: boolean) => ({
    dispatcher,
    // The core limits each call. undici's own timeouts would add timers, and would notice only silence.
    request: {
      origin,
      path: basePath + call,
      method: 'POST',
      // Dispatchers add headers to an object; as an array undici reads them faster.
      headers: isForeign ? HEADERS : Object.entries(HEADERS).flat(),
      reset,
      headersTimeout: 0,
      bodyTimeout: 0
    }
  })
  const routes: Readonly<Partial<Record<ServicePath, ReturnType<typeof route>>>> = {
    '/createTask': route(create, '/createTask', isForeign),
    '/getTaskResult': route(poll, '/getTaskResult', false)
  }
  return (call: ServicePath, body: RequestBody) =>
    new Observable<NetworkEvent>((subscriber) => {
      const exchange = new (isForeign ? ForeignExchange : Exchange)(subscriber, maxReplyBytes)
      const { dispatcher, request } = routes[call] ?? route(poll, call, false)
      try {
        // `body` first: an object that is spread and then extended has a hidden class of its own.
        dispatcher.dispatch({ body: jsonText(body), ...request }, exchange)
      } catch (error) {
        exchange.onError(error)
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

/** Headers as an object, or as an array of alternating names and values. */
type Headers = Readonly<Record<string, string | string[] | undefined>> | ReadonlyArray<Buffer>

/**
 * One request and its reply: maps the callbacks of undici to at most one `Sent` and exactly one result. These are the callbacks of
 * undici 6. Version 7 takes them too, and saves the objects that it makes for its own.
 */
class Exchange {
  /** Set by a dispatcher that has to know of an abort before the request starts. */
  onAborted: (() => void) | undefined
  readonly #subscriber: Subscriber<NetworkEvent>
  readonly #maxReplyBytes: number
  #abort: ((reason: Error) => void) | undefined
  #isAborted = false
  #isOver = false // after the end an abort would only create an error
  #status = 0
  #headers = NO_HEADERS
  #bytes = 0
  #chunks = NO_CHUNKS

  constructor(subscriber: Subscriber<NetworkEvent>, maxReplyBytes: number) {
    this.#subscriber = subscriber
    this.#maxReplyBytes = maxReplyBytes
  }

  // The only reliable sign that the service may see the request: codes such as ECONNRESET occur before and after it.
  onConnect(abort: (reason: Error) => void): void {
    this.#abort = abort
    if (this.#isAborted) this.abort()
    else this.#subscriber.next({ _tag: 'Sent', received: () => this.#received() })
  }

  onHeaders(status: number, headers: Headers): boolean {
    this.#status = status
    this.#headers = headers
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#chunks === NO_CHUNKS) this.#chunks = [chunk]
    else this.#chunks.push(chunk)
    if (this.#bytes > this.#maxReplyBytes) this.#fail(tooLarge(this.#maxReplyBytes))
    return true
  }

  onComplete(): void {
    this.#isOver = true
    try {
      const body = readBody(concatenated(this.#chunks), this.#encoding, this.#maxReplyBytes)
      this.#end({ _tag: 'Reply', ...this.#replyWith(body) })
    } catch (error) {
      this.#fail(error)
    }
  }

  onError(error: unknown): void {
    this.#isOver = true
    this.#fail(error)
  }

  /** The subscriber has unsubscribed: a request that is not sent yet must not be sent. */
  get isAborted(): boolean {
    return this.#isAborted
  }

  /** Before the request starts undici has nothing to abort, so a request that starts nevertheless is aborted then. */
  abort(): void {
    if (this.#isOver) return
    this.#isAborted = true
    if (this.#abort) this.#abort(errorOf('AbortError', 'ABORTED', 'the subscriber has unsubscribed'))
    else this.onAborted?.()
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
    return retryAfterMs === undefined ? { status: this.#status, body } : { status: this.#status, body, retryAfterMs }
  }

  get #encoding(): string {
    return headerValue(this.#headers, 'content-encoding')
  }

  #end(result: NetworkEvent): void {
    this.#subscriber.next(result)
    this.#subscriber.complete()
  }
}

/** An exchange for a dispatcher of the caller's, which may be of any version. */
class ForeignExchange extends Exchange {
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.onConnect((reason) => {
      controller.abort(reason)
    })
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.onHeaders(status, headers)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.onData(chunk)
  }

  onResponseEnd(): void {
    this.onComplete()
  }

  onResponseError(_: unknown, error: unknown): void {
    this.onError(error)
  }
}

const NO_HEADERS: Headers = {}

// Most replies have one chunk, and a call has none until then; an array that grows takes 17 places at once.
const NO_CHUNKS: Buffer[] = []

const concatenated = (chunks: ReadonlyArray<Buffer>): Buffer =>
  chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)

/** The first value of a header; the name is in lower case. */
const headerValue = (headers: Headers, name: string): string => {
  const value = isRaw(headers) ? rawHeaderOf(headers, name) : headers[name]
  return ((typeof value === 'object' ? value[0] : value) ?? '').trim()
}

const isRaw = (headers: Headers): headers is ReadonlyArray<Buffer> => Array.isArray(headers)

const rawHeaderOf = (headers: ReadonlyArray<Buffer>, name: string): string | undefined => {
  for (let at = 0; at < headers.length; at += 2) {
    const isSame = headers[at]?.length === name.length && String(headers[at]).toLowerCase() === name
    if (isSame) return String(headers[at + 1])
  }
  return undefined
}

// All forms of an HTTP date begin with a day of the week. `Date.parse` alone reads '-5' and '1.5' as dates.
const HTTP_DATE = /^[A-Z][a-z]{2,8},? .*\d\d:\d\d:\d\d/

// All of them are in UTC, but the form of `asctime` does not say so (RFC 9110, section 5.6.7).
const ENDS_WITH_ZONE = /[A-Z)]$|[+-]\d\d:?\d\d$/i

/** `Retry-After` in milliseconds. It gives seconds, or a date that counts from the reply's own `Date`. */
export const parseRetryAfter = (headers: Headers): number | undefined => {
  const given = headerValue(headers, 'retry-after')
  if (/^\d+$/.test(given)) return Number(given) * 1_000
  if (!HTTP_DATE.test(given)) return undefined
  const waitMs = parseDate(given) - (parseDate(headerValue(headers, 'date')) || Date.now())
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs)
}

const parseDate = (text: string): number => Date.parse(ENDS_WITH_ZONE.test(text) ? text : `${text} GMT`)

const errorOf = (name: string, code: string, message: string) => Object.assign(new Error(message), { name, code })
