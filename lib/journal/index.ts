import { Observable } from 'rxjs'
import type { JournalEntry, Journal } from '../core/model/journal.js'
import type { TaskRef } from '../core/model/task.js'
import { wrapErrors } from './error.js'
import { nextState, lineOf, type Change, type KeyState } from './format.js'
import { acquireLock, withOpeningLock } from './lock.js'
import { modeOf, openCompacted, ownerOf, resolvePath } from './open.js'
import { AppendLog, type Done } from './append-log.js'

export { JournalError } from './error.js'

/**
 * A journal in a file that this process alone has open.
 *
 * @since 0.1.0
 */
export interface FileJournal extends Journal {
  readonly find: (key: string) => Observable<JournalEntry>
  /** Writes what is still to be written, and lets the file go. What comes later errors. */
  readonly close: () => Promise<void>
}

const FRESH: JournalEntry = { _tag: 'Fresh' }
const IN_DOUBT: JournalEntry = { _tag: 'InDoubt' }
const FINISHED: JournalEntry = { _tag: 'Finished' }

const entryOf = (state: KeyState | undefined): JournalEntry => {
  switch (state?._tag) {
    case undefined:
      return FRESH
    case 'Begun': // by this very process, and not ended: who asks again must not create it as well
    case 'InDoubt':
      return IN_DOUBT
    case 'Known':
      return state
    case 'Finished':
      return FINISHED
  }
}

/** Acts when subscribed to; emits what that gives once it is on the disk. Leaving takes nothing back. */
const durable = <A>(act: (done: Done) => A): Observable<A> =>
  new Observable((subscriber) => {
    const value: A = act((error) => {
      if (error) subscriber.error(error)
      else {
        subscriber.next(value)
        subscriber.complete()
      }
    })
  })

/** What stands about each key, changed in memory at once and on the disk soon. */
class JournalIndex {
  constructor(
    private readonly states: Map<string, KeyState>,
    private readonly pen: AppendLog
  ) {}

  readonly find = (key: string): Observable<JournalEntry> =>
    durable((done) => {
      this.pen.settled(done)
      return entryOf(this.states.get(key))
    })

  readonly begin = (key: string): Observable<JournalEntry> =>
    durable((done) => {
      const entry = entryOf(this.states.get(key))
      if (entry._tag === 'Fresh') this.#change(key, { begun: true }, done)
      else this.pen.settled(done)
      return entry
    })

  readonly created = (key: string, { taskId, createdAt }: TaskRef): Observable<void> =>
    durable((done) => {
      this.#change(key, { taskId, createdAt }, done)
    })

  readonly ended = (key: string, tag: string): Observable<void> =>
    durable((done) => {
      this.#change(key, { ended: tag }, done)
    })

  #change(key: string, change: Change, done: Done): void {
    const before = this.states.get(key)
    const state = nextState(before, change)
    if (state) this.states.set(key, state)
    else this.states.delete(key)
    // An end that changes nothing is written down for who reads the file, unless all has been said about the key.
    if (state !== before || (before && before._tag !== 'Finished'))
      this.pen.write(lineOf(new Date().toISOString(), key, change), done)
    else this.pen.settled(done)
  }
}

/**
 * Opens a journal in a file, or begins one: text with one JSON document a line, on the disk before anything is paid for. A
 * journal of a process that died goes on where it stood: finished keys are skipped, tasks that are paid for are asked for,
 * and a key whose createTask may have left is in doubt.
 *
 * One process at a time has a journal open, also across machines that share the disk. After a `kill -9` the next start is let
 * in at once on the same machine, and within 10 s elsewhere (another container, say). On opening, the file is replaced by one
 * with a single line a key; it is never read again until the next start.
 *
 * A key that was begun and has not ended is never fresh, in the same process neither: a second item of the same key gets
 * `Known`, or `InDoubt` as long as there is no id. Keys are the caller's and stand in the file as they are: make them of
 * nothing that is secret.
 *
 * @param path - of the file; its folder has to exist, and beside it there are `.lock`, `.opening.lock` and `.tmp` at times
 * @returns the journal, or a rejection with a {@link JournalError}: no permission, a full disk, a foreign or damaged file (which
 * is left as it is), another process. When a later write fails, that one and all after it error with it
 * @since 0.1.0
 */
export const fileJournal = async (path: string): Promise<FileJournal> => {
  const [place, mode] = await wrapErrors(path, 'cannot be opened', async () => {
    const found = await resolvePath(path)
    return [found, await modeOf(found)] as const
  })
  return withOpeningLock(place, async () => {
    const lock = await acquireLock(place, () => wrapErrors(place, 'cannot be read', () => ownerOf(place)))
    try {
      const { states, handle } = await wrapErrors(place, 'cannot be written', () => openCompacted(place, mode))
      const pen = new AppendLog(place, handle, lock.isOurs)
      const { find, begin, created, ended } = new JournalIndex(states, pen)
      const close = () => pen.close().finally(lock.release)
      return { find, begin, created, ended, close }
    } catch (error) {
      await lock.release()
      throw error
    }
  })
}
