import { isRecord } from '../core/validation/problems.js'
import type { FaultName } from './faults/fault.js'
import type { Counters, TaskRecord } from './model.js'
import type { CallName, JsonObject } from './protocol.js'
import type { CheckedFault } from './faults/rules.js'
import { seeded, seededNumericTaskId, seededTaskId } from './seeded.js'

/** A task with the emulator's own bookkeeping. */
export interface LedgerTask extends TaskRecord {
  readonly nth: number
  readonly finalFault: CheckedFault | undefined
  replySent: boolean
  polls: number
  deliveredAt?: number
  verifiedAt?: number
  /** Its token, once it was put into a reply. */
  token?: string
  /** When its token was made. */
  madeAt: number
  openPolls: number
  lastReplyAt?: number
}

export interface LedgerOptions {
  readonly seed: number
  readonly readyAfterMs: readonly [min: number, max: number]
  readonly forgetAfterMs: number
  readonly numericIds: boolean
  readonly now: () => number
}

/** All tasks and counts of an emulator. Each change takes constant time; only reading all of them does not. */
export interface Ledger {
  readonly options: LedgerOptions
  readonly tasks: Map<string, LedgerTask>
  /** The tasks whose tokens were put into a reply, by token. */
  readonly tokens: Map<string, LedgerTask>
  readonly requests: Record<CallName | 'other', number>
  readonly totals: Record<'refused' | 'lostCreates' | 'overlaps' | 'delivered' | 'verified' | 'unverified', number>
  smallestGapMs: number | undefined
}

export const openLedger = (options: LedgerOptions): Ledger => ({
  options,
  tasks: new Map(),
  tokens: new Map(),
  requests: { createTask: 0, getTaskResult: 0, getBalance: 0, siteverify: 0, other: 0 },
  totals: { refused: 0, lostCreates: 0, overlaps: 0, delivered: 0, verified: 0, unverified: 0 },
  smallestGapMs: undefined
})

/** Adds a task; `fault` is that of its createTask, and `finalFaultOf` gives the one that replaces the solution of the nth task. */
export const acceptTask = (
  { options, tasks }: Ledger,
  task: JsonObject,
  finalFaultOf: (nth: number) => CheckedFault | undefined,
  fault: FaultName | undefined
): LedgerTask => {
  const { seed, readyAfterMs, numericIds, now } = options
  const [min, max] = fault === 'ready-at-once' ? [0, 0] : readyAfterMs
  const nth = tasks.size + 1
  const taskId = numericIds
    ? String(seededNumericTaskId(seed, nth))
    : fault === 'numeric-id'
      ? String(7_000_000_000 + nth)
      : seededTaskId(seed, nth)
  const acceptedAt = now()
  const readyAt = acceptedAt + min + (min === max ? 0 : (max - min) * seeded(seed, 'ready', nth))
  const counts = { replySent: false, polls: 0, openPolls: 0, madeAt: readyAt }
  const accepted: LedgerTask = { nth, finalFault: finalFaultOf(nth), taskId, acceptedAt, readyAt, task, ...counts }
  tasks.set(taskId, accepted)
  return accepted
}

export const findTask = ({ options, tasks }: Ledger, taskId: unknown): LedgerTask | undefined => {
  const isId = typeof taskId === 'bigint' || (typeof taskId === 'string' && !options.numericIds)
  const task = isId ? tasks.get(String(taskId)) : undefined
  return task && options.now() - task.acceptedAt < options.forgetAfterMs ? task : undefined
}

/** The reply to createTask ended; `isSent` if the client could read it, and `hasSolution` if it held the solution. */
export const createEnded = (ledger: Ledger, task: LedgerTask, isSent: boolean, hasSolution: boolean): void => {
  task.replySent = isSent
  if (isSent) task.lastReplyAt = ledger.options.now()
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

/** A fault says of a solved task that it is still processing, so its token is not made yet. */
export const stillProcessing = ({ options }: Ledger, task: LedgerTask): void => {
  task.madeAt = options.now()
}

/** The reply to a poll ended; `isDelivered` if it held the solution and the client could read it. */
export const pollEnded = (ledger: Ledger, task: LedgerTask, isDelivered: boolean): void => {
  task.openPolls -= 1
  task.lastReplyAt = ledger.options.now()
  if (isDelivered) deliver(ledger, task)
}

const deliver = ({ options, totals }: Ledger, task: LedgerTask): void => {
  if (task.deliveredAt !== undefined) return
  task.deliveredAt = options.now()
  totals.delivered += 1
}

/** Records the token in a solution that a reply will show to the client. A token that several tasks have is that of the last one. */
export const tokenGiven = ({ tokens }: Ledger, task: LedgerTask, solution: unknown): void => {
  const token = isRecord(solution) ? solution.gRecaptchaResponse : undefined
  if (typeof token !== 'string') return
  task.token = token
  tokens.set(token, task)
}

/** The task of a token that can be used: `unknown` if it was not given out, `spent` if it was used or is too old. */
export const taskOfToken = ({ options, tokens }: Ledger, token: string): LedgerTask | 'unknown' | 'spent' => {
  const task = tokens.get(token)
  if (!task) return 'unknown'
  return task.verifiedAt === undefined && options.now() < task.madeAt + TOKEN_VALID_MS ? task : 'spent'
}

// https://developers.google.com/recaptcha/docs/verify#token_restrictions
const TOKEN_VALID_MS = 120_000

/** A siteverify was answered; `task` is that of the token that it accepted. */
export const verifyEnded = ({ options, totals }: Ledger, task: LedgerTask | undefined): void => {
  totals[task ? 'verified' : 'unverified'] += 1
  if (task) task.verifiedAt = options.now()
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
  [...tasks.values()].map(({ nth: _nth, openPolls: _open, lastReplyAt: _lastReplyAt, madeAt: _madeAt, ...record }) => {
    const { finalFault, token: _token, ...publicRecord } = record
    return { ...publicRecord, fault: finalFault?.text }
  })
