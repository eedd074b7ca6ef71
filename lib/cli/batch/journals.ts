import { EMPTY, concat, concatMap, forkJoin, ignoreElements, lastValueFrom, map, of, type Observable } from 'rxjs'
import type { JournalEntry } from '../../core/model/journal.js'
import type { TaskRef } from '../../core/model/task.js'
import type { FileJournal } from '../../journal/index.js'

/** The journal of a batch. */
export type BatchJournal = Omit<FileJournal, 'close' | 'entries' | 'releasedKeys'>

/**
 * One journal or two as one: an entry of either counts, and both record what happens. So no later run pays again for a
 * task, whether it has both journals or one of them.
 */
export const combineJournals = (one?: BatchJournal, other?: BatchJournal): BatchJournal | undefined => {
  if (!one || !other) return one ?? other
  const inBoth = <A>(call: (journal: BatchJournal) => Observable<A>) => forkJoin([call(one), call(other)])
  const entryOf = (call: (journal: BatchJournal) => Observable<JournalEntry>) =>
    inBoth(call).pipe(map(([first, second]) => (RANK[second._tag] > RANK[first._tag] ? second : first)))
  const journal: BatchJournal = {
    find: (key) =>
      entryOf(({ find }) => find(key)).pipe(
        // What one of them knew alone is recorded in the other one too.
        concatMap((entry) => concat(recordEntry(journal, key, entry).pipe(ignoreElements()), of(entry)))
      ),
    begin: (key) => entryOf(({ begin }) => begin(key)),
    created: (key: string, ref: TaskRef) => inBoth(({ created }) => created(key, ref)).pipe(map(() => undefined)),
    release: (key) => inBoth(({ release }) => release(key)).pipe(map(() => undefined)),
    isReleased: (key) => one.isReleased(key) || other.isReleased(key),
    ended: (key, tag) => inBoth(({ ended }) => ended(key, tag)).pipe(map(() => undefined))
  }
  return journal
}

const RANK = { Fresh: 0, InDoubt: 1, Known: 2, Finished: 3 } as const

/** The journal, in which a key that ended in failure or doubt is fresh again when its item is pulled. */
export const retryFailed = (journal: BatchJournal): BatchJournal => ({
  ...journal,
  find: (key) =>
    journal.find(key).pipe(
      concatMap((entry) => {
        const isFailed = entry._tag === 'InDoubt' || (entry._tag === 'Finished' && entry.tag === 'TaskFailed')
        return isFailed ? journal.release(key).pipe(map(() => RELEASED)) : of(entry)
      })
    )
})

const RELEASED: JournalEntry = { _tag: 'Fresh' }

/** What a line of the output says about the task of its key. */
export interface OutputState {
  readonly entry: JournalEntry
  readonly taskId: string | undefined
}

/**
 * Records what the last line of each key says. Earlier lines are about other tasks if the key was released, and a journal that
 * is new does not know that it was.
 */
export const recordOutput = async (journal: BatchJournal, last: ReadonlyMap<string, OutputState>): Promise<void> => {
  let pending: Promise<unknown>[] = []
  for (const [key, state] of last) {
    pending.push(lastValueFrom(recordState(journal, key, state), { defaultValue: undefined }))
    if (pending.length < MAX_PENDING) continue
    await Promise.all(pending)
    pending = []
  }
  await Promise.all(pending)
}

const MAX_PENDING = 1_000

/**
 * A key that was released may have lines from before only: a line counts if it is about the task that the journal knows, because
 * an id is recorded before the line of its task is written.
 */
const recordState = (journal: BatchJournal, key: string, { entry, taskId }: OutputState): Observable<unknown> => {
  if (!journal.isReleased(key)) return recordEntry(journal, key, entry)
  return journal
    .find(key)
    .pipe(
      concatMap((known) =>
        known._tag === 'Known' && known.ref.taskId === taskId ? recordEntry(journal, key, entry) : EMPTY
      )
    )
}

/** Records in a journal an entry that is known from elsewhere; without effect if the journal knows it already. */
export const recordEntry = (journal: BatchJournal, key: string, entry: JournalEntry): Observable<unknown> => {
  switch (entry._tag) {
    case 'Fresh':
      return EMPTY
    case 'Known':
      return journal.created(key, entry.ref)
    case 'InDoubt':
      return concat(journal.begin(key), journal.ended(key, 'CreateUnknown'))
    case 'Finished':
      return journal.ended(key, entry.tag ?? 'Solved')
  }
}
