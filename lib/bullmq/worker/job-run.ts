import { randomUUID } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import { NEVER, Observable, Subject, firstValueFrom, lastValueFrom, merge, takeUntil, timer } from 'rxjs'
import type { SolveError } from '../../core/model/error.js'
import { explain, isClosedBeforeReply } from '../../core/model/explain.js'
import type { SolveResult } from '../../core/model/result.js'
import type { Solved, TaskSpec } from '../../core/model/task.js'
import { exponential } from '../../core/rx/backoff.js'
import type { Solver } from '../../core/solver.js'
import { JobJournal, JobTakenOver, type Keeping } from '../record/job-journal.js'
import type { JobReports } from './job-reports.js'
import type { AbortSignalLike, JobLike, QueueLike } from '../ports.js'
import { RecordError, type Records } from '../record/records.js'
import { jobVerdict } from './job-verdict.js'
import { RecordIncomplete } from './record-incomplete.js'

/**
 * What a job of {@link taskProcessor} returns: when its task was ready and until when its token is good, by the clock of the
 * worker. The token is not part of it; `submitAll` fetches it.
 *
 * @since 0.1.0
 */
export type JobReturn = Omit<Solved<unknown>, 'solution' | 'readyAt'> & { readonly readyAt?: number }

/** What all runs of a processor have in common. */
export interface RunContext {
  readonly solver: Solver
  readonly queue: QueueLike
  readonly records: Records
  readonly reports: JobReports
  readonly keeping: Keeping
  readonly maxResumes: number
}

/** One run of the processor for one job. */
export class JobRun<D> {
  readonly #context: RunContext
  readonly #job: JobLike<D>
  readonly #token: string | undefined
  readonly #signal: AbortSignalLike | undefined
  readonly #journal: JobJournal
  readonly #dropped = new Subject<void>()
  /** Emits when the work must stop, because the job was cancelled or taken over. */
  readonly #stopped: Observable<void>
  #isTakenOver = false
  /** The id of the job: its key in the journal. */
  readonly key: string

  constructor(context: RunContext, job: JobLike<D>, token: string | undefined, signal: AbortSignalLike | undefined) {
    this.#context = context
    this.#job = job
    this.#token = token
    this.#signal = signal
    this.#stopped = signal ? merge(this.#dropped, abortOf(signal)) : this.#dropped
    this.key = job.id ?? ''
    this.#journal = new JobJournal(context.records, { run: randomUUID(), lock: token ?? '' }, context.keeping)
  }

  /** Solves the task of the job; throws what makes BullMQ fail it, try it again or give it back. */
  async process(toTask: (data: D) => TaskSpec<unknown>): Promise<JobReturn | undefined> {
    const { reports } = this.#context
    const unfollow = reports.follow(this.key, this.#job)
    try {
      const result = await this.#solve(toTask)
      if (result) return E.isRight(result) ? withoutSolution(result.right) : await this.#onError(result.left)
      if (this.#isTakenOver) throw new JobTakenOver()
      if (this.#signal?.aborted)
        throw new UnrecoverableError(this.#hasUnrecordedTask() ? CANCELLED : CANCELLED_RECORDED)
      // An earlier run delivered the outcome, and died before BullMQ knew of it.
      const { finishedTag } = this.#journal
      if (finishedTag === 'Solved') return undefined
      if (finishedTag !== undefined) throw new UnrecoverableError(FAILED_BEFORE)
      return await this.#giveBackLater()
    } catch (error) {
      throw this.#withPaidTask(error)
    } finally {
      unfollow()
    }
  }

  /** The id of a paid task must not be lost with the outcome that could not be recorded. */
  #withPaidTask(error: unknown): unknown {
    const { paidTask } = this.#journal
    return paidTask && (error instanceof RecordError || !paidTask.isRecorded)
      ? new RecordIncomplete(paidTask, error)
      : error
  }

  #hasUnrecordedTask(): boolean {
    return this.#journal.paidTask?.isRecorded === false
  }

  /** Stops the work if another run owns the job by now. A job that Redis lost has no owner, and its task is still paid for. */
  async dropIfTakenOver(): Promise<void> {
    // While Redis fails nothing is known, and BullMQ reports the lost lock again.
    this.#isTakenOver = await this.#journal.isTakenOver(this.key).catch(() => false)
    if (this.#isTakenOver) this.#dropped.next()
  }

  #solve(toTask: (data: D) => TaskSpec<unknown>): Promise<SolveResult<unknown> | undefined> {
    const key = this.key
    let task: TaskSpec<unknown> | undefined
    const toKnownTask = (data: D) => (task = toTask(data))
    const outcomes = this.#context.solver.withOptions({ label: key }).solveAll([this.#job.data], toKnownTask, {
      concurrency: 1,
      journal: this.#journal,
      keyOf: () => key,
      deliver: ({ result }) => this.#journal.deliver(key, result, task?.validForMs)
    })
    return lastValueFrom(outcomes.pipe(takeUntil(this.#stopped)), { defaultValue: undefined }).then(
      (outcome) => outcome?.result
    )
  }

  /** Throws the error that tells BullMQ what to do with the job. */
  async #onError(error: SolveError): Promise<never> {
    const { queue, records, maxResumes } = this.#context
    switch (jobVerdict(error)) {
      case 'fail':
        if (await this.#isCreatedAfterAll(error)) return this.#giveBack()
        throw new UnrecoverableError(explain(error))
      case 'retry':
        throw new Error(explain(error))
      case 'resume': {
        const resumes = await firstValueFrom(this.#journal.resumed(this.key))
        if (resumes > maxResumes) throw new UnrecoverableError(explain(error))
        // After its deadline a task has waited for long enough.
        if (error._tag !== 'TimedOut') await this.#wait(resumeMs(resumes - 1), this.#context.reports.closed)
        return this.#giveBack()
      }
      case 'handOver':
        return this.#giveBack()
      case 'hold':
        // Not BullMQ's RateLimitError: after it, a worker that closes waits for the end of the limit.
        await records.hold(QUEUE_WAIT_MS)
        return this.#giveBack()
      case 'pause':
        await queue.pause()
        return this.#giveBack()
    }
  }

  /** A solver that closes still reads the reply to a createTask in flight, and records its task. */
  async #isCreatedAfterAll(error: SolveError): Promise<boolean> {
    if (!isClosedBeforeReply(error)) return false
    await firstValueFrom(merge(this.#context.reports.closed, this.#stopped))
    const entry = await firstValueFrom(this.#journal.find(this.key))
    return entry._tag === 'Known'
  }

  /** Puts the job at the head of the queue, so that a paid task does not wait behind the others. It keeps its attempts. */
  async #giveBack(): Promise<never> {
    await this.#job.moveToWait(this.#token)
    throw new WaitingError()
  }

  /** The solver is closed, and this worker still gets jobs: it must not take and give back the same job in a loop. */
  async #giveBackLater(): Promise<never> {
    await this.#wait(CLOSED_WAIT_MS)
    return this.#giveBack()
  }

  /** The job stays active meanwhile, because its task is unfinished. */
  #wait(ms: number, until: Observable<unknown> = NEVER): Promise<unknown> {
    return lastValueFrom(timer(ms).pipe(takeUntil(merge(this.#stopped, until))), { defaultValue: undefined })
  }
}

const CLOSED_WAIT_MS = 1_000
/** How long the queue waits after a task that was refused as unavailable again and again until its deadline. */
const QUEUE_WAIT_MS = 5_000
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

const FAILED_BEFORE =
  'The service ended the task of this key with an error in an earlier run. A new key is charged again.'

const CANCELLED = 'The job was cancelled.'

const CANCELLED_RECORDED =
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
