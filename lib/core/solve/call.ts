import { Observable, defer, type Observer, type Subscriber } from 'rxjs'
import type { CallResult, ErrorCause, JsonValue, CallPath, Ports, NetworkEvent } from '../model/network.js'
import type { Scrub } from '../protocol/redact.js'

/** One call, ended by its limit: `Sent` at most once or more, then exactly one answer. Never errors. */
export type CallService = (path: CallPath, body: JsonValue, limitMs: number) => Observable<NetworkEvent>

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/**
 * Reduces a foreign failure to its name, code and message. The message of an error that only collects others is theirs.
 */
export const causeOf = (error: unknown): ErrorCause => {
  if (typeof error !== 'object' || error === null) return { name: 'Error', code: '', message: textOf(error) }
  const { name, code, message, errors }: { name?: unknown; code?: unknown; message?: unknown; errors?: unknown } = error
  const inner = Array.isArray(errors) ? errors.map((one) => causeOf(one).message).join('; ') : ''
  return { name: textOf(name), code: textOf(code), message: textOf(message) || inner }
}

const SENT: NetworkEvent = { _tag: 'Sent' }

const NO_ANSWER: ErrorCause = {
  name: 'Error',
  code: 'NO_ANSWER',
  message: 'the network ended the call without an answer'
}

/** A limit of ours that passed. */
export const timeoutCause = (afterMs: number): ErrorCause => ({
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: `timed out: no answer within ${String(afterMs)} ms`
})

export const isResult = (wire: NetworkEvent): wire is CallResult => wire._tag !== 'Sent'

/** Makes a value of the answer to a call, and completes; `onSent` hears that it may have left. */
export const mapResult = <A>(calling: Observable<NetworkEvent>, read: (answer: CallResult) => A, onSent?: () => void) =>
  new Observable<A>((subscriber) =>
    calling.subscribe((wire) => {
      try {
        if (isResult(wire)) {
          subscriber.next(read(wire))
          subscriber.complete()
        } else onSent?.()
      } catch (defect) {
        subscriber.error(defect)
      }
    })
  )

/** A foreign failure, fit for what leaves the library. */
export const redactedCause = (scrub: Scrub, error: unknown): ErrorCause => {
  const { name, code, message } = causeOf(error)
  return { name: scrub(name), code: scrub(code), message: scrub(message) }
}

/** One call under way. A class, as a solve makes a hundred: operators would make ten times the objects. */
class TimedCall implements Observer<NetworkEvent> {
  constructor(
    private readonly subscriber: Subscriber<NetworkEvent>,
    private readonly scrub: Scrub,
    private readonly limitMs: number
  ) {}

  next(wire: NetworkEvent): void {
    if (wire._tag === 'Sent') this.subscriber.next(wire)
    else if (wire._tag === 'Reply') this.#end(wire)
    else this.#failed(wire.cause) // A foreign Post may put more into a cause than it should.
  }

  error(error: unknown): void {
    this.subscriber.next(SENT)
    this.#failed(error)
  }

  complete(): void {
    this.error(NO_ANSWER)
  }

  tooLate(): void {
    this.#failed(timeoutCause(this.limitMs))
  }

  #failed(error: unknown): void {
    this.#end({ _tag: 'Failed', cause: redactedCause(this.scrub, error) })
  }

  #end(answer: CallResult): void {
    this.subscriber.next(answer)
    this.subscriber.complete()
  }
}

const tooLate = (call?: TimedCall): void => call?.tooLate()

/** Calls through `post` under a limit. A Post that breaks its contract ends as `Failed`, and may have sent. */
export const makeCall =
  ({ post, scheduler }: Ports, scrub: Scrub): CallService =>
  (path, body, limitMs) =>
    new Observable((subscriber) => {
      const call = new TimedCall(subscriber, scrub, limitMs)
      subscriber.add(defer(() => post(path, body)).subscribe(call))
      if (!subscriber.closed) subscriber.add(scheduler.schedule(tooLate, limitMs, call))
    })
