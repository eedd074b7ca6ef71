import * as E from 'fp-ts/lib/Either.js'
import type { ReplyProblem, SolveError, TaskFailed } from '../model/error.js'
import type { TaskState } from '../model/result.js'
import type { TaskRef } from '../model/task.js'
import type { InterpretedPoll } from '../protocol/interpret.js'

/** A reply that brings no state of the task. */
export type NoState = Extract<
  InterpretedPoll<never>,
  { readonly _tag: 'NotYetKnown' | 'NoReply' | 'OtherStatus' | 'Unavailable' | 'Unknown' | 'BadReply' }
>

/** Why a reply brings no state. */
export const replyProblemOf = (reply: NoState): ReplyProblem => {
  switch (reply._tag) {
    case 'NoReply':
      return { cause: reply.cause }
    case 'OtherStatus':
      return { taskStatus: reply.taskStatus }
    case 'Unavailable':
      return reply.problem
    case 'Unknown':
    case 'NotYetKnown':
      return { status: reply.status, errorCode: reply.errorCode }
    case 'BadReply':
      return { status: reply.status, problems: reply.problems }
  }
}

/** The error of a task that the service has ended. */
export const taskFailed = (
  ref: TaskRef,
  reply: Extract<InterpretedPoll<never>, { readonly _tag: 'Failed' | 'Unknown' }>
): TaskFailed => {
  const { errorId, errorCode, errorDescription, kind } = reply
  const notFound = reply._tag === 'Failed' && reply.notFound && { notFound: true as const }
  return { _tag: 'TaskFailed', paid: 'yes', ref, errorId, errorCode, errorDescription, kind, ...notFound }
}

/** What one poll says about the task. */
export const stateOf = <A>(ref: TaskRef, reply: InterpretedPoll<A>): E.Either<SolveError, TaskState<A>> => {
  switch (reply._tag) {
    case 'Failed':
      return E.left(taskFailed(ref, reply))
    case 'Processing':
    case 'NotYetKnown':
      return E.right({ _tag: 'Processing' })
    case 'Ready':
      return E.right(reply)
    case 'NoReply':
    case 'OtherStatus':
    case 'Unavailable':
    case 'Unknown':
    case 'BadReply':
      return E.right({ _tag: 'Unanswered', ...replyProblemOf(reply) })
  }
}
