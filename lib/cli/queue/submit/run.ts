import * as E from 'fp-ts/lib/Either.js'
import {
  ReplaySubject,
  Subject,
  filter,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  merge,
  mergeMap,
  race,
  switchMap,
  takeUntil,
  timer,
  type Observable
} from 'rxjs'
import { entryAfter, journalTagOf, type JournalEntry } from '../../../core/model/journal.js'
import { recaptchaV2 } from '../../../core/model/recaptcha-v2.js'
import type { BatchFiles } from '../../batch/files.js'
import { itemKeys } from '../../batch/item.js'
import type { KeyedItem } from '../../batch/output.js'
import { BatchStats } from '../../batch/stats.js'
import { signalStream, type CliContext } from '../../shared/context.js'
import type { ItemResult } from '../../shared/item-error.js'
import { drawProgress, printProgress } from '../../shared/progress.js'
import { KEY_VARIABLE } from '../../shared/service.js'
import { stopLevels } from '../../shared/stop-levels.js'
import { shellQuoted } from '../../shared/text.js'
import { ClaimGate } from './claim-gate.js'
import type { OpenedQueue } from '../open.js'
import type { QueueOutput } from './output.js'
import { printSubmitReport, submitRows } from './report.js'

/** What a {@link SubmitRun} works with. */
export interface SubmitParts {
  readonly files: BatchFiles
  readonly opened: OpenedQueue
  readonly output: QueueOutput
  readonly concurrency: number | undefined
  /** The command line, to be run again. */
  readonly commandLine: string
}

type QueueItem = KeyedItem & { readonly key: string }

const MAX_WRITES = 100
const LAST_REPLIES_MS = 2_000

/** One batch whose tasks are solved by the workers of a queue. */
export class SubmitRun {
  readonly #context: CliContext
  readonly #parts: SubmitParts
  readonly #stats = new BatchStats()
  readonly #gate: ClaimGate
  readonly #writes = new Set<Promise<void>>()
  readonly #writeFailed = new ReplaySubject<void>(1)
  /** Whether an outcome is not final: a later run has to look at the queue again. */
  #hasUnfinished = false
  #failure: unknown

  constructor(context: CliContext, parts: SubmitParts) {
    this.#context = context
    this.#parts = parts
    this.#gate = new ClaimGate(parts.opened.queue)
  }

  /** Submits all items, awaits their outcomes, and prints a report; returns the exit code. */
  async untilEnded(): Promise<number> {
    const { files, opened, output, commandLine } = this.#parts
    const { stderr } = this.#context
    const stats = this.#stats
    const startedAt = performance.now()
    const elapsedMs = (): number => performance.now() - startedAt
    const rows = () => submitRows(stats, files.input.total, elapsedMs())
    const canDraw = stderr.isTTY === true && !files.output.isOnTerminal
    const progress = canDraw ? drawProgress(stderr, rows) : printProgress(stderr, rows)
    const printing = opened.notices.lines.subscribe(progress.note)
    const { signals, first, stop } = signalStream(this.#context)
    try {
      // Not awaited: Redis may be gone by now, and the signals must be heard.
      this.#printState().catch(() => undefined)
      this.#failure = await this.#submit(submitLevels(signals, progress.note))
      progress.close()
      // All may be submitted before the end of the input is seen.
      if (files.input.total === stats.done + stats.active) stats.isExhausted = true
      if (this.#isOver()) await output.release()
      const end = { stats, failure: this.#failure, signal: first(), elapsedMs: elapsedMs(), files, commandLine }
      return printSubmitReport(this.#context, end)
    } finally {
      printing.unsubscribe()
      progress.close()
      stop()
    }
  }

  /** Says why nothing may happen for a while. */
  async #printState(): Promise<void> {
    const { queue, notices, name } = this.#parts.opened
    if (await queue.isPaused()) notices.onPaused()
    else if ((await queue.getWorkersCount()) === 0)
      notices.print(`No worker is running for this queue. Start one: rx-captcha worker --queue ${shellQuoted(name)}`)
  }

  /**
   * Resolves with the error that ended the batch as a whole. Level 1 stops submitting, level 2 stops waiting, and after level 3
   * nothing is waited for.
   */
  async #submit(levels: Observable<number>): Promise<unknown> {
    const { opened, concurrency } = this.#parts
    const left = new Subject<void>()
    const outcomes = opened.modules.adapter.submitAll(this.#items(), {
      queue: this.#gate.queue,
      events: opened.events,
      kind: recaptchaV2,
      keyOf: ({ key }: QueueItem) => key,
      toData: ({ task }) => {
        this.#stats.pulled += 1
        return E.toUnion(task.payload)
      },
      concurrency,
      until: levels
    })
    const ended = lastValueFrom(
      outcomes.pipe(
        mergeMap(({ item, result }) => this.#deliver(item, result)),
        takeUntil(left)
      ),
      { defaultValue: undefined }
    ).then(
      () => undefined,
      (error: unknown) => ({ error })
    )
    const stopWaiting = merge(this.#writeFailed, levels.pipe(filter((level) => level > 1)))
    const abandoned = stopWaiting.pipe(switchMap(() => this.#lastReplies()))
    const forced = levels.pipe(filter((level) => level > 2))
    const written = from(ended).pipe(
      switchMap(async (failure) => {
        await Promise.allSettled(this.#writes)
        return failure
      })
    )
    const failure = await firstValueFrom(race(written, merge(abandoned, forced).pipe(map(() => undefined))))
    left.next()
    return this.#failure ?? failure?.error
  }

  /** Receives the last replies of Redis, which may hold tokens, and writes them. */
  async #lastReplies(): Promise<void> {
    await firstValueFrom(race(this.#gate.stop(), timer(LAST_REPLIES_MS)))
    // What a reply leads to takes a few promises more.
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.allSettled(this.#writes)
  }

  /** The items to submit, with their keys. What needs no job is reported here. */
  async *#items(): AsyncGenerator<QueueItem> {
    const { files, output } = this.#parts
    const stats = this.#stats
    const nextKey = itemKeys()
    let index = 0
    for await (const item of files.input.items(this.#context.env[KEY_VARIABLE])) {
      // A reader that is slow must not let outcomes pile up.
      while (this.#writes.size >= MAX_WRITES) await Promise.race(this.#writes)
      const key = nextKey(item)
      if (key === undefined) stats.repeated += 1
      else if (!this.#skips(output.entryOf(key)) && !(await this.#isBad({ ...item, index, key })))
        yield { ...item, index, key }
      index += 1
    }
    stats.isExhausted = true
  }

  #skips(entry: JournalEntry): boolean {
    if (entry._tag !== 'Finished') return false
    this.#stats.pulled += 1
    this.#stats.skipped += 1
    if (entry.tag === 'TaskFailed') this.#stats.onFailedBefore()
    return true
  }

  async #isBad(item: QueueItem): Promise<boolean> {
    const { payload } = item.task
    if (E.isRight(payload)) return false
    this.#stats.pulled += 1
    await this.#deliver(item, E.left({ _tag: 'InvalidTask', paid: 'no', problems: payload.left }))
    return true
  }

  /** Writes the line of an outcome. After a failure the batch stops, and later outcomes are reported by their tasks. */
  async #deliver(item: QueueItem, result: ItemResult): Promise<void> {
    this.#stats.onOutcome(result, item.line)
    this.#count(result)
    const writing = this.#parts.files.output.write(item, result).catch((error: unknown) => {
      this.#stats.onWriteFailure(result)
      this.#failure ??= error
      this.#writeFailed.next()
    })
    this.#writes.add(writing)
    await writing
    this.#writes.delete(writing)
  }

  /** Counts what the events of a solver would say, which is another process. */
  #count(result: ItemResult): void {
    if (E.isRight(result)) {
      const { ref, readyAt } = result.right
      this.#stats.times.record(Math.max(1, readyAt - ref.createdAt))
    } else if (['Known', 'InDoubt'].includes(entryAfter(journalTagOf(result.left)))) this.#hasUnfinished = true
    if (E.isRight(result) || result.left.paid === 'yes') this.#stats.created += 1
  }

  /** Whether nothing of the batch is left in the queue. */
  #isOver(): boolean {
    const { isExhausted, active } = this.#stats
    return isExhausted && active === 0 && this.#failure === undefined && !this.#hasUnfinished
  }
}

const submitLevels = (signals: Observable<NodeJS.Signals>, note: (text: string) => void): Observable<number> => {
  const levels = stopLevels(signals)
  levels.pipe(filter((level) => level === 1)).subscribe(() => {
    note(STOPPING_TO_SUBMIT)
  })
  return levels
}

const STOPPING_TO_SUBMIT =
  'Stopping: no task is submitted any more; waiting for those in the queue. Press Ctrl-C again to stop waiting.'
