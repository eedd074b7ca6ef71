import type { Observable } from 'rxjs'
import type { TaskRef } from './task.js'

/**
 * What a journal knows about a key: no task is paid for (`Fresh`), a task exists (`Known`), createTask may have been sent and
 * its reply is unknown (`InDoubt`), or a final outcome was delivered (`Finished`, with its tag if the journal keeps it).
 *
 * @since 0.1.0
 */
export type JournalEntry =
  | { readonly _tag: 'Fresh' }
  | { readonly _tag: 'Known'; readonly ref: TaskRef }
  | { readonly _tag: 'InDoubt' }
  | { readonly _tag: 'Finished'; readonly tag?: string }

/**
 * Records by key which tasks are paid for, so that a crashed batch can continue. `fileJournal` is one implementation; a
 * database table can be another. Each function emits and completes when it is done, or errors, which stops the batch. `close` of
 * the solver waits for a write that never completes. Unsubscribing does not undo a write. The caller chooses the keys; a journal
 * never gets the client key or a token.
 *
 * @since 0.1.0
 */
export interface Journal {
  /**
   * Reads the entry of the key and writes nothing. Without `find`, `begin` is called as soon as an item is pulled, so an item
   * that is waiting for its permit when the process dies is in doubt afterwards, although no createTask was sent.
   */
  readonly find?: ((key: string) => Observable<JournalEntry>) | undefined
  /** Reads the entry of the key, and turns `Fresh` into `InDoubt`: atomically, and durably before it emits `Fresh`. */
  readonly begin: (key: string) => Observable<JournalEntry>
  /** Records the task of the key, durably before it emits; also called for ids that arrive late. */
  readonly created: (key: string, ref: TaskRef) => Observable<void>
  /**
   * Records that the outcome was delivered; called once `deliver` has completed and the outcome was emitted, even if the
   * subscriber unsubscribed meanwhile. If the subscriber unsubscribed before a task was created, `ended` is called with
   * `NotCreated`, and there is no outcome. From then on, the entry of the key is that of {@link entryAfter}, with two exceptions:
   * a `Finished` key stays `Finished`, and a key with a recorded task stays `Known` with its reference until it is `Finished`.
   */
  readonly ended: (key: string, tag: string) => Observable<void>
}

/**
 * The entry of a key after {@link Journal.ended}, by the tag of its outcome. It is all that a journal needs to know about tags.
 *
 * - `Finished`, the key is skipped from now on: `Solved`, `TaskFailed`
 * - `Known`, the task is resumed by the next run: `TimedOut`, `Interrupted`, `BadReply`, and `TaskFailed{account}`, whose task can
 *   be polled again once the account is repaired. The reference is the recorded one; without one the key is `InDoubt`
 * - `Fresh`, the next run creates a task: `InvalidTask`, `NotCreated`, `Refused`. It applies to a key without a recorded task
 * - `InDoubt`, a task may have been paid for: `CreateUnknown`, `Refused{paid: unknown}` (a refusal, of whatever kind, whose `paid`
 *   is `unknown`), and every tag that is not listed here
 *
 * @example
 * ```ts
 * import { entryAfter, type JournalEntry } from 'rx-captcha'
 *
 * // `ended` of a journal over a table, which has no row for a fresh key
 * const rows = new Map<string, JournalEntry>([['order-1', { _tag: 'InDoubt' }]])
 * const end = (key: string, tag: string) => {
 *   const entry = entryAfter(tag)
 *   if (entry === 'Finished') rows.set(key, { _tag: 'Finished' })
 *   if (entry === 'Fresh' && rows.get(key)?._tag === 'InDoubt') rows.delete(key)
 * }
 * end('order-1', 'Refused')
 * console.log(rows.has('order-1')) // prints false
 * ```
 *
 * @since 0.1.0
 */
export const entryAfter = (tag: string): JournalEntry['_tag'] => {
  switch (tag) {
    case 'Solved':
    case 'TaskFailed':
      return 'Finished'
    case 'TimedOut':
    case 'Interrupted':
    case 'BadReply':
    case TASK_FAILED_BY_ACCOUNT:
      return 'Known'
    case 'InvalidTask':
    case 'NotCreated':
    case 'Refused':
      return 'Fresh'
    default:
      return 'InDoubt'
  }
}

/** The tag under which a journal records an error: two of them also name a field, because the entry depends on it. */
export const journalTagOf = (error: {
  readonly _tag: string
  readonly paid: string
  readonly kind?: string
}): string => {
  if (error._tag === 'TaskFailed' && error.kind === 'account') return TASK_FAILED_BY_ACCOUNT
  return error._tag === 'Refused' && error.paid === 'unknown' ? REFUSED_PERHAPS_PAID : error._tag
}

const TASK_FAILED_BY_ACCOUNT = 'TaskFailed{account}'
// Not `Refused{unknown}`, which would read as a refusal of the kind `unknown`.
const REFUSED_PERHAPS_PAID = 'Refused{paid: unknown}'
