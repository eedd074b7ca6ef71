import { Observable, Subscription, type SchedulerLike, type Subscriber } from 'rxjs'
import { exponential } from './backoff.js'

/** Permission to send one createTask. The first call of a method, except `refused`, ends it; later calls are ignored. */
export interface Permit {
  /** The service created the task. */
  readonly succeeded: () => void
  /** The service wants a wait. Returns for how many milliseconds no permit is given, 0 if only this task has to wait. */
  readonly unavailable: (retryAfterMs: number | undefined) => number
  /** The service itself refused the task. Does not end the permit: the refusal may stop the batch of the next one. */
  readonly refused: () => void
  /** The reply does not say whether the service created the task, or does not come from the service. */
  readonly unreadable: () => void
  /** The call ended in any other way. */
  readonly release: () => void
}

/** A wait for a permit, because of `createsPerSecond` (`rate`) or because the service asked for it (`unavailable`). */
export interface PermitDelay {
  readonly reason: 'rate' | 'unavailable'
  readonly waitMs: number
}

/** `Flowing`: permits are given. `Paused`: none is, until the instant `until`. `Probing`: one is out to test the service. */
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

/** `elapsed` counts milliseconds since any moment, whatever happens to the system clock. */
interface LimiterPorts {
  readonly scheduler: SchedulerLike
  readonly elapsed: () => number
  readonly random: () => number
}

/**
 * Gives permits to send createTask: first in, first out, retries before new tasks. Polls need no permit.
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
  readonly #queues = { retry: new Set<Subscriber<Permit>>(), new: new Set<Subscriber<Permit>>() }
  #state: LimiterState = { _tag: 'Flowing' }
  #unavailable = 0
  #unreadable = 0
  #unreadableProbes = 0
  #nextSlotAt = -Infinity
  #timer = Subscription.EMPTY
  #draining = false

  constructor(
    { scheduler, elapsed, random }: LimiterPorts,
    createsPerSecond: number | undefined,
    onUnreadable: () => void
  ) {
    this.#scheduler = scheduler
    this.#elapsed = elapsed
    this.#random = random
    this.#spacingMs = createsPerSecond === undefined ? 0 : 1_000 / createsPerSecond
    this.#onUnreadable = onUnreadable
  }

  /** Emits one permit, then completes; unsubscribing leaves the queue. `onDelay` is called at once if there is a wait. */
  acquire(queue: 'new' | 'retry', onDelay?: (delay: PermitDelay) => void): Observable<Permit> {
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
    return this.#waiting === 0 && this.#state._tag === 'Flowing' && this.#nextSlotAt <= this.#elapsed()
  }

  get #nextPermitAt(): number {
    return Math.max(this.#nextSlotAt, this.#state._tag === 'Flowing' ? -Infinity : this.#state.until)
  }

  #delay(): PermitDelay {
    const inQueueMs = this.#nextPermitAt + (this.#waiting - 1) * this.#spacingMs - this.#elapsed()
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
    const waitMs = Math.ceil(this.#nextPermitAt - this.#elapsed())
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
      this.#drain()
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
          return news ? this.#braked(permit, ++this.#unavailable) : this.#state
        })
        return this.#state._tag === 'Flowing' ? 0 : Math.max(0, Math.ceil(this.#nextPermitAt - this.#elapsed()))
      },
      refused: () => {
        this.#endUnreadableProbes(permit)
      },
      unreadable: () => {
        const isProbe = this.#isProbe(permit)
        endWith(() => (isNews() ? this.#braked(permit, ++this.#unreadable) : this.#state))
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

  /** Paused after the third trouble `inARow`, and after each troubled probe. */
  #braked(permit: Permit, inARow: number): LimiterState {
    const state = this.#withoutProbe(permit)
    if (state._tag === 'Flowing' && inARow < PAUSE_AFTER) return state
    return this.#paused(permit, pauseMs(state._tag === 'Flowing' ? 0 : state.pauses, this.#random), true)
  }

  /** Paused for `waitMs`, or until the pause ends that is there; another pause than that one only if the wait is news. */
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
