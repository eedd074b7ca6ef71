import { Observable, Subscription, type SchedulerLike, type Subscriber } from 'rxjs'

/** Leave for one createTask. It ends once, by what came of the call; later words are ignored. */
export interface Permit {
  /** The service took the task. */
  readonly succeeded: () => void
  /** The service asked for a wait. Tells for how many milliseconds the gate is shut now. */
  readonly backOff: (retryAfterMs: number | undefined) => number
  /** The call ended in any other way. */
  readonly release: () => void
}

/** A wait at the gate, and whether our own rate or the service asks for it. */
export interface Delay {
  readonly reason: 'rate' | 'unavailable'
  readonly waitMs: number
}

const FIRST_PAUSE_MS = 5_000
const MIN_PAUSE_MS = 3_000
const MAX_PAUSE_MS = 60_000

const clampWait = (ms: number): number => Math.min(Math.max(ms, MIN_PAUSE_MS), MAX_PAUSE_MS)

const isWait = (ms: number | undefined): ms is number => ms !== undefined && Number.isFinite(ms) && ms >= 0

/**
 * Where every createTask of a solver waits for its turn: first in, first out, repeats before newcomers. Questions never
 * come here.
 *
 * Open, it lets `createsPerSecond` through at even distances. A "later" shuts it for as long as the service said, else for
 * a while that doubles; then one probe at a time goes through, until the service takes one, which opens it.
 */
export class RateLimiter {
  readonly #queues = { repeat: new Set<Subscriber<Permit>>(), newcomer: new Set<Subscriber<Permit>>() }
  readonly #gapMs: number
  #nextAt = 0 // by the rate
  #shutUntil: number | undefined // undefined: open
  #era = 0 // how often it shut; a turn belongs to the era that it was given in
  #refusals = 0 // in a row
  #probe: Permit | undefined
  #alarm = Subscription.EMPTY
  #admitting = false

  constructor(
    private readonly scheduler: SchedulerLike,
    private readonly random: () => number,
    createsPerSecond: number | undefined
  ) {
    this.#gapMs = createsPerSecond === undefined ? 0 : 1_000 / createsPerSecond
  }

  /** Emits one turn, then completes; unsubscribing before leaves the queue. `onDelay` hears at once of a wait. */
  acquire(who: 'newcomer' | 'repeat', onDelay?: (delay: Delay) => void): Observable<Permit> {
    return new Observable((subscriber) => {
      if (this.#isFree) {
        this.#pass(subscriber)
        return
      }
      const queue = this.#queues[who]
      queue.add(subscriber)
      subscriber.add(() => {
        queue.delete(subscriber)
        if (this.#waiting === 0) this.#alarm.unsubscribe()
      })
      this.#admit()
      if (queue.has(subscriber)) onDelay?.(this.#delay())
    })
  }

  get #waiting(): number {
    return this.#queues.repeat.size + this.#queues.newcomer.size
  }

  /** Nobody waits, and nobody has to. */
  get #isFree(): boolean {
    return this.#waiting === 0 && this.#shutUntil === undefined && this.#nextAt <= this.scheduler.now()
  }

  get #mayPassAt(): number {
    return Math.max(this.#nextAt, this.#shutUntil ?? 0)
  }

  #delay(): Delay {
    const inTurnMs = this.#mayPassAt + (this.#waiting - 1) * this.#gapMs - this.scheduler.now()
    return { reason: this.#shutUntil === undefined ? 'rate' : 'unavailable', waitMs: Math.max(0, Math.ceil(inTurnMs)) }
  }

  // A turn may end while it is handed out, which comes here again: one loop serves both.
  #admit(): void {
    if (this.#admitting) return
    this.#admitting = true
    this.#alarm.unsubscribe()
    while (this.#admitFirst());
    this.#admitting = false
  }

  #admitFirst(): boolean {
    const [first] = this.#queues.repeat.size > 0 ? this.#queues.repeat : this.#queues.newcomer
    if (first === undefined || this.#probe !== undefined) return false
    const now = this.scheduler.now()
    if (now < this.#mayPassAt) {
      this.#alarm = this.scheduler.schedule(
        () => {
          this.#admit()
        },
        Math.ceil(this.#mayPassAt - now)
      )
      return false
    }
    this.#pass(first)
    return true
  }

  #pass(subscriber: Subscriber<Permit>): void {
    this.#nextAt = this.scheduler.now() + this.#gapMs
    const turn = this.#grant()
    if (this.#shutUntil !== undefined) this.#probe = turn
    subscriber.next(turn)
    subscriber.complete()
  }

  #grant(): Permit {
    const era = this.#era
    let open = true
    const end = (act?: () => void): void => {
      if (!open) return
      open = false
      act?.()
      if (this.#probe === turn) this.#probe = undefined
      this.#admit()
    }
    const turn: Permit = {
      succeeded: () => {
        end(() => {
          if (this.#probe === turn) this.#open()
        })
      },
      backOff: (retryAfterMs) => {
        end(() => {
          // Whoever was let through before it shut has no news, unless the service names a time.
          if (era === this.#era || isWait(retryAfterMs)) this.#shut(retryAfterMs)
        })
        return Math.max(0, this.#mayPassAt - this.scheduler.now())
      },
      release: () => {
        end()
      }
    }
    return turn
  }

  #open(): void {
    this.#shutUntil = undefined
    this.#refusals = 0
  }

  #shut(retryAfterMs: number | undefined): void {
    const grownMs = FIRST_PAUSE_MS * 2 ** this.#refusals * (0.75 + this.random() * 0.5)
    const waitMs = Math.ceil(clampWait(isWait(retryAfterMs) ? retryAfterMs : grownMs))
    this.#shutUntil = Math.max(this.#shutUntil ?? 0, this.scheduler.now() + waitMs)
    this.#refusals += 1
    this.#era += 1
  }
}
