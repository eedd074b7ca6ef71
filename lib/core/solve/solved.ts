import type { Resumable, Solved } from '../model/task.js'
import type { Context } from './context.js'
import type { CreatedPhase } from './phase.js'

/**
 * A solved task and its instants. `unfinishedAt`: when the last poll with the reply "processing" was sent, in elapsed
 * milliseconds. The instants are counted back from now, so that setting the system clock meanwhile does not move them.
 */
export const solved = <A>(
  { scheduler, elapsed }: Pick<Context, 'scheduler' | 'elapsed'>,
  { bestWithinMs, validForMs }: Resumable<A>,
  { ref, sentElapsed }: Pick<CreatedPhase, 'ref' | 'sentElapsed'>,
  solution: A,
  unfinishedAt = sentElapsed
): Solved<A> => {
  const readyAt = scheduler.now()
  const freshAt =
    unfinishedAt === undefined ? Math.min(ref.createdAt, readyAt) : Math.floor(readyAt - (elapsed() - unfinishedAt))
  return {
    ref,
    solution,
    readyAt,
    ...(bestWithinMs !== undefined && { useBefore: freshAt + bestWithinMs }),
    ...(validForMs !== undefined && { expiresAt: freshAt + validForMs })
  }
}
