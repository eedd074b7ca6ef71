import type { TaskRef } from '../core/model/task.js'
import type { CreateEnded, Ended, PollEnded, SolverEvent } from '../core/model/event.js'
import { onOneLine } from '../core/model/explain.js'

/** An event as one line for a person. */
export const debugLine = (event: SolverEvent): string => {
  const about = 'solveId' in event ? `solve ${String(event.solveId)}` : `batch ${String(event.batchId)}`
  const label = event.label === undefined ? '' : ` [${event.label}]`
  return onOneLine(`${new Date(event.at).toISOString()} ${about}${label}: ${textOf(event)}`)
}

const textOf = (event: SolverEvent): string => {
  switch (event._tag) {
    case 'Started':
      return words(event.operation, 'started', event.type, inParentheses(event.ref))
    case 'Delayed':
      return `waits ${ms(event.waitMs)}, because of ${REASON[event.reason]}`
    case 'CreateSent':
      return `createTask was sent, try ${String(event.attempts)}`
    case 'CreateEnded':
      return `createTask ended after ${ms(event.tookMs)}: ${CREATE_RESULT[event.result]}${detailsOf(event)}`
    case 'Created':
      return `task ${event.ref.taskId} exists and is paid for`
    case 'AssumedNotCreated':
      return `HTTP ${String(event.status)} without a document: assuming that no task was created`
    case 'Polled':
      return `poll ${String(event.polls)} of task ${event.ref.taskId}`
    case 'PollEnded':
      return `poll ${String(event.polls)} ended after ${ms(event.tookMs)}: ${POLL_RESULT[event.result]}${detailsOf(event)}`
    case 'Ended':
      return `ended as ${event.tag}, ${PAID[event.paid]}, ${durationsText(event)}${detailsOf(event)}`
    case 'Orphaned':
      return `task ${event.orphan.ref.taskId} was emitted on orphans`
    case 'Lost':
      return `createTask ended without a task id after its solve had ended: ${event.error._tag}`
    case 'BatchStarted':
      return `started, ${String(event.concurrency)} at a time`
    case 'Skipped':
      return `skipped the key ${event.key}`
    case 'BatchStopped':
      return `pulls no more items: ${STOP_REASON[event.reason]}`
    case 'BatchEnded': {
      const { end, pulled, solved, failed, skipped, totalMs } = event
      const counts = `${String(pulled)} pulled, ${String(solved)} solved, ${String(failed)} failed, ${String(skipped)} skipped`
      return `${end} after ${ms(totalMs)}: ${counts}`
    }
  }
}

const words = (...texts: ReadonlyArray<string | undefined>): string =>
  texts.filter((text) => text !== undefined).join(' ')

const ms = (duration: number): string => `${String(duration)} ms`

const inParentheses = (ref: TaskRef | undefined): string | undefined => ref && `(task ${ref.taskId})`

const durationsText = ({ polls, totalMs, queueMs = 0 }: Ended): string => {
  const counted = `${String(polls)} ${polls === 1 ? 'poll' : 'polls'}, ${ms(totalMs)}`
  return queueMs > 0 ? `${counted}, ${ms(queueMs)} of them in the queue` : counted
}

/** The fields of events that say more about a failure. */
type Details = Pick<PollEnded, 'status' | 'errorCode' | 'kind' | 'taskStatus' | 'cause'> & Pick<Ended, 'reason'>

const detailsOf = ({ status, errorCode, kind, taskStatus, reason, cause }: Details): string => {
  const details = [
    status === undefined ? undefined : `HTTP ${String(status)}`,
    errorCode,
    kind && `kind ${kind}`,
    taskStatus === undefined ? undefined : `status ${taskStatus}`,
    reason && `reason ${reason}`,
    cause && words(cause.code === '' ? cause.name : cause.code, cause.message)
  ].filter((detail) => detail !== undefined)
  return details.length === 0 ? '' : ` (${details.join(', ')})`
}

const REASON = {
  rate: 'createsPerSecond',
  unavailable: 'the service, which asked for a wait',
  network: 'a network failure',
  reply: 'a reply that violates the protocol'
}

const CREATE_RESULT: Readonly<Record<CreateEnded['result'], string>> = {
  Created: 'a task was created',
  Refused: 'refused',
  CreateUnknown: 'no task id could be read',
  NotSent: 'nothing was sent'
}

const POLL_RESULT: Readonly<Record<PollEnded['result'], string>> = {
  Processing: 'not finished',
  Ready: 'solved',
  TaskFailed: 'the task failed',
  Unanswered: 'no state could be read'
}

const PAID = { yes: 'paid', no: 'not paid', unknown: 'perhaps paid' }

const STOP_REASON = {
  account: 'the service refused the account',
  unreadable: 'the replies to createTask cannot be read',
  journal: 'the journal failed',
  until: 'until emitted',
  maxCreates: 'maxCreates is reached',
  closed: 'the solver was closed'
}
