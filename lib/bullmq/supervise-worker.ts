import type { Solver } from '../core/solver.js'
import type { WorkerLike } from './ports.js'

/**
 * A worker that is supervised.
 *
 * @since 0.1.0
 */
export interface SupervisedWorker {
  /**
   * Closes the worker and its solver: no job is begun any more, a task that is not created is given back, and a paid task is polled
   * until `graceMs` (default 0) have passed. Then its job goes back to the head of the queue, where another worker resumes it.
   * Resolves when no job is active in this worker. The queue stays open.
   *
   * @throws InvalidOptions
   */
  readonly close: (options?: { readonly graceMs?: number | undefined }) => Promise<void>
}

/**
 * Ties a BullMQ worker to the solver of its processor. A job whose lock could not be renewed is dropped at once, because another
 * worker has it or will have it: BullMQ alone only emits an event. `close` closes both in the right order.
 *
 * @since 0.1.0
 */
export const superviseWorker = (worker: WorkerLike, solver: Solver): SupervisedWorker => {
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) worker.cancelJob(jobId)
  })
  return {
    close: async (options) => {
      // The worker begins to close first, so that it takes no job while the solver closes.
      const closed = worker.close()
      await solver.close(options)
      await closed
    }
  }
}
