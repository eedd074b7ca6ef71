import { Observable } from 'rxjs'
import type { Journal, JournalEntry } from '../core/model/journal.js'
import { checkOptions } from '../core/validation/check-options.js'
import { NonEmptyString } from '../core/validation/problems.js'
import type { TaskRef } from '../core/model/task.js'
import { AppendLog, type Done } from './append-log.js'
import { JournalError, NOT_WRITTEN, wrapErrors } from './error.js'
import { IN_DOUBT, isReadable, journalLine, nextKeyState, bareRef, type Change, type KeyState } from './format.js'
import { acquireLock, withOpeningLock } from './lock.js'
import { modeOf, openCompacted, readHeader, resolvePath, type OpenedJournal } from './open.js'

export { JournalError } from './error.js'

/**
 * A journal in a file that only this process has open. The Observables are cold: each subscription reads or writes.
 *
 * @since 0.1.0
 */
export interface FileJournal extends Journal {
  readonly find: (key: string) => Observable<JournalEntry>
  /**
   * Makes a key fresh, whatever is recorded for it, durably before it emits: the next run creates, and pays for, its task again.
   * What was recorded is forgotten, the reference of a paid task included.
   */
  readonly release: (key: string) => Observable<void>
  /** Whether a key was ever released. */
  readonly isReleased: (key: string) => boolean
  /** The keys that were ever released. */
  readonly releasedKeys: () => Iterable<string>
  /** The keys that are not fresh, with their entries. */
  readonly entries: () => Iterable<readonly [key: string, entry: JournalEntry]>
  /** Completes the writes, closes the file and unlocks it. Later calls of the other functions error. May be called again. */
  readonly close: () => Promise<void>
}

/**
 * Opens the journal in a file, or creates the file, for `solveAll`.
 *
 * The file is text with one JSON document per line. Each line is on the disk before `solveAll` does what depends on it: before
 * createTask is sent, and before a task is polled. After a crash, the journal continues where it was: finished keys are skipped,
 * paid tasks are resumed, and a key whose createTask may have been sent is in doubt.
 *
 * A journal has one owner at a time: another process, another thread of this process, a second copy of this module and a second
 * `fileJournal` are refused, even on other machines that share the disk, and whatever path they use for the file. After a
 * `kill -9`, the journal can be opened again at once on the same machine, and within 10 s elsewhere (in another container, for
 * example). If a thread is terminated while its process keeps running, its journal can be opened again after 15 s. Opening
 * replaces the file with one that has a single line per key; the file is not read again before the next start.
 *
 * A key that was begun and has not ended is never fresh, not even in the same process: for a second item with this key, `begin`
 * emits `Known`, or `InDoubt` while there is no task id. Keys are written to the file unchanged, so they must not hold secrets.
 *
 * @param path - the path of the file. Its folder must exist; `.lock`, `.opening.lock` and `.tmp` files may appear next to it
 * @returns the journal; rejects with a {@link JournalError} if the file cannot be read, written or locked, if it is damaged or
 *  not a journal (then it is not changed), or if it is open elsewhere, and with `InvalidOptions` if the path is not a string.
 *  After a failed write, that call and all later calls error with a {@link JournalError}
 *
 * @example
 * ```ts
 * import { lastValueFrom } from 'rxjs'
 * import { createSolver, recaptchaV2 } from 'rx-captcha'
 * import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'
 * import { fileJournal } from 'rx-captcha/journal'
 *
 * const solveOrders = async () => {
 *   const emulator = await startEmulator({ readyAfterMs: 0 })
 *   const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url })
 *   const journal = await fileJournal('orders.journal')
 *   const orders = [{ id: 'order-1', page: 'https://example.com/order/1' }]
 *
 *   const outcomes = solver.solveAll(
 *     orders,
 *     ({ page }) => recaptchaV2({ websiteURL: page, websiteKey: 'your-site-key' }),
 *     { journal, keyOf: ({ id }) => id }
 *   )
 *   await lastValueFrom(outcomes, { defaultValue: undefined })
 *   // The next run skips this order.
 *   console.log((await lastValueFrom(journal.find('order-1')))._tag) // prints Finished
 *
 *   await solver.close()
 *   await journal.close()
 *   await emulator.close()
 * }
 *
 * void solveOrders()
 * ```
 *
 * @since 0.1.0
 */
export const fileJournal = async (path: string): Promise<FileJournal> => {
  checkOptions({ path: NonEmptyString }, { path })
  const [file, mode] = await wrapErrors(path, 'cannot be opened', async () => {
    const resolved = await resolvePath(path)
    return [resolved, await modeOf(resolved)] as const
  })
  return withOpeningLock(file, async () => {
    const lock = await acquireLock(file, () => wrapErrors(file, 'cannot be read', () => readHeader(file)))
    try {
      const opened = await openCompacted(file, mode)
      const log = new AppendLog(file, opened.handle, lock.isOurs)
      const index = new JournalIndex(opened, log, file)
      const { find, begin, created, ended, release, isReleased, releasedKeys, entries } = index
      const close = () => log.close().finally(lock.release)
      return { find, begin, created, ended, release, isReleased, releasedKeys, entries, close }
    } catch (error) {
      await lock.release()
      throw error
    }
  })
}

/** The state of each key: changed in memory at once, and on the disk a moment later. */
class JournalIndex {
  readonly #states: Map<string, KeyState>
  readonly #released: Set<string>
  readonly #log: AppendLog
  readonly #path: string

  constructor({ states, released }: OpenedJournal, log: AppendLog, path: string) {
    this.#path = path
    this.#states = states
    this.#released = released
    this.#log = log
  }

  readonly find = (key: string): Observable<JournalEntry> =>
    durable((done) => {
      this.#log.flush(done)
      return entryOfState(this.#states.get(key))
    })

  readonly begin = (key: string): Observable<JournalEntry> =>
    durable((done) => {
      const entry = entryOfState(this.#states.get(key))
      if (entry._tag === 'Fresh') this.#change(key, { begun: true }, done)
      else this.#log.flush(done)
      return entry
    })

  readonly created = (key: string, ref: TaskRef): Observable<void> =>
    durable((done) => {
      this.#change(key, bareRef(ref), done)
    })

  readonly ended = (key: string, tag: string): Observable<void> =>
    durable((done) => {
      this.#change(key, { ended: tag }, done)
    })

  readonly release = (key: string): Observable<void> =>
    durable((done) => {
      this.#change(key, { released: true }, done)
      this.#released.add(key)
    })

  readonly isReleased = (key: string): boolean => this.#released.has(key)

  readonly releasedKeys = (): Iterable<string> => [...this.#released]

  readonly entries = (): Iterable<readonly [string, JournalEntry]> =>
    Array.from(this.#states, ([key, state]) => [key, entryOfState(state)] as const)

  #change(key: string, change: Change, done: Done): void {
    if (!isReadable(key, change)) throw unreadable(this.#path)
    const before = this.#states.get(key)
    const state = nextKeyState(before, change)
    if (state) this.#states.set(key, state)
    else this.#states.delete(key)
    // An end that changes nothing is also written, for people who read the file, unless the key is finished.
    if (state !== before || (before && before._tag !== 'Finished'))
      this.#log.write(journalLine(new Date().toISOString(), key, change), done)
    else this.#log.flush(done)
  }
}

/** Acts on subscription; emits the result of `act` once it is on the disk. Unsubscribing does not undo the write. */
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

const unreadable = (path: string): JournalError =>
  new JournalError(
    path,
    'was given a value that it could not read back',
    `${NOT_WRITTEN} Keys, task ids and tags are strings, and createdAt is a finite number.`
  )

const entryOfState = (state: KeyState | undefined): JournalEntry => {
  switch (state?._tag) {
    case undefined:
      return FRESH
    case 'Begun': // by this process, and not ended: a second item with this key must not create another task
    case 'InDoubt':
      return IN_DOUBT
    case 'Known':
    case 'Finished':
      return state
  }
}

const FRESH: JournalEntry = { _tag: 'Fresh' }
