import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../model/error.js'
import type { Ended, Started } from '../model/event.js'
import { errorIfEnded, type CreatedPhase, type Phase } from './phase.js'

/** A subscription that ends now. Times are elapsed milliseconds. */
interface Ending {
  readonly operation: Started['operation']
  readonly phase: Phase
  /** Nothing if the subscriber unsubscribed before an outcome. */
  readonly result: E.Either<SolveError, unknown> | undefined
  readonly startedAt: number
  /** How long createTask waited before it was tried. */
  readonly queueMs: number | undefined
  readonly clock: { readonly elapsedMs: () => number; readonly now: () => number }
}

/** The `Ended` event of a subscription. */
export const endedEvent = ({ operation, phase, result, startedAt, queueMs, clock }: Ending): Ended => {
  const now = clock.elapsedMs()
  return {
    _tag: 'Ended',
    ...(result ? endingOf(operation, result) : { tag: 'Unsubscribed', paid: errorIfEnded(phase, 'closed', 0).paid }),
    ...(phase._tag === 'Created' ? { ref: phase.ref, polls: phase.polls } : { polls: 0 }),
    totalMs: now - startedAt,
    ...(queueMs !== undefined && { queueMs }),
    ...(phase._tag === 'Created' && timesOf(phase, now)),
    ...(phase._tag === 'Created' &&
      result &&
      isSolved(operation, result) && { lateMs: lateMs(phase, now, clock.now()) })
  }
}

const SUCCESS_TAG = { solve: 'Solved', resume: 'Solved', createTask: 'Created', getTaskResult: 'Polled' } as const

const isSolved = (operation: Started['operation'], result: E.Either<SolveError, unknown>): boolean =>
  E.isRight(result) && SUCCESS_TAG[operation] === 'Solved'

const endingOf = (
  operation: Started['operation'],
  result: E.Either<SolveError, unknown>
): Pick<Ended, 'tag' | 'paid' | 'errorCode' | 'kind' | 'reason'> => {
  if (E.isRight(result)) return { tag: SUCCESS_TAG[operation], paid: 'yes' }
  const error = result.left
  const { _tag: tag, paid } = error
  switch (tag) {
    case 'Refused':
    case 'TaskFailed':
      return { tag, paid, ...codeOf(error.errorCode), kind: error.kind }
    case 'NotCreated':
      return { tag, paid, reason: error.reason }
    case 'InvalidTask':
    case 'CreateUnknown':
    case 'BadReply':
    case 'TimedOut':
    case 'Interrupted':
      return { tag, paid }
  }
}

/** An error code as a field, if there is one. */
export const codeOf = (errorCode: string | undefined): { readonly errorCode?: string } =>
  errorCode === undefined || errorCode === '' ? {} : { errorCode }

const timesOf = ({ sentElapsed }: CreatedPhase, now: number): { readonly taskMs?: number } =>
  sentElapsed === undefined ? {} : { taskMs: now - Math.round(sentElapsed) }

/** A task of another process that was ready at the first poll may have been ready since it was created. */
const lateMs = (
  { ref, sentElapsed, unfinishedElapsed = sentElapsed }: CreatedPhase,
  now: number,
  at: number
): number => (unfinishedElapsed === undefined ? Math.max(0, at - ref.createdAt) : now - Math.round(unfinishedElapsed))
