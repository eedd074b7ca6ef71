import { Subscription, asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'

/** A scheduler, and a count of milliseconds that changes of the system clock do not affect. */
export interface Clock extends SchedulerLike {
  readonly elapsed: () => number
}

/**
 * The real clock. It differs from `asyncScheduler` in three ways:
 *
 * - It never fires early. Node rounds the start of a timer down to the millisecond, so a timer can fire up to one too soon.
 * - A timer that fires late takes one more turn of the event loop, so that replies that arrived while the process was frozen are
 *   read first.
 * - A timer that fires much too early belongs to a test that fakes timers, but not `performance`. From then on the clock goes by
 *   the timers.
 */
export const realClock = (): Clock => {
  const time = new ElapsedTime()
  return {
    elapsed: () => time.now(),
    now: () => asyncScheduler.now(),
    schedule: <T>(work: Work<T>, delayMs?: number, state?: T) => new ClockAction(time, work).schedule(state, delayMs)
  }
}

const EARLY_MS = 2
const LATE_MS = 1

/** Milliseconds since an arbitrary moment. */
class ElapsedTime {
  #skippedMs = 0
  #isFaked = false

  now(): number {
    return performance.now() + this.#skippedMs
  }

  /** How much longer a timer that fires now has to wait; nothing if its time has come. */
  msLeft(dueAt: number): number | undefined {
    const earlyMs = dueAt - this.now()
    this.#isFaked ||= earlyMs > EARLY_MS
    if (this.#isFaked) {
      this.#skippedMs += Math.max(0, earlyMs)
      return undefined
    }
    return earlyMs > 0 ? Math.ceil(earlyMs) : earlyMs < -LATE_MS ? 0 : undefined
  }
}

type Work<T> = (this: SchedulerAction<T>, state?: T) => void

/** A timer. It has half the objects of an action of `asyncScheduler`, and every waiting task has two. */
class ClockAction<T> extends Subscription implements SchedulerAction<T> {
  readonly #time: ElapsedTime
  readonly #work: Work<T>
  #state: T | undefined
  #dueAt = 0
  #isLast = false
  #timer: NodeJS.Timeout | Subscription | undefined

  constructor(time: ElapsedTime, work: Work<T>) {
    super()
    this.#time = time
    this.#work = work
  }

  schedule(state?: T, delayMs = 0): this {
    this.#state = state
    this.#dueAt = this.#time.now() + delayMs
    this.#isLast = delayMs <= 0
    this.#start(delayMs)
    return this
  }

  fire(): void {
    const leftMs = this.#isLast ? undefined : this.#time.msLeft(this.#dueAt)
    if (leftMs === undefined) {
      this.#work(this.#state)
      return
    }
    this.#isLast = leftMs === 0
    this.#start(leftMs)
  }

  override unsubscribe(): void {
    super.unsubscribe()
    this.#stop()
  }

  #start(delayMs: number): void {
    this.#stop()
    if (this.closed) return
    this.#timer = isVirtual() ? asyncScheduler.schedule(fire, delayMs, this) : setTimeout(fire, delayMs, this)
  }

  #stop(): void {
    if (this.#timer instanceof Subscription) this.#timer.unsubscribe()
    else clearTimeout(this.#timer)
  }
}

/** Whether this is a `TestScheduler.run`: it replaces the timers and the `now` of `asyncScheduler`, and begins at zero. */
const isVirtual = (): boolean => asyncScheduler.now() < REAL_NOW

const REAL_NOW = 1e12

const fire = (action?: Pick<ClockAction<unknown>, 'fire'>): void => action?.fire()
