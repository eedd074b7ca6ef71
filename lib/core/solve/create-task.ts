import * as E from 'fp-ts/lib/Either.js'
import { concat, defer, exhaustMap, finalize, of, tap, timer, type Observable } from 'rxjs'
import { mapResult } from './call.js'
import type { Context } from './context.js'
import type { CreateUnknown, NotCreated, Refused, SolveError } from '../model/error.js'
import type { Permit } from '../rx/rate-limiter.js'
import type { ActiveTask } from './active-task.js'
import { interpretCreate, type InterpretedCreate } from '../protocol/interpret.js'
import type { JournalHooks } from '../batch/journaled.js'
import * as OE from '../rx/observable-either.js'
import type { CallResult, JsonValue } from '../model/network.js'
import { createTaskBody } from '../protocol/codec.js'
import { createdPhase, type CreatedPhase } from './phase.js'

/** What one createTask came to, and when it left. */
interface CreateReply {
  readonly interpreted: InterpretedCreate
  readonly sentAt: number
  /** How long the gate is shut now, if the service asked for a wait. */
  readonly pausedMs: number
}

type CreateOutcome = E.Either<SolveError, CreatedPhase>

const MAX_TRIES = 4
const MIN_PAUSE_MS = 250
const MAX_PAUSE_MS = 5_000

const unknown = (doubt: Pick<CreateUnknown, 'status' | 'cause' | 'problems'>): CreateUnknown => ({
  _tag: 'CreateUnknown',
  paid: 'unknown',
  ...doubt
})

/** One call. As soon as it has left, it is read to its end whoever leaves: its answer may hold the id of a paid task. */
const sendCreate = (context: Context, body: JsonValue, life: ActiveTask, turn: Permit): Observable<CreateReply> =>
  defer(() => {
    const { call, inFlight: lives, readOptions: reading, scheduler, settings } = context
    const startedAt = scheduler.now()
    let sentAt: number | undefined
    const read = (answer: CallResult): CreateReply => {
      const created = interpretCreate(reading, answer, sentAt !== undefined)
      if (created._tag === 'Created') turn.succeeded()
      const shutMs = created._tag === 'Unavailable' ? turn.backOff(created.retryAfterMs) : 0
      return { interpreted: created, pausedMs: shutMs, sentAt: sentAt ?? startedAt }
    }
    const exchanged = mapResult(call('/createTask', body, settings.createTimeoutMs), read, () => {
      sentAt ??= scheduler.now()
      life.phase = { _tag: 'Sent' }
    })
    return lives.uninterruptible(exchanged, {
      isSent: () => sentAt !== undefined,
      onLate: (answer) => {
        handleLateReply(context, life, answer)
      },
      onEnd: turn.release
    })
  })

/** The answer came after its caller had gone: an id is somebody's to resume, anything else is told as lost. */
const handleLateReply = (
  { inFlight: lives }: Context,
  life: ActiveTask,
  { interpreted: read, sentAt }: CreateReply
): void => {
  if (read._tag !== 'Created') {
    life.emitLost('doubt' in read ? unknown(read.doubt) : read.refused)
    return
  }
  const ref = { taskId: read.taskId, createdAt: sentAt }
  void life.journal?.afterCreate(ref)
  lives.orphan(life.asOrphan(ref))
}

/** One paid task over all tries of its createTask: repeated only while it provably did not leave, or was turned away. */
class CreateAttempts {
  #attempts = 0
  #unreachable = 0 // tries in a row that never left
  #pauseMs = 0
  #assumed: Refused | undefined // a 503 without a document, taken for a no

  constructor(
    private readonly context: Context,
    private readonly life: ActiveTask,
    private readonly firstTurn: Permit
  ) {}

  /** Every further try waits for a turn of its own. */
  nextPermit(): Observable<Permit> {
    const { limiter: gate, scheduler } = this.context
    if (this.#attempts === 0) return of(this.firstTurn)
    return timer(this.#pauseMs, scheduler).pipe(exhaustMap(() => gate.acquire('repeat')))
  }

  /** A new try is about to leave. */
  start(): void {
    this.#attempts += 1
    if (!this.#assumed) this.life.phase = { _tag: 'Unsent', attempts: this.#attempts }
  }

  /** What follows from an answer: an end, or nothing, for once more. */
  decide({ interpreted: read, sentAt, pausedMs: shutMs }: CreateReply): CreateOutcome | undefined {
    if (read._tag === 'NotSent') return this.#neverLeft(read)
    this.#unreachable = 0
    switch (read._tag) {
      case 'Created': {
        const created = createdPhase({ taskId: read.taskId, createdAt: sentAt })
        this.life.phase = created
        this.life.emit({ _tag: 'Created', ref: created.ref })
        return E.right(created)
      }
      case 'Unknown':
        return E.left(unknown(read.doubt))
      case 'Refused':
        return E.left(this.#inDoubt(read.refused))
      case 'Unavailable':
        return this.#later(read, shutMs)
    }
  }

  #later(
    { refused, assumed }: Extract<InterpretedCreate, { readonly _tag: 'Unavailable' }>,
    shutMs: number
  ): CreateOutcome | undefined {
    const { status } = refused
    if (assumed) {
      this.#assumed = { ...refused, paid: 'unknown' }
      this.life.emit({ _tag: 'AssumedNotCreated', status })
    }
    this.life.phase = { _tag: 'Deferred', refused: this.#inDoubt(refused), attempts: this.#attempts }
    return this.#onceMore(0, 'unavailable', shutMs)
  }

  #neverLeft({
    reason,
    doubt: { cause }
  }: Extract<InterpretedCreate, { readonly _tag: 'NotSent' }>): CreateOutcome | undefined {
    const attempts = this.#attempts
    this.#unreachable += 1
    if (!this.#assumed) this.life.phase = { _tag: 'Unsent', attempts, cause }
    if (reason === 'tls' || this.#unreachable === MAX_TRIES) {
      const notCreated: NotCreated = { _tag: 'NotCreated', paid: 'no', reason, attempts, cause }
      return E.left(this.#assumed ?? notCreated)
    }
    const spanMs = MAX_PAUSE_MS / 2 ** (MAX_TRIES - 1 - this.#unreachable) - MIN_PAUSE_MS
    const pauseMs = Math.round(MIN_PAUSE_MS + this.context.random() * spanMs)
    return this.#onceMore(pauseMs, 'network', pauseMs)
  }

  #onceMore(pauseMs: number, reason: 'unavailable' | 'network', waitMs: number): CreateOutcome | undefined {
    const why = this.context.inFlight.reasonToEnd(this.life)
    if (why) return E.left(this.life.errorIfEnded(why))
    this.#pauseMs = pauseMs
    this.life.emit({ _tag: 'Delayed', reason, waitMs })
    return undefined
  }

  /** After a no that was only assumed, a task may exist whatever the service says to the next try. */
  #inDoubt(refused: Refused): Refused {
    return this.#assumed ? { ...refused, paid: 'unknown' } : refused
  }
}

/** Where a journal is kept, the intent is written down before anything leaves; a turn that comes to nothing is given back. */
const recordIntent = <A>(life: ActiveTask, turn: Permit, buying: OE.ObservableEither<SolveError, A>): typeof buying => {
  const intend = life.journal?.beforeCreate
  if (!intend) return buying
  return defer(() => {
    let isTaken = false
    return intend().pipe(
      tap((intent) => (isTaken = E.isRight(intent))),
      finalize(() => {
        if (!isTaken) turn.release()
      }),
      OE.flatMap(() => buying)
    )
  })
}

const recordCreated = (notes: JournalHooks, created: CreatedPhase): Observable<CreateOutcome> =>
  concat(notes.afterCreate(created.ref), of(E.right(created)))

/** One try after the other, each in its turn, until the task is bought or cannot be. */
const keepTrying = (
  context: Context,
  body: JsonValue,
  life: ActiveTask,
  purchase: CreateAttempts
): Observable<CreateOutcome> =>
  purchase.nextPermit().pipe(
    OE.andThen((turn) => {
      purchase.start()
      return sendCreate(context, body, life, turn)
    }),
    OE.andThen((exchanged) => {
      const bought = purchase.decide(exchanged)
      return bought ? of(bought) : keepTrying(context, body, life, purchase)
    })
  )

/** Buys one task: emits where it stands then, or why there is none. */
export const createTask =
  (context: Context) =>
  (payload: JsonValue, life: ActiveTask, firstTurn: Permit): OE.ObservableEither<SolveError, CreatedPhase> => {
    const buying = defer(() => {
      const body = createTaskBody(context.settings.clientKey, payload)
      return keepTrying(context, body, life, new CreateAttempts(context, life, firstTurn))
    })
    const bought = recordIntent(life, firstTurn, buying)
    const { journal: notes } = life
    return notes ? bought.pipe(OE.flatMap((created) => recordCreated(notes, created))) : bought
  }
