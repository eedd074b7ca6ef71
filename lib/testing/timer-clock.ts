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
  const entries: Entry[] = [] // in the order in which they are due
  let [latest, lagMs] = [-Infinity, 0]
  let actingAt: number | undefined
  let entered = 0
  const now = (): number => (latest = Math.max(latest, actingAt ?? Date.now()))

  const runUntil = (end: number): void => {
    try {
      for (let next = entries[0]; next && next.dueAt <= end; next = entries[0]) {
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
      removeSorted(entries, entry)
    }
    const entry = { dueAt, nth: (entered += 1), run, cancel }
    entries.splice(rankOf(entries, entry), 0, entry)
    return entry
  }

  const schedule = <T>(work: TimerWork<T>, delayMs = 0, state?: T): Subscription =>
    actionOf(enter, work).schedule(state, delayMs)
  return { now, schedule }
}

type TimerWork<T> = (this: SchedulerAction<T>, state?: T) => void

/** An action that waits for its due time. `nth` is its place among those that are due at the same time. */
interface Entry {
  readonly dueAt: number
  readonly nth: number
  readonly run: () => void
  readonly cancel: () => void
}

/** How many entries are due before this one. By halves, because a batch may have thousands of timers. */
const rankOf = (entries: ReadonlyArray<Entry>, { dueAt, nth }: Entry): number => {
  let [from, to] = [0, entries.length]
  while (from < to) {
    const middle = (from + to) >>> 1
    const other = entries[middle]
    if (other && (other.dueAt < dueAt || (other.dueAt === dueAt && other.nth < nth))) from = middle + 1
    else to = middle
  }
  return from
}

const removeSorted = (entries: Entry[], entry: Entry): void => {
  const rank = rankOf(entries, entry)
  // It was removed before if it was cancelled twice.
  if (entries[rank] === entry) entries.splice(rank, 1)
}

const actionOf = <T>(enter: (run: () => void, waitMs: number) => Entry, work: TimerWork<T>): SchedulerAction<T> => {
  let entry: Entry | undefined
  const subscription = new Subscription(() => entry?.cancel())
  const action: SchedulerAction<T> = Object.assign(subscription, {
    schedule: (state?: T, delayMs = 0): Subscription => {
      entry?.cancel()
      // Without a finite delay it never acts: NaN cannot be sorted, and Node would fire the timer after 1 ms.
      if (!subscription.closed && Number.isFinite(delayMs)) {
        entry = enter(() => {
          work.call(action, state)
        }, delayMs)
      }
      return subscription
    }
  })
  return action
}
