import { Observable, Subscription, filter, takeWhile } from 'rxjs'
import type { Observer, SchedulerLike, Subscriber, Unsubscribable } from 'rxjs'

/** One wait, one poll, and so on. A class, and not five operators: this is what a waiting task costs. */
class PollLoop<S> implements Observer<S>, Unsubscribable {
  #current = Subscription.EMPTY // the wait, or the poll

  constructor(
    private readonly subscriber: Subscriber<S>,
    private readonly waitMs: () => number,
    private readonly scheduler: SchedulerLike,
    private readonly poll: Observable<S>
  ) {}

  wait(): void {
    this.#current = this.scheduler.schedule(tick, this.waitMs(), this)
  }

  tick(): void {
    // Known before it begins: whoever hears of the poll may leave there and then, and it must not go out.
    new Observable<S>((poll) => {
      this.#current = poll
      return this.poll.subscribe(poll)
    }).subscribe(this)
  }

  next(answer: S): void {
    this.subscriber.next(answer)
  }

  error(defect: unknown): void {
    this.subscriber.error(defect)
  }

  complete(): void {
    this.wait()
  }

  unsubscribe(): void {
    this.#current.unsubscribe()
  }
}

const tick = (interval?: Pick<PollLoop<unknown>, 'tick'>): void => interval?.tick()

/**
 * RxJS's `interval` into `exhaustMap`, but each wait begins when the answer before it has ended. The bare one would ask again
 * 10 ms after an answer that took 2,990 ms.
 */
const restartingInterval = <S>(waitMs: () => number, scheduler: SchedulerLike, ask: Observable<S>): Observable<S> =>
  new Observable((subscriber) => {
    const interval = new PollLoop(subscriber, waitMs, scheduler, ask)
    interval.wait()
    return interval
  })

/**
 * Waits, asks, and repeats until an answer is final; emits that one. Never less than the wait lies between an answer and the
 * next poll, and two polls never overlap.
 *
 * ```
 * wait 3   ---|        ---|
 * ask         --p|        -f|
 * result   ------------------(f|)
 * ```
 */
export const pollUntilFinal =
  (waitMs: () => number, scheduler: SchedulerLike) =>
  <S, F extends S>(ask: Observable<S>, isFinal: (state: S) => state is F): Observable<F> =>
    restartingInterval(waitMs, scheduler, ask).pipe(
      takeWhile((state) => !isFinal(state), true),
      filter(isFinal)
    )
