import { isJobError, whatHappenedToJob, type JobFailed, type TokenGone } from '../../bullmq/producer/job-error.js'
import type { SolveError } from '../../core/model/error.js'
import { advise, isClosedBeforeReply, whatHappened, whatToDoAbout } from '../../core/model/explain.js'
import type { TaskRef } from '../../core/model/task.js'
import type { ItemError } from './item-error.js'
import type { OpenedService } from './service.js'
import { counted, shellQuoted } from './text.js'

/** How another command line reaches the service of this one. */
export type ServiceReach = Pick<OpenedService, 'flags' | 'isEmbedded'>

/** What happened to a task, and what to do unless it can be resumed. */
export const explainUnlessResumable = (error: SolveError): string =>
  advise(error) === 'resume' || isClosedBeforeReply(error) ? happened(error) : `${happened(error)} ${whatToDo(error)}`

/** What happened to a task and what to do, in one line. */
export const explainInLine = (error: ItemError, service: ServiceReach): string =>
  isJobError(error) ? explainJobError(error, service) : explainSolve(error, service)

const explainSolve = (error: SolveError, service: ServiceReach): string =>
  advise(error) === 'resume' && 'ref' in error
    ? `${happened(error)} ${howToResume(error.ref, service, 'Resume it at no further cost: ')}`
    : explainUnlessResumable(error)

/** A key is solved once in a queue, so repeating the batch would give the same outcome. */
const explainJobError = (error: JobFailed | TokenGone, service: ServiceReach): string => {
  const what = whatHappenedToJob(error)
  if (error._tag === 'TokenGone')
    return `${what} To solve it again, give the item another id; it is then charged again.`
  return error.ref ? `${what} ${howToResume(error.ref, service, 'Resume it at no further cost: ')}` : what
}

/** A title, followed by the command line that resumes a task. */
export const howToResume = (ref: TaskRef, { flags, isEmbedded }: ServiceReach, title: string): string =>
  isEmbedded
    ? `Task ${ref.taskId} belonged to the embedded emulator, which costs nothing and ends with this command.`
    : `${title}${resumeCommand(ref, flags)}`

/** The command line that resumes a task; `createdAt` is 0 if it is unknown when the task was created. */
export const resumeCommand = ({ taskId, createdAt, numeric }: TaskRef, flags: ReadonlyArray<string>): string => {
  const options = [
    ...(createdAt === 0 ? [] : ['--created-at', String(createdAt)]),
    ...(numeric ? ['--numeric'] : []),
    ...flags
  ]
  // The service chooses ids; one that begins with a dash would be read as an option.
  const words = taskId.startsWith('-') ? [...options, '--', shellQuoted(taskId)] : [shellQuoted(taskId), ...options]
  return ['rx-captcha', 'resume', ...words].join(' ')
}

/** What may have been paid for without a trace in an outcome: such a call counts as refused, and is sent again. */
export const assumedText = (count: number): ReadonlyArray<string> =>
  count === 0 ? [] : [`${counted(count, 'createTask call')} that got HTTP 503 without a document may be paid for.`]

const isClosed = (error: SolveError): boolean => error._tag === 'NotCreated' && error.reason === 'closed'

// The library speaks of its solver, which a user of the command does not see.
const happened = (error: SolveError): string => {
  if (error._tag === 'Interrupted')
    return `The command was stopped before task ${error.ref.taskId} was ready. It was paid for.`
  if (isClosed(error)) return 'The command was stopped before the task was created. Nothing was paid.'
  if (isClosedBeforeReply(error))
    return (
      'createTask was sent, and the command was stopped before its reply arrived. A task may exist and be paid for; its id is ' +
      'unknown. Solving it again may pay twice.'
    )
  return whatHappened(error)
}

const whatToDo = (error: SolveError): string =>
  isClosed(error) ? 'Run the command again to solve it.' : whatToDoAbout(error)
