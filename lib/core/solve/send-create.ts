import { defer, type Observable } from 'rxjs'
import type { CreateUnknown } from '../model/error.js'
import type { CallResult, RequestBody } from '../model/network.js'
import type { Resumable, TaskRef } from '../model/task.js'
import { interpretArrived, interpretCreate, type InterpretedCreate } from '../protocol/interpret.js'
import { retryAfterOf } from '../protocol/reply.js'
import type { Permit } from '../rx/rate-limiter.js'
import { uninterruptible } from '../rx/uninterruptible.js'
import type { ActiveTask } from './active-task.js'
import { mapResult } from './call.js'
import type { Context } from './context.js'
import type { ArrivedTask } from './phase.js'
import { recordCreated } from './record.js'

/** What one createTask call brought. */
export interface CreateReply<A> {
  readonly interpreted: InterpretedCreate<A>
  /** When createTask was sent, by the system clock and by {@link Context.elapsed}. */
  readonly sentAt: { readonly now: number; readonly elapsed: number }
  /** For how many milliseconds the limiter is paused, if the service asked for a wait. */
  readonly pausedMs: number
  /** `Retry-After`, which delays the first poll as well. */
  readonly retryAfterMs: number | undefined
}

/** Makes one call. Once it is sent, its reply is read even if the subscriber leaves: it may hold the id of a paid task. */
export const sendCreate = <A>(
  context: Context,
  { solution }: Resumable<A>,
  body: RequestBody,
  task: ActiveTask,
  permit: Permit
): Observable<CreateReply<A>> =>
  defer(() => {
    const { call, inFlight, readOptions, scheduler, elapsed, settings } = context
    const instant = () => ({ now: scheduler.now(), elapsed: elapsed() })
    const startedAt = instant()
    let sentAt: CreateReply<A>['sentAt'] | undefined
    const read = (result: CallResult): CreateReply<A> => {
      const interpreted = interpretCreate(readOptions, solution, result, sentAt !== undefined)
      const pausedMs = endPermit(permit, interpreted)
      return { interpreted, pausedMs, sentAt: sentAt ?? startedAt, retryAfterMs: retryAfterOf(result) }
    }
    const reply = mapResult(call('/createTask', body, settings.createTimeoutMs), read, (received) => {
      const at = (sentAt ??= instant())
      task.markSent(() => recordArrived(context, task, interpretArrived(readOptions, solution, received()), at))
    })
    const untrack = inFlight.trackCreate()
    return reply.pipe(
      uninterruptible({
        isSent: () => sentAt !== undefined,
        onLate: (late) => {
          handleLateReply(context, task, late)
        },
        onEnd: () => {
          permit.release()
          untrack()
        }
      })
    )
  })

/** Records the task whose id has arrived in a reply that is still open. */
const recordArrived = (
  context: Context,
  task: ActiveTask,
  arrived: InterpretedCreate<unknown> | undefined,
  sentAt: CreateReply<unknown>['sentAt']
): ArrivedTask | undefined => {
  if (arrived?._tag !== 'Created') return undefined
  const ref: TaskRef = { ...arrived.id, createdAt: sentAt.now }
  recordCreated(context, task, ref).subscribe()
  return { ref, sentElapsed: sentAt.elapsed }
}

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
      if (!reply.hasDocument) permit.unreadable()
      return 0
    case 'NotSent':
      return 0
  }
}

/** The reply arrived after the subscriber had left: a created task becomes an orphan, anything else is emitted as lost. */
const handleLateReply = (context: Context, task: ActiveTask, { interpreted, sentAt }: CreateReply<unknown>): void => {
  // The outcome holds the reference: it had arrived at the deadline, or when the solver was closed.
  if (task.phase._tag === 'Created') return
  if (interpreted._tag !== 'Created') {
    task.emitLost('problem' in interpreted ? createUnknown(interpreted.problem) : interpreted.refused)
    return
  }
  const ref: TaskRef = { ...interpreted.id, createdAt: sentAt.now }
  recordCreated(context, task, ref).subscribe()
  task.emitOrphan(ref)
}

export const createUnknown = (problem: Omit<CreateUnknown, '_tag' | 'paid'>): CreateUnknown => ({
  _tag: 'CreateUnknown',
  paid: 'unknown',
  ...problem
})
