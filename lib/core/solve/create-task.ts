import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, concat, defer, exhaustMap, finalize, of, tap, timer, type Observable } from 'rxjs'
import type { CreateUnknown, Refused, SolveError } from '../model/error.js'
import type { CallResult, JsonValue } from '../model/network.js'
import type { TaskRef } from '../model/task.js'
import { createTaskBody } from '../protocol/codec.js'
import { interpretCreate, type InterpretedCreate } from '../protocol/interpret.js'
import { exponential } from '../rx/backoff.js'
import * as OE from '../rx/observable-either.js'
import type { Permit } from '../rx/rate-limiter.js'
import { uninterruptible } from '../rx/uninterruptible.js'
import type { ActiveTask } from './active-task.js'
import { mapResult } from './call.js'
import type { Context } from './context.js'
import type { CreatedPhase } from './phase.js'

/**
 * Creates one task: sends createTask, and sends it again only if the last try was certainly not sent, or the service refused
 * it for now. `firstPermit` is the permit of the first try; every further try acquires its own.
 */
export const createTask = (
  context: Context,
  payload: JsonValue,
  task: ActiveTask,
  firstPermit: Permit
): OE.ObservableEither<SolveError, CreatedPhase> =>
  recordIntent(
    task,
    firstPermit,
    defer(() => {
      const body = createTaskBody(context.settings.clientKey, payload)
      return tryUntilDecided(context, body, task, new CreateAttempts(context, task, firstPermit))
    })
  ).pipe(
    OE.flatMap((created) => concat(recordCreated(context, task, created.ref), of<CreateOutcome>(E.right(created))))
  )

type CreateOutcome = E.Either<SolveError, CreatedPhase>

const tryUntilDecided = (
  context: Context,
  body: JsonValue,
  task: ActiveTask,
  attempts: CreateAttempts
): Observable<CreateOutcome> =>
  attempts.nextPermit().pipe(
    OE.andThen((permit) => {
      attempts.start()
      return sendCreate(context, body, task, permit)
    }),
    OE.andThen((reply) => {
      const outcome = attempts.decide(reply)
      return outcome ? of(outcome) : tryUntilDecided(context, body, task, attempts)
    })
  )

/** What one createTask call brought. */
interface CreateReply {
  readonly interpreted: InterpretedCreate
  readonly sentAt: number
  /** For how many milliseconds the limiter is paused, if the service asked for a wait. */
  readonly pausedMs: number
}

/** Makes one call. Once it is sent, its reply is read even if the subscriber leaves: it may hold the id of a paid task. */
const sendCreate = (context: Context, body: JsonValue, task: ActiveTask, permit: Permit): Observable<CreateReply> =>
  defer(() => {
    const { call, inFlight, readOptions, scheduler, settings } = context
    const startedAt = scheduler.now()
    let sentAt: number | undefined
    const read = (result: CallResult): CreateReply => {
      const interpreted = interpretCreate(readOptions, result, sentAt !== undefined)
      if (interpreted._tag === 'Created') permit.succeeded()
      const pausedMs = interpreted._tag === 'Unavailable' ? permit.backOff(interpreted.retryAfterMs) : 0
      return { interpreted, pausedMs, sentAt: sentAt ?? startedAt }
    }
    const reply = mapResult(call('/createTask', body, settings.createTimeoutMs), read, () => {
      sentAt ??= scheduler.now()
      task.sent()
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

/** The reply arrived after the subscriber had left: a created task becomes an orphan, anything else is emitted as lost. */
const handleLateReply = (context: Context, task: ActiveTask, { interpreted, sentAt }: CreateReply): void => {
  if (interpreted._tag !== 'Created') {
    task.emitLost('problem' in interpreted ? createUnknown(interpreted.problem) : interpreted.refused)
    return
  }
  const ref = { taskId: interpreted.taskId, createdAt: sentAt }
  recordCreated(context, task, ref).subscribe()
  task.emitOrphan(ref)
}

const createUnknown = (problem: Pick<CreateUnknown, 'status' | 'cause' | 'problems'>): CreateUnknown => ({
  _tag: 'CreateUnknown',
  paid: 'unknown',
  ...problem
})

const MAX_TRIES = 4
const unreachableMs = exponential({ firstMs: 1_250, minMs: 250, maxMs: 5_000, jitter: [0.2, 1] })

/** All tries of createTask for one task. At most one of them creates a task, unless an assumed refusal was none. */
class CreateAttempts {
  readonly #context: Context
  readonly #task: ActiveTask
  readonly #firstPermit: Permit
  #attempts = 0
  #notSentInARow = 0
  #waitMs = 0
  /** An HTTP 503 without a document, which counts as a refusal: docs/decisions/0008-an-assumed-503.md. */
  #assumed: Refused | undefined

  constructor(context: Context, task: ActiveTask, firstPermit: Permit) {
    this.#context = context
    this.#task = task
    this.#firstPermit = firstPermit
  }

  nextPermit(): Observable<Permit> {
    const { limiter, scheduler } = this.#context
    if (this.#attempts === 0) return of(this.#firstPermit)
    return timer(this.#waitMs, scheduler).pipe(exhaustMap(() => limiter.acquire('retry')))
  }

  start(): void {
    this.#attempts += 1
    if (!this.#assumed) this.#task.unsent(this.#attempts)
  }

  /** The outcome after a reply, or nothing if createTask is to be sent again. */
  decide({ interpreted, sentAt, pausedMs }: CreateReply): CreateOutcome | undefined {
    if (interpreted._tag === 'NotSent') return this.#notSent(interpreted)
    this.#notSentInARow = 0
    switch (interpreted._tag) {
      case 'Created': {
        const created = this.#task.created({ taskId: interpreted.taskId, createdAt: sentAt })
        this.#task.emit({ _tag: 'Created', ref: created.ref })
        return E.right(created)
      }
      case 'Unknown':
        return E.left(createUnknown(interpreted.problem))
      case 'Refused':
        return E.left(this.#afterAssumed(interpreted.refused))
      case 'Unavailable':
        return this.#unavailable(interpreted, pausedMs)
    }
  }

  #unavailable(
    { refused, assumed }: Extract<InterpretedCreate, { readonly _tag: 'Unavailable' }>,
    pausedMs: number
  ): CreateOutcome | undefined {
    if (assumed) {
      this.#assumed = { ...refused, paid: 'unknown' }
      this.#task.emit({ _tag: 'AssumedNotCreated', status: refused.status })
    }
    this.#task.deferred(this.#afterAssumed(refused), this.#attempts)
    return this.#retry('unavailable', 0, pausedMs)
  }

  #notSent({
    reason,
    problem: { cause }
  }: Extract<InterpretedCreate, { readonly _tag: 'NotSent' }>): CreateOutcome | undefined {
    const attempts = this.#attempts
    this.#notSentInARow += 1
    if (!this.#assumed) this.#task.unsent(attempts, cause)
    if (reason === 'tls' || this.#notSentInARow === MAX_TRIES)
      return E.left(this.#assumed ?? { _tag: 'NotCreated', paid: 'no', reason, attempts, cause })
    const waitMs = unreachableMs(this.#notSentInARow - 1, this.#context.random)
    return this.#retry('network', waitMs, waitMs)
  }

  /** `waitMs` is waited before the next permit is acquired; `totalMs` is what the event reports. */
  #retry(reason: 'unavailable' | 'network', waitMs: number, totalMs: number): CreateOutcome | undefined {
    const end = this.#context.inFlight.reasonToEnd(this.#task)
    if (end) return E.left(this.#task.errorIfEnded(end))
    this.#waitMs = waitMs
    this.#task.emit({ _tag: 'Delayed', reason, waitMs: totalMs })
    return undefined
  }

  /** After an assumed refusal a task may exist, whatever the service replies to the next try. */
  #afterAssumed(refused: Refused): Refused {
    return this.#assumed ? { ...refused, paid: 'unknown' } : refused
  }
}

/** Records in the journal that createTask is about to be sent. If that fails, the permit is released unused. */
const recordIntent = <A>(task: ActiveTask, permit: Permit, creating: OE.ObservableEither<SolveError, A>) => {
  const beforeCreate = task.journal?.beforeCreate
  if (!beforeCreate) return creating
  return defer(() => {
    let isRecorded = false
    return beforeCreate().pipe(
      tap((intent) => (isRecorded = E.isRight(intent))),
      finalize(() => {
        if (!isRecorded) permit.release()
      }),
      OE.flatMap(() => creating)
    )
  })
}

/** Records the task in the journal. `close` waits for it, so that a process may exit after `close`. */
const recordCreated = ({ inFlight }: Context, { journal }: ActiveTask, ref: TaskRef): Observable<never> => {
  if (!journal) return EMPTY
  const recorded = journal.afterCreate(ref)
  recorded.subscribe({ complete: inFlight.trackCreate() })
  return recorded
}
