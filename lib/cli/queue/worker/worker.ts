import * as E from 'fp-ts/lib/Either.js'
import { ReplaySubject, firstValueFrom, from, map, merge, race, skip, timer, type Observable } from 'rxjs'
import type { SupervisedWorker } from '../../../bullmq/index.js'
import { recaptchaV2, type RecaptchaV2Fields, type RecaptchaV2Solution } from '../../../core/model/recaptcha-v2.js'
import { refOfResult } from '../../../core/model/result.js'
import type { TaskSpec } from '../../../core/model/task.js'
import type { Solver } from '../../../core/solver.js'
import { isRecord } from '../../../core/validation/problems.js'
import { createSolver } from '../../../http/create-solver.js'
import { WrongUsage, printLine, signalStream, type CliContext } from '../../shared/context.js'
import { EXIT, exitCodeOfSignal } from '../../shared/exit-code.js'
import { canDraw, drawProgress, printProgress } from '../../shared/progress.js'
import type { OpenedService } from '../../shared/service.js'
import { messageOf } from '../../shared/text.js'
import { openQueue, type OpenedQueue, type QueueFlags } from '../open.js'
import { REDIS_PASSWORD_HELP } from '../redis.js'
import { pauseReason, unrecordedText, workerRows, workerSummary } from './report.js'
import { WorkerStats, watchedSolver } from './stats.js'
import { UnrecordedTasks } from './unrecorded.js'

/** The options of `worker`, without those of the service. */
export interface WorkerFlags extends QueueFlags {
  readonly concurrency?: number
  readonly maxOpen?: number
  readonly createsPerSecond?: number
  readonly grace: number
  readonly resumeQueue?: true
  readonly lockMs?: number
  readonly stalledCheckMs?: number
}

/** Solves the jobs of a queue until a signal arrives; returns the exit code. */
export const worker = async (context: CliContext, service: OpenedService, flags: WorkerFlags): Promise<number> => {
  // Wrong options of the service are reported before anything is connected.
  const solver = createSolver(service.options)
  try {
    const opened = await openQueue(context, flags)
    try {
      await prepareQueue(opened, flags)
      return await new WorkerRun(context, { opened, service, solver, flags }).untilClosed()
    } finally {
      await opened.close()
    }
  } finally {
    // Not awaited: after the third signal a createTask may still be in flight.
    void solver.close()
  }
}

/** Stores the settings of the queue, and says whether it is paused. */
const prepareQueue = async ({ queue, notices }: OpenedQueue, flags: WorkerFlags): Promise<void> => {
  try {
    if (flags.maxOpen !== undefined) await queue.setGlobalConcurrency(flags.maxOpen)
    if (flags.resumeQueue) await queue.resume()
    if (await queue.isPaused()) notices.onPaused()
  } catch (error) {
    throw new WrongUsage(`Redis cannot be used (${messageOf(error).replace(/\.$/, '')}); nothing was sent`)
  }
}

interface WorkerParts {
  readonly opened: OpenedQueue
  readonly service: OpenedService
  readonly solver: Solver
  readonly flags: WorkerFlags
}

/** One run of the command. */
class WorkerRun {
  readonly #context: CliContext
  readonly #parts: WorkerParts
  readonly #stats: WorkerStats
  readonly #unrecorded: UnrecordedTasks
  // Its type follows from the processor.
  readonly #worker
  readonly #supervised: SupervisedWorker
  /** After which time other workers notice that this one is gone. */
  readonly #noticedAfterMs: number

  constructor(context: CliContext, parts: WorkerParts) {
    this.#context = context
    this.#parts = parts
    const { connection, name, modules, notices } = parts.opened
    this.#unrecorded = new UnrecordedTasks((ref) => {
      notices.print(unrecordedText(ref, parts.service))
    })
    this.#stats = new WorkerStats(modules.adapter.jobVerdict)
    const settings = this.#settings()
    this.#noticedAfterMs = settings.lockDuration + 2 * settings.stalledInterval
    const processor = this.#processor()
    this.#worker = new modules.bullmq.Worker(name, processor, { connection, ...settings })
    this.#supervised = modules.adapter.superviseWorker(this.#worker, processor)
    this.#watch()
  }

  #settings() {
    const { opened, flags } = this.#parts
    const { concurrency, createsPerSecond } = flags
    const settings = opened.modules.adapter.taskWorkerOptions({ concurrency, createsPerSecond })
    const { lockMs = settings.lockDuration, stalledCheckMs = settings.stalledInterval } = flags
    return { ...settings, lockDuration: lockMs, stalledInterval: stalledCheckMs }
  }

  #processor() {
    const { opened, service, solver } = this.#parts
    const { clientKey } = service.options
    const unrecorded = this.#unrecorded
    const onOutcome: Parameters<typeof watchedSolver>[1] = (jobId, result) => {
      const ref = refOfResult(result)
      if (ref) unrecorded.onSaved(ref)
      const error = this.#stats.onOutcome(jobId, result)
      if (error) opened.notices.onReason(pauseReason(error))
    }
    const observed = watchedSolver(solver, onOutcome, (journal) => unrecorded.watched(journal))
    const { taskProcessor } = opened.modules.adapter
    return taskProcessor(observed, { queue: opened.queue, toTask: (data) => taskOfJob(data, clientKey) })
  }

  #watch(): void {
    const { opened, solver } = this.#parts
    const stats = this.#stats
    solver.events.subscribe((event) => {
      stats.onEvent(event)
    })
    solver.orphans.subscribe(({ ref }) => {
      this.#unrecorded.onOrphan(ref)
    })
    opened.notices.watch(this.#worker)
    this.#worker.on('completed', () => {
      stats.onCompleted()
    })
    this.#worker.on('failed', (job) => {
      stats.onFailed(job)
    })
  }

  /** Works until a signal arrives, prints what was done, and returns the exit code. */
  async untilClosed(): Promise<number> {
    const { stderr, env } = this.#context
    const { opened, service, solver } = this.#parts
    const startedAt = performance.now()
    const rows = () => workerRows(this.#stats, solver.counts())
    const progress = canDraw(stderr, env) ? drawProgress(stderr, rows) : printProgress(stderr, rows)
    const printing = opened.notices.lines.subscribe(progress.note)
    const { signals, stop } = signalStream(this.#context)
    const [second, third] = [replayed(signals.pipe(skip(1))), replayed(signals.pipe(skip(2)))]
    try {
      await firstValueFrom(race(this.#worker.waitUntilReady(), signals))
      progress.note(`Working on the queue ${opened.name}. Press Ctrl-C to stop.`)
      const signal = await firstValueFrom(signals)
      progress.note(stoppingText(this.#parts.flags.grace))
      if (!(await this.#finish(second))) progress.note(HANDING_OVER)
      const hasLeft = !(await this.#handOver(third))
      this.#unrecorded.reportRest()
      progress.close()
      const elapsedMs = performance.now() - startedAt
      const { isEmbedded } = service
      const end = { stats: this.#stats, elapsedMs, hasLeft, noticedAfterMs: this.#noticedAfterMs, isEmbedded }
      printLine(stderr, workerSummary(end))
      return hasLeft ? exitCodeOfSignal(signal) : EXIT.solved
    } finally {
      printing.unsubscribe()
      progress.close()
      stop()
    }
  }

  /** Begins no more jobs; returns whether the active tasks ended before the grace was over or `handOver` emitted. */
  #finish(handOver: Observable<unknown>): Promise<boolean> {
    const grace = timer(this.#parts.flags.grace * 1_000)
    return endsBefore(this.#worker.close(), merge(grace, handOver))
  }

  /** Gives the active jobs back to the queue; returns whether that was done before `leave` emitted. */
  #handOver(leave: Observable<unknown>): Promise<boolean> {
    // Not with a grace: a solver keeps that of its first `close`, and a second signal could not shorten it.
    return endsBefore(this.#supervised.close(), leave)
  }
}

const endsBefore = (work: Promise<void>, limit: Observable<unknown>): Promise<boolean> =>
  firstValueFrom(race(from(work).pipe(map(() => true)), limit.pipe(map(() => false))))

/**
 * The task of a job. Its data is what createTask sends as `task`, with or without the type; for any other data the task ends as
 * `InvalidTask`.
 */
const taskOfJob = (data: unknown, clientKey: string): TaskSpec<RecaptchaV2Solution> => {
  const task = recaptchaV2(data as RecaptchaV2Fields)
  const { type = task.type, websiteKey }: { type?: unknown; websiteKey?: unknown } = isRecord(data) ? data : {}
  if (type !== task.type) return { ...task, payload: E.left([`type: expected ${task.type}`]) }
  return websiteKey === clientKey ? { ...task, payload: E.left([CLIENT_KEY_AS_SITE_KEY]) } : task
}

const CLIENT_KEY_AS_SITE_KEY = 'websiteKey: this is the client key; expected the site key of the page'

/** The observable from now on, for subscribers to come. */
const replayed = <A>(source: Observable<A>): Observable<A> => {
  const values = new ReplaySubject<A>(1)
  source.subscribe(values)
  return values.asObservable()
}

const stoppingText = (grace: number): string =>
  `Stopping: no more jobs are started, and active tasks are polled for at most ${grace} s. ` +
  'Press Ctrl-C again to hand them over now.'

const HANDING_OVER = 'Handing over the active tasks. Press Ctrl-C again to exit now.'

/** What the help of `worker` says about queues, crashes and signals. */
export const WORKER_HELP = `Solves the tasks that rx-captcha batch --queue NAME FILE or your own program
submits. Start as many workers as you like, on any machines that reach the same
Redis, which records the ids of paid tasks. If a worker dies, another one
continues its tasks at no further cost, within --lock-ms plus twice
--stalled-check-ms.
${REDIS_PASSWORD_HELP}

--max-open is stored in the queue. It applies to all workers until a worker is
started with another value.

The queue is paused if the service refuses the account, or if its replies cannot
be read. No job is then started until a worker runs with --resume-queue.

On Ctrl-C, SIGTERM or SIGHUP the worker starts no more jobs, and polls active
tasks for --grace seconds. Unfinished tasks go back to the queue, where another
worker continues them. A second signal ends the grace period, and a third one
exits immediately.`

export const WORKER_EXIT_HELP = `Exit codes:
  0    stopped by a signal; each job has ended or was returned to the queue
  2    usage error: a bad option, or Redis cannot be reached; nothing was paid
  130  exited on a third Ctrl-C before that (143 by SIGTERM, 129 by SIGHUP)`
