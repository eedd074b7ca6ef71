import {
  Observable,
  Subscription,
  from,
  type Observer,
  type SchedulerLike,
  type Subscriber,
  type Unsubscribable
} from 'rxjs'
import type {
  CallResult,
  ErrorCause,
  NetworkEvent,
  PartialReply,
  Ports,
  RequestBody,
  ServicePath
} from '../model/network.js'
import { scrubbedCause, type Scrub } from '../protocol/redact.js'
import { timeoutCause } from '../in-flight/phase.js'

/** Makes one call with a time limit; emits what the reader reads from its result, and completes. Errors only if the reader throws. */
export type CallService = <A>(
  path: ServicePath,
  body: RequestBody,
  limitMs: number,
  reader: ResultReader<A>
) => Observable<A>

/** Reads the result of a call. */
export interface ResultReader<A> {
  read(result: CallResult): A
  /** Called when the request may have reached the service, perhaps more than once; `received` is what has arrived of the reply. */
  onSent?(received: () => PartialReply | undefined): void
}

/** Calls through `post`. If it errors, or completes without a result, the call has `Failed`, and may have been sent. */
export const makeCall =
  ({ post, scheduler }: Pick<Ports, 'post' | 'scheduler'>, scrub: Scrub): CallService =>
  (path, body, limitMs, reader) =>
    new Observable((subscriber) => {
      const call = new TimedCall(subscriber, reader, scrub, limitMs)
      call.start(() => post(path, body), scheduler)
      return call
    })

const NOTHING = (): undefined => undefined

const NO_EVENT: ErrorCause = {
  name: 'TypeError',
  code: 'NO_EVENT',
  message: 'post emitted something else than an event, or a reply whose body is not a string'
}

const NO_RESULT: ErrorCause = { name: 'Error', code: 'NO_RESULT', message: 'the network completed without a result' }

/** One call. A class, because a solve makes a hundred of them: operators would make ten times the objects. */
class TimedCall<A> implements Observer<NetworkEvent>, Unsubscribable {
  readonly #subscriber: Subscriber<A>
  readonly #reader: ResultReader<A>
  readonly #scrub: Scrub
  readonly #limitMs: number
  /** What has arrived of the reply; set once the request may have been sent. */
  #received: (() => PartialReply | undefined) | undefined
  #exchange = Subscription.EMPTY
  #limit = Subscription.EMPTY

  constructor(subscriber: Subscriber<A>, reader: ResultReader<A>, scrub: Scrub, limitMs: number) {
    this.#subscriber = subscriber
    this.#reader = reader
    this.#scrub = scrub
    this.#limitMs = limitMs
  }

  start(post: () => Observable<NetworkEvent>, scheduler: SchedulerLike): void {
    try {
      this.#exchange = from(post()).subscribe(this)
    } catch (error) {
      this.error(error)
    }
    if (!this.#subscriber.closed) this.#limit = scheduler.schedule(timeOut, this.#limitMs, this)
  }

  next(event: NetworkEvent): void {
    if (!isNetworkEvent(event)) this.error(NO_EVENT)
    else if (event._tag === 'Sent') this.#markSent(event.received)
    else if (event._tag === 'Reply') this.#reply(event)
    else this.#fail(event.cause, event.received)
  }

  /** A reply proves that the request was sent, even if the network did not say so. */
  #reply(reply: Extract<NetworkEvent, { readonly _tag: 'Reply' }>): void {
    if (!this.#received) this.#markSent()
    this.#end(reply)
  }

  error(error: unknown): void {
    if (!this.#received) this.#markSent()
    this.#fail(error)
  }

  complete(): void {
    this.error(NO_RESULT)
  }

  timeOut(): void {
    this.#fail(timeoutCause(this.#limitMs))
  }

  unsubscribe(): void {
    this.#exchange.unsubscribe()
    this.#limit.unsubscribe()
  }

  #markSent(received = this.#received ?? NOTHING): void {
    if (this.#subscriber.closed) return
    this.#received = received === NOTHING ? NOTHING : () => textReceived(received)
    try {
      this.#reader.onSent?.(this.#received)
    } catch (defect) {
      this.#subscriber.error(defect)
    }
  }

  /** Reduces every cause, because a `post` of the caller may put more than three strings into it. */
  #fail(error: unknown, received = this.#received?.()): void {
    this.#end({ _tag: 'Failed', cause: scrubbedCause(this.#scrub, error), ...(received && { received }) })
  }

  #end(result: CallResult): void {
    // A network may emit several results synchronously, before it can be unsubscribed from.
    if (this.#subscriber.closed) return
    try {
      this.#subscriber.next(this.#reader.read(result))
      this.#subscriber.complete()
    } catch (defect) {
      this.#subscriber.error(defect)
    }
  }
}

// A `post` of the caller may emit anything; an error of it must not cost a paid task its outcome.
const isNetworkEvent = (event: unknown): event is NetworkEvent => {
  const { _tag, body } = Object(event) as { readonly _tag?: unknown; readonly body?: unknown }
  return _tag === 'Reply' ? typeof body === 'string' : _tag === 'Sent' || _tag === 'Failed'
}

const textReceived = (received: () => PartialReply | undefined): PartialReply | undefined => {
  try {
    const part = received()
    return typeof part?.body === 'string' ? part : undefined
  } catch {
    return undefined
  }
}

const timeOut = (call?: Pick<TimedCall<unknown>, 'timeOut'>): void => call?.timeOut()
