import type { SolveError } from '../../core/model/error.js'
import { explain, onOneLine } from '../../core/model/explain.js'
import type { TaskRef } from '../../core/model/task.js'

/**
 * The task of a job was solved and is paid for, but its token is gone: it has expired, or was claimed before.
 *
 * @since 0.1.0
 */
export interface TokenGone {
  readonly _tag: 'TokenGone'
  readonly paid: 'yes'
  readonly ref: TaskRef
}

/**
 * A job ended without an outcome of its solve: it was cancelled, its workers died too often, or it was removed from the queue.
 * `paid` and `ref` are what the record of its key says.
 *
 * @since 0.1.0
 */
export interface JobFailed {
  readonly _tag: 'JobFailed'
  readonly paid: 'no' | 'yes' | 'unknown'
  readonly reason: string
  readonly ref?: TaskRef
}

/**
 * Describes the error of a job in a few sentences, as `explain` does for the errors of a solve: what happened, whether the task was
 * paid for, and what can be done.
 *
 * @since 0.1.0
 */
export const explainJob = (error: SolveError | TokenGone | JobFailed): string =>
  isJobError(error) ? `${whatHappenedToJob(error)} ${whatToDoAboutJob(error)}` : explain(error)

/** Whether it is an error of the job, and not one of its solve. */
export const isJobError = (error: SolveError | TokenGone | JobFailed): error is TokenGone | JobFailed =>
  error._tag === 'TokenGone' || error._tag === 'JobFailed'

/** What happened, and whether the task was paid for. */
export const whatHappenedToJob = (error: TokenGone | JobFailed): string => onOneLine(jobEndText(error))

const jobEndText = (error: TokenGone | JobFailed): string =>
  error._tag === 'TokenGone'
    ? `Task ${error.ref.taskId} was solved and is paid for, but its token is gone: it was fetched before, or has expired.`
    : `The job ended without an outcome: ${error.reason.replace(/\.$/, '') || 'no reason given'}. ${PAID_FOR[error.paid]}`

const PAID_FOR = {
  no: 'Nothing was paid.',
  yes: 'Its task is paid for.',
  unknown: 'A task may exist and be paid for.'
} as const

const whatToDoAboutJob = (error: TokenGone | JobFailed): string =>
  error._tag === 'TokenGone' ? 'A task with a new key is charged again.' : NEXT_TRY[error.paid]

const NEXT_TRY = {
  no: 'The job can be tried again.',
  yes: 'Its id is recorded: a retry of the job resumes it at no further cost.',
  unknown: 'Check the cause before you try again.'
} as const
