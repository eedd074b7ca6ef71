import { performance } from 'node:perf_hooks'
import { seeded, seededTaskId } from './seeded.js'
import type { ReadFault } from './rules.js'
import type { Call, Document } from './protocol.js'

/**
 * What the emulator counted since it started.
 *
 * @since 0.1.0
 */
export interface Counters {
  /** Requests by call, well formed or not; `other` went to an unknown path. */
  readonly requests: Readonly<Record<Call | 'other', number>>
  /** Creates that made a task: each of them is billed. */
  readonly accepted: number
  /** Creates that were answered, or broken off, without making a task. */
  readonly refused: number
  /** Billed creates whose answer, with the task id in it, was not handed to the client completely. */
  readonly lostCreates: number
  /** Questions by task id. */
  readonly polls: Readonly<Record<string, number>>
  /** From the end of one answer to the arrival of the task's next poll, the create's answer included; the smallest. */
  readonly smallestGapMs: number | undefined
  /** Questions that arrived while another one of the same task was open. */
  readonly overlaps: number
  /** Tasks whose solution was handed to a client, each counted once. */
  readonly delivered: number
  /** Tasks that nobody has been given the solution of, whether it is ready or still to come; not those that a rule fails. */
  readonly neverFetched: number
}

/**
 * A task in the emulator's books. Instants are epoch milliseconds.
 *
 * @since 0.1.0
 */
export interface TaskRecord {
  readonly taskId: string
  readonly acceptedAt: number
  readonly readyAt: number
  /** Whether the create's answer was handed to the client completely. */
  readonly answered: boolean
  readonly polls: number
  /** When its solution was first handed to a client completely. */
  readonly deliveredAt?: number | undefined
  /** The task as it was sent, its `type` included. */
  readonly task: Document
  /** What it ends with instead of a solution, if a rule `task:…` chose so. */
  readonly fault?: string | undefined
}

/** A task as the emulator works with it. */
export interface OpenTask extends TaskRecord {
  readonly nth: number
  readonly end: ReadFault | undefined
  answered: boolean
  polls: number
  deliveredAt?: number
  openPolls: number
  lastEnd?: number
}

/** The epoch in milliseconds, on a clock that never jumps. */
export const now = (): number => performance.timeOrigin + performance.now()

export interface LedgerOptions {
  readonly seed: number
  readonly readyAfterMs: readonly [min: number, max: number]
  readonly forgetAfterMs: number
}

/** The books of the emulated service. Every entry is made in constant time; only looking at all of them is not. */
export interface Ledger {
  readonly options: LedgerOptions
  readonly tasks: Map<string, OpenTask>
  readonly requests: Record<Call | 'other', number>
  readonly totals: { refused: number; lostCreates: number; overlaps: number; delivered: number }
  smallestGapMs: number | undefined
}

export const openLedger = (options: LedgerOptions): Ledger => ({
  options,
  tasks: new Map(),
  requests: { createTask: 0, getTaskResult: 0, other: 0 },
  totals: { refused: 0, lostCreates: 0, overlaps: 0, delivered: 0 },
  smallestGapMs: undefined
})

/** Enters a new task; `endOf` says what the nth one ends with, if not with a solution. */
export const accept = (
  { options, tasks }: Ledger,
  task: Document,
  endOf: (nth: number) => ReadFault | undefined,
  numericId: boolean
): OpenTask => {
  const {
    seed,
    readyAfterMs: [min, max]
  } = options
  const nth = tasks.size + 1
  const taskId = numericId ? String(7_000_000_000 + nth) : seededTaskId(seed, nth)
  const acceptedAt = now()
  const readyAt = acceptedAt + min + (min === max ? 0 : (max - min) * seeded(seed, 'ready', nth))
  const books = { answered: false, polls: 0, openPolls: 0 }
  const opened: OpenTask = { nth, end: endOf(nth), taskId, acceptedAt, readyAt, task, ...books }
  tasks.set(taskId, opened)
  return opened
}

export const findTask = ({ options, tasks }: Ledger, taskId: unknown): OpenTask | undefined => {
  const task = typeof taskId === 'string' || typeof taskId === 'number' ? tasks.get(String(taskId)) : undefined
  return task && now() - task.acceptedAt < options.forgetAfterMs ? task : undefined
}

export const createEnded = ({ totals }: Ledger, task: OpenTask, answered: boolean): void => {
  task.answered = answered
  if (answered) task.lastEnd = now()
  else totals.lostCreates += 1
}

export const pollArrived = (ledger: Ledger, task: OpenTask, arrivedAt: number): void => {
  task.polls += 1
  task.openPolls += 1
  const gapMs = arrivedAt - (task.lastEnd ?? -Infinity)
  // Its head may have come in before the answer that ended while its body was on the way.
  if (task.openPolls > 1 || gapMs < 0) ledger.totals.overlaps += 1
  else if (gapMs < (ledger.smallestGapMs ?? Infinity)) ledger.smallestGapMs = gapMs
}

export const pollEnded = ({ totals }: Ledger, task: OpenTask, delivered: boolean): void => {
  task.openPolls -= 1
  task.lastEnd = now()
  if (!delivered || task.deliveredAt !== undefined) return
  task.deliveredAt = task.lastEnd
  totals.delivered += 1
}

export const counters = ({ tasks, requests, totals, smallestGapMs }: Ledger): Counters => ({
  requests: { ...requests },
  accepted: tasks.size,
  ...totals,
  smallestGapMs,
  polls: Object.fromEntries([...tasks].map(([taskId, { polls: polls }]) => [taskId, polls])),
  neverFetched: [...tasks.values()].filter((task) => task.end?.valid !== false && !task.deliveredAt).length
})

export const records = ({ tasks }: Ledger): ReadonlyArray<TaskRecord> =>
  [...tasks.values()].map(({ nth: _nth, openPolls: _open, lastEnd: _lastEnd, end, ...record }) => ({
    ...record,
    fault: end?.text
  }))
