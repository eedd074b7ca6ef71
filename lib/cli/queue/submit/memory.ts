import { defer, of, type Observable } from 'rxjs'
import { entryAfter, type JournalEntry } from '../../../core/model/journal.js'
import type { TaskRef } from '../../../core/model/task.js'
import type { BatchJournal } from '../../batch/journals.js'

/**
 * What the lines of an output say about keys, the last one of each: a journal that ends with the command, because the queue has a
 * memory of its own.
 */
export class OutputMemory implements BatchJournal {
  readonly #entries = new Map<string, JournalEntry>()

  get entries(): Iterable<readonly [key: string, entry: JournalEntry]> {
    return this.#entries
  }

  entryOf(key: string): JournalEntry {
    return this.#entries.get(key) ?? { _tag: 'Fresh' }
  }

  readonly find = (key: string): Observable<JournalEntry> => defer(() => of(this.entryOf(key)))

  readonly begin = (key: string): Observable<JournalEntry> =>
    defer(() => {
      const entry = this.entryOf(key)
      this.#entries.set(key, { _tag: 'InDoubt' })
      return of(entry)
    })

  readonly created = (key: string, ref: TaskRef): Observable<void> => this.#change(key, { _tag: 'Known', ref })

  readonly ended = (key: string, tag: string): Observable<void> =>
    entryAfter(tag) === 'Finished' ? this.#change(key, { _tag: 'Finished', tag }) : of(undefined)

  readonly release = (key: string): Observable<void> => defer(() => of(void this.#entries.delete(key)))

  readonly isReleased = (): boolean => false

  #change(key: string, entry: JournalEntry): Observable<void> {
    return defer(() => of(void this.#entries.set(key, entry)))
  }
}

/** Whether a task of a key is paid for, or perhaps, and has no final outcome. */
export const hasUnfinished = (entries: Iterable<readonly [key: string, entry: JournalEntry]>): boolean =>
  [...entries].some(([, { _tag }]) => _tag === 'Known' || _tag === 'InDoubt')
