import * as t from 'io-ts'
import type { ObservableInput } from 'rxjs'
import { isObservableInput } from '../rx/pull-merge-map.js'
import { isRecord, optional, refined } from '../validation/problems.js'
import type { Journal } from './journal.js'
import { MAX_TASKS, checkOptions, integerBetween, isFunction } from './options.js'
import type { SolveResult } from './result.js'

/**
 * The result of one item of a batch. `index` counts the items from 0, in the order in which they were pulled.
 *
 * @since 0.1.0
 */
export interface Outcome<T, A> {
  readonly index: number
  readonly item: T
  readonly result: SolveResult<A>
}

/**
 * How `solveAll` works through its items.
 *
 * @since 0.1.0
 */
export type BatchOptions<T, A = unknown> = {
  /** How many pulled items may be without an outcome at a time, from 1 to 1,000,000. @defaultValue 10 */
  readonly concurrency?: number | undefined
  /**
   * Stop after a `Refused` of kind `account`: no item is pulled and no createTask is sent. Pulled items without a task end as
   * `NotCreated` with the reason `account`, and tasks that exist are polled to completion. @defaultValue true
   */
  readonly stopOnAccountError?: boolean | undefined
  /**
   * A spending limit: the maximum number of accepted createTask calls of the batch, from 1 to 1,000,000,000. Once that many were
   * or may have been accepted, no more items are pulled, and active tasks are polled to completion. A `CreateUnknown`, a createTask
   * that was repeated after an HTTP 503 without a document, and one whose id arrives late count as well. Each pulled item
   * that has no task yet reserves one of these calls, so the limit is never exceeded, and the last items may be solved with less
   * concurrency. Tasks that a journal resumes cost nothing and do not count. The limit is that of one subscription: the next one
   * may spend as much again. @defaultValue no limit
   */
  readonly maxCreates?: number | undefined
  /**
   * Stop pulling items when it emits. Items that were pulled are still solved, and paid for. An item that was
   * requested from an async iterable before, and arrives later, is dropped. @defaultValue never
   */
  readonly until?: ObservableInput<unknown> | undefined
  /**
   * Saves an outcome. It is called before the outcome is emitted, and the item stays active until the returned Observable or
   * promise completes. Only then does a journal record the end of the key, so an outcome that was not saved, because `deliver`
   * errored or the process died, comes again in the next run. After an error no item is pulled, the paid task is emitted on
   * `orphans`, and the error is passed on when the active tasks have ended. Once called, it runs to its end even if the subscriber
   * unsubscribes, and then the journal records the end. @defaultValue none
   */
  readonly deliver?: ((outcome: Outcome<T, A>) => ObservableInput<unknown>) | undefined
} & (
  | {
      /** Records by key which tasks are paid for, so that a crashed batch can continue. */
      readonly journal: Journal
      /** The key of an item in the journal: the same in every run, different for every item, and no secret. */
      readonly keyOf: (item: T) => string
    }
  | { readonly journal?: undefined; readonly keyOf?: undefined }
  // For a journal that may be `undefined`. The member before it stays, so that `...(journal && { journal, keyOf })` compiles.
  | {
      readonly journal?: undefined
      /** Not called without a journal. */
      readonly keyOf: (item: T) => string
    }
)

/** What items are pulled from. */
export const ItemSource = refined('an array, an iterable, a promise or an Observable', isObservableInput)

/**
 * Checks the arguments of `solveAll`, and returns its options.
 *
 * @throws InvalidOptions
 */
export const checkBatch = <T, A>(
  items: ObservableInput<T>,
  toTask: (item: T) => unknown,
  options: BatchOptions<T, A> = {}
): BatchOptions<T, A> => {
  checkOptions({ items: ItemSource, toTask: isFunction }, { items, toTask })
  return checkOptions<BatchOptions<T, A>>(batchOptionCodecs, options, ({ journal }) =>
    journal === undefined ? {} : { keyOf: isFunction }
  )
}

const MAX_CREATES = 1_000_000_000

const JournalPort = refined(
  'a journal, such as that of fileJournal',
  (value): value is Journal =>
    isRecord(value) &&
    [value.begin, value.created, value.ended].every(isFunction.is) &&
    optional(isFunction).is(value.find)
)

const batchOptionCodecs = {
  concurrency: optional(integerBetween(1, MAX_TASKS, 'tasks')),
  maxCreates: optional(integerBetween(1, MAX_CREATES, 'createTask calls')),
  stopOnAccountError: optional(refined('true or false', t.boolean.is)),
  until: optional(ItemSource),
  deliver: optional(isFunction),
  journal: optional(JournalPort),
  keyOf: optional(isFunction)
}
