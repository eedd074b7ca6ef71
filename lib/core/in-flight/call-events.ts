import type { CreateEnded, PollEnded } from '../model/event.js'
import type { TaskRef } from '../model/task.js'
import type { InterpretedCreate, InterpretedPoll } from '../protocol/interpret.js'
import { codeOf } from './ended.js'
import { refOf } from './phase.js'

/** What arrived of a reply to createTask, and when createTask was sent by the system clock. */
interface ArrivedCreate {
  readonly interpreted: InterpretedCreate<unknown>
  readonly sentAt: { readonly now: number }
}

/** How a createTask call ended. */
export const createEndedEvent = (reply: ArrivedCreate, attempts: number, tookMs: number): CreateEnded => ({
  _tag: 'CreateEnded',
  ...resultOfCreate(reply),
  attempts,
  tookMs: Math.round(tookMs)
})

const resultOfCreate = ({ interpreted, sentAt }: ArrivedCreate): Omit<CreateEnded, '_tag' | 'attempts' | 'tookMs'> => {
  switch (interpreted._tag) {
    case 'Created':
      return { result: 'Created', ref: refOf(interpreted.id, sentAt.now) }
    case 'Refused':
    case 'Unavailable': {
      const { status, errorCode, kind } = interpreted.refused
      return { result: 'Refused', status, ...codeOf(errorCode), kind }
    }
    case 'Unknown': {
      const { status, cause } = interpreted.problem
      return { result: 'CreateUnknown', ...(status !== undefined && { status }), ...(cause && { cause }) }
    }
    case 'NotSent':
      return { result: 'NotSent', cause: interpreted.problem.cause }
  }
}

/** How a getTaskResult call ended. */
export const pollEndedEvent = (
  reply: InterpretedPoll<unknown>,
  ref: TaskRef,
  polls: number,
  tookMs: number
): PollEnded => ({ _tag: 'PollEnded', ...resultOfPoll(reply), ref, polls, tookMs })

const resultOfPoll = (reply: InterpretedPoll<unknown>): Omit<PollEnded, '_tag' | 'ref' | 'polls' | 'tookMs'> => {
  switch (reply._tag) {
    case 'Processing':
    case 'NotYetKnown':
      return { result: 'Processing' }
    case 'Ready':
      return { result: 'Ready' }
    case 'Failed':
      return { result: 'TaskFailed', status: reply.status, ...codeOf(reply.errorCode), kind: reply.kind }
    case 'Unknown':
      return { result: 'Unanswered', status: reply.status, ...codeOf(reply.errorCode), kind: reply.kind }
    case 'Unavailable': {
      const { status, errorCode } = reply.problem
      return {
        result: 'Unanswered',
        ...(status !== undefined && { status }),
        ...codeOf(errorCode),
        kind: 'unavailable'
      }
    }
    case 'OtherStatus':
      return { result: 'Unanswered', taskStatus: reply.taskStatus }
    case 'NoReply':
      return { result: 'Unanswered', cause: reply.cause }
    case 'BadReply':
      return { result: 'Unanswered', status: reply.status }
  }
}
