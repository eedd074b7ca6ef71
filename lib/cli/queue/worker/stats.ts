import * as E from 'fp-ts/lib/Either.js'
import type { Job } from 'bullmq'
import { tap } from 'rxjs'
import { isClosedBeforeReply } from '../../../core/model/explain.js'
import type { SolveError } from '../../../core/model/error.js'
import type { SolverEvent } from '../../../core/model/event.js'
import type { Journal } from '../../../core/model/journal.js'
import type { SolveResult } from '../../../core/model/result.js'
import type { Solver } from '../../../core/solver.js'
import type { QueueModules } from '../../shared/context.js'

/** What a worker has done. */
export class WorkerStats {
  readonly #jobVerdict: QueueModules['adapter']['jobVerdict']
  /** How the last run of a job that failed has ended. */
  readonly #errors = new Map<string | undefined, SolveError>()
  /** Tasks that were created, and so paid for. */
  created = 0
  /** createTask calls that count as refused because of an HTTP 503 without a document. */
  assumed = 0
  /** Tasks of earlier runs that were continued. */
  resumed = 0
  solved = 0
  failed = 0
  /** Failed jobs of which it is unknown whether they were paid for. */
  inDoubt = 0
  /** Jobs that went back to the queue because this worker closes. */
  handedOver = 0
  /** Failed jobs by the tag of their error. */
  readonly failures = new Map<string, number>()

  constructor(jobVerdict: QueueModules['adapter']['jobVerdict']) {
    this.#jobVerdict = jobVerdict
  }

  onEvent(event: SolverEvent): void {
    if (event._tag === 'Created') this.created += 1
    if (event._tag === 'AssumedNotCreated') this.assumed += 1
    if (event._tag === 'Started' && event.operation === 'resume') this.resumed += 1
  }

  /** Returns the error for which the adapter pauses the queue. */
  onOutcome(jobId: string | undefined, result: SolveResult<unknown>): SolveError | undefined {
    this.#errors.delete(jobId)
    if (E.isRight(result)) return undefined
    const verdict = this.#jobVerdict(result.left)
    // Its job fails only if the reply to createTask, which the solver still reads, has no id.
    if (verdict === 'handOver' || isClosedBeforeReply(result.left)) this.handedOver += 1
    if (verdict === 'fail' || verdict === 'retry' || verdict === 'resume') this.#errors.set(jobId, result.left)
    return verdict === 'pause' ? result.left : undefined
  }

  onCompleted(): void {
    this.solved += 1
  }

  /** BullMQ reports every attempt that failed; only the last one is final. A job that was removed meanwhile is unknown. */
  onFailed(job: Pick<Job, 'id' | 'finishedOn'> | undefined): void {
    const error = this.#errors.get(job?.id)
    this.#errors.delete(job?.id)
    if (!job?.finishedOn) return
    if (error && isClosedBeforeReply(error)) this.handedOver -= 1
    // Without an outcome, the job was cancelled or its workers died too often.
    if (!error || error.paid === 'unknown') this.inDoubt += 1
    else this.failed += 1
    const detail = error && 'errorCode' in error ? error.errorCode : ''
    const name = [error?._tag ?? 'JobFailed', detail].filter(Boolean).join(' ')
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1)
  }
}

/**
 * The solver, which also passes on the saved outcome of each job, and uses the journal that `watched` makes of that of a job: the
 * adapter solves a job as a batch with its id as the label.
 */
export const watchedSolver = (
  solver: Solver,
  onOutcome: (jobId: string | undefined, result: SolveResult<unknown>) => void,
  watched: (journal: Journal) => Journal
): Solver => ({
  ...solver,
  withOptions: (options) => {
    const scoped = solver.withOptions(options)
    return {
      ...scoped,
      solveAll: (items, toTask, given) => {
        const batchOptions = given?.journal ? { ...given, journal: watched(given.journal) } : given
        return scoped.solveAll(items, toTask, batchOptions).pipe(
          tap(({ result }) => {
            onOutcome(options.label, result)
          })
        )
      }
    }
  }
})
