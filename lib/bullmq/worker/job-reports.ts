import { ReplaySubject, type Observable } from 'rxjs'
import type { SolveMeta, SolverEvent, TaskStep } from '../../core/model/event.js'
import type { Solver } from '../../core/solver.js'
import type { JobLike, QueueLike } from '../ports.js'
import type { Records } from '../record/records.js'

/**
 * What {@link taskProcessor} writes to the progress of a job: a step of its task, without the client key and without a token.
 *
 * @since 0.1.0
 */
export type JobProgress = TaskStep & { readonly at: number }

/** A shorter wait belongs to one refused task, and the others continue. */
const MIN_QUEUE_WAIT_MS = 3_000

/** Reports the events of a solver to BullMQ: the steps of a task to its job, a pause to the whole queue. */
export class JobReports {
  readonly #queue: QueueLike
  readonly #records: Pick<Records, 'hold'>
  readonly #jobs = new Map<string, JobReport>()
  readonly #closed = new ReplaySubject<void>(1)

  constructor(solver: Solver, queue: QueueLike, records: Pick<Records, 'hold'>) {
    this.#queue = queue
    this.#records = records
    solver.events.subscribe({
      next: (event) => {
        this.#reportToQueue(event)
        if (event.label !== undefined && isStep(event)) this.#jobs.get(event.label)?.write(event)
      },
      complete: () => {
        this.#closed.next()
      }
    })
  }

  /** Emits when the solver is closed, also to later subscribers. */
  get closed(): Observable<void> {
    return this.#closed.asObservable()
  }

  /** Reports the steps of a job, whose solve has this label, until the returned function is called. */
  follow(label: string, job: JobLike<unknown>): () => void {
    this.#jobs.set(label, new JobReport(job))
    return () => this.#jobs.delete(label)
  }

  #reportToQueue(event: SolverEvent): void {
    if (event._tag === 'BatchStopped' && (event.reason === 'account' || event.reason === 'unreadable'))
      void ignoreFailure(this.#queue.pause())
    if (event._tag === 'Delayed' && event.reason === 'unavailable' && !event.ref && event.waitMs >= MIN_QUEUE_WAIT_MS)
      void ignoreFailure(this.#records.hold(event.waitMs))
  }
}

const isStep = (event: SolverEvent): event is SolveMeta & TaskStep =>
  event._tag === 'Created' || event._tag === 'Polled' || event._tag === 'Delayed' || event._tag === 'AssumedNotCreated'

/** Writes the progress of one job. While Redis is slow, steps are left out. */
class JobReport {
  readonly #job: JobLike<unknown>
  #isWriting = false
  #next: JobProgress | undefined

  constructor(job: JobLike<unknown>) {
    this.#job = job
  }

  write({ label: _label, solveId: _solveId, batchId: _batchId, ...step }: SolveMeta & TaskStep): void {
    this.#next = step
    if (!this.#isWriting) void this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true
    while (this.#next) {
      const progress = this.#next
      this.#next = undefined
      await ignoreFailure(this.#job.updateProgress(progress))
    }
    this.#isWriting = false
  }
}

/** A lost report changes no outcome, and BullMQ emits `error` if Redis fails. */
const ignoreFailure = (written: Promise<unknown>): Promise<void> =>
  written.then(
    () => undefined,
    () => undefined
  )
