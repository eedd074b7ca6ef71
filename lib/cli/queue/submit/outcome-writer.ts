import * as E from 'fp-ts/lib/Either.js'
import { ReplaySubject, type Observable } from 'rxjs'
import { entryAfter, journalTagOf } from '../../../core/model/journal.js'
import type { Output } from '../../batch/output.js'
import type { BatchStats } from '../../batch/stats.js'
import type { KeyedItem } from '../../input/item.js'
import type { ItemResult } from '../../shared/item-error.js'

const MAX_WRITES = 100

/** Counts the outcomes of a batch in a queue, and writes their lines. */
export class OutcomeWriter {
  readonly #output: Output
  readonly #stats: BatchStats
  readonly #writes = new Set<Promise<void>>()
  readonly #failed = new ReplaySubject<void>(1)
  /** Why a line could not be written. */
  failure: unknown
  /** Whether an outcome is not final: a later run has to look at the queue again. */
  hasUnfinished = false

  constructor(output: Output, stats: BatchStats) {
    this.#output = output
    this.#stats = stats
  }

  /** Emits when a line could not be written. */
  get failed(): Observable<void> {
    return this.#failed.asObservable()
  }

  /** Resolves when the line is written, or could not be; what is lost by that is reported at the end, by its task. */
  async deliver(item: KeyedItem, result: ItemResult): Promise<void> {
    this.#stats.onOutcome(result, item.line)
    this.#count(result)
    const writing = this.#output.write(item, result).then(
      () => {
        this.#stats.onWritten(result)
      },
      (error: unknown) => {
        this.#stats.onWriteFailure()
        this.failure ??= error
        this.#failed.next()
      }
    )
    this.#writes.add(writing)
    await writing
    this.#writes.delete(writing)
  }

  /** Resolves when another line may be written: outcomes must not pile up before a slow reader. */
  async untilRoom(): Promise<void> {
    while (this.#writes.size >= MAX_WRITES) await Promise.race(this.#writes)
  }

  /** Resolves when no line is being written. */
  async untilIdle(): Promise<void> {
    await Promise.allSettled(this.#writes)
  }

  /** Counts what the events of a solver would say, which is in another process. */
  #count(result: ItemResult): void {
    if (E.isRight(result)) {
      const { ref, readyAt } = result.right
      this.#stats.times.record(Math.max(1, readyAt - ref.createdAt))
    } else if (['Known', 'InDoubt'].includes(entryAfter(journalTagOf(result.left)))) this.hasUnfinished = true
    if (E.isRight(result) || result.left.paid === 'yes') this.#stats.created += 1
  }
}
