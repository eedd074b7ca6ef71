import { catchError, concat, defer, map, of, takeUntil, takeWhile, timer, type Observable } from 'rxjs'
import type { Answer, Cause, Json, Path, Ports, Wire } from './ports.js'
import type { Scrub } from './secrets.js'

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

/** A foreign failure, fit for what leaves the library. */
export const scrubbedCause = (scrub: Scrub, error: unknown): Cause => {
  const { name, code, message } = causeOf(error)
  return { name: scrub(name), code: scrub(code), message: scrub(message) }
}

/** Calls through `post` under a limit. A Post that breaks its contract ends as `Failed`, and may have sent. */
export const caller = ({ post, scheduler }: Ports, scrub: Scrub): Call => {
  // A foreign Post may put more into a cause than it should.
  const scrubbed = (wire: Wire): Wire =>
    wire._tag === 'Failed' ? { _tag: 'Failed', cause: scrubbedCause(scrub, wire.cause) } : wire
  return (path, body, limitMs) =>
    concat(
      concat(
        defer(() => post(path, body)),
        of<Wire[]>(SENT, { _tag: 'Failed', cause: NO_ANSWER })
      ).pipe(
        map(scrubbed),
        catchError((error: unknown) => of<Wire[]>(SENT, scrubbed({ _tag: 'Failed', cause: causeOf(error) }))),
        takeUntil(timer(limitMs, scheduler))
      ),
      of<Wire>({ _tag: 'Failed', cause: timedOut(limitMs) })
    ).pipe(takeWhile((wire) => !isAnswer(wire), true))
}
