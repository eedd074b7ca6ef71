import { Observable, Subscription, type SchedulerLike, type Subscriber } from 'rxjs'
import { exponential } from './backoff.js'

/** Permission to send one createTask. The first call of a method ends it; later calls are ignored. */
export interface Permit {
  /** The service created the task. */
  readonly succeeded: () => void
  /** The service asked for a wait. Returns for how many milliseconds no permit is given. */
  readonly backOff: (retryAfterMs: number | undefined) => number
  /** The call ended in any other way. */
  readonly release: () => void
}

/** A wait for a permit, because of `createsPerSecond` (`rate`) or because the service asked for it (`unavailable`). */
export interface Delay {
  readonly reason: 'rate' | 'unavailable'
  readonly waitMs: number
}

/** `Flowing`: permits are given. `Paused`: none is, until the instant `until`. `Probing`: one is out to test the service. */
type State =
  | { readonly _tag: 'Flowing' }
  | { readonly _tag: 'Paused'; readonly until: number; readonly backoffs: number }
  | { readonly _tag: 'Probing'; readonly until: number; readonly backoffs: number; readonly permit: Permit }

const MIN_PAUSE_MS = 3_000
const MAX_PAUSE_MS = 60_000
const pauseMs = exponential({ firstMs: 5_000, minMs: MIN_PAUSE_MS, maxMs: MAX_PAUSE_MS, jitter: [0.75, 1.25] })

const clampWait = (ms: number): number => Math.ceil(Math.min(Math.max(ms, MIN_PAUSE_MS), MAX_PAUSE_MS))

const isWait = (ms: number | undefined): ms is number => ms !== undefined && Number.isFinite(ms) && ms >= 0

/**
 * Gives permits to send createTask: first in, first out, retries before new tasks. Polls need no permit.
 *
 * While flowing it gives `createsPerSecond` permits at a fixed interval. A `backOff` pauses it for as long as the service
 * asked, else for a time that doubles. After the pause one permit at a time is given as a probe, until the service creates a
 * task, which makes it flow again.
 */
export class RateLimiter {
  readonly #scheduler: SchedulerLike
  readonly #random: () => number
  readonly #spacingMs: number
  readonly #queues = { retry: new Set<Subscriber<Permit>>(), new: new Set<Subscriber<Permit>>() }
  #state: State = { _tag: 'Flowing' }
  #nextSlotAt = 0
  #timer = Subscription.EMPTY
  #draining = false

  constructor(scheduler: SchedulerLike, random: () => number, createsPerSecond: number | undefined) {
    this.#scheduler = scheduler
    this.#random = random
    this.#spacingMs = createsPerSecond === undefined ? 0 : 1_000 / createsPerSecond
  }

  /** Emits one permit, then completes; unsubscribing leaves the queue. `onDelay` is called at once if there is a wait. */
  acquire(queue: 'new' | 'retry', onDelay?: (delay: Delay) => void): Observable<Permit> {
    return new Observable((subscriber) => {
      if (this.#canPassNow) {
        this.#admit(subscriber)
        return
      }
      const waiting = this.#queues[queue]
      waiting.add(subscriber)
      subscriber.add(() => {
        waiting.delete(subscriber)
        if (this.#waiting === 0) this.#timer.unsubscribe()
      })
      this.#drain()
      if (waiting.has(subscriber)) onDelay?.(this.#delay())
    })
  }

  get #waiting(): number {
    return this.#queues.retry.size + this.#queues.new.size
  }

  get #canPassNow(): boolean {
    return this.#waiting === 0 && this.#state._tag === 'Flowing' && this.#nextSlotAt <= this.#scheduler.now()
  }

  get #nextPermitAt(): number {
    return Math.max(this.#nextSlotAt, this.#state._tag === 'Flowing' ? 0 : this.#state.until)
  }

  #delay(): Delay {
    const inQueueMs = this.#nextPermitAt + (this.#waiting - 1) * this.#spacingMs - this.#scheduler.now()
    const reason = this.#state._tag === 'Flowing' ? 'rate' : 'unavailable'
    return { reason, waitMs: Math.max(0, Math.ceil(inQueueMs)) }
  }

  // A permit may end while it is emitted, which calls this again: the outer loop serves both.
  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#timer.unsubscribe()
    while (this.#admitFirst());
    this.#draining = false
  }

  #admitFirst(): boolean {
    const [first] = this.#queues.retry.size > 0 ? this.#queues.retry : this.#queues.new
    if (first === undefined || this.#state._tag === 'Probing') return false
    const waitMs = Math.ceil(this.#nextPermitAt - this.#scheduler.now())
    if (waitMs > 0) {
      this.#timer = this.#scheduler.schedule(() => {
        this.#drain()
      }, waitMs)
      return false
    }
    this.#admit(first)
    return true
  }

  #admit(subscriber: Subscriber<Permit>): void {
    this.#nextSlotAt = this.#scheduler.now() + this.#spacingMs
    const permit = this.#permit(this.#state)
    if (this.#state._tag === 'Paused') this.#state = { ...this.#state, _tag: 'Probing', permit }
    subscriber.next(permit)
    subscriber.complete()
  }

  #permit(givenIn: State): Permit {
    let isOpen = true
    const endWith = (state: State): void => {
      if (!isOpen) return
      isOpen = false
      this.#state = state
      this.#drain()
    }
    const permit: Permit = {
      succeeded: () => {
        endWith(this.#isProbe(permit) ? { _tag: 'Flowing' } : this.#state)
      },
      backOff: (retryAfterMs) => {
        // A permit from before the pause says nothing new, unless the service names a time.
        const isNews = this.#isProbe(permit) || this.#state === givenIn || isWait(retryAfterMs)
        endWith(isNews ? this.#paused(permit, retryAfterMs) : this.#state)
        return Math.max(0, this.#nextPermitAt - this.#scheduler.now())
      },
      release: () => {
        endWith(this.#withoutProbe(permit))
      }
    }
    return permit
  }

  #isProbe(permit: Permit): boolean {
    return this.#state._tag === 'Probing' && this.#state.permit === permit
  }

  /** The state once a permit has ended: paused if it was the probe, else unchanged. */
  #withoutProbe(permit: Permit): State {
    const state = this.#state
    if (state._tag !== 'Probing' || state.permit !== permit) return state
    return { _tag: 'Paused', until: state.until, backoffs: state.backoffs }
  }

  #paused(by: Permit, retryAfterMs: number | undefined): State {
    const state = this.#withoutProbe(by)
    const { until, backoffs } = state._tag === 'Flowing' ? { until: 0, backoffs: 0 } : state
    const waitMs = isWait(retryAfterMs) ? clampWait(retryAfterMs) : pauseMs(backoffs, this.#random)
    const pause = { until: Math.max(until, this.#scheduler.now() + waitMs), backoffs: backoffs + 1 }
    return state._tag === 'Probing' ? { ...state, ...pause } : { _tag: 'Paused', ...pause }
  }
}
