import type { Observable } from 'rxjs'
import type { TaskRef } from './task.js'

/**
 * What a journal knows of a key: no task is paid for (`Fresh`), a task exists (`Known`), a createTask may have been sent and
 * its reply is unknown (`InDoubt`), or the outcome was delivered for good (`Finished`).
 *
 * @since 0.1.0
 */
export type JournalEntry =
  | { readonly _tag: 'Fresh' }
  | { readonly _tag: 'Known'; readonly ref: TaskRef }
  | { readonly _tag: 'InDoubt' }
  | { readonly _tag: 'Finished' }

/**
 * Records by key which tasks are paid for, so that a crashed batch can continue. `fileJournal` is one; a table of a database
 * can be another. Each function emits when it is done, or errors, which stops the batch. Unsubscribing does not undo a
 * write. Keys are the caller's; a journal never gets the client key or a token.
 *
 * @since 0.1.0
 */
export interface Journal {
  /**
   * Reads the entry of the key and writes nothing. Without it `begin` is called as soon as an item is pulled, so an item
   * that waits for its permit when the process dies is in doubt afterwards, although no createTask was sent.
   */
  readonly find?: ((key: string) => Observable<JournalEntry>) | undefined
  /** Reads the entry of the key, and turns `Fresh` into `InDoubt`: atomic, and durable before it emits `Fresh`. */
  readonly begin: (key: string) => Observable<JournalEntry>
  /** Records the task of the key, durable before it emits; also called for ids that arrive late. */
  readonly created: (key: string, ref: TaskRef) => Observable<void>
  /** Records that the outcome was emitted; {@link entryAfter} gives the entry of the key from then on. */
  readonly ended: (key: string, tag: string) => Observable<void>
}

/**
 * The entry of a key after an outcome with this tag, for journals. Two tags name more than the error: after
 * `TaskFailed{account}` the task can be resumed once the account is repaired, and `Refused{unknown}` may have been paid for.
 *
 * @since 0.1.0
 */
export const entryAfter = (tag: string): JournalEntry['_tag'] => {
  switch (tag) {
    case 'InvalidTask':
    case 'NotCreated':
    case 'Refused':
      return 'Fresh'
    case 'TimedOut':
    case 'Interrupted':
    case 'BadReply':
    case 'TaskFailed{account}':
      return 'Known'
    case 'CreateUnknown':
    case 'Refused{unknown}':
      return 'InDoubt'
    default:
      return 'Finished'
  }
}

/** The tag under which a journal records an error. */
export const journalTagOf = (error: {
  readonly _tag: string
  readonly paid: string
  readonly kind?: string
}): string => {
  if (error._tag === 'TaskFailed' && error.kind === 'account') return 'TaskFailed{account}'
  return error._tag === 'Refused' && error.paid === 'unknown' ? 'Refused{unknown}' : error._tag
}
