import { Observable, Subscription, filter, takeWhile } from 'rxjs'
import type { Observer, SchedulerLike, Subscriber, Unsubscribable } from 'rxjs'

/**
 * Waits, polls, and repeats both until a state is final; emits the final state. At least `waitMs()` pass between the end of a
 * poll and the start of the next, and two polls never overlap.
 *
 * ```
 * wait 3   ---|        ---|
 * poll         --p|        -f|
 * result   ------------------(f|)
 * ```
 */
export const pollUntilFinal =
  (waitMs: () => number, scheduler: SchedulerLike) =>
  <S, F extends S>(poll: Observable<S>, isFinal: (state: S) => state is F): Observable<F> =>
    restartingInterval(waitMs, scheduler, poll).pipe(
      takeWhile((state) => !isFinal(state), true),
      filter(isFinal)
    )

/**
 * `interval` into `exhaustMap`, except that each wait begins when the poll before it has ended. With a plain `interval` the
 * next poll would start 10 ms after a reply that took 2,990 ms.
 */
const restartingInterval = <S>(waitMs: () => number, scheduler: SchedulerLike, poll: Observable<S>): Observable<S> =>
  new Observable((subscriber) => {
    const loop = new PollLoop(subscriber, waitMs, scheduler, poll)
    loop.wait()
    return loop
  })

/** One waiting task. A class, because five operators take six times the memory: docs/decisions/0005-the-form-of-the-poll.md. */
class PollLoop<S> implements Observer<S>, Unsubscribable {
  readonly #subscriber: Subscriber<S>
  readonly #waitMs: () => number
  readonly #scheduler: SchedulerLike
  readonly #poll: Observable<S>
  #current = Subscription.EMPTY // the wait, or the poll

  constructor(subscriber: Subscriber<S>, waitMs: () => number, scheduler: SchedulerLike, poll: Observable<S>) {
    this.#subscriber = subscriber
    this.#waitMs = waitMs
    this.#scheduler = scheduler
    this.#poll = poll
  }

  wait(): void {
    this.#current = this.#scheduler.schedule(startPoll, this.#waitMs(), this)
  }

  startPoll(): void {
    // Assigned before the poll starts: a listener may unsubscribe synchronously while it starts, and then nothing must be sent.
    new Observable<S>((subscriber) => {
      this.#current = subscriber
      return this.#poll.subscribe(subscriber)
    }).subscribe(this)
  }

  next(state: S): void {
    this.#subscriber.next(state)
  }

  error(defect: unknown): void {
    this.#subscriber.error(defect)
  }

  complete(): void {
    this.wait()
  }

  unsubscribe(): void {
    this.#current.unsubscribe()
  }
}

// One function for all tasks; a closure per wait would cost memory.
const startPoll = (loop?: Pick<PollLoop<unknown>, 'startPoll'>): void => loop?.startPoll()
