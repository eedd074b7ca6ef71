import { defer, type Observable } from 'rxjs'
import type { CreateUnknown, Refused } from '../model/error.js'
import type { CallResult, ErrorCause, PartialReply, RequestBody } from '../model/network.js'
import type { Resumable } from '../model/task.js'
import { interpretCreate, type InterpretedCreate } from '../protocol/interpret.js'
import { retryAfterOf } from '../protocol/reply.js'
import type { Permit } from '../rx/rate-limiter.js'
import { uninterruptible } from '../rx/uninterruptible.js'
import type { ActiveTask } from '../in-flight/active-task.js'
import { createEndedEvent } from '../in-flight/call-events.js'
import type { Context } from './context.js'
import { refOf } from '../in-flight/phase.js'
import { recordCreated } from './record.js'

/** What has arrived of the reply to one createTask call. */
export interface ArrivedReply<A> {
  readonly interpreted: InterpretedCreate<A>
  /** When createTask was sent, by the system clock and by {@link Context.elapsed}. */
  readonly sentAt: { readonly now: number; readonly elapsed: number }
}

/** What one createTask call brought. */
export interface CreateReply<A> extends ArrivedReply<A> {
  /** For how many milliseconds the limiter is paused, if the service asked for a wait. */
  readonly pausedMs: number
  /** `Retry-After`, which delays the first poll as well. */
  readonly retryAfterMs: number | undefined
}

/** One createTask call: the task, its body, and its permit. */
export interface CreateCall<A> {
  readonly kind: Resumable<A>
  readonly body: RequestBody
  readonly task: ActiveTask
  readonly permit: Permit
  /** The number of this try. */
  readonly attempts: number
  /** An earlier try may have created a task. */
  readonly mayExist: boolean
  /** Called when the request may have reached the service; `readArrived` interprets what has arrived of its reply so far. */
  readonly onSent: (readArrived: (cause: ErrorCause) => ArrivedReply<A> | undefined) => void
}

/** Makes one call. Once it is sent, its reply is read even after an unsubscription: it may hold the id of a paid task. */
export const sendCreate = <A>(
  context: Context,
  { kind, body, task, permit, attempts, mayExist, onSent }: CreateCall<A>
): Observable<CreateReply<A>> =>
  defer(() => {
    const { call, inFlight, readOptions, elapsed, settings } = context
    const startedAt = instantOf(context)
    let sentAt: ArrivedReply<A>['sentAt'] | undefined
    const interpret = (result: CallResult): ArrivedReply<A> => ({
      interpreted: interpretCreate(readOptions, kind.solution, result, sentAt !== undefined),
      sentAt: sentAt ?? startedAt
    })
    const interpretOpen = (cause: ErrorCause, received: PartialReply | undefined) =>
      received && interpret({ _tag: 'Failed', cause, received })
    const read = (result: CallResult): CreateReply<A> => {
      const reply = interpret(result)
      if (task.observed) task.log(createEndedEvent(reply, attempts, elapsed() - startedAt.elapsed))
      return { ...reply, pausedMs: endPermit(permit, reply.interpreted), retryAfterMs: retryAfterOf(result) }
    }
    const reply = call('/createTask', body, settings.createTimeoutMs, {
      read,
      onSent: (received) => {
        sentAt ??= instantOf(context)
        onSent((cause) => interpretOpen(cause, received()))
      }
    })
    const untrack = inFlight.trackCreate(task)
    return reply.pipe(
      uninterruptible({
        isSent: () => sentAt !== undefined,
        onLate: (late) => {
          handleLateReply(context, task, late, mayExist)
        },
        onEnd: () => {
          permit.release()
          untrack()
        }
      })
    )
  })

// Elapsed time is read first, because ages count from it: a process that is stopped between the two must not make them younger.
const instantOf = ({ elapsed, scheduler }: Context) => ({ elapsed: elapsed(), now: scheduler.now() })

/** Tells the limiter how the call ended. Returns for how many milliseconds the limiter is paused because of it. */
const endPermit = (permit: Permit, reply: InterpretedCreate<unknown>): number => {
  switch (reply._tag) {
    case 'Created':
      permit.succeeded()
      return 0
    case 'Unavailable':
      return permit.unavailable(reply.retryAfterMs)
    case 'Unknown':
      permit.unreadable()
      return 0
    case 'Refused':
      // A refusal without a document may come from any server on the way.
      if (reply.hasDocument) permit.refused()
      else permit.unreadable()
      return 0
    case 'NotSent':
      return 0
  }
}

/** The reply arrived after the solve had ended: a created task becomes an orphan, anything else is emitted as lost. */
const handleLateReply = (
  context: Context,
  task: ActiveTask,
  { interpreted, sentAt }: CreateReply<unknown>,
  mayExist: boolean
): void => {
  // The outcome already has the reference: the open reply was read at the deadline or at `close`.
  if (task.phase._tag === 'Created') return
  if (interpreted._tag !== 'Created') {
    const error = lateError(interpreted, mayExist)
    if (task.phase._tag === 'Sent') task.emitLost(error)
    if (error.paid === 'no') context.inFlight.recordNotCreated(task)
    return
  }
  const ref = refOf(interpreted.id, sentAt.now)
  if (task.observed) task.log({ _tag: 'Created', ref })
  recordCreated(context, task, ref).subscribe()
  task.emitOrphan(ref)
}

const lateError = (
  interpreted: Exclude<InterpretedCreate<unknown>, { readonly _tag: 'Created' }>,
  mayExist: boolean
): Refused | CreateUnknown => {
  if ('problem' in interpreted) return createUnknown(interpreted.problem)
  const isAssumed = 'assumed' in interpreted && interpreted.assumed
  return isAssumed || mayExist ? { ...interpreted.refused, paid: 'unknown' } : interpreted.refused
}

export const createUnknown = (problem: Omit<CreateUnknown, '_tag' | 'paid'>): CreateUnknown => ({
  _tag: 'CreateUnknown',
  paid: 'unknown',
  ...problem
})
