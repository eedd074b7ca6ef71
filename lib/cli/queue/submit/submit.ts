import * as E from 'fp-ts/lib/Either.js'
import {
  catchError,
  delayWhen,
  endWith,
  filter,
  firstValueFrom,
  ignoreElements,
  map,
  merge,
  mergeMap,
  of,
  race,
  switchMap,
  timer,
  type Observable
} from 'rxjs'
import { recaptchaV2 } from '../../../core/model/recaptcha-v2.js'
import { openFiles, type BatchFiles, type FileFlags } from '../../batch/files.js'
import { BatchStats } from '../../batch/stats.js'
import { itemKeys, keyedItems, type KeyedItem } from '../../input/item.js'
import { signalStream, type CliContext } from '../../shared/context.js'
import { canDraw, drawProgress, printProgress } from '../../shared/progress.js'
import { KEY_VARIABLE } from '../../shared/service.js'
import { READER_GRACE_MS, stopLevels } from '../../shared/stop-levels.js'
import { shellQuoted } from '../../shared/text.js'
import { openQueue, type OpenedQueue, type QueueFlags } from '../open.js'
import { ClaimGate } from './claim-gate.js'
import { OutcomeWriter } from './outcome-writer.js'
import { QueueOutput } from './output.js'
import { printSubmitReport, submitRows } from './report.js'

/** The options of `batch` that go with `--queue`. */
export interface SubmitFlags extends QueueFlags, Omit<FileFlags, 'journal'> {
  readonly concurrency?: number
}

/** Solves all tasks of the input by the workers of a queue; returns the exit code. `commandLine` is printed, to be run again. */
export const submit = async (
  context: CliContext,
  input: string,
  flags: SubmitFlags,
  commandLine: string
): Promise<number> => {
  const output = new QueueOutput()
  const files = await openFiles(context, NO_SERVICE, input, flags, output.chooseJournal)
  try {
    const opened = await openQueue(context, flags)
    try {
      await output.claim(opened.name)
      const { concurrency } = flags
      return await new SubmitRun(context, { files, opened, output, concurrency, commandLine }).untilEnded()
    } finally {
      await opened.close()
    }
  } finally {
    await files.close()
  }
}

// The workers call the service, so this process has no options for reaching it.
const NO_SERVICE = { flags: [], isEmbedded: false } as const

interface SubmitParts {
  readonly files: BatchFiles
  readonly opened: OpenedQueue
  readonly output: QueueOutput
  readonly concurrency: number | undefined
  /** The command line, to be run again. */
  readonly commandLine: string
}

const LAST_REPLIES_MS = 2_000

/** One batch whose tasks are solved by the workers of a queue. */
class SubmitRun {
  readonly #context: CliContext
  readonly #parts: SubmitParts
  readonly #stats = new BatchStats()
  readonly #gate: ClaimGate
  readonly #writer: OutcomeWriter

  constructor(context: CliContext, parts: SubmitParts) {
    this.#context = context
    this.#parts = parts
    this.#gate = new ClaimGate(parts.opened.queue)
    this.#writer = new OutcomeWriter(parts.files.output, this.#stats)
  }

  /** Submits all items, awaits their outcomes, and prints a report; returns the exit code. */
  async untilEnded(): Promise<number> {
    const { files, opened, output, commandLine } = this.#parts
    const { stderr, env } = this.#context
    const stats = this.#stats
    const startedAt = performance.now()
    const elapsedMs = (): number => performance.now() - startedAt
    const rows = () => submitRows(stats, files.input.total, elapsedMs())
    const isDrawn = canDraw(stderr, env) && !files.output.isOnTerminal
    const progress = isDrawn ? drawProgress(stderr, rows) : printProgress(stderr, rows)
    const printing = opened.notices.lines.subscribe(progress.note)
    const { signals, first, stop } = signalStream(this.#context)
    try {
      // Not awaited: Redis may be gone by now, and signals must still be handled.
      this.#printState().catch(() => undefined)
      const ended = await this.#submit(submitLevels(signals, progress.note))
      const failure = this.#writer.failure ?? ended
      progress.close()
      // All may be submitted before the end of the input is seen.
      if (files.input.total === stats.done + stats.active) stats.isExhausted = true
      if (failure === undefined && this.#isOver()) await output.release()
      const end = { stats, failure, signal: first(), elapsedMs: elapsedMs(), files, commandLine }
      return printSubmitReport(this.#context, { ...end, unconfirmed: this.#gate.unconfirmed })
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
  #submit(levels: Observable<number>): Promise<unknown> {
    const { opened, concurrency } = this.#parts
    const outcomes = opened.modules.adapter.submitAll(this.#items(), {
      queue: this.#gate.queue,
      events: opened.events,
      kind: recaptchaV2,
      keyOf: ({ key = '' }: KeyedItem) => key,
      toData: ({ task }) => {
        // Not when it is read: an item that is read after the stop is not submitted.
        this.#stats.pulled += 1
        return E.toUnion(task.payload)
      },
      concurrency,
      until: levels
    })
    const delivered = outcomes.pipe(
      mergeMap(({ item, result }) => this.#writer.deliver(item, result)),
      ignoreElements(),
      endWith(undefined),
      catchError((error: unknown) => of(error)),
      // After an error or a stop, lines may still be being written.
      delayWhen(() => this.#writer.untilIdle())
    )
    const atLeast = (level: number) => levels.pipe(filter((reached) => reached >= level))
    const abandoned = merge(this.#writer.failed, atLeast(2)).pipe(switchMap(() => this.#receiveLastReplies()))
    const forced = atLeast(3)
    return firstValueFrom(race(delivered, merge(abandoned, forced).pipe(map(() => undefined))))
  }

  /** Receives the last replies of Redis, which may hold tokens, and writes them if the reader of the output is not too slow. */
  async #receiveLastReplies(): Promise<void> {
    await firstValueFrom(race(this.#gate.stop(), timer(LAST_REPLIES_MS)))
    // Handling a reply takes a few more microtasks.
    await new Promise((resolve) => setImmediate(resolve))
    await firstValueFrom(race(this.#writer.untilIdle(), timer(READER_GRACE_MS)))
  }

  /** The items to submit. What needs no job is reported here. */
  async *#items(): AsyncGenerator<KeyedItem> {
    const { files } = this.#parts
    const items = files.input.items(this.#context.env[KEY_VARIABLE])
    for await (const item of keyedItems(items, this.#stats, itemKeys())) {
      await this.#writer.untilRoom()
      if (!this.#skips(item) && !(await this.#isBad(item))) yield item
    }
  }

  #skips({ key = '' }: KeyedItem): boolean {
    const entry = this.#parts.output.entryOf(key)
    if (entry._tag !== 'Finished') return false
    this.#stats.pulled += 1
    this.#stats.skipped += 1
    if (entry.tag === 'TaskFailed') this.#stats.onFailedBefore()
    return true
  }

  async #isBad(item: KeyedItem): Promise<boolean> {
    const { payload } = item.task
    if (E.isRight(payload)) return false
    this.#stats.pulled += 1
    await this.#writer.deliver(item, E.left({ _tag: 'InvalidTask', paid: 'no', problems: payload.left }))
    return true
  }

  /** Whether nothing of the batch is left in the queue. */
  #isOver(): boolean {
    const { isExhausted, active } = this.#stats
    return isExhausted && active === 0 && !this.#writer.hasUnfinished
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
  'Stopping: no more tasks are submitted; waiting for those in the queue. Press Ctrl-C again to stop waiting.'
