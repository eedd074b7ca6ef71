import { checkOptions, closeOptionCodecs } from '../../core/model/options.js'
import type { WorkerLike } from '../ports.js'
import type { TaskProcessor } from './processor.js'

/**
 * A worker that is supervised.
 *
 * @since 0.1.0
 */
export interface SupervisedWorker {
  /**
   * Closes the worker and its solver: it starts no more jobs, a task that is not created is given back, and a paid task is polled
   * until `graceMs` (default 0) have passed. Then its job goes back to the head of the queue, where another worker resumes it.
   * Resolves when no job is active in this worker. The queue stays open.
   *
   * @throws InvalidOptions
   */
  readonly close: (options?: { readonly graceMs?: number | undefined }) => Promise<void>
}

/**
 * Ties a BullMQ worker to its processor. A worker that was frozen, or could not reach Redis for longer than `lockDuration`, stops
 * polling for the jobs that another worker has taken over: BullMQ alone only emits an event. `close` closes the worker and the
 * solver in the right order.
 *
 * @since 0.1.0
 */
export const superviseWorker = (
  worker: WorkerLike,
  { solver, dropTakenOver }: Pick<TaskProcessor<never>, 'solver' | 'dropTakenOver'>
): SupervisedWorker => {
  worker.on('lockRenewalFailed', dropTakenOver)
  return {
    close: async (options = {}) => {
      checkOptions(closeOptionCodecs, options)
      // The worker begins to close first, so that it takes no job while the solver closes.
      const closed = worker.close()
      await solver.close(options)
      await closed
    }
  }
}
