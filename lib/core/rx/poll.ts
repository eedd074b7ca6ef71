import { Observable, Subscription, filter, takeWhile } from 'rxjs'
import type { Observer, SchedulerLike, Subscriber, Unsubscribable } from 'rxjs'

/** The polls of one task. */
export interface Polls<F> {
  /** The wait before the next poll. */
  readonly waitMs: number
  /** Begins a poll. What it returns is not subscribed to if the subscriber unsubscribes meanwhile. */
  poll(): Observable<Decision<F>>
}

/** What follows from a poll: the final state, or the next poll. */
export type Decision<F> = F | 'poll again'

/**
 * Waits, polls, and repeats both until a state is final; emits the final state. At least `waitMs` pass between the end of a
 * poll and the start of the next, and two polls never overlap.
 *
 * ```
 * wait 3   ---|        ---|
 * poll         --p|        -f|
 * result   ------------------(f|)
 * ```
 */
export const pollUntilFinal = <F>(polls: Polls<F>, scheduler: SchedulerLike): Observable<F> =>
  restartingInterval(polls, scheduler).pipe(takeWhile(isProcessing<F>, true), filter(isFinal<F>))

const isProcessing = <F>(decision: Decision<F>): boolean => decision === 'poll again'

const isFinal = <F>(decision: Decision<F>): decision is F => decision !== 'poll again'

/**
 * `interval` into `exhaustMap`, except that each wait begins when the poll before it has ended. With a plain `interval` the
 * next poll would start 10 ms after a reply that took 2,990 ms.
 */
const restartingInterval = <F>(polls: Polls<F>, scheduler: SchedulerLike): Observable<Decision<F>> =>
  new Observable((subscriber) => {
    const loop = new PollLoop(subscriber, polls, scheduler)
    loop.wait()
    return loop
  })

/** One waiting task. A class, because five operators take six times the memory: docs/decisions/0005-the-form-of-the-poll.md. */
class PollLoop<F> implements Observer<Decision<F>>, Unsubscribable {
  readonly #subscriber: Subscriber<Decision<F>>
  readonly #polls: Polls<F>
  readonly #scheduler: SchedulerLike
  #current = Subscription.EMPTY // the wait, or the poll

  constructor(subscriber: Subscriber<Decision<F>>, polls: Polls<F>, scheduler: SchedulerLike) {
    this.#subscriber = subscriber
    this.#polls = polls
    this.#scheduler = scheduler
  }

  wait(): void {
    this.#current = this.#scheduler.schedule(startPoll, this.#polls.waitMs, this)
  }

  startPoll(): void {
    try {
      const poll = this.#polls.poll()
      if (this.#hasLeft()) return
      const polling = poll.subscribe(this)
      if (this.#hasLeft()) polling.unsubscribe()
      // A poll that has ended already is followed by a wait, which is the current one.
      else if (!polling.closed) this.#current = polling
    } catch (defect) {
      this.#subscriber.error(defect)
    }
  }

  next(decision: Decision<F>): void {
    this.#subscriber.next(decision)
  }

  error(defect: unknown): void {
    this.#subscriber.error(defect)
  }

  complete(): void {
    if (!this.#hasLeft()) this.wait()
  }

  unsubscribe(): void {
    this.#current.unsubscribe()
  }

  /** Whether the subscriber has unsubscribed or received the final state. */
  #hasLeft(): boolean {
    return this.#subscriber.closed
  }
}

// One function for all tasks; a closure per wait would cost memory.
const startPoll = (loop?: Pick<PollLoop<unknown>, 'startPoll'>): void => loop?.startPoll()
