import { VirtualAction, VirtualTimeScheduler, type SchedulerAction, type SchedulerLike, type Subscription } from 'rxjs'

export interface ThrottledClock {
  readonly scheduler: SchedulerLike
  readonly stop: () => void
}

const MAX_MS_PER_TURN = 2

/**
 * A clock for limits of milliseconds on a loaded machine. At most two milliseconds pass in one turn of the event loop, so that a
 * reply gets enough turns to arrive before a deadline, however slow they are. The clock runs at most `speed` times as fast as
 * the real one.
 */
export const throttledClock = (speed = 1): ThrottledClock => {
  const virtual = new VirtualTimeScheduler(VirtualAction, Date.now())
  virtual.frame = virtual.maxFrames
  let last = performance.now()
  let next: NodeJS.Timeout | undefined
  const now = () => virtual.frame + Math.min(performance.now() - last, MAX_MS_PER_TURN) * speed
  const tick = () => {
    virtual.maxFrames = now()
    last = performance.now()
    virtual.flush()
    virtual.frame = virtual.maxFrames
    // Sockets are read between this and the next timer.
    setImmediate(() => next && (next = setTimeout(tick, 1)))
  }
  next = setTimeout(tick, 1)
  const schedule = <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs = 0, state?: T): Subscription =>
    virtual.schedule(work, delayMs + now() - virtual.frame, state)
  const stop = () => {
    clearTimeout(next)
    next = undefined
  }
  return { scheduler: { now, schedule }, stop }
}
