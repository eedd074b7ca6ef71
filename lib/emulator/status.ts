import { parseUrl } from '../core/validation/problems.js'
import { countersOf, type Ledger, type LedgerTask } from './ledger.js'
import type { Counters } from './model.js'
import type { AppliedRule } from './faults/rules.js'

/** What the status page shows. It holds no key, no secret and no whole token. */
export interface EmulatorStatus {
  readonly seed: number
  readonly counters: Omit<Counters, 'polls'>
  readonly faults: ReadonlyArray<AppliedRule>
  /** The newest tasks, newest first. */
  readonly tasks: ReadonlyArray<TaskStatus>
}

interface TaskStatus extends Pick<LedgerTask, 'taskId' | 'acceptedAt' | 'polls'> {
  readonly state: 'processing' | 'ready' | 'lost' | 'failed' | 'delivered' | 'verified'
  readonly site: string
  readonly token?: string | undefined
  readonly fault?: string | undefined
}

const MAX_SHOWN_TASKS = 50

export const statusOf = (ledger: Ledger, faults: ReadonlyArray<AppliedRule>): EmulatorStatus => {
  const { polls: _polls, ...counters } = countersOf(ledger)
  const newest = [...ledger.tasks.values()].slice(-MAX_SHOWN_TASKS).reverse()
  return { seed: ledger.options.seed, counters, faults, tasks: newest.map((task) => taskStatusOf(ledger, task)) }
}

const taskStatusOf = ({ options }: Ledger, ledgerTask: LedgerTask): TaskStatus => {
  const { taskId, acceptedAt, polls, task, token, finalFault } = ledgerTask
  // Without user, password and query, which may be secret.
  const { host = '', pathname = '' } = parseUrl(String(task.websiteURL)) ?? {}
  return {
    ...{ taskId, acceptedAt, polls, state: shownState(ledgerTask, options.now()) },
    site: host + pathname,
    token: token && beginningOf(token),
    fault: finalFault?.text
  }
}

const shownState = (
  { readyAt, replySent, deliveredAt, verifiedAt, finalFault }: LedgerTask,
  now: number
): TaskStatus['state'] => {
  if (verifiedAt !== undefined) return 'verified'
  if (deliveredAt !== undefined) return 'delivered'
  if (!replySent) return 'lost'
  if (now < readyAt) return 'processing'
  return finalFault?.isReadable === false ? 'failed' : 'ready'
}

const beginningOf = (token: string): string => `${token.length > 40 ? token.slice(0, 10) : ''}…`
