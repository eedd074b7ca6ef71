import * as E from 'fp-ts/lib/Either.js'
import {
  Observable,
  Subject,
  concat,
  defer,
  filter,
  lastValueFrom,
  of,
  race,
  startWith,
  take,
  timer,
  type SchedulerLike
} from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { Orphan } from '../model/event.js'
import { TrackedTask, type Batch, type TrackOptions, type ActiveTask } from './active-task.js'
import type { EventBus } from './event-bus.js'
import type { StopReason, Phase } from './phase.js'

/** Nothing of it is at the service, or under way to it. */
const isUncreated = ({ _tag }: Phase): boolean => _tag === 'Unsent' || _tag === 'Deferred'

/** How a createTask is read. */
interface UninterruptibleOptions<R> {
  readonly isSent: () => boolean
  /** Hears the answer when whoever asked has gone. */
  readonly onLate: (answer: R) => void
  readonly onEnd: () => void
}

/** All subscriptions of a solver that are under way: how each ends or is left, and how all are closed. */
export class InFlight {
  readonly #members = new Set<TrackedTask<never>>()
  readonly #leftOpen: Orphan[] = []
  readonly #ended = new Subject<void>()
  readonly #closed = new Subject<void>()
  #creates = 0
  #closing = false

  constructor(
    private readonly scheduler: SchedulerLike,
    private readonly news: EventBus
  ) {}

  /** Emits once `close` has been called. */
  get closing(): Observable<unknown> {
    return defer(() => (this.#closing ? of(undefined) : this.#closed))
  }

  /** Why nothing more may be created for it. */
  reasonToEnd({ stopReason: halted }: ActiveTask): 'closed' | StopReason | undefined {
    return this.#closing ? 'closed' : halted
  }

  /** Runs one subscription: emits one `Either`, completes, and accounts for the task however it ends. */
  track<R>(
    intent: TrackOptions<R>,
    run: (life: ActiveTask) => Observable<E.Either<SolveError, R>>
  ): Observable<E.Either<SolveError, R>> {
    return new Observable((subscriber) => {
      const member = new TrackedTask(intent, this.news, subscriber)
      this.#members.add(member)
      subscriber.add(() => {
        this.#members.delete(member)
        if (member.orphan) this.orphan(member.orphan)
        this.#noteEnd()
      })
      const why = this.reasonToEnd(member)
      if (why === 'closed' || (why && member.phase._tag !== 'Created')) member.next(E.left(member.errorIfEnded(why)))
      else subscriber.add(run(member).subscribe(member))
    })
  }

  /** A task that was paid for, and whose caller will not hear of it. */
  orphan(orphan: Orphan): void {
    this.news.orphan(orphan)
    // Afterwards: whoever hears of it may close the solver there and then.
    if (this.#closing) this.#leftOpen.push(orphan)
  }

  /** Mirrors the answer to a createTask; once that has left, it is read to its end whoever leaves. */
  uninterruptible<R>(
    answer: Observable<R>,
    { isSent: hasLeft, onLate: late, onEnd: ended }: UninterruptibleOptions<R>
  ): Observable<R> {
    return new Observable((subscriber) => {
      this.#creates += 1
      const reading = answer.subscribe({
        next: (value) => {
          if (subscriber.closed) late(value)
          else subscriber.next(value)
        },
        error: (defect: unknown) => {
          subscriber.error(defect)
        },
        complete: () => {
          subscriber.complete()
        }
      })
      reading.add(() => {
        ended()
        this.#creates -= 1
        this.#noteEnd()
      })
      return () => {
        if (!hasLeft()) reading.unsubscribe()
      }
    })
  }

  /** Ends what only waits, asks on for what is paid until the grace is over, and reads creates that have left to their end. */
  async close(graceMs: number): Promise<ReadonlyArray<Orphan>> {
    this.#closing = true
    this.#endAll('closed', ({ phase: stand }) => isUncreated(stand))
    this.#closed.next()
    const grace = race(
      timer(graceMs, this.scheduler),
      this.#until(() => this.#members.size === 0)
    )
    const reading = defer(() => {
      this.#endAll('closed', () => true)
      return this.#until(() => this.#creates === 0)
    })
    await lastValueFrom(concat(grace, reading))
    this.news.complete()
    return [...new Set([...this.#leftOpen, ...this.news.takeUndelivered()])]
  }

  /** Nothing more is created for a batch; what is open goes on. */
  stop(batch: Batch, why: StopReason): void {
    batch.stopReason ??= why
    this.#endAll(batch.stopReason, (member) => member.isOf(batch) && isUncreated(member.phase))
  }

  // Mostly nobody waits for it, and to tell nobody costs as much as a poll.
  #noteEnd(): void {
    if (this.#ended.observed) this.#ended.next()
  }

  #endAll(why: 'closed' | StopReason, ends: (member: TrackedTask<never>) => boolean): void {
    for (const member of this.#members) {
      if (!ends(member)) continue
      if (member.orphan) this.#leftOpen.push(member.orphan)
      member.next(E.left(member.errorIfEnded(why)))
    }
  }

  #until(isSo: () => boolean): Observable<unknown> {
    return this.#ended.pipe(startWith(undefined), filter(isSo), take(1))
  }
}
