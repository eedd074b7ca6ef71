import * as E from 'fp-ts/lib/Either.js'
import {
  EMPTY,
  ReplaySubject,
  catchError,
  concat,
  defer,
  exhaustMap,
  finalize,
  ignoreElements,
  map,
  of,
  take,
  throwIfEmpty,
  type Observable
} from 'rxjs'
import type { SolveError } from '../model/error.js'
import * as OE from '../rx/observable-either.js'
import type { Resumable, Solved, TaskRef, TaskSpec } from '../model/task.js'

/**
 * What a journal knows of a key: nothing that was paid for (`Fresh`), a task (`Known`), that a createTask may have left but
 * not what became of it (`InDoubt`), or that its outcome was handed on for good (`Finished`).
 *
 * @since 0.1.0
 */
export type JournalEntry =
  | { readonly _tag: 'Fresh' }
  | { readonly _tag: 'Known'; readonly ref: TaskRef }
  | { readonly _tag: 'InDoubt' }
  | { readonly _tag: 'Finished' }

/**
 * Remembers by key what was bought, so that a batch that died goes on where it stood. A port: `fileJournal` is one. Each
 * function emits when it is done, or errors, which stops the batch; a write that has begun is not taken back by
 * unsubscribing. Keys are the caller's; no client key and no token is ever given to it.
 *
 * @since 0.1.0
 */
export interface Journal {
  /**
   * What is known of the key; writes nothing. Where it is left out, `begin` is asked at once, and an item that waits for its
   * turn when the process dies is in doubt afterwards, though nothing of it had left.
   */
  readonly find?: ((key: string) => Observable<JournalEntry>) | undefined
  /** As `find`, and of a fresh key it makes one in doubt: atomic, and durable when it emits, which is before createTask. */
  readonly begin: (key: string) => Observable<JournalEntry>
  /** The task of the key: durable before its first poll. Also told of ids that come late. */
  readonly created: (key: string, ref: TaskRef) => Observable<void>
  /** The outcome of the key was handed on; {@link entryAfter} says what the key is then. */
  readonly ended: (key: string, tag: string) => Observable<void>
}

/**
 * What a key is after its outcome of this tag was handed on, for journals. `TaskFailed{account}` is told apart from
 * `TaskFailed`, since the task can go on once the account is mended, and `Refused{unknown}`, which may have been paid for,
 * from `Refused`.
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

/** The tag that a journal hears of for an error, which may have been read from a file. */
export const journalTagOf = (error: {
  readonly _tag: string
  readonly paid: string
  readonly kind?: string
}): string => {
  if (error._tag === 'TaskFailed' && error.kind === 'account') return 'TaskFailed{account}'
  return error._tag === 'Refused' && error.paid === 'unknown' ? 'Refused{unknown}' : error._tag
}

const tagFor = (result: E.Either<SolveError, unknown>): string =>
  E.isRight(result) ? 'Solved' : journalTagOf(result.left)

/** What is written down on the way of one solve. */
export interface JournalHooks {
  /** Durable before createTask leaves; a `Left` says that it must not leave. */
  readonly beforeCreate?: (() => OE.ObservableEither<SolveError, unknown>) | undefined
  /** Durable before the first poll; emits nothing, completes, never errors. */
  readonly afterCreate: (ref: TaskRef) => Observable<never>
}

type Observed<A> = OE.ObservableEither<SolveError, Solved<A>>

/** How a task is bought or gone on with, and who hears what the journal brings about. */
export interface JournaledDeps {
  readonly solve: <A>(task: TaskSpec<A>, notes: JournalHooks) => Observed<A>
  readonly resume: <A>(task: Resumable<A>, ref: TaskRef) => Observed<A>
  readonly skipped: (key: string) => void
  /** The journal failed: nothing more may be created. Gives what a task ends as that is not created yet. */
  readonly failed: (error: unknown) => SolveError
}

const IN_DOUBT: SolveError = {
  _tag: 'CreateUnknown',
  paid: 'unknown',
  problems: ['the journal: a createTask was begun for this key, and it does not say what became of it']
}

const NO_ENTRY = () => new Error('the journal ended without an entry')

/**
 * Solves tasks by key: each is bought once, whatever became of earlier runs. The outcome is handed on before the journal hears
 * of it, so after a crash it may come twice, but never not at all.
 */
export class JournaledSolver {
  readonly #underWay = new Set<string>()

  constructor(
    private readonly journal: Journal,
    private readonly means: JournaledDeps
  ) {}

  /** Completes without an outcome where the key is finished, or under way already. */
  solve<A>(key: string, task: TaskSpec<A>): Observed<A> {
    return defer(() => {
      if (this.#underWay.has(key)) return this.#skip(key)
      this.#underWay.add(key)
      return this.#find(key).pipe(
        exhaustMap((entry) => (E.isLeft(entry) ? of(entry) : this.#goOn(entry.right, key, task))),
        exhaustMap((result) =>
          concat(
            of(result),
            this.#write(() => this.journal.ended(key, tagFor(result)))
          )
        ),
        finalize(() => {
          this.#underWay.delete(key)
        })
      )
    })
  }

  #goOn<A>(entry: JournalEntry, key: string, task: TaskSpec<A>): Observed<A> {
    switch (entry._tag) {
      case 'Fresh':
        return this.means.solve(task, this.#notes(key))
      case 'Known':
        return this.means.resume(task, entry.ref)
      case 'InDoubt':
        return OE.left(IN_DOUBT)
      case 'Finished':
        return this.#skip(key)
    }
  }

  #notes(key: string): JournalHooks {
    return {
      beforeCreate: this.journal.find && (() => this.#begin(key)),
      afterCreate: (ref) => {
        // Written to its end whoever leaves.
        const written = new ReplaySubject<never>(1)
        this.#write(() => this.journal.created(key, ref)).subscribe(written)
        return written.asObservable()
      }
    }
  }

  #find(key: string): OE.ObservableEither<SolveError, JournalEntry> {
    return this.#read(() => this.journal.find?.(key) ?? this.journal.begin(key))
  }

  /** Somebody else may have begun it since it was found fresh: then it is not ours to buy. */
  #begin(key: string): OE.ObservableEither<SolveError, JournalEntry> {
    return this.#read(() => this.journal.begin(key)).pipe(
      map(
        E.filterOrElseW(
          ({ _tag }) => _tag === 'Fresh',
          () => IN_DOUBT
        )
      )
    )
  }

  #read(entry: () => Observable<JournalEntry>): OE.ObservableEither<SolveError, JournalEntry> {
    return defer(entry).pipe(
      take(1),
      throwIfEmpty(NO_ENTRY),
      map((found) => E.right(found)),
      catchError((error: unknown) => OE.left(this.means.failed(error)))
    )
  }

  #write(write: () => Observable<void>): Observable<never> {
    return defer(write).pipe(
      ignoreElements(),
      catchError((error: unknown) => {
        this.means.failed(error)
        return EMPTY
      })
    )
  }

  #skip(key: string): Observable<never> {
    this.means.skipped(key)
    return EMPTY
  }
}
