import type { ReplyProblem, NotCreated, Refused, SolveError, TaskFailed } from './error.js'
import type { ErrorCause } from './network.js'

/**
 * What can be done about an error: `repeat` (the same task again; nothing was paid), `resume` (with `error.ref`; nothing more
 * is paid), `pay-again` (a new task, a second price), `fix-task`, `fix-account`, `fix-setup` (address, network, trust), or
 * `decide`: it may have been paid for, or nobody knows what it means.
 *
 * @since 0.1.0
 */
export type Advice = 'repeat' | 'resume' | 'pay-again' | 'fix-task' | 'fix-account' | 'fix-setup' | 'decide'

const onRefused = ({ kind, paid, status, errorCode }: Refused): Advice => {
  if (kind === 'account') return 'fix-account'
  if (paid === 'unknown') return 'decide'
  // A refusal without a code comes from what stands at the address, not from the service's judgement of the task.
  if (kind === 'request') return errorCode === undefined || errorCode === '' ? setupOr(status) : 'fix-task'
  return kind === 'unknown' ? 'decide' : 'repeat'
}

const setupOr = (status: number): Advice => (status === 400 || status === 422 ? 'fix-task' : 'fix-setup')

const onFailed = ({ kind }: TaskFailed): Advice =>
  kind === 'account' ? 'fix-account' : kind === 'request' ? 'fix-task' : kind === 'task' ? 'pay-again' : 'decide'

// A closed solver stays closed: to repeat with it would only turn in circles.
const ON_NOT_CREATED: Readonly<Record<NotCreated['reason'], Advice>> = {
  dns: 'repeat',
  connect: 'repeat',
  deadline: 'repeat',
  tls: 'fix-setup',
  account: 'fix-account',
  closed: 'decide',
  journal: 'decide'
}

/**
 * What can be done about an error. Only `repeat` never pays twice.
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

const causeText = ({ name, code, message }: ErrorCause): string => {
  const kind = message.includes(code) ? name : code
  return message === '' ? kind : `${message} (${kind})`
}

const said = ({
  status,
  errorCode = '',
  errorDescription = ''
}: {
  readonly status?: number
  readonly errorCode?: string
  readonly errorDescription?: string
}): string =>
  [
    errorCode,
    errorDescription === '' ? '' : JSON.stringify(errorDescription),
    status === undefined ? '' : `HTTP ${String(status)}`
  ]
    .filter((part) => part !== '')
    .join(', ')

const doubtText = ({ cause, problems = [], ...rest }: ReplyProblem): string =>
  [cause ? causeText(cause) : '', said(rest), ...problems].filter((part) => part !== '').join('; ')

const NOT_SENT = {
  dns: 'The name of the service could not be resolved',
  connect: 'No connection to the service could be made',
  tls: 'The certificate of the service was not accepted',
  deadline: 'There was no time left to create the task',
  account: 'An earlier answer said that the account cannot be used',
  closed: 'The solver was closed before the task was created',
  journal: 'The journal failed, and nothing is created without it'
} as const

const TO_DO: Readonly<Record<Advice, string>> = {
  repeat: 'It can be solved again.',
  resume: 'resume() with error.ref can go on with it; that costs nothing more.',
  'pay-again': 'A new task may succeed; it is paid for again.',
  'fix-task': 'Correct the fields of the task before the next try.',
  'fix-account': 'Correct the account (key, balance, permissions) first.',
  'fix-setup': 'Check the base URL, the network and the certificates.',
  decide: 'Look at the cause before the next try.'
}

/**
 * A sentence or three: what happened, whether the task was paid for, what can be done. Holds no client key and no token.
 *
 * @since 0.1.0
 */
export const explain = (error: SolveError): string => {
  const end = TO_DO[advise(error)]
  switch (error._tag) {
    case 'InvalidTask':
      return `The task does not fit: ${error.problems.join('; ')}. Nothing was sent, nothing was paid. ${end}`
    case 'NotCreated': {
      const { reason, attempts, cause } = error
      const tries = attempts === 1 ? '1 try' : `${String(attempts)} tries`
      return `${NOT_SENT[reason]}, after ${tries}${cause ? `: ${causeText(cause)}` : ''}. Nothing was paid. ${end}`
    }
    case 'Refused': {
      const paid =
        error.paid === 'no' ? 'Nothing was paid.' : 'Perhaps an earlier try was paid for: it met an HTTP 503.'
      return `The service refused the task: ${said(error)}. ${paid} ${error.status >= 300 && error.status < 400 ? 'A redirect is not followed, it would take the key elsewhere. ' : ''}${end}`
    }
    case 'CreateUnknown':
      return (
        `createTask left, but no readable answer came back: ${doubtText(error)}. ` +
        `The task may exist and be paid for; its id is not known. Solving again may pay twice. ${end}`
      )
    case 'TaskFailed':
      return `The service ended task ${error.ref.taskId}: ${said(error) || 'without a reason'}. It was paid for. ${end}`
    case 'BadReply': {
      const { ref, status, problems } = error
      return `The answers about task ${ref.taskId} fell outside the protocol: ${doubtText({ status, problems })}. It was paid for. ${end}`
    }
    case 'TimedOut': {
      const { ref, afterMs, polls: asked, causes } = error
      const last = causes[causes.length - 1]
      const quiet = asked === 0 ? 'there was no time for a poll' : 'the service was still processing it'
      const why = last ? `the last trouble was: ${doubtText(last)}` : quiet
      return `Task ${ref.taskId} timed out: not ready within ${String(afterMs)} ms and ${String(asked)} polls; ${why}. It was paid for. ${end}`
    }
    case 'Interrupted':
      return `The solver was closed before task ${error.ref.taskId} was ready. It was paid for. ${end}`
  }
}
