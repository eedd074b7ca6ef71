import { filter, firstValueFrom, lastValueFrom, map, tap, type Observable, type SchedulerLike } from 'rxjs'
import type { Outcome } from '../../core/model/batch.js'
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
import { stopLevels } from '../shared/stop-levels.js'
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
  const { stopPulling, forced } = stopOnSignals(signals, solver, onStop)
  try {
    const failure = await Promise.race([solveItems(solver, config, stats, stopPulling), firstValueFrom(forced)])
    progress.close()
    // A limit may end the batch with the last item, before the end of the input was seen.
    if (files.input.total === stats.done) stats.isExhausted = true
    await closeSolver(solver, stderr, forced)
    return printReport(context, { ...config, stats, failure, signal: first(), elapsedMs: elapsedMs() })
  } finally {
    progress.close()
    stop()
  }
}

/** Level 1 stops pulling, and level 2 closes the solver. */
const stopOnSignals = (signals: Observable<NodeJS.Signals>, solver: Solver, onStop: () => void) => {
  const levels = stopLevels(signals)
  levels.subscribe((level) => {
    if (level === 1) onStop()
    if (level === 2) void solver.close()
  })
  const third = levels.pipe(filter((level) => level > 2))
  return { stopPulling: levels, forced: third.pipe(map(() => undefined)) }
}

const STOPPING = 'Stopping: waiting for active tasks. Press Ctrl-C again to stop now.'

/** Resolves at the end of all tasks, with the error that stopped the batch as a whole. */
const solveItems = (
  solver: Solver,
  config: BatchConfig,
  stats: BatchStats,
  until: Observable<unknown>
): Promise<unknown> => {
  const { input, output, journal } = config.files
  solver.events.subscribe((event) => {
    stats.onEvent(event)
  })
  solver.orphans.subscribe(({ ref }) => stats.unreported.push(ref))
  const toTask = ({ task }: KeyedItem) => {
    stats.pulled += 1
    return task
  }
  const deliver = ({ item, result }: Outcome<KeyedItem, RecaptchaV2Solution>) => {
    stats.onOutcome(result, item.line)
    return output.write(item, result).catch((error: unknown) => {
      stats.onWriteFailure(result)
      throw error
    })
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
