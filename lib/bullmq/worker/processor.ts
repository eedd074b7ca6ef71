import { checkOptions, durationFrom, integerBetween, isFunction } from '../../core/model/options.js'
import { optional } from '../../core/validation/problems.js'
import type { TaskSpec } from '../../core/model/task.js'
import type { Solver } from '../../core/solver.js'
import { JobReports } from './job-reports.js'
import { JobRun, type JobReturn, type RunContext } from './job-run.js'
import type { AbortSignalLike, JobLike, QueueLike } from '../ports.js'
import { Queue, Records } from '../record/records.js'

/**
 * How {@link taskProcessor} solves jobs.
 *
 * @since 0.1.0
 */
export interface ProcessorOptions<D, S extends TaskSpec<unknown> = TaskSpec<unknown>> {
  /**
   * The queue of the worker, on Redis, with the same name and prefix: the records of paid tasks are kept in its database. The jobs of
   * another queue fail, and nothing is sent for them.
   */
  readonly queue: QueueLike
  /** Makes the task from the data of a job. */
  readonly toTask: (data: D) => S
  /**
   * How many times a paid task that timed out, or whose replies violated the protocol, is given back to the queue to be resumed
   * before its job fails, from 0 to 1,000. @defaultValue 3
   */
  readonly maxResumes?: number | undefined
  /** For how long a token can be claimed if its kind of task says nothing about it. @defaultValue 300_000 */
  readonly tokenTtlMs?: number | undefined
  /** For how long a finished key is remembered, and so never solved again. @defaultValue 604_800_000, 7 days */
  readonly recordTtlMs?: number | undefined
}

/**
 * A processor for `new Worker(name, processor, …)` of BullMQ, and what {@link superviseWorker} needs of it.
 *
 * @since 0.1.0
 */
export interface TaskProcessor<D> {
  (job: JobLike<D>, token?: string, signal?: AbortSignalLike): Promise<JobReturn | undefined>
  readonly solver: Solver
  /** Of these jobs, stops the work on the ones that another worker has taken over. */
  readonly dropTakenOver: (jobIds: ReadonlyArray<string>) => void
}

/**
 * Makes a processor for the workers of a BullMQ queue: it solves the task of a job, and records paid tasks in Redis, so that
 * another worker continues where this one was killed.
 *
 * Before createTask is sent, the intent is recorded under the id of the job; the id of the task is recorded before the first
 * poll. A job that finds a task resumes it; one that finds an intent without a task fails as `CreateUnknown`, because it
 * is unknown whether the task was created. The job is active until its task has ended, so the global concurrency of the queue
 * limits the unfinished tasks of the account.
 *
 * {@link jobVerdict} decides what happens to a job whose solve fails. The processor holds back the whole queue when the service asks
 * for a wait, and pauses it when the account is refused or createTask replies cannot be read; a person calls `queue.resume()`.
 *
 * @param solver - its label is replaced by the id of the job
 * @throws InvalidOptions at once, for options out of bounds or a queue that is not on Redis
 * @see docs/scaling.md for a worker as a whole
 * @since 0.1.0
 */
export const taskProcessor = <D, S extends TaskSpec<unknown>>(
  solver: Solver,
  options: ProcessorOptions<D, S>
): TaskProcessor<D> => {
  const {
    queue,
    toTask,
    maxResumes = 3,
    tokenTtlMs = 300_000,
    recordTtlMs = 604_800_000
  } = checkOptions<ProcessorOptions<D, S>>(processorOptionCodecs, options)
  const records = new Records(queue)
  const context: RunContext = {
    ...{ solver, queue, maxResumes, records },
    reports: new JobReports(solver, queue, records),
    keeping: { tokenMs: tokenTtlMs, recordMs: recordTtlMs }
  }
  const runs = new Map<string, JobRun<D>>()
  // BullMQ passes a signal only to a function of three parameters.
  const process = async (job: JobLike<D>, token?: string, signal?: AbortSignalLike) => {
    checkQueueOf(job, queue)
    const run = new JobRun(context, job, token, signal)
    runs.set(run.key, run)
    try {
      return await run.process(toTask)
    } finally {
      if (runs.get(run.key) === run) runs.delete(run.key)
    }
  }
  const dropTakenOver = (jobIds: ReadonlyArray<string>) => {
    for (const jobId of jobIds) void runs.get(jobId)?.dropIfTakenOver()
  }
  return Object.assign(process, { solver, dropTakenOver })
}

/**
 * The keys of the records begin with those of the queue, so the outcomes of jobs of another queue would not reach their producer.
 * Not unrecoverable: another worker may have the right queue, and an attempt costs nothing.
 */
const checkQueueOf = ({ queueQualifiedName }: JobLike<unknown>, { qualifiedName }: QueueLike): void => {
  if (queueQualifiedName === undefined || qualifiedName === undefined || queueQualifiedName === qualifiedName) return
  throw new Error(
    `The job is in the queue ${queueQualifiedName}, but taskProcessor was given the queue ${qualifiedName}. Nothing was sent. ` +
      'Give taskProcessor a Queue with the name and the prefix of the worker.'
  )
}

const processorOptionCodecs = {
  queue: Queue,
  toTask: isFunction,
  maxResumes: optional(integerBetween(0, 1_000, 'resumes')),
  tokenTtlMs: optional(durationFrom(1)),
  recordTtlMs: optional(durationFrom(1))
}
