import { randomUUID } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import { NEVER, Observable, firstValueFrom, lastValueFrom, merge, takeUntil, timer } from 'rxjs'
import type { SolveError } from '../core/model/error.js'
import { explain } from '../core/model/explain.js'
import { checkOptions, durationFrom, integerBetween, isFunction } from '../core/model/options.js'
import { optional } from '../core/model/problems.js'
import type { SolveResult } from '../core/model/result.js'
import type { Solved, TaskSpec } from '../core/model/task.js'
import type { Solver } from '../core/solver.js'
import { exponential } from '../core/rx/backoff.js'
import { JobJournal, type Keeping } from './job-journal.js'
import { JobReports } from './job-reports.js'
import type { AbortSignalLike, JobLike, QueueLike } from './ports.js'
import { Queue, Records } from './records.js'
import { verdictOf } from './verdict.js'

/**
 * How {@link taskProcessor} solves jobs.
 *
 * @since 0.1.0
 */
export interface ProcessorOptions<D, S extends TaskSpec<unknown> = TaskSpec<unknown>> {
  /** The queue of the worker, on Redis: the records of paid tasks are kept in its database. */
  readonly queue: QueueLike
  /** Makes the task from the data of a job. */
  readonly toTask: (data: D) => S
  /**
   * How often a paid task is given back to the queue to be resumed, after it timed out or its replies violated the protocol, until
   * its job fails, from 0 to 1,000. @defaultValue 3
   */
  readonly maxResumes?: number | undefined
  /** For how long a token can be claimed if its kind of task says nothing about it. @defaultValue 300_000 */
  readonly tokenTtlMs?: number | undefined
  /** For how long a finished key is remembered, and so never solved again. @defaultValue 604_800_000, 7 days */
  readonly recordTtlMs?: number | undefined
}

/**
 * What a job of {@link taskProcessor} returns: when its task was ready and until when its token is good, by the clock of the
 * worker. The token is not part of it; `claim` and `submitAll` fetch it.
 *
 * @since 0.1.0
 */
export type JobReturn = Omit<Solved<unknown>, 'solution' | 'readyAt'> & { readonly readyAt?: number }

/**
 * A processor for `new Worker(name, processor, …)` of BullMQ.
 *
 * @since 0.1.0
 */
export type TaskProcessor<D> = (
  job: JobLike<D>,
  token?: string,
  signal?: AbortSignalLike
) => Promise<JobReturn | undefined>

/**
 * Makes a processor for the workers of a BullMQ queue: it solves the task of a job, and keeps what is paid for in Redis, so that
 * another worker continues where this one was killed.
 *
 * Before createTask is sent, its intent is recorded under the id of the job; the id of the task is recorded before the first
 * poll. A job that finds a task resumes it; one that finds an intent without a task fails as `CreateUnknown`, because nobody
 * knows whether the task was created. The job is active until its task has ended, so the global concurrency of the queue is
 * the most unfinished tasks of the account.
 *
 * What becomes of a job whose solve fails is {@link verdictOf}. It holds back the whole queue when the service asks for a wait, and
 * pauses it when the account is refused or the replies to createTask cannot be read; `queue.resume()` is up to a person.
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
  const reports = new JobReports(solver, queue)
  const keeping = { tokenMs: tokenTtlMs, recordMs: recordTtlMs }
  // BullMQ passes a signal only to a function of three parameters.
  return async (job, token, signal) => {
    const run = new JobRun({ solver, queue, records, reports, keeping, maxResumes }, job, token, signal)
    return run.process(toTask)
  }
}

const processorOptionCodecs = {
  queue: Queue,
  toTask: isFunction,
  maxResumes: optional(integerBetween(0, 1_000, 'resumes')),
  tokenTtlMs: optional(durationFrom(1)),
  recordTtlMs: optional(durationFrom(1))
}

interface ProcessorContext {
  readonly solver: Solver
  readonly queue: QueueLike
  readonly records: Records
  readonly reports: JobReports
  readonly keeping: Keeping
  readonly maxResumes: number
}

/** One run of the processor for one job. */
class JobRun<D> {
  readonly #context: ProcessorContext
  readonly #job: JobLike<D>
  readonly #token: string | undefined
  readonly #aborted: Observable<unknown>
  readonly #signal: AbortSignalLike | undefined
  readonly #key: string
  readonly #journal: JobJournal

  constructor(
    context: ProcessorContext,
    job: JobLike<D>,
    token: string | undefined,
    signal: AbortSignalLike | undefined
  ) {
    this.#context = context
    this.#job = job
    this.#token = token
    this.#signal = signal
    this.#aborted = signal ? abortOf(signal) : NEVER
    this.#key = job.id ?? ''
    this.#journal = new JobJournal(context.records, randomUUID(), context.keeping)
  }

  /** Solves the task of the job; throws what makes BullMQ fail it, try it again or give it back. */
  async process(toTask: (data: D) => TaskSpec<unknown>): Promise<JobReturn | undefined> {
    const { reports } = this.#context
    // This worker still gets jobs, though its solver is closed: it must not take and give back the same job in a loop.
    if (reports.isClosed) await this.#wait(CLOSED_WAIT_MS)
    const unfollow = reports.follow(this.#key, this.#job)
    try {
      const result = await this.#solve(toTask)
      if (this.#signal?.aborted) throw new UnrecoverableError(CANCELLED)
      // The record is finished: an earlier run delivered the outcome, and died before BullMQ knew of it.
      if (!result) return undefined
      return E.isRight(result) ? withoutSolution(result.right) : await this.#onError(result.left)
    } finally {
      unfollow()
    }
  }

  #solve(toTask: (data: D) => TaskSpec<unknown>): Promise<SolveResult<unknown> | undefined> {
    const key = this.#key
    const outcomes = this.#context.solver.withOptions({ label: key }).solveAll([this.#job.data], toTask, {
      concurrency: 1,
      journal: this.#journal,
      keyOf: () => key,
      deliver: ({ result }) => this.#journal.deliver(key, result)
    })
    return lastValueFrom(outcomes.pipe(takeUntil(this.#aborted)), { defaultValue: undefined }).then(
      (outcome) => outcome?.result
    )
  }

  /** Throws the error that tells BullMQ what to do with the job. */
  async #onError(error: SolveError): Promise<never> {
    const { queue, maxResumes } = this.#context
    switch (verdictOf(error)) {
      case 'fail':
        throw new UnrecoverableError(explain(error))
      case 'retry':
        throw new Error(explain(error))
      case 'resume': {
        const resumes = await firstValueFrom(this.#journal.resumed(this.#key))
        if (resumes > maxResumes) throw new UnrecoverableError(explain(error))
        // After its deadline a task has waited for long enough.
        if (error._tag !== 'TimedOut') await this.#wait(resumeMs(resumes - 1))
        return this.#giveBack()
      }
      case 'handOver':
        return this.#giveBack()
      case 'hold':
        // Not BullMQ's RateLimitError: after it, a worker that closes waits for the end of the limit.
        await queue.rateLimit(HOLD_MS)
        return this.#giveBack()
      case 'pause':
        await queue.pause()
        return this.#giveBack()
    }
  }

  /** Puts the job at the head of the queue, so that a paid task does not wait behind the others. It keeps its attempts. */
  async #giveBack(): Promise<never> {
    await this.#job.moveToWait(this.#token)
    throw new WaitingError()
  }

  /** The job stays active meanwhile, because its task is unfinished. */
  #wait(ms: number): Promise<unknown> {
    return lastValueFrom(timer(ms).pipe(takeUntil(merge(this.#aborted, this.#context.reports.closed))), {
      defaultValue: undefined
    })
  }
}

const CLOSED_WAIT_MS = 1_000
/** For how long the queue waits after a task was refused as unavailable until its deadline. */
const HOLD_MS = 5_000
const resumeMs = exponential({ firstMs: 5_000, maxMs: 60_000 })

const withoutSolution = ({ solution: _solution, ...result }: Solved<unknown>): JobReturn => result

const abortOf = (signal: AbortSignalLike): Observable<void> =>
  new Observable((subscriber) => {
    const onAbort = () => {
      subscriber.next()
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    return () => {
      signal.removeEventListener('abort', onAbort)
    }
  })

const CANCELLED =
  'The job was cancelled. If its task was created, it is paid for and recorded: a retry of the job resumes it at no further cost.'

// BullMQ knows its own errors by name and message, so its module is not needed here.
class UnrecoverableError extends Error {
  override readonly name = 'UnrecoverableError'
}

class WaitingError extends Error {
  override readonly name = 'WaitingError'

  constructor() {
    super('bullmq:movedToWait')
  }
}
