import { Observable, defer, type Observer, type Subscriber } from 'rxjs'
import {
  causeOf,
  type CallPath,
  type CallResult,
  type ErrorCause,
  type NetworkEvent,
  type PartialReply,
  type Ports,
  type RequestBody
} from '../model/network.js'
import type { Scrub } from '../protocol/redact.js'

/** Makes one call with a time limit: `Sent` zero or more times, then exactly one result. Never errors. */
export type CallService = (path: CallPath, body: RequestBody, limitMs: number) => Observable<NetworkEvent>

/** Calls through `post`. If it errors, or completes without a result, the call has `Failed`, and may have been sent. */
export const makeCall =
  ({ post, scheduler }: Pick<Ports, 'post' | 'scheduler'>, scrub: Scrub): CallService =>
  (path, body, limitMs) =>
    new Observable((subscriber) => {
      const call = new TimedCall(subscriber, scrub, limitMs)
      subscriber.add(defer(() => post(path, body)).subscribe(call))
      if (!subscriber.closed) subscriber.add(scheduler.schedule(timeOut, limitMs, call))
    })

/** Maps the result of a call with `read` and completes; calls `onSent` once the request may have reached the service. */
export const mapResult = <A>(
  call: Observable<NetworkEvent>,
  read: (result: CallResult) => A,
  onSent?: (received: () => PartialReply | undefined) => void
) =>
  new Observable<A>((subscriber) =>
    call.subscribe((event) => {
      try {
        if (event._tag === 'Sent') onSent?.(event.received ?? NOTHING)
        else {
          subscriber.next(read(event))
          subscriber.complete()
        }
      } catch (defect) {
        subscriber.error(defect)
      }
    })
  )

/** The cause of an error after a limit of the library. */
export const timeoutCause = (afterMs: number): ErrorCause => ({
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: `timed out: no reply within ${String(afterMs)} ms`
})

/** The cause of a foreign error, without the client key. */
export const scrubbedCause = (scrub: Scrub, error: unknown): ErrorCause => {
  const { name, code, message } = causeOf(error)
  return { name: scrub(name), code: scrub(code), message: scrub(message) }
}

const SENT: NetworkEvent = { _tag: 'Sent' }

const NOTHING = (): undefined => undefined

const NO_RESULT: ErrorCause = { name: 'Error', code: 'NO_RESULT', message: 'the network completed without a result' }

/** One call. A class, because a solve makes a hundred of them: operators would make ten times the objects. */
class TimedCall implements Observer<NetworkEvent> {
  readonly #subscriber: Subscriber<NetworkEvent>
  readonly #scrub: Scrub
  readonly #limitMs: number
  /** What has arrived of the reply; set once the request may have been sent. */
  #received: (() => PartialReply | undefined) | undefined

  constructor(subscriber: Subscriber<NetworkEvent>, scrub: Scrub, limitMs: number) {
    this.#subscriber = subscriber
    this.#scrub = scrub
    this.#limitMs = limitMs
  }

  next(event: NetworkEvent): void {
    if (event._tag === 'Sent') {
      this.#received = event.received ?? this.#received ?? NOTHING
      this.#subscriber.next(event)
    } else if (event._tag === 'Reply') this.#end(event)
    else this.#fail(event.cause, event.received)
  }

  error(error: unknown): void {
    if (!this.#received) this.#subscriber.next(SENT)
    this.#fail(error)
  }

  complete(): void {
    this.error(NO_RESULT)
  }

  timeOut(): void {
    this.#fail(timeoutCause(this.#limitMs))
  }

  /** Reduces every cause, because a `post` of the caller may put more into it than three strings. */
  #fail(error: unknown, received = this.#received?.()): void {
    this.#end({ _tag: 'Failed', cause: scrubbedCause(this.#scrub, error), ...(received && { received }) })
  }

  #end(result: CallResult): void {
    this.#subscriber.next(result)
    this.#subscriber.complete()
  }
}

const timeOut = (call?: TimedCall): void => call?.timeOut()
