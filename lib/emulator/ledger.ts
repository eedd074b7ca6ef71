import { performance } from 'node:perf_hooks'
import type { Call, JsonObject } from './protocol.js'
import type { CheckedFault } from './rules.js'
import { seeded, seededTaskId } from './seeded.js'

/**
 * What an emulator counted since it started.
 *
 * @since 0.1.0
 */
export interface Counters {
  /** Requests by call, valid or not; `other` went to an unknown path. */
  readonly requests: Readonly<Record<'createTask' | 'getTaskResult' | 'other', number>>
  /** createTask requests that created a task; each of them is billed. */
  readonly accepted: number
  /** createTask requests that created no task. */
  readonly refused: number
  /** Billed createTask requests whose reply, with the task id in it, did not reach the client completely and readably. */
  readonly lostCreates: number
  /** Polls by task id. */
  readonly polls: Readonly<Record<string, number>>
  /** The shortest time from the end of a reply about a task (createTask included) to the arrival of its next poll. */
  readonly smallestGapMs: number | undefined
  /** Polls that arrived while another poll of the same task had no complete reply. */
  readonly overlaps: number
  /** Tasks whose solution was sent to a client, each counted once. */
  readonly delivered: number
  /** Tasks whose solution was not sent to any client, ready or not; without those that a fault rule fails. */
  readonly neverFetched: number
}

/**
 * A task of an emulator. Instants are epoch milliseconds.
 *
 * @since 0.1.0
 */
export interface TaskRecord {
  readonly taskId: string
  readonly acceptedAt: number
  readonly readyAt: number
  /** Whether the reply to createTask was sent to the client completely and readably. */
  readonly replySent: boolean
  readonly polls: number
  /** When the solution was first sent to a client completely. */
  readonly deliveredAt?: number | undefined
  /** The task as it was sent, with its `type`. */
  readonly task: Readonly<Record<string, unknown>>
  /** The fault that replaces the solution, if a rule on `task` chose one. */
  readonly fault?: string | undefined
}

/** A task with what the emulator itself needs to know. */
export interface LedgerTask extends TaskRecord {
  readonly nth: number
  readonly finalFault: CheckedFault | undefined
  replySent: boolean
  polls: number
  deliveredAt?: number
  openPolls: number
  lastReplyAt?: number
}

export interface LedgerOptions {
  readonly seed: number
  readonly readyAfterMs: readonly [min: number, max: number]
  readonly forgetAfterMs: number
}

/** All tasks and counts of an emulator. Each change takes constant time; only reading everything does not. */
export interface Ledger {
  readonly options: LedgerOptions
  readonly tasks: Map<string, LedgerTask>
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

/** Adds a task; `finalFaultOf` gives the fault that replaces the solution of the nth one. */
export const acceptTask = (
  { options, tasks }: Ledger,
  task: JsonObject,
  finalFaultOf: (nth: number) => CheckedFault | undefined,
  hasNumericId: boolean
): LedgerTask => {
  const { seed, readyAfterMs } = options
  const [min, max] = readyAfterMs
  const nth = tasks.size + 1
  const taskId = hasNumericId ? String(7_000_000_000 + nth) : seededTaskId(seed, nth)
  const acceptedAt = now()
  const readyAt = acceptedAt + min + (min === max ? 0 : (max - min) * seeded(seed, 'ready', nth))
  const counts = { replySent: false, polls: 0, openPolls: 0 }
  const accepted: LedgerTask = { nth, finalFault: finalFaultOf(nth), taskId, acceptedAt, readyAt, task, ...counts }
  tasks.set(taskId, accepted)
  return accepted
}

export const findTask = ({ options, tasks }: Ledger, taskId: unknown): LedgerTask | undefined => {
  const task = typeof taskId === 'string' || typeof taskId === 'number' ? tasks.get(String(taskId)) : undefined
  return task && now() - task.acceptedAt < options.forgetAfterMs ? task : undefined
}

/** The reply to createTask ended; `isSent` if it was sent completely and readably. */
export const createEnded = ({ totals }: Ledger, task: LedgerTask, isSent: boolean): void => {
  task.replySent = isSent
  if (isSent) task.lastReplyAt = now()
  else totals.lostCreates += 1
}

export const pollArrived = (ledger: Ledger, task: LedgerTask, arrivedAt: number): void => {
  task.polls += 1
  task.openPolls += 1
  const gapMs = arrivedAt - (task.lastReplyAt ?? -Infinity)
  // The gap is negative if the last reply ended between the arrival of the head of this poll and that of its body.
  if (task.openPolls > 1 || gapMs < 0) ledger.totals.overlaps += 1
  else if (gapMs < (ledger.smallestGapMs ?? Infinity)) ledger.smallestGapMs = gapMs
}

/** The reply to a poll ended; `isDelivered` if the solution was sent completely and readably. */
export const pollEnded = ({ totals }: Ledger, task: LedgerTask, isDelivered: boolean): void => {
  task.openPolls -= 1
  task.lastReplyAt = now()
  if (!isDelivered || task.deliveredAt !== undefined) return
  task.deliveredAt = task.lastReplyAt
  totals.delivered += 1
}

/** The epoch in milliseconds, by a clock that never jumps. */
export const now = (): number => performance.timeOrigin + performance.now()

export const countersOf = ({ tasks, requests, totals, smallestGapMs }: Ledger): Counters => ({
  requests: { ...requests },
  accepted: tasks.size,
  ...totals,
  smallestGapMs,
  polls: Object.fromEntries([...tasks].map(([taskId, { polls }]) => [taskId, polls])),
  neverFetched: [...tasks.values()].filter((task) => task.finalFault?.isReadable !== false && !task.deliveredAt).length
})

export const recordsOf = ({ tasks }: Ledger): ReadonlyArray<TaskRecord> =>
  [...tasks.values()].map(({ nth: _nth, openPolls: _open, lastReplyAt: _lastReplyAt, finalFault, ...record }) => ({
    ...record,
    fault: finalFault?.text
  }))
