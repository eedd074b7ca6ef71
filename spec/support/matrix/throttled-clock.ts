import { VirtualAction, VirtualTimeScheduler, type SchedulerAction, type SchedulerLike, type Subscription } from 'rxjs'

export interface PatientClock {
  readonly scheduler: SchedulerLike
  readonly stop: () => void
}

const MOST_PER_TURN_MS = 2

/**
 * A clock for limits of milliseconds on a machine under load: in one turn of the event loop no more than two of them pass,
 * so that a deadline leaves an answer its turns, however slowly they come. It runs `speed` times as fast as the real one
 * at most, never faster.
 */
export const patientClock = (speed = 1): PatientClock => {
  const virtual = new VirtualTimeScheduler(VirtualAction, Date.now())
  virtual.frame = virtual.maxFrames
  let last = performance.now()
  let next: NodeJS.Timeout | undefined
  const now = () => virtual.frame + Math.min(performance.now() - last, MOST_PER_TURN_MS) * speed
  const ring = () => {
    virtual.maxFrames = now()
    last = performance.now()
    virtual.flush()
    virtual.frame = virtual.maxFrames
    // Sockets are read between this and the next timer.
    setImmediate(() => next && (next = setTimeout(ring, 1)))
  }
  next = setTimeout(ring, 1)
  const schedule = <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs = 0, state?: T): Subscription =>
    virtual.schedule(work, delayMs + now() - virtual.frame, state)
  const stop = () => {
    clearTimeout(next)
    next = undefined
  }
  return { scheduler: { now, schedule }, stop }
}
