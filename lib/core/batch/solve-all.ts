import * as E from 'fp-ts/lib/Either.js'
import { NEVER, Subject, defer, from, map, merge, of, type Observable, type ObservableInput } from 'rxjs'
import { causeOf, redactedCause } from '../solve/call.js'
import type { SolveError } from '../model/error.js'
import { JournaledSolver, type Journal, type JournaledDeps, type JournalHooks } from './journaled.js'
import type { Batch } from '../solve/active-task.js'
import type { InFlight } from '../solve/in-flight.js'
import type * as OE from '../rx/observable-either.js'
import { isFunction, problemsIn, throwIfAny, integerBetween, type Check } from '../model/options.js'
import { pullMergeMap } from '../rx/pull-merge-map.js'
import type { Scrub } from '../protocol/redact.js'
import type { StopReason } from '../solve/phase.js'
import { isSource } from '../rx/pull-source.js'
import type { Problems, Resumable, Solved, TaskRef, TaskSpec } from '../model/task.js'

/**
 * What became of one item of a batch. `index` counts the items from 0, in the order in which they were taken.
 *
 * @since 0.1.0
 */
export interface Outcome<T, A> {
  readonly index: number
  readonly item: T
  readonly result: E.Either<SolveError, Solved<A>>
}

/**
 * How `solveAll` works through its items.
 *
 * @since 0.1.0
 */
export type BatchOptions<T> = {
  /** How many items may be taken and not have an outcome yet. @defaultValue 10 */
  readonly concurrency?: number | undefined
  /**
   * After a `Refused` of kind `account` no item is taken and no createTask leaves: what is open is asked for to its end, the
   * rest ends as `NotCreated` with the reason `account`. @defaultValue true
   */
  readonly stopOnAccountError?: boolean | undefined
  /** When it emits, no more is taken, and what is open is finished. @defaultValue never */
  readonly until?: ObservableInput<unknown> | undefined
} & (
  | {
      /** Remembers what was bought, so that a batch that died goes on where it stood. Asked by key. */
      readonly journal: Journal
      /** What an item is known by in the journal: the same in every run, another for every item. No secret. */
      readonly keyOf: (item: T) => string
    }
  | { readonly journal?: undefined; readonly keyOf?: undefined }
)

const booleanCheck: Check = (name, value) =>
  value === undefined || typeof value === 'boolean' ? [] : [`${name}: expected true or false`]

const source: Check = (name, value) =>
  isSource(value) ? [] : [`${name}: expected an array, an iterable, a promise or an Observable`]

const journal: Check = (name, value) =>
  value === undefined || (typeof value === 'object' && value !== null && 'begin' in value)
    ? []
    : [`${name}: expected a journal, such as that of fileJournal`]

const requiredFunction: Check = (name, value) =>
  value === undefined ? [`${name}: expected a function`] : isFunction(name, value)

const MAX_CONCURRENCY = 1_000_000

/** All that is wrong with what `solveAll` was given. */
export const problemsOfBatch = <T>(items: unknown, toTask: unknown, options: BatchOptions<T>): Problems =>
  problemsIn(
    { items, toTask, ...options },
    {
      items: source,
      toTask: requiredFunction,
      concurrency: integerBetween(1, MAX_CONCURRENCY, 'tasks'),
      stopOnAccountError: booleanCheck,
      until: (name, value) => (value === undefined ? [] : source(name, value)),
      journal,
      keyOf: options.journal === undefined ? isFunction : requiredFunction
    }
  )

type Observed<A> = OE.ObservableEither<SolveError, Solved<A>>

/** What a batch needs of its solver. */
export interface BatchDeps {
  readonly lives: InFlight
  readonly scrub: Scrub
  readonly solve: <A>(task: TaskSpec<A>, batch: Batch, notes?: JournalHooks) => Observed<A>
  readonly resume: <A>(task: Resumable<A>, ref: TaskRef, batch: Batch) => Observed<A>
  readonly skipped: (key: string) => void
}

/** What a function of the caller gives, or, if it throws, what that says of its item. */
const safely = <A>(name: string, scrub: Scrub, call: () => A): E.Either<SolveError, A> => {
  try {
    return E.right(call())
  } catch (error) {
    return E.left({ _tag: 'InvalidTask', paid: 'no', problems: [`${name}: threw ${scrub(causeOf(error).message)}`] })
  }
}

const isOfAccount = (result: E.Either<SolveError, unknown>): boolean =>
  E.isLeft(result) && result.left._tag === 'Refused' && result.left.kind === 'account'

/** The tasks of one run. Whatever stops one from being created stops all. */
class Tasks<T> {
  readonly #batch: Batch = { stopReason: undefined }
  readonly #stopped = new Subject<void>()
  readonly #keyed: { readonly by: JournaledSolver; readonly keyOf: (item: T) => string } | undefined

  /** Emits when no more may be taken, and errors when the journal failed. */
  readonly stopped: Observable<void> = this.#stopped.asObservable()

  constructor(
    private readonly solving: BatchDeps,
    private readonly options: BatchOptions<T>
  ) {
    const { journal, keyOf } = options
    this.#keyed = journal && { by: new JournaledSolver(journal, this.#means()), keyOf }
  }

  /** Hears what became of each task, before anybody else does. */
  heed(result: E.Either<SolveError, unknown>): void {
    if (this.options.stopOnAccountError !== false && isOfAccount(result)) this.#halt('account')
  }

  solve<A>(item: T, task: TaskSpec<A>): Observed<A> {
    const { solving } = this
    if (!this.#keyed) return solving.solve(task, this.#batch)
    const { by, keyOf } = this.#keyed
    const key = safely('keyOf', solving.scrub, () => keyOf(item))
    return E.isLeft(key) ? of(key) : by.solve(key.right, task)
  }

  #means(): JournaledDeps {
    const { solve, resume, skipped, scrub } = this.solving
    return {
      solve: (task, notes) => solve(task, this.#batch, notes),
      resume: (task, ref) => resume(task, ref, this.#batch),
      skipped,
      failed: (error) => {
        this.#halt('journal')
        this.#stopped.error(error)
        const cause = redactedCause(scrub, error)
        return { _tag: 'NotCreated', paid: 'no', reason: 'journal', attempts: 0, cause }
      }
    }
  }

  #halt(why: StopReason): void {
    // First of all nothing more is taken: the tasks that end now make room.
    this.#stopped.next()
    this.solving.lives.stop(this.#batch, why)
  }
}

/** Solves all items of a source, so many at a time; {@link Solver.solveAll} says what it promises. */
export const solveAll =
  (solving: BatchDeps) =>
  <T, A>(
    items: ObservableInput<T>,
    toTask: (item: T) => TaskSpec<A>,
    options: BatchOptions<T> = {}
  ): Observable<Outcome<T, A>> => {
    throwIfAny(problemsOfBatch(items, toTask, options))
    const { concurrency = 10, until = NEVER } = options
    return defer(() => {
      const tasks = new Tasks(solving, options)
      return pullMergeMap({
        items,
        concurrency,
        takeUntil: merge(from(until), solving.lives.closing, tasks.stopped),
        project: (item, index) => {
          const task = safely('toTask', solving.scrub, () => toTask(item))
          const solved = E.isLeft(task) ? of(task) : tasks.solve(item, task.right)
          return solved.pipe(
            map((result) => {
              tasks.heed(result)
              return { index, item, result }
            })
          )
        }
      })
    })
  }
