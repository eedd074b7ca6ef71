import { ReplaySubject, firstValueFrom, interval, lastValueFrom, tap, type SchedulerLike } from 'rxjs'
import type { Outcome } from '../../core/model/batch.js'
import type { Journal } from '../../core/model/journal.js'
import type { SolverOptions } from '../../core/model/options.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solver } from '../../core/solver.js'
import { createSolver } from '../../http/create-solver.js'
import { closeSolver } from '../shared/close-solver.js'
import { printLine, signalStream, type CliContext } from '../shared/context.js'
import type { ServiceReach } from '../shared/explain.js'
import { drawProgress, type Progress, type Row } from '../shared/progress.js'
import type { BatchFiles } from './files.js'
import { ItemKeys } from './item.js'
import type { BatchJournal } from './journals.js'
import type { KeyedItem } from './output.js'
import { printReport, progressRows } from './report.js'
import { BatchStats } from './stats.js'

export interface BatchConfig {
  readonly files: BatchFiles
  readonly options: SolverOptions
  readonly concurrency: number | undefined
  readonly service: ServiceReach
  /** The command line, to be run again. */
  readonly commandLine: string
  /** Another clock than the real one. */
  readonly scheduler?: SchedulerLike
}

/** Solves all items of the input, prints a report and returns the exit code. */
export const runBatch = async (context: CliContext, config: BatchConfig): Promise<number> => {
  const { options, files, service, commandLine } = config
  const solver = createSolver({ ...options, scheduler: config.scheduler })
  const stats = new BatchStats()
  const startedAt = performance.now()
  const elapsedMs = (): number => performance.now() - startedAt
  const requests = new StopRequests()
  const progress = showProgress(context, config, () => progressRows(stats, files.input.total, elapsedMs()))
  const { signals, stop } = signalStream(context)
  signals.subscribe((signal) => {
    requests.onSignal(signal)
    if (requests.level === 1) progress.note(STOPPING)
    if (requests.level === 2) void solver.close()
  })
  try {
    const left = firstValueFrom(requests.leave)
    const failure = await Promise.race([failureOf(solveItems(solver, config, stats, requests)), left])
    progress.close()
    await closeSolver(solver, context.stderr, requests.leave)
    return printReport(context, {
      ...{ stats, failure, signal: requests.signal, isExhausted: stats.isExhausted },
      ...{ total: files.input.total, hasJournal: files.journal !== undefined, service, commandLine },
      elapsedMs: elapsedMs()
    })
  } finally {
    progress.close()
    stop()
  }
}

const STOPPING = 'Stopping: waiting for active tasks. Press Ctrl-C again to stop now.'

const solveItems = (
  solver: Solver,
  { concurrency, files, options }: BatchConfig,
  stats: BatchStats,
  requests: StopRequests
): Promise<unknown> => {
  const { output, journal } = files
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
  const outcomes = solver.solveAll(keyedItems(files, stats, options.clientKey), toTask, {
    concurrency,
    until: requests.stopPulling,
    deliver,
    ...(journal && { journal: watched(journal, stats), keyOf: ({ key = '' }: KeyedItem) => key })
  })
  return lastValueFrom(outcomes, { defaultValue: undefined })
}

/** The journal; it tells the stats of items that are skipped because their task failed in an earlier run. */
const watched = (journal: BatchJournal, stats: BatchStats): Journal => ({
  ...journal,
  find: (key) =>
    journal.find(key).pipe(
      tap((entry) => {
        if (entry._tag === 'Finished' && entry.tag === 'TaskFailed') stats.onFailedBefore()
      })
    )
})

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error
  )

/** The items of the input with their keys. */
const keyedItems = async function* ({ input, journal }: BatchFiles, stats: BatchStats, clientKey: string) {
  // Keys cost memory for every item, so they are made only if a later run may need them.
  const keys = journal && new ItemKeys()
  let index = 0
  for await (const item of input.items(clientKey)) {
    const key = keys?.next(item)
    if (keys && key === undefined) stats.repeated += 1
    else yield { ...item, index, key }
    index += 1
  }
  stats.isExhausted = true
}

/** How urgently the user wants to stop: 1 stops pulling, 2 stops now, 3 waits for nothing. */
class StopRequests {
  readonly #stopPulling = new ReplaySubject<void>(1)
  readonly #leave = new ReplaySubject<void>(1)
  readonly stopPulling = this.#stopPulling.asObservable()
  readonly leave = this.#leave.asObservable()
  level = 0
  signal: NodeJS.Signals | undefined

  /** SIGTERM and SIGHUP stop now: a process manager does not wait for five minutes. */
  onSignal(signal: NodeJS.Signals): void {
    this.signal ??= signal
    this.level = this.level === 0 && signal !== 'SIGINT' ? 2 : this.level + 1
    this.#stopPulling.next()
    if (this.level > 2) this.#leave.next()
  }
}

const PRINT_EVERY_MS = 10_000

/** Rows on a terminal; a line every ten seconds elsewhere, and where the outcomes are printed on a terminal too. */
const showProgress = (
  { stderr }: CliContext,
  { files: { output }, scheduler }: BatchConfig,
  rows: () => ReadonlyArray<Row>
): Progress => {
  if (stderr.isTTY === true && !output.isOnTerminal) return drawProgress(stderr, rows)
  const printing = interval(PRINT_EVERY_MS, scheduler).subscribe(() => {
    printLine(
      stderr,
      rows()
        .map(({ text }) => text)
        .join('  ')
    )
  })
  return {
    note: (text) => {
      printLine(stderr, text)
    },
    close: () => {
      printing.unsubscribe()
    }
  }
}
