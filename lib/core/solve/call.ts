import { Observable, defer, type Observer, type Subscriber } from 'rxjs'
import type { Answer, Cause, Json, Path, Ports, Wire } from '../model/network.js'
import type { Scrub } from '../protocol/redact.js'

/** One call, ended by its limit: `Sent` at most once or more, then exactly one answer. Never errors. */
export type Call = (path: Path, body: Json, limitMs: number) => Observable<Wire>

const textOf = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/**
 * Reduces a foreign failure to its name, code and message. The message of an error that only collects others is theirs.
 */
export const causeOf = (error: unknown): Cause => {
  if (typeof error !== 'object' || error === null) return { name: 'Error', code: '', message: textOf(error) }
  const { name, code, message, errors }: { name?: unknown; code?: unknown; message?: unknown; errors?: unknown } = error
  const inner = Array.isArray(errors) ? errors.map((one) => causeOf(one).message).join('; ') : ''
  return { name: textOf(name), code: textOf(code), message: textOf(message) || inner }
}

const SENT: Wire = { _tag: 'Sent' }

const NO_ANSWER: Cause = { name: 'Error', code: 'NO_ANSWER', message: 'the network ended the call without an answer' }

/** A limit of ours that passed. */
export const timedOut = (afterMs: number): Cause => ({
  name: 'TimeoutError',
  code: 'TIMED_OUT',
  message: `timed out: no answer within ${String(afterMs)} ms`
})

export const isAnswer = (wire: Wire): wire is Answer => wire._tag !== 'Sent'

/** Makes a value of the answer to a call, and completes; `onSent` hears that it may have left. */
export const readAnswer = <A>(calling: Observable<Wire>, read: (answer: Answer) => A, onSent?: () => void) =>
  new Observable<A>((subscriber) =>
    calling.subscribe((wire) => {
      try {
        if (isAnswer(wire)) {
          subscriber.next(read(wire))
          subscriber.complete()
        } else onSent?.()
      } catch (defect) {
        subscriber.error(defect)
      }
    })
  )

/** A foreign failure, fit for what leaves the library. */
export const scrubbedCause = (scrub: Scrub, error: unknown): Cause => {
  const { name, code, message } = causeOf(error)
  return { name: scrub(name), code: scrub(code), message: scrub(message) }
}

/** One call under way. A class, as a solve makes a hundred: operators would make ten times the objects. */
class UnderWay implements Observer<Wire> {
  constructor(
    private readonly subscriber: Subscriber<Wire>,
    private readonly scrub: Scrub,
    private readonly limitMs: number
  ) {}

  next(wire: Wire): void {
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
    this.#failed(timedOut(this.limitMs))
  }

  #failed(error: unknown): void {
    this.#end({ _tag: 'Failed', cause: scrubbedCause(this.scrub, error) })
  }

  #end(answer: Answer): void {
    this.subscriber.next(answer)
    this.subscriber.complete()
  }
}

const tooLate = (call?: UnderWay): void => call?.tooLate()

/** Calls through `post` under a limit. A Post that breaks its contract ends as `Failed`, and may have sent. */
export const caller =
  ({ post, scheduler }: Ports, scrub: Scrub): Call =>
  (path, body, limitMs) =>
    new Observable((subscriber) => {
      const call = new UnderWay(subscriber, scrub, limitMs)
      subscriber.add(defer(() => post(path, body)).subscribe(call))
      if (!subscriber.closed) subscriber.add(scheduler.schedule(tooLate, limitMs, call))
    })
