import * as E from 'fp-ts/lib/Either.js'
import {
  EMPTY,
  ReplaySubject,
  catchError,
  defer,
  exhaustMap,
  finalize,
  ignoreElements,
  map,
  take,
  tap,
  throwIfEmpty,
  type Observable
} from 'rxjs'
import type { SolveError } from '../model/error.js'
import { journalTagOf, type Journal, type JournalEntry } from '../model/journal.js'
import type { SolveResult } from '../model/result.js'
import { decodeRef, type Resumable, type TaskRef, type TaskSpec } from '../model/task.js'
import * as OE from '../rx/observable-either.js'
import type { JournalHooks, Spending } from '../in-flight/track-options.js'

/** What a {@link JournaledSolver} needs of its batch. */
export interface JournaledDeps {
  readonly solve: <A>(task: TaskSpec<A>, hooks: JournalHooks, spending?: Spending) => Observable<SolveResult<A>>
  readonly resume: <A>(kind: Resumable<A>, ref: TaskRef) => Observable<SolveResult<A>>
  readonly skip: (key: string) => void
  /** An item ends with this error, and was not solved. */
  readonly endedUnsolved: (error: SolveError) => void
  /** Saves the result, emits it, and then subscribes to `recordEnd`, even if the subscriber has unsubscribed. */
  readonly saveAndEmit: <A>(
    task: Resumable<unknown>,
    result: SolveResult<A>,
    save: Observable<never> | undefined,
    recordEnd: Observable<never>
  ) => Observable<SolveResult<A>>
  /** The journal failed, so nothing more may be created. Returns the error of a task that is not created. */
  readonly failed: (error: unknown) => SolveError
}

/** Saves a result before it is emitted, if there is something to save. Emits nothing; completes when the result is saved. */
export type Deliver<A> = (result: SolveResult<A>) => Observable<never> | undefined

/**
 * Solves tasks by key, so that each key is paid for once across all runs. A result is delivered and emitted before the
 * journal records its end: after a crash it may be emitted twice, but never zero times.
 */
export class JournaledSolver {
  readonly #journal: Journal
  readonly #deps: JournaledDeps
  readonly #active = new Set<string>()
  /** Keys whose entry could not be read: what an earlier run paid for is unknown, so no end is recorded for them. */
  readonly #unread = new Set<string>()

  constructor(journal: Journal, deps: JournaledDeps) {
    this.#journal = journal
    this.#deps = deps
  }

  /** Completes without an outcome if the key is finished, or is being solved. */
  solve<A>(key: string, task: TaskSpec<A>, deliver: Deliver<A>, spending?: Spending): Observable<SolveResult<A>> {
    return defer(() => {
      if (this.#active.has(key)) return this.#skip(key)
      this.#active.add(key)
      return this.#find(key).pipe(
        exhaustMap((entry) =>
          E.isLeft(entry) ? this.#unsolved(entry.left) : this.#continue(entry.right, key, task, spending)
        ),
        exhaustMap((result) => this.#deps.saveAndEmit(task, result, deliver(result), this.#recordEnd(key, result))),
        finalize(() => {
          this.#active.delete(key)
        })
      )
    })
  }

  #continue<A>(
    entry: JournalEntry,
    key: string,
    task: TaskSpec<A>,
    spending: Spending | undefined
  ): Observable<SolveResult<A>> {
    switch (entry._tag) {
      case 'Fresh':
        return this.#deps.solve(task, this.#hooks(key), spending)
      case 'Known':
        spending?.giveBack()
        return this.#deps.resume(task, entry.ref)
      case 'InDoubt':
        return this.#unsolved(KEY_IN_DOUBT)
      case 'Finished':
        return this.#skip(key)
    }
  }

  #unsolved(error: SolveError): OE.ObservableEither<SolveError, never> {
    this.#deps.endedUnsolved(error)
    return OE.left(error)
  }

  #skip(key: string): Observable<never> {
    this.#deps.skip(key)
    return EMPTY
  }

  #hooks(key: string): JournalHooks {
    // Without `find`, `begin` has read the entry. With it, the intent belongs to this run only if `begin` emits `Fresh`.
    let isBegun = !this.#journal.find
    return {
      beforeCreate: this.#journal.find && (() => this.#begin(key).pipe(tap((entry) => (isBegun = E.isRight(entry))))),
      notCreated: () => (isBegun ? this.#write(() => this.#journal.ended(key, 'NotCreated')) : EMPTY),
      afterCreate: (ref) => {
        // A ReplaySubject, so that the write runs to its end even after an unsubscription.
        const written = new ReplaySubject<never>(1)
        this.#write(() => this.#journal.created(key, ref)).subscribe(written)
        return written.asObservable()
      }
    }
  }

  #find(key: string): OE.ObservableEither<SolveError, JournalEntry> {
    return this.#read(key, () => this.#journal.find?.(key) ?? this.#journal.begin(key))
  }

  /** Another owner may have begun the key since it was found fresh; then this solver must not create its task. */
  #begin(key: string): OE.ObservableEither<SolveError, JournalEntry> {
    return this.#read(key, () => this.#journal.begin(key)).pipe(
      map(
        E.filterOrElseW(
          ({ _tag }) => _tag === 'Fresh',
          () => KEY_IN_DOUBT
        )
      )
    )
  }

  #read(key: string, entry: () => Observable<JournalEntry>): OE.ObservableEither<SolveError, JournalEntry> {
    return defer(entry).pipe(
      take(1),
      throwIfEmpty(() => new Error('the journal completed without an entry')),
      map((found) => E.right(checkedEntry(found))),
      catchError((error: unknown) => {
        this.#unread.add(key)
        return OE.left(this.#deps.failed(error))
      })
    )
  }

  #recordEnd(key: string, result: SolveResult<unknown>): Observable<never> {
    if (this.#unread.has(key)) return EMPTY
    const tag = E.isRight(result) ? 'Solved' : journalTagOf(result.left)
    return this.#write(() => this.#journal.ended(key, tag))
  }

  #write(write: () => Observable<void>): Observable<never> {
    return defer(write).pipe(
      ignoreElements(),
      catchError((error: unknown) => {
        this.#deps.failed(error)
        return EMPTY
      })
    )
  }
}

/** A journal of the caller may give anything. A task whose reference cannot be read is paid for, so it must not end as unpaid. */
const checkedEntry = (entry: JournalEntry): JournalEntry => {
  if (!ENTRY_TAGS.has(entry._tag)) throw new TypeError(`the journal gave an entry with the tag ${entry._tag}`)
  if (entry._tag !== 'Known') return entry
  const ref = decodeRef(entry.ref)
  if (E.isRight(ref)) return { ...entry, ref: ref.right }
  throw new TypeError(
    `the journal gave a task that is paid for, with a reference that cannot be read: ${ref.left.join(', ')}`
  )
}

const ENTRY_TAGS: ReadonlySet<unknown> = new Set<JournalEntry['_tag']>(['Fresh', 'Known', 'InDoubt', 'Finished'])

const KEY_IN_DOUBT: SolveError = {
  _tag: 'CreateUnknown',
  paid: 'unknown',
  problems: ['the journal holds the intent of an earlier run to send it']
}
