import * as E from 'fp-ts/lib/Either.js'
import {
  Observable,
  Subject,
  concat,
  defer,
  filter,
  finalize,
  lastValueFrom,
  race,
  startWith,
  take,
  timer,
  type SchedulerLike,
  type Subscriber
} from 'rxjs'
import type { SolveError } from './error.js'
import type { Orphan, Stamp, Step } from './event.js'
import type { News } from './news.js'
import { UNSENT, endedNow, known, type Stand } from './stand.js'
import type { Resumable, TaskRef } from './task.js'

/** What a subscription is about. */
export interface Intent<R> {
  readonly task: Resumable<unknown>
  readonly label: string | undefined
  readonly giveUpAfterMs: number
  /** The task, where it exists already. */
  readonly ref: TaskRef | undefined
  /** A whole solve: leaving it makes an orphan, and its success is an end. One call alone does neither. */
  readonly whole: boolean
  /** Hears every step. */
  readonly onStep?: ((event: Stamp & Step) => void) | undefined
  /** Hears the outcome before the subscriber does. */
  readonly onSettled?: ((result: E.Either<SolveError, R>) => void) | undefined
}

/** One subscription under way. It is settled once, or left. */
export interface Life {
  stand: Stand
  readonly giveUpAfterMs: number
  readonly tell: (step: Step) => void
  /** What it would be if it ended now. */
  readonly endedNow: (why: 'deadline' | 'closed') => SolveError
  readonly asOrphan: (ref: TaskRef) => Orphan
  /** Tells that a createTask ended without an id after its caller had gone. */
  readonly lost: (error: SolveError) => void
}

class Member<R> implements Life {
  stand: Stand
  readonly giveUpAfterMs: number
  #settled = false

  constructor(
    private readonly intent: Intent<R>,
    private readonly news: News,
    private readonly subscriber: Subscriber<E.Either<SolveError, R>>
  ) {
    this.stand = intent.ref ? known(intent.ref) : UNSENT
    this.giveUpAfterMs = intent.giveUpAfterMs
  }

  tell(step: Step): void {
    const event = this.news.tell(this.intent.label, step)
    this.intent.onStep?.(event)
  }

  endedNow(why: 'deadline' | 'closed'): SolveError {
    return endedNow(this.stand, why, this.giveUpAfterMs)
  }

  settle(result: E.Either<SolveError, R>): void {
    if (this.#settled) return
    this.#settled = true
    const { whole, label, onSettled } = this.intent
    const tag = E.isLeft(result) ? result.left._tag : 'Solved'
    const ref = this.stand._tag === 'Known' && { ref: this.stand.ref }
    if (whole || E.isLeft(result)) this.news.tell(label, { _tag: 'Ended', tag, ...ref })
    onSettled?.(result)
    this.subscriber.next(result)
    this.subscriber.complete()
  }

  lost(error: SolveError): void {
    this.news.tell(this.intent.label, { _tag: 'Lost', error })
  }

  asOrphan(ref: TaskRef): Orphan {
    const { task, label } = this.intent
    return { ref, task, ...(label !== undefined && { label }) }
  }

  /** The paid task that would be forgotten if nobody were told, now that the subscriber is gone. */
  get forgotten(): Orphan | undefined {
    const { stand } = this
    return stand._tag === 'Known' && this.intent.whole && !this.#settled ? this.asOrphan(stand.ref) : undefined
  }
}

/** All subscriptions of a solver that are under way: how each ends or is left, and how all are closed. */
export class Lives {
  readonly #members = new Set<Member<never>>()
  readonly #leftOpen: Orphan[] = []
  readonly #ended = new Subject<void>()
  #creates = 0
  #closing = false

  constructor(
    private readonly scheduler: SchedulerLike,
    private readonly news: News
  ) {}

  get isClosing(): boolean {
    return this.#closing
  }

  /** Runs one subscription: emits one `Either`, completes, and accounts for the task however it ends. */
  live<R>(
    intent: Intent<R>,
    run: (life: Life) => Observable<E.Either<SolveError, R>>
  ): Observable<E.Either<SolveError, R>> {
    return new Observable((subscriber) => {
      const member = new Member(intent, this.news, subscriber)
      this.#members.add(member)
      subscriber.add(() => {
        this.#members.delete(member)
        if (member.forgotten) this.orphan(member.forgotten)
        this.#ended.next()
      })
      const settle = (result: E.Either<SolveError, R>): void => {
        member.settle(result)
      }
      if (this.#closing) settle(E.left(member.endedNow('closed')))
      else
        subscriber.add(
          run(member).subscribe({
            next: settle,
            error: (defect: unknown) => {
              subscriber.error(defect)
            }
          })
        )
    })
  }

  /** A task that was paid for, and whose caller will not hear of it. */
  orphan(orphan: Orphan): void {
    if (this.#closing) this.#leftOpen.push(orphan)
    this.news.orphan(orphan)
  }

  /** Mirrors the answer to a createTask; once that has left, it is read to its end whoever leaves, and told to `late`. */
  readToEnd<R>(answer: Observable<R>, hasLeft: () => boolean, late: (answer: R) => void): Observable<R> {
    return new Observable((subscriber) => {
      this.#creates += 1
      const over = finalize<R>(() => {
        this.#creates -= 1
        this.#ended.next()
      })
      const reading = answer.pipe(over).subscribe({
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
      return () => {
        if (!hasLeft()) reading.unsubscribe()
      }
    })
  }

  /** Ends what only waits, asks on for what is paid until the grace is over, and reads creates that have left to their end. */
  async close(graceMs: number): Promise<ReadonlyArray<Orphan>> {
    this.#closing = true
    this.#endAll(({ _tag }) => _tag === 'Unsent' || _tag === 'Later')
    const grace = race(
      timer(graceMs, this.scheduler),
      this.#until(() => this.#members.size === 0)
    )
    const reading = defer(() => {
      this.#endAll(() => true)
      return this.#until(() => this.#creates === 0)
    })
    await lastValueFrom(concat(grace, reading))
    this.news.end()
    return [...new Set([...this.#leftOpen, ...this.news.takeUnheard()])]
  }

  #endAll(ends: (stand: Stand) => boolean): void {
    for (const member of this.#members) {
      if (!ends(member.stand)) continue
      if (member.forgotten) this.#leftOpen.push(member.forgotten)
      member.settle(E.left(member.endedNow('closed')))
    }
  }

  #until(isSo: () => boolean): Observable<unknown> {
    return this.#ended.pipe(startWith(undefined), filter(isSo), take(1))
  }
}
