import * as E from 'fp-ts/lib/Either.js'
import { concat, defer, exhaustMap, finalize, of, timer, type Observable } from 'rxjs'
import type { Refused, SolveError } from '../model/error.js'
import type { JsonValue } from '../model/network.js'
import type { Resumable, Solved } from '../model/task.js'
import { createTaskBody } from '../protocol/codec.js'
import type { InterpretedCreate } from '../protocol/interpret.js'
import { exponential } from '../rx/backoff.js'
import * as OE from '../rx/observable-either.js'
import type { Permit } from '../rx/rate-limiter.js'
import type { ActiveTask } from '../in-flight/active-task.js'
import type { Context } from './context.js'
import { refOf, type CreatedPhase } from '../in-flight/phase.js'
import { recordCreated, recordIntent } from './record.js'
import { createUnknown, sendCreate, type ArrivedReply, type CreateCall, type CreateReply } from './send-create.js'
import { solved } from './solved.js'

/** A created task; `ready` if the reply to createTask held its result. */
export interface CreatedTask<A> {
  readonly created: CreatedPhase
  /** Completes when the journal has recorded the task. */
  readonly recorded: Observable<never>
  readonly ready?: { readonly solution: A } | undefined
  /** The wait that the service asked for, before the first poll. */
  readonly retryAfterMs: number | undefined
}

/**
 * Creates one task: sends createTask, and sends it again only if the last try was certainly not sent, or the service refused
 * it for now. `firstPermit` is the permit of the first try; every further try acquires its own.
 */
export const createTask = <A>(
  context: Context,
  kind: Resumable<A>,
  payload: JsonValue,
  task: ActiveTask,
  firstPermit: Permit
): OE.ObservableEither<SolveError, CreatedTask<A>> => {
  const creating = defer(() => {
    const body = createTaskBody(context.settings.clientKey, payload)
    return tryUntilDecided(new CreateAttempts(context, { kind, body, task, firstPermit }))
  })
  if (!task.journal) return creating
  return recordIntent(task.journal, firstPermit, creating).pipe(
    OE.flatMap((result) => concat(result.recorded, of<CreateOutcome<A>>(E.right(result))))
  )
}

type CreateOutcome<A> = E.Either<SolveError, CreatedTask<A>>

const tryUntilDecided = <A>(attempts: CreateAttempts<A>): Observable<CreateOutcome<A>> =>
  attempts.try().pipe(
    OE.andThen((reply) => {
      const outcome = attempts.decide(reply)
      return outcome ? of(outcome) : tryUntilDecided(attempts)
    })
  )

const MAX_TRIES = 4
// Only the refused task waits; the limiter still gives permits to the others.
const unavailableMs = exponential({ firstMs: 500, maxMs: 5_000, jitter: [0.75, 1.25] })
const unreachableMs = exponential({ firstMs: 1_250, minMs: 250, maxMs: 5_000, jitter: [0.2, 1] })

/** What all tries of createTask have in common. */
interface CreateRequest<A> extends Pick<CreateCall<A>, 'kind' | 'body' | 'task'> {
  readonly firstPermit: Permit
}

/** All tries of createTask for one task. At most one creates a task, unless a refusal was assumed although it was not one. */
class CreateAttempts<A> {
  readonly #context: Context
  readonly #request: CreateRequest<A>
  readonly #task: ActiveTask
  #attempts = 0
  #notSentInARow = 0
  #refusals = 0
  #waitMs = 0
  /** An HTTP 503 without a document, which counts as a refusal: docs/decisions/0008-an-assumed-503.md. */
  #assumed: Refused | undefined

  constructor(context: Context, request: CreateRequest<A>) {
    this.#context = context
    this.#request = request
    this.#task = request.task
  }

  try(): Observable<CreateReply<A>> {
    const { limiter, scheduler } = this.#context
    if (this.#attempts === 0) return this.#send(this.#request.firstPermit)
    return timer(this.#waitMs, scheduler).pipe(
      exhaustMap(() => limiter.acquire('retry')),
      OE.andThen((permit) => this.#send(permit))
    )
  }

  #send(permit: Permit): Observable<CreateReply<A>> {
    const { spacing } = this.#context
    if (!spacing) return this.#sendNow(permit)
    let isSent = false
    return spacing.wait.pipe(
      finalize(() => {
        if (!isSent) permit.release()
      }),
      exhaustMap(() => {
        isSent = true
        return this.#sendNow(permit)
      })
    )
  }

  #sendNow(permit: Permit): Observable<CreateReply<A>> {
    this.#attempts += 1
    if (!this.#assumed) this.#task.markUnsent(this.#attempts)
    const { kind, body, task } = this.#request
    return sendCreate(this.#context, {
      kind,
      body,
      task,
      permit,
      attempts: this.#attempts,
      mayExist: this.#assumed !== undefined,
      onSent: (readArrived) => {
        const isFirst = task.phase._tag !== 'Sent'
        task.markSent((cause) => this.#decideOpen(readArrived(cause)))
        if (isFirst && task.observed) task.log({ _tag: 'CreateSent', attempts: this.#attempts })
      }
    })
  }

  /** The outcome after a reply, or nothing if createTask is to be sent again. */
  decide({ interpreted, sentAt, pausedMs, retryAfterMs }: CreateReply<A>): CreateOutcome<A> | undefined {
    if (interpreted._tag === 'NotSent') return this.#notSent(interpreted)
    this.#notSentInARow = 0
    switch (interpreted._tag) {
      case 'Created':
        return E.right({ ...this.#created(interpreted, sentAt), ready: interpreted.ready, retryAfterMs })
      case 'Unknown':
        return E.left(createUnknown(interpreted.problem))
      case 'Refused':
        return E.left(this.#afterAssumed(interpreted.refused))
      case 'Unavailable':
        return this.#unavailable(interpreted, pausedMs)
    }
  }

  /** The outcome that follows from an unfinished reply, or nothing if the phase of the task says all that is known. */
  #decideOpen(arrived: ArrivedReply<A> | undefined): E.Either<SolveError, Solved<A>> | undefined {
    if (!arrived) return undefined
    const { interpreted, sentAt } = arrived
    if (interpreted._tag === 'Created') {
      const { created } = this.#created(interpreted, sentAt)
      if (!interpreted.ready || !this.#task.isSolve) return undefined
      return E.right(solved(this.#context, this.#request.kind, created, interpreted.ready.solution))
    }
    if ('problem' in interpreted) return E.left(createUnknown(interpreted.problem))
    this.#defer(interpreted.refused, 'assumed' in interpreted && interpreted.assumed)
    return undefined
  }

  #created({ id }: Extract<InterpretedCreate<A>, { readonly _tag: 'Created' }>, sentAt: ArrivedReply<A>['sentAt']) {
    const created = this.#task.markCreated(refOf(id, sentAt.now), sentAt.elapsed)
    // The write begins before the event, on which a listener may unsubscribe.
    const recorded = recordCreated(this.#context, this.#task, created.ref)
    this.#task.emit({ _tag: 'Created', ref: created.ref })
    return { created, recorded }
  }

  #unavailable(
    { refused, assumed }: Extract<InterpretedCreate<A>, { readonly _tag: 'Unavailable' }>,
    pausedMs: number
  ): CreateOutcome<A> | undefined {
    this.#defer(refused, assumed)
    const waitMs = pausedMs > 0 ? 0 : unavailableMs(this.#refusals, this.#context.random)
    this.#refusals += 1
    return this.#delayOrEnd('unavailable', waitMs, pausedMs + waitMs)
  }

  #defer(refused: Refused, assumed: boolean): void {
    if (assumed) {
      this.#assumed = { ...refused, paid: 'unknown' }
      this.#task.spending?.spend()
      this.#task.emit({ _tag: 'AssumedNotCreated', status: refused.status })
    }
    this.#task.markDeferred(this.#afterAssumed(refused), this.#attempts)
  }

  #notSent({
    reason,
    problem: { cause }
  }: Extract<InterpretedCreate<A>, { readonly _tag: 'NotSent' }>): CreateOutcome<A> | undefined {
    const attempts = this.#attempts
    this.#notSentInARow += 1
    if (!this.#assumed) this.#task.markUnsent(attempts, cause)
    if (reason === 'tls' || this.#notSentInARow === MAX_TRIES)
      return E.left(this.#assumed ?? { _tag: 'NotCreated', paid: 'no', reason, attempts, cause })
    const waitMs = unreachableMs(this.#notSentInARow - 1, this.#context.random)
    return this.#delayOrEnd('network', waitMs, waitMs)
  }

  /** `waitMs` is waited before the next permit is acquired; `totalMs` is what the event reports. */
  #delayOrEnd(reason: 'unavailable' | 'network', waitMs: number, totalMs: number): CreateOutcome<A> | undefined {
    const end = this.#context.inFlight.reasonToEnd(this.#task)
    if (end) return E.left(this.#task.errorIfEnded(end))
    // After an assumed refusal another createTask may be the second one that is paid for.
    if (this.#assumed && this.#task.spending?.take() === false) return E.left(this.#assumed)
    this.#waitMs = waitMs
    this.#task.emit({ _tag: 'Delayed', reason, waitMs: totalMs })
    return undefined
  }

  /** After an assumed refusal a task may exist, whatever the service replies to the next try. */
  #afterAssumed(refused: Refused): Refused {
    return this.#assumed ? { ...refused, paid: 'unknown' } : refused
  }
}
