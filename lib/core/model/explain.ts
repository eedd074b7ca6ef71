import type { CreateUnknown, NotCreated, Refused, ReplyProblem, SolveError, TaskFailed, TimedOut } from './error.js'
import type { CallFailed } from './call.js'
import type { ErrorCause } from './network.js'

/**
 * Describes an error in a few sentences: what happened, whether the task was paid for, and what can be done. They hold
 * no client key, no token and no control character, so they can be written to a log or a terminal.
 *
 * @since 0.1.0
 */
export const explain = (error: SolveError | CallFailed): string =>
  error._tag === 'CallFailed' ? onOneLine(callFailedText(error)) : `${whatHappened(error)} ${whatToDoAbout(error)}`

/** What happened and whether it was paid for, without the advice. */
export const whatHappened = (error: SolveError): string => onOneLine(happenedText(error))

/** Replaces control characters: ids, labels and texts of the service may hold line breaks and escape sequences of a terminal. */
export const onOneLine = (text: string): string => text.replace(/\p{Cc}+/gu, ' ')

const happenedText = (error: SolveError): string => {
  switch (error._tag) {
    case 'InvalidTask':
      return `The task is invalid: ${error.problems.join('; ')}. Nothing was sent, nothing was paid.`
    case 'NotCreated':
      return `${notCreatedText(error)}. Nothing was paid.`
    case 'Refused':
      return `The service refused the task: ${serviceErrorText(error)}. ${refusedText(error)}`
    case 'CreateUnknown':
      return (
        `${createUnknownText(error)}. ` +
        'A task may exist and be paid for; its id is unknown. Solving it again may pay twice.'
      )
    case 'TaskFailed': {
      const why = serviceErrorText(error) || 'no reason given'
      if (error.notFound)
        return `The service does not know task ${error.ref.taskId}: ${why}. It was paid for when it was created.`
      // The task itself may be fine: it can be polled with another key, or with this one once the account is in order.
      if (error.kind === 'account')
        return `A poll of task ${error.ref.taskId} was refused because of the account: ${why}. It was paid for.`
      return `The service ended task ${error.ref.taskId} with an error: ${why}. It was paid for.`
    }
    case 'BadReply': {
      const { ref, status, problems } = error
      const why = replyProblemText({ status, problems })
      return `The replies about task ${ref.taskId} violated the protocol: ${why}. It was paid for.`
    }
    case 'TimedOut':
      return `${timedOutText(error)}. It was paid for.`
    case 'Interrupted':
      return `The solver was closed before task ${error.ref.taskId} was ready. It was paid for.`
  }
}

/**
 * What can be done about an error: `repeat` (solve the same task again; nothing was paid), `resume` (with `error.ref`;
 * nothing more is paid), `pay-again` (solve a new task, which is charged again), `fix-task`, `fix-account`, `fix-setup`
 * (address, network, certificates), or `decide`: a task may have been paid for, the error code is unknown, or a person has to look
 * at the cause first.
 *
 * @since 0.1.0
 */
export type Advice = 'repeat' | 'resume' | 'pay-again' | 'fix-task' | 'fix-account' | 'fix-setup' | 'decide'

/**
 * What can be done about an error, as a word that a program can act on. After `repeat`, solving the same task again never pays
 * twice.
 *
 * @since 0.1.0
 */
export const advise = (error: SolveError): Advice => {
  switch (error._tag) {
    case 'InvalidTask':
      return 'fix-task'
    case 'NotCreated':
      return ON_NOT_CREATED[error.reason]
    case 'Refused':
      return onRefused(error)
    case 'CreateUnknown':
      return 'decide'
    case 'TaskFailed':
      return onFailed(error)
    case 'BadReply':
    case 'TimedOut':
    case 'Interrupted':
      return 'resume'
  }
}

// A closed solver stays closed, so `repeat` would make retryLeft use up its count.
const ON_NOT_CREATED: Readonly<Record<NotCreated['reason'], Advice>> = {
  dns: 'repeat',
  connect: 'repeat',
  deadline: 'repeat',
  tls: 'fix-setup',
  account: 'fix-account',
  unreadable: 'decide',
  closed: 'decide',
  journal: 'decide'
}

const onRefused = ({ kind, paid, status, errorCode }: Refused): Advice => {
  if (kind === 'account') return 'fix-account'
  if (paid === 'unknown') return 'decide'
  // A refusal without a code may come from any server at that address, and says nothing about the task.
  if (kind === 'request') return errorCode === undefined || errorCode === '' ? adviceOfStatus(status) : 'fix-task'
  return kind === 'unknown' ? 'decide' : 'repeat'
}

const adviceOfStatus = (status: number): Advice => (status === 400 || status === 422 ? 'fix-task' : 'fix-setup')

const onFailed = ({ kind }: TaskFailed): Advice =>
  kind === 'account' ? 'fix-account' : kind === 'request' ? 'fix-task' : kind === 'task' ? 'pay-again' : 'decide'

const NOT_CREATED = {
  dns: 'The host name of the service could not be resolved',
  connect: 'No connection to the service could be made',
  tls: 'The certificate of the service was not accepted',
  deadline: 'The deadline passed before the task was created',
  account: 'The service refused the account, so the task was not created',
  unreadable: 'Several createTask calls in a row got no usable reply, so the batch was stopped',
  closed: 'The solver was closed before the task was created',
  journal: 'The journal failed, and no task is created without it'
} as const

const WHAT_TO_DO: Readonly<Record<Advice, string>> = {
  repeat: 'The same task can be solved again.',
  resume: 'resume() with error.ref continues it at no further cost.',
  'pay-again': 'A new task may succeed; it is charged again.',
  'fix-task': 'Correct the fields of the task, then try again.',
  'fix-account': 'Check the key, the balance and the permissions of the account first.',
  'fix-setup': 'Check the base URL, the network and the certificates.',
  decide: 'Check the cause before you try again.'
}

/** The advice about an error, as a sentence. */
export const whatToDoAbout = (error: SolveError): string => {
  if (error._tag === 'NotCreated' && error.reason === 'closed') return 'Create a new solver to solve it.'
  if (error._tag === 'NotCreated' && error.reason === 'unreadable') return LOOK_BEFORE
  return WHAT_TO_DO[advise(error)]
}

/** Whether the solver was closed while createTask had no reply, so there is no cause to look at. */
export const isClosedBeforeReply = (error: SolveError): boolean =>
  error._tag === 'CreateUnknown' && error.cause?.code === 'CLOSED'

/** A count for people, as "1,200". */
export const grouped = (count: number): string => count.toLocaleString('en')

const LOOK_BEFORE = 'First check the errors of the tasks before this one: they say what arrived.'

const callFailedText = (error: CallFailed): string => {
  const advice = error.kind === 'account' ? 'fix-account' : error.status === undefined ? 'fix-setup' : 'decide'
  return `The call ${error.path} failed: ${replyProblemText(error)}. It created no task. ${WHAT_TO_DO[advice]}`
}

/** A count with its noun, as "1 task" or "1,200 tasks". */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${grouped(count)} ${count === 1 ? one : many}`

const notCreatedText = ({ reason, attempts, cause }: NotCreated): string => {
  const what = NOT_CREATED[reason]
  const why = cause ? `: ${causeText(cause)}` : ''
  if (attempts === 0) return `${what}${why}`
  const tries = counted(attempts, 'try', 'tries')
  // Otherwise the cause is why the last try failed, and not why there was no further one.
  if (reason === 'dns' || reason === 'connect' || reason === 'tls') return `${what} after ${tries}${why}`
  return `${what} (${tries}${cause && attempts > 1 ? '; the last one' : ''}${why})`
}

/** If there is neither a status nor a cause, the call belongs to an earlier run, which died before it recorded a reply. */
const createUnknownText = (error: CreateUnknown): string =>
  error.status === undefined && error.cause === undefined
    ? `createTask may have been sent, and no reply is known: ${replyProblemText(error)}`
    : `createTask was sent, but no task id could be read from what arrived: ${replyProblemText(error)}`

const refusedText = ({ paid, status }: Refused): string => {
  const price =
    paid === 'no' ? 'Nothing was paid.' : 'An earlier attempt got an HTTP 503 and may have created a paid task.'
  const isRedirect = status >= 300 && status < 400
  return isRedirect ? `${price} A redirect is not followed because it would send the client key elsewhere.` : price
}

const timedOutText = ({ ref, afterMs, polls, causes }: TimedOut): string => {
  const last = causes[causes.length - 1]
  const noCause = polls === 0 ? 'there was no time for a poll' : 'the service was still processing it'
  const why = last ? `the last problem was: ${replyProblemText(last)}` : noCause
  return `Task ${ref.taskId} timed out: not ready within ${String(afterMs)} ms and ${counted(polls, 'poll')}; ${why}`
}

const causeText = ({ name, code, message }: ErrorCause): string => {
  const kind = message.includes(code) ? name : code
  const text = message.trim() // OpenSSL ends its messages with a line break
  if (text === '') return kind
  return kind === 'Error' || kind === '' ? text : `${text} (${kind})`
}

const serviceErrorText = (error: {
  readonly status?: number
  readonly errorCode?: string
  readonly errorDescription?: string
}): string => {
  const { status, errorCode = '', errorDescription = '' } = error
  const parts = [
    errorCode,
    errorDescription === '' ? '' : JSON.stringify(errorDescription),
    status === undefined ? '' : `HTTP ${String(status)}`
  ]
  return parts.filter((part) => part !== '').join(', ')
}

const replyProblemText = ({ cause, problems = [], taskStatus, ...rest }: ReplyProblem): string =>
  [
    cause ? causeText(cause) : '',
    serviceErrorText(rest),
    ...problems,
    taskStatus === undefined ? '' : `the task had the status "${taskStatus}"`
  ]
    .filter((part) => part !== '')
    .join('; ')
