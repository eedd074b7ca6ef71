import { now } from './clock.js'
import type { FaultName } from './fault.js'
import type { Counters, TaskRecord } from './model.js'
import type { CallName, JsonObject } from './protocol.js'
import type { CheckedFault } from './rules.js'
import { seeded, seededNumericTaskId, seededTaskId } from './seeded.js'

/** A task with the emulator's own bookkeeping. */
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
  readonly numericIds: boolean
}

/** All tasks and counts of an emulator. Each change takes constant time; only reading all of them does not. */
export interface Ledger {
  readonly options: LedgerOptions
  readonly tasks: Map<string, LedgerTask>
  readonly requests: Record<CallName | 'other', number>
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

/** Adds a task; `fault` is that of its createTask, and `finalFaultOf` gives the one that replaces the solution of the nth task. */
export const acceptTask = (
  { options, tasks }: Ledger,
  task: JsonObject,
  finalFaultOf: (nth: number) => CheckedFault | undefined,
  fault: FaultName | undefined
): LedgerTask => {
  const { seed, readyAfterMs, numericIds } = options
  const [min, max] = fault === 'ready-at-once' ? [0, 0] : readyAfterMs
  const nth = tasks.size + 1
  const taskId = numericIds
    ? String(seededNumericTaskId(seed, nth))
    : fault === 'numeric-id'
      ? String(7_000_000_000 + nth)
      : seededTaskId(seed, nth)
  const acceptedAt = now()
  const readyAt = acceptedAt + min + (min === max ? 0 : (max - min) * seeded(seed, 'ready', nth))
  const counts = { replySent: false, polls: 0, openPolls: 0 }
  const accepted: LedgerTask = { nth, finalFault: finalFaultOf(nth), taskId, acceptedAt, readyAt, task, ...counts }
  tasks.set(taskId, accepted)
  return accepted
}

export const findTask = ({ options, tasks }: Ledger, taskId: unknown): LedgerTask | undefined => {
  const isId = typeof taskId === 'bigint' || (typeof taskId === 'string' && !options.numericIds)
  const task = isId ? tasks.get(String(taskId)) : undefined
  return task && now() - task.acceptedAt < options.forgetAfterMs ? task : undefined
}

/** The reply to createTask ended; `isSent` if the client could read it, and `hasSolution` if it held the solution. */
export const createEnded = (ledger: Ledger, task: LedgerTask, isSent: boolean, hasSolution: boolean): void => {
  task.replySent = isSent
  if (isSent) task.lastReplyAt = now()
  else ledger.totals.lostCreates += 1
  if (isSent && hasSolution) deliver(ledger, task)
}

export const pollArrived = (ledger: Ledger, task: LedgerTask, arrivedAt: number): void => {
  task.polls += 1
  task.openPolls += 1
  const gapMs = arrivedAt - (task.lastReplyAt ?? -Infinity)
  // The gap is negative if the last reply ended between the arrival of the head of this poll and that of its body.
  if (task.openPolls > 1 || gapMs < 0) ledger.totals.overlaps += 1
  else if (gapMs < (ledger.smallestGapMs ?? Infinity)) ledger.smallestGapMs = gapMs
}

/** The reply to a poll ended; `isDelivered` if it held the solution and the client could read it. */
export const pollEnded = (ledger: Ledger, task: LedgerTask, isDelivered: boolean): void => {
  task.openPolls -= 1
  task.lastReplyAt = now()
  if (isDelivered) deliver(ledger, task)
}

const deliver = ({ totals }: Ledger, task: LedgerTask): void => {
  if (task.deliveredAt !== undefined) return
  task.deliveredAt = now()
  totals.delivered += 1
}

export const countersOf = ({ tasks, requests, totals, smallestGapMs }: Ledger): Counters => ({
  requests: { ...requests },
  accepted: tasks.size,
  ...totals,
  smallestGapMs,
  polls: Object.fromEntries([...tasks].map(([taskId, { polls }]) => [taskId, polls])),
  neverFetched: [...tasks.values()].filter((task) => task.finalFault?.isReadable !== false && !task.deliveredAt).length
})

export const taskRecordsOf = ({ tasks }: Ledger): ReadonlyArray<TaskRecord> =>
  [...tasks.values()].map(({ nth: _nth, openPolls: _open, lastReplyAt: _lastReplyAt, finalFault, ...record }) => ({
    ...record,
    fault: finalFault?.text
  }))
