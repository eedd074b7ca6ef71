import * as E from 'fp-ts/lib/Either.js'
import {
  delay,
  exhaustMap,
  filter,
  firstValueFrom,
  lastValueFrom,
  map,
  merge,
  ReplaySubject,
  tap,
  type Observable,
  type SchedulerLike
} from 'rxjs'
import type { Outcome } from '../../core/model/batch.js'
import { isClosedBeforeReply } from '../../core/model/explain.js'
import type { Journal } from '../../core/model/journal.js'
import type { SolverOptions } from '../../core/model/options.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solver } from '../../core/solver.js'
import { createSolver } from '../../http/create-solver.js'
import { closeSolver } from '../shared/close-solver.js'
import { WrongUsage, signalStream, type CliContext } from '../shared/context.js'
import type { ServiceReach } from '../shared/explain.js'
import { canDraw, drawProgress, printProgress } from '../shared/progress.js'
import type { OpenedService } from '../shared/service.js'
import { READER_GRACE_MS, stopLevels } from '../shared/stop-levels.js'
import { shellQuoted } from '../shared/text.js'
import { openFiles, type BatchFiles, type FileFlags } from './files.js'
import { itemKeys, keyedItems, type KeyedItem } from '../input/item.js'
import { retryFailed, type BatchJournal } from './journals.js'
import { printReport, progressRows } from './report.js'
import { BatchStats } from './stats.js'

/** The options of `batch`, without those of the service. */
export interface BatchFlags extends FileFlags {
  readonly concurrency?: number
  readonly maxTasks?: number
  readonly retryFailed?: true
  readonly createsPerSecond?: number
}

/** Solves all tasks of the input; returns the exit code. */
export const batch = async (
  context: CliContext,
  service: OpenedService,
  input: string,
  { concurrency, maxTasks, retryFailed: retries, createsPerSecond, ...flags }: BatchFlags,
  argv: ReadonlyArray<string>
): Promise<number> => {
  if (retries && flags.out === undefined && flags.journal === undefined)
    throw new WrongUsage(
      '--retry-failed: requires --out or --journal of the run whose failures you want to pay for again'
    )
  const files = await openFiles(context, service, input, flags)
  const journal = files.journal && retries ? retryFailed(files.journal) : files.journal
  const options = { ...service.options, createsPerSecond }
  const commandLine = ['rx-captcha', ...argv.map(shellQuoted)].join(' ')
  try {
    return await runBatch(context, {
      files: { ...files, journal },
      options,
      concurrency,
      maxTasks,
      service,
      commandLine
    })
  } finally {
    await files.close()
  }
}

export interface BatchConfig {
  readonly files: BatchFiles
  readonly options: SolverOptions
  readonly concurrency: number | undefined
  readonly maxTasks?: number | undefined
  readonly service: ServiceReach
  /** The command line, to be run again. */
  readonly commandLine: string
  /** A clock other than the real one. */
  readonly scheduler?: SchedulerLike
}

/** Solves all items of the input, prints a report and returns the exit code. */
export const runBatch = async (context: CliContext, config: BatchConfig): Promise<number> => {
  const { options, files, scheduler } = config
  const solver = createSolver({ ...options, scheduler })
  const stats = new BatchStats()
  const startedAt = performance.now()
  const elapsedMs = (): number => performance.now() - startedAt
  const rows = () => progressRows(stats, files.input.total, elapsedMs())
  const { stderr, env } = context
  // Rows would overwrite outcomes that are printed on a terminal too.
  const isDrawn = canDraw(stderr, env) && !files.output.isOnTerminal
  const progress = isDrawn ? drawProgress(stderr, rows) : printProgress(stderr, rows, scheduler)
  const { signals, first, stop } = signalStream(context)
  const onStop = () => {
    if (stats.active > 0) progress.note(STOPPING)
  }
  const { stopPulling, forced, ignoreSignals } = stopOnSignals(signals, solver, onStop, scheduler)
  const outcomes = new OutcomeCounter(solver, stats)
  try {
    const solving = solveItems(solver, config, stats, outcomes, stopPulling)
    const failure = await Promise.race([solving, firstValueFrom(forced)])
    progress.close()
    await closeSolver(solver, stderr, forced)
    outcomes.countRest()
    // A limit may end the batch with the last item, before the end of the input was seen.
    if (files.input.total === stats.done) stats.isExhausted = true
    return printReport(context, { ...config, stats, failure, signal: first(), elapsedMs: elapsedMs() })
  } finally {
    progress.close()
    ignoreSignals()
    stop()
  }
}

/** Level 1 stops pulling. Level 2 closes the solver, and then a line waits for a slow reader for two seconds. */
const stopOnSignals = (
  signals: Observable<NodeJS.Signals>,
  solver: Solver,
  onStop: () => void,
  scheduler?: SchedulerLike
) => {
  const levels = stopLevels(signals)
  levels.subscribe((level) => {
    if (level === 1) onStop()
  })
  const closed = levels.pipe(
    filter((level) => level === 2),
    exhaustMap(() => solver.close()),
    delay(READER_GRACE_MS, scheduler)
  )
  const forced = new ReplaySubject<unknown>(1)
  const forcing = merge(closed, levels.pipe(filter((level) => level > 2))).subscribe(forced)
  return {
    stopPulling: levels,
    forced: forced.pipe(map(() => undefined)),
    ignoreSignals: () => {
      forcing.unsubscribe()
    }
  }
}

const STOPPING = 'Stopping: waiting for active tasks. Press Ctrl-C again to stop now.'

/** Counts outcomes. A createTask without a reply is counted at the end, because `close` still waits for its task id. */
class OutcomeCounter {
  readonly #stats: BatchStats
  readonly #unanswered = new Map<unknown, Outcome<KeyedItem, RecaptchaV2Solution>>()

  constructor(solver: Solver, stats: BatchStats) {
    this.#stats = stats
    solver.orphans.subscribe(({ ref, task }) => {
      const outcome = this.#unanswered.get(task)
      if (outcome) stats.onLateId(ref, outcome.item.line)
      else stats.unreported.add(ref)
      this.#unanswered.delete(task)
    })
  }

  count(outcome: Outcome<KeyedItem, RecaptchaV2Solution>): void {
    const { item, result } = outcome
    if (E.isLeft(result) && isClosedBeforeReply(result.left)) this.#unanswered.set(item.task, outcome)
    else this.#stats.onOutcome(result, item.line)
  }

  countRest(): void {
    for (const { item, result } of this.#unanswered.values()) this.#stats.onOutcome(result, item.line)
  }
}

/** Resolves at the end of all tasks, with the error that stopped the batch as a whole. */
const solveItems = (
  solver: Solver,
  config: BatchConfig,
  stats: BatchStats,
  counter: OutcomeCounter,
  until: Observable<unknown>
): Promise<unknown> => {
  const { input, output, journal } = config.files
  solver.events.subscribe((event) => {
    stats.onEvent(event)
  })
  const toTask = ({ task }: KeyedItem) => {
    stats.pulled += 1
    return task
  }
  const deliver = async (outcome: Outcome<KeyedItem, RecaptchaV2Solution>): Promise<void> => {
    counter.count(outcome)
    try {
      await output.write(outcome.item, outcome.result)
      stats.onWritten(outcome.result)
    } catch (error) {
      stats.onWriteFailure()
      throw error
    }
  }
  // Keys cost memory for every item, so they are made only if a later run may need them.
  const items = keyedItems(input.items(config.options.clientKey), stats, journal && itemKeys())
  const outcomes = solver.solveAll(items, toTask, {
    ...{ concurrency: config.concurrency, maxCreates: config.maxTasks, until, deliver },
    ...(journal && { journal: watched(journal, stats), keyOf: ({ key = '' }: KeyedItem) => key })
  })
  return lastValueFrom(outcomes, { defaultValue: undefined }).then(
    () => undefined,
    (error: unknown) => error
  )
}

/** The journal; `stats` counts the items that are skipped because their task failed in an earlier run. */
const watched = (journal: BatchJournal, stats: BatchStats): Journal => ({
  ...journal,
  find: (key) =>
    journal.find(key).pipe(
      tap((entry) => {
        if (entry._tag === 'Finished' && entry.tag === 'TaskFailed') stats.onFailedBefore()
      })
    )
})
