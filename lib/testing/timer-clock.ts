import { Subscription, type SchedulerAction, type SchedulerLike } from 'rxjs'

/**
 * A scheduler over `setTimeout` and `Date`, which every runner can fake. It acts in the order of the due times, and `now` is the due
 * time of the action that runs, for two reasons:
 *
 * - `mock.timers.tick` of node:test sets its clock to the end before it runs the first timer.
 * - A test may fake `setTimeout` and not `Date`.
 *
 * The clock of `createSolver` measures by `performance`, which node:test cannot fake. RxJS waits by `setInterval`, which the fake
 * timers of Node 20 call again after it was cleared.
 */
export const timerClock = (): SchedulerLike => {
  const entries = new Set<Entry>()
  let [latest, lagMs] = [-Infinity, 0]
  let actingAt: number | undefined
  const now = (): number => (latest = Math.max(latest, actingAt ?? Date.now()))

  const runUntil = (end: number): void => {
    try {
      for (let next = firstOf(entries, end); next; next = firstOf(entries, end)) {
        next.cancel()
        actingAt = latest = Math.max(latest, next.dueAt)
        lagMs = end - next.dueAt
        next.run()
      }
    } finally {
      actingAt = undefined
      lagMs = 0
    }
  }

  const enter = (run: () => void, waitMs: number): Entry => {
    const dueAt = now() + waitMs
    const fire = (): void => {
      runUntil(Math.max(dueAt, Date.now()))
    }
    const timer = setTimeout(fire, Math.max(0, waitMs - lagMs))
    const cancel = (): void => {
      clearTimeout(timer)
      entries.delete(entry)
    }
    const entry = { dueAt, run, cancel }
    entries.add(entry)
    return entry
  }

  const schedule = <T>(work: TimerWork<T>, delayMs = 0, state?: T): Subscription =>
    actionOf(enter, work).schedule(state, delayMs)
  return { now, schedule }
}

type TimerWork<T> = (this: SchedulerAction<T>, state?: T) => void

/** An action that waits for its due time. */
interface Entry {
  readonly dueAt: number
  readonly run: () => void
  readonly cancel: () => void
}

/** The entry that is due first, and not after `end`. Of several that are due at the same time, it is the oldest. */
const firstOf = (entries: Iterable<Entry>, end: number): Entry | undefined => {
  let first: Entry | undefined
  for (const entry of entries) if (entry.dueAt <= end && (!first || entry.dueAt < first.dueAt)) first = entry
  return first
}

const actionOf = <T>(enter: (run: () => void, waitMs: number) => Entry, work: TimerWork<T>): SchedulerAction<T> => {
  let entry: Entry | undefined
  const subscription = new Subscription(() => entry?.cancel())
  const action: SchedulerAction<T> = Object.assign(subscription, {
    schedule: (state?: T, delayMs = 0): Subscription => {
      entry?.cancel()
      if (!subscription.closed) {
        entry = enter(() => {
          work.call(action, state)
        }, delayMs)
      }
      return subscription
    }
  })
  return action
}
