import { Observable, Subscription, type SchedulerLike, type Subscriber } from 'rxjs'
import { exponential } from './backoff.js'
import { PermitQueue, type Permit, type QueueName } from './permit-queue.js'

export type { Permit } from './permit-queue.js'

/** A wait for a permit, because of `createsPerSecond` (`rate`) or because the service asked for it (`unavailable`). */
export interface PermitDelay {
  readonly reason: 'rate' | 'unavailable'
  readonly waitMs: number
}

/** `Flowing`: permits are given. `Paused`: none is given before `until`. `Probing`: one was given, to test the service. */
type LimiterState =
  | { readonly _tag: 'Flowing' }
  | { readonly _tag: 'Paused'; readonly until: number; readonly pauses: number }
  | { readonly _tag: 'Probing'; readonly until: number; readonly pauses: number; readonly permit: Permit }

// At 5 % refusals a pause for each of them would cost four fifths of the throughput.
const PAUSE_AFTER = 3
const STOP_AFTER_PROBES = 5
const MIN_PAUSE_MS = 3_000
const MAX_PAUSE_MS = 60_000
const pauseMs = exponential({ firstMs: 5_000, minMs: MIN_PAUSE_MS, maxMs: MAX_PAUSE_MS, jitter: [0.75, 1.25] })

const clampWait = (ms: number): number => Math.ceil(Math.min(Math.max(ms, MIN_PAUSE_MS), MAX_PAUSE_MS))

const isWait = (ms: number | undefined): ms is number => ms !== undefined && Number.isFinite(ms) && ms >= 0

/** `elapsed` counts milliseconds since an arbitrary moment, whatever happens to the system clock. */
interface LimiterPorts {
  readonly scheduler: SchedulerLike
  readonly elapsed: () => number
  readonly random: () => number
}

/** The limits of a limiter, and what it calls after several unreadable probes. */
interface LimiterOptions {
  readonly createsPerSecond?: number | undefined
  readonly maxOpenTasks?: number | undefined
  readonly onUnreadable: () => void
}

/**
 * Gives permits to send createTask: first in, first out, retries before new tasks. Polls need no permit.
 *
 * A permit for a new task opens the task; from then on it counts as open until {@link RateLimiter.closeTask} is called. While
 * `maxOpenTasks` are open, new tasks wait. A retry belongs to an open task.
 *
 * While flowing, it gives `createsPerSecond` permits at a fixed interval. If the service asks for a wait, the limiter pauses
 * for that time. It also pauses after the third `unavailable` or the third `unreadable` without a created task in between,
 * and these pauses double, up to a minute. After a pause it gives one permit at a time, as a probe, until the service creates a
 * task; then it flows again. `onUnreadable` is called after five probes in a row with an unreadable reply.
 */
export class RateLimiter {
  readonly #scheduler: SchedulerLike
  readonly #elapsed: () => number
  readonly #random: () => number
  readonly #spacingMs: number
  readonly #onUnreadable: () => void
  readonly #queue: PermitQueue
  #state: LimiterState = { _tag: 'Flowing' }
  #unavailable = 0
  #unreadable = 0
  #unreadableProbes = 0
  #nextSlotAt = -Infinity
  #timer = Subscription.EMPTY

  constructor(
    { scheduler, elapsed, random }: LimiterPorts,
    { createsPerSecond, maxOpenTasks = Infinity, onUnreadable }: LimiterOptions
  ) {
    this.#scheduler = scheduler
    this.#elapsed = elapsed
    this.#random = random
    this.#spacingMs = createsPerSecond === undefined ? 0 : 1_000 / createsPerSecond
    this.#queue = new PermitQueue(maxOpenTasks)
    this.#onUnreadable = onUnreadable
  }

  /** How many tasks are open, and how many new ones wait for their permit. */
  get counts(): { readonly open: number; readonly waiting: number } {
    return this.#queue.counts
  }

  /**
   * Emits one permit, then completes; unsubscribing leaves the queue. `onDelay` is called at once if there is a wait, but not for
   * a task that waits until another one ends: how long that takes is unknown.
   */
  acquire(queue: QueueName, onDelay?: (delay: PermitDelay) => void): Observable<Permit> {
    return new Observable((subscriber) => {
      if (this.#isDue && this.#queue.size === 0 && this.#queue.hasRoomFor(queue)) {
        this.#admit(subscriber, queue)
        return
      }
      this.#queue.add(queue, subscriber, () => {
        if (this.#queue.size === 0) this.#timer.unsubscribe()
      })
      this.#schedule()
      const delay = this.#delay()
      if (delay.waitMs > 0 && this.#queue.hasRoomFor(queue)) onDelay?.(delay)
    })
  }

  /** Counts a task that exists already and needs no permit. */
  openTask(): void {
    this.#queue.openTask()
  }

  /** An open task has ended, which makes room for a new one. */
  closeTask(): void {
    this.#queue.closeTask()
    this.#schedule()
  }

  get #isDue(): boolean {
    return this.#state._tag !== 'Probing' && this.#nextPermitAt <= this.#elapsed()
  }

  get #nextPermitAt(): number {
    return Math.max(this.#nextSlotAt, this.#state._tag === 'Flowing' ? -Infinity : this.#state.until)
  }

  #delay(): PermitDelay {
    const inQueueMs = this.#nextPermitAt + (this.#queue.size - 1) * this.#spacingMs - this.#elapsed()
    const reason = this.#state._tag === 'Flowing' ? 'rate' : 'unavailable'
    return { reason, waitMs: Math.max(0, Math.ceil(inQueueMs)) }
  }

  /**
   * Schedules the next permit, and never gives it at once. The end of one task makes room for another, and code that ends several
   * tasks, by unsubscribing or by `close`, has to end all of them before one gets a permit.
   */
  #schedule(): void {
    // A timer that runs is not too late, because the next permit never comes nearer. Replaced by each task, it would never fire.
    if (!this.#timer.closed || this.#queue.first === undefined || this.#state._tag === 'Probing') return
    const waitMs = Math.max(0, Math.ceil(this.#nextPermitAt - this.#elapsed()))
    this.#timer = this.#scheduler.schedule(() => {
      this.#drain()
    }, waitMs)
  }

  #drain(): void {
    this.#timer = Subscription.EMPTY
    for (let next = this.#next; next; next = this.#next) this.#admit(next.subscriber, next.queue)
    this.#schedule()
  }

  get #next() {
    return this.#isDue ? this.#queue.first : undefined
  }

  #admit(subscriber: Subscriber<Permit>, queue: QueueName): void {
    if (queue === 'new') this.#queue.openTask()
    this.#nextSlotAt = this.#elapsed() + this.#spacingMs
    const permit = this.#permit(this.#state)
    if (this.#state._tag === 'Paused') this.#state = { ...this.#state, _tag: 'Probing', permit }
    subscriber.next(permit)
    subscriber.complete()
  }

  #permit(givenIn: LimiterState): Permit {
    let isOpen = true
    const endWith = (state: () => LimiterState): void => {
      if (!isOpen) return
      isOpen = false
      this.#state = state()
      this.#schedule()
    }
    // A permit from before the pause says nothing new.
    const isNews = (): boolean => this.#isProbe(permit) || this.#state === givenIn
    const permit: Permit = {
      succeeded: () => {
        endWith(() => this.#afterSuccess(permit))
      },
      unavailable: (retryAfterMs) => {
        endWith(() => {
          const news = isNews()
          this.#endUnreadableProbes(permit)
          if (isWait(retryAfterMs)) return this.#paused(permit, clampWait(retryAfterMs), news)
          return news ? this.#pausedAfter(permit, ++this.#unavailable) : this.#state
        })
        return this.#state._tag === 'Flowing' ? 0 : Math.max(0, Math.ceil(this.#nextPermitAt - this.#elapsed()))
      },
      refused: () => {
        endWith(() => {
          this.#endUnreadableProbes(permit)
          return this.#withoutProbe(permit)
        })
      },
      unreadable: () => {
        const isProbe = this.#isProbe(permit)
        endWith(() => (isNews() ? this.#pausedAfter(permit, ++this.#unreadable) : this.#state))
        if (isProbe) this.#countUnreadableProbe()
      },
      release: () => {
        endWith(() => this.#withoutProbe(permit))
      }
    }
    return permit
  }

  #isProbe(permit: Permit): boolean {
    return this.#state._tag === 'Probing' && this.#state.permit === permit
  }

  #afterSuccess(permit: Permit): LimiterState {
    this.#unavailable = 0
    this.#unreadable = 0
    this.#endUnreadableProbes(permit)
    return this.#isProbe(permit) ? { _tag: 'Flowing' } : this.#state
  }

  /** The reply to a probe was readable. */
  #endUnreadableProbes(permit: Permit): void {
    if (this.#isProbe(permit)) this.#unreadableProbes = 0
  }

  #countUnreadableProbe(): void {
    this.#unreadableProbes += 1
    if (this.#unreadableProbes < STOP_AFTER_PROBES) return
    this.#unreadableProbes = 0
    this.#onUnreadable()
  }

  /** The state once a permit has ended: paused if it was the probe, else unchanged. */
  #withoutProbe(permit: Permit): LimiterState {
    const state = this.#state
    if (state._tag !== 'Probing' || state.permit !== permit) return state
    return { _tag: 'Paused', until: state.until, pauses: state.pauses }
  }

  /** Paused after the third failure `inARow`, and after each probe that fails. */
  #pausedAfter(permit: Permit, inARow: number): LimiterState {
    const state = this.#withoutProbe(permit)
    if (state._tag === 'Flowing' && inARow < PAUSE_AFTER) return state
    return this.#paused(permit, pauseMs(state._tag === 'Flowing' ? 0 : state.pauses, this.#random), true)
  }

  /** Paused for `waitMs` from now, or for as long as before if that is longer. The wait counts as one pause more if it is news. */
  #paused(by: Permit, waitMs: number, isNews: boolean): LimiterState {
    const state = this.#withoutProbe(by)
    const { until, pauses } = state._tag === 'Flowing' ? { until: -Infinity, pauses: 0 } : state
    const pause = {
      until: Math.max(until, this.#elapsed() + waitMs),
      pauses: isNews ? pauses + 1 : Math.max(pauses, 1)
    }
    return state._tag === 'Probing' ? { ...state, ...pause } : { _tag: 'Paused', ...pause }
  }
}
