import * as E from 'fp-ts/lib/Either.js'
import { concat, defer, exhaustMap, finalize, of, tap, timer, type Observable } from 'rxjs'
import { readAnswer } from './call.js'
import type { Context } from './context.js'
import type { CreateUnknown, NotCreated, Refused, SolveError } from '../model/error.js'
import type { Turn } from '../rx/rate-limiter.js'
import type { Life } from './active-task.js'
import { readCreate, type CreateAnswer } from '../protocol/interpret.js'
import type { Notes } from '../batch/journaled.js'
import * as OE from '../rx/observable-either.js'
import type { Answer, Json } from '../model/network.js'
import { createTaskBody } from '../protocol/codec.js'
import { known, type Known } from './phase.js'

/** What one createTask came to, and when it left. */
interface Exchanged {
  readonly read: CreateAnswer
  readonly sentAt: number
  /** How long the gate is shut now, if the service asked for a wait. */
  readonly shutMs: number
}

type Bought = E.Either<SolveError, Known>

const MOST_TRIES = 4
const SHORTEST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000

const unknown = (doubt: Pick<CreateUnknown, 'status' | 'cause' | 'problems'>): CreateUnknown => ({
  _tag: 'CreateUnknown',
  paid: 'unknown',
  ...doubt
})

/** One call. As soon as it has left, it is read to its end whoever leaves: its answer may hold the id of a paid task. */
const exchange = (context: Context, body: Json, life: Life, turn: Turn): Observable<Exchanged> =>
  defer(() => {
    const { call, lives, reading, scheduler, settings } = context
    const startedAt = scheduler.now()
    let sentAt: number | undefined
    const read = (answer: Answer): Exchanged => {
      const created = readCreate(reading, answer, sentAt !== undefined)
      if (created._tag === 'Created') turn.accepted()
      const shutMs = created._tag === 'Later' ? turn.later(created.retryAfterMs) : 0
      return { read: created, shutMs, sentAt: sentAt ?? startedAt }
    }
    const exchanged = readAnswer(call('/createTask', body, settings.createTimeoutMs), read, () => {
      sentAt ??= scheduler.now()
      life.stand = { _tag: 'Left' }
    })
    return lives.readToEnd(exchanged, {
      hasLeft: () => sentAt !== undefined,
      late: (answer) => {
        letGo(context, life, answer)
      },
      ended: turn.ended
    })
  })

/** The answer came after its caller had gone: an id is somebody's to resume, anything else is told as lost. */
const letGo = ({ lives }: Context, life: Life, { read, sentAt }: Exchanged): void => {
  if (read._tag !== 'Created') {
    life.lost('doubt' in read ? unknown(read.doubt) : read.refused)
    return
  }
  const ref = { taskId: read.taskId, createdAt: sentAt }
  void life.notes?.record(ref)
  lives.orphan(life.asOrphan(ref))
}

/** One paid task over all tries of its createTask: repeated only while it provably did not leave, or was turned away. */
class Purchase {
  #attempts = 0
  #unreachable = 0 // tries in a row that never left
  #pauseMs = 0
  #assumed: Refused | undefined // a 503 without a document, taken for a no

  constructor(
    private readonly context: Context,
    private readonly life: Life,
    private readonly firstTurn: Turn
  ) {}

  /** Every further try waits for a turn of its own. */
  nextTurn(): Observable<Turn> {
    const { gate, scheduler } = this.context
    if (this.#attempts === 0) return of(this.firstTurn)
    return timer(this.#pauseMs, scheduler).pipe(exhaustMap(() => gate.turn('repeat')))
  }

  /** A new try is about to leave. */
  begin(): void {
    this.#attempts += 1
    if (!this.#assumed) this.life.stand = { _tag: 'Unsent', attempts: this.#attempts }
  }

  /** What follows from an answer: an end, or nothing, for once more. */
  judge({ read, sentAt, shutMs }: Exchanged): Bought | undefined {
    if (read._tag === 'NeverLeft') return this.#neverLeft(read)
    this.#unreachable = 0
    switch (read._tag) {
      case 'Created': {
        const created = known({ taskId: read.taskId, createdAt: sentAt })
        this.life.stand = created
        this.life.tell({ _tag: 'Created', ref: created.ref })
        return E.right(created)
      }
      case 'Unknown':
        return E.left(unknown(read.doubt))
      case 'Refused':
        return E.left(this.#inDoubt(read.refused))
      case 'Later':
        return this.#later(read, shutMs)
    }
  }

  #later({ refused, assumed }: Extract<CreateAnswer, { readonly _tag: 'Later' }>, shutMs: number): Bought | undefined {
    const { status } = refused
    if (assumed) {
      this.#assumed = { ...refused, paid: 'unknown' }
      this.life.tell({ _tag: 'Assumed', status })
    }
    this.life.stand = { _tag: 'Later', refused: this.#inDoubt(refused), attempts: this.#attempts }
    return this.#onceMore(0, 'later', shutMs)
  }

  #neverLeft({ reason, doubt: { cause } }: Extract<CreateAnswer, { readonly _tag: 'NeverLeft' }>): Bought | undefined {
    const attempts = this.#attempts
    this.#unreachable += 1
    if (!this.#assumed) this.life.stand = { _tag: 'Unsent', attempts, cause }
    if (reason === 'tls' || this.#unreachable === MOST_TRIES) {
      const notCreated: NotCreated = { _tag: 'NotCreated', paid: 'no', reason, attempts, cause }
      return E.left(this.#assumed ?? notCreated)
    }
    const spanMs = LONGEST_PAUSE_MS / 2 ** (MOST_TRIES - 1 - this.#unreachable) - SHORTEST_PAUSE_MS
    const pauseMs = Math.round(SHORTEST_PAUSE_MS + this.context.random() * spanMs)
    return this.#onceMore(pauseMs, 'network', pauseMs)
  }

  #onceMore(pauseMs: number, reason: 'later' | 'network', waitMs: number): Bought | undefined {
    const why = this.context.lives.mustEnd(this.life)
    if (why) return E.left(this.life.endedNow(why))
    this.#pauseMs = pauseMs
    this.life.tell({ _tag: 'Delayed', reason, waitMs })
    return undefined
  }

  /** After a no that was only assumed, a task may exist whatever the service says to the next try. */
  #inDoubt(refused: Refused): Refused {
    return this.#assumed ? { ...refused, paid: 'unknown' } : refused
  }
}

/** Where a journal is kept, the intent is written down before anything leaves; a turn that comes to nothing is given back. */
const intended = <A>(life: Life, turn: Turn, buying: OE.ObservableEither<SolveError, A>): typeof buying => {
  const intend = life.notes?.intend
  if (!intend) return buying
  return defer(() => {
    let isTaken = false
    return intend().pipe(
      tap((intent) => (isTaken = E.isRight(intent))),
      finalize(() => {
        if (!isTaken) turn.ended()
      }),
      OE.flatMap(() => buying)
    )
  })
}

const written = (notes: Notes, created: Known): Observable<Bought> =>
  concat(notes.record(created.ref), of(E.right(created)))

/** One try after the other, each in its turn, until the task is bought or cannot be. */
const keepTrying = (context: Context, body: Json, life: Life, purchase: Purchase): Observable<Bought> =>
  purchase.nextTurn().pipe(
    OE.andThen((turn) => {
      purchase.begin()
      return exchange(context, body, life, turn)
    }),
    OE.andThen((exchanged) => {
      const bought = purchase.judge(exchanged)
      return bought ? of(bought) : keepTrying(context, body, life, purchase)
    })
  )

/** Buys one task: emits where it stands then, or why there is none. */
export const createTask =
  (context: Context) =>
  (payload: Json, life: Life, firstTurn: Turn): OE.ObservableEither<SolveError, Known> => {
    const buying = defer(() => {
      const body = createTaskBody(context.settings.clientKey, payload)
      return keepTrying(context, body, life, new Purchase(context, life, firstTurn))
    })
    const bought = intended(life, firstTurn, buying)
    const { notes } = life
    return notes ? bought.pipe(OE.flatMap((created) => written(notes, created))) : bought
  }
