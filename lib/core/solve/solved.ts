import type { Resumable, Solved } from '../model/task.js'
import type { Context } from './context.js'
import type { CreatedPhase } from '../in-flight/phase.js'

/**
 * A solved task and its instants. They are counted back from now, so that setting the system clock meanwhile does not move
 * them.
 */
export const solved = <A>(
  { scheduler, elapsed }: Pick<Context, 'scheduler' | 'elapsed'>,
  { bestWithinMs, validForMs }: Resumable<A>,
  {
    ref,
    sentElapsed,
    unfinishedElapsed = sentElapsed
  }: Pick<CreatedPhase, 'ref' | 'sentElapsed' | 'unfinishedElapsed'>,
  solution: A
): Solved<A> => {
  const readyAt = scheduler.now()
  const freshAt =
    unfinishedElapsed === undefined
      ? Math.min(ref.createdAt, readyAt)
      : Math.floor(readyAt - (elapsed() - unfinishedElapsed))
  return {
    ref,
    solution,
    readyAt,
    ...(bestWithinMs !== undefined && { useBefore: freshAt + bestWithinMs }),
    ...(validForMs !== undefined && { expiresAt: freshAt + validForMs })
  }
}
