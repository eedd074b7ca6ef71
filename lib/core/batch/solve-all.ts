import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, NEVER, Subject, defer, finalize, from, ignoreElements, map, merge, of, tap } from 'rxjs'
import type { Observable, ObservableInput, SchedulerLike } from 'rxjs'
import { checkBatch, type BatchOptions, type Outcome } from '../model/batch.js'
import type { SolveError } from '../model/error.js'
import { causeOf } from '../model/network.js'
import { NonEmptyString } from '../validation/problems.js'
import { refOfResult, type SolveResult } from '../model/result.js'
import type { Resumable, TaskRef, TaskSpec } from '../model/task.js'
import { scrubbedCause, type Scrub } from '../protocol/redact.js'
import * as OE from '../rx/observable-either.js'
import { isObservableInput, pullMergeMap } from '../rx/pull-merge-map.js'
import type { Batch, JournalHooks, Spending } from '../in-flight/track-options.js'
import type { EventBus } from '../in-flight/event-bus.js'
import type { InFlight } from '../in-flight/in-flight.js'
import { orphanOf } from '../in-flight/orphan.js'
import type { StopReason } from '../in-flight/phase.js'
import { BatchEvents } from './batch-events.js'
import { saveAndEmit } from './save-and-emit.js'
import { SpendingLimit } from './spending-limit.js'
import { JournaledSolver, type Deliver, type JournaledDeps } from './journaled.js'

/** What a batch needs of its solver. */
export interface BatchDeps {
  readonly inFlight: InFlight
  readonly scrub: Scrub
  readonly solve: <A>(
    task: TaskSpec<A>,
    batch: Batch,
    extras: { readonly journal?: JournalHooks | undefined; readonly spending?: Spending | undefined }
  ) => Observable<SolveResult<A>>
  readonly resume: <A>(kind: Resumable<A>, ref: TaskRef, batch: Batch) => Observable<SolveResult<A>>
  readonly events: EventBus
  readonly scheduler: SchedulerLike
  readonly label: string | undefined
}

/** Solves all items of a source; {@link Solver.solveAll} is its manual. */
export const solveAll =
  (deps: BatchDeps) =>
  <T, A>(
    items: ObservableInput<T>,
    toTask: (item: T) => TaskSpec<A>,
    options?: BatchOptions<T, A>
  ): Observable<Outcome<T, A>> => {
    const checked = checkBatch(items, toTask, options)
    const { concurrency = 10, until = NEVER, deliver } = checked
    return defer(() => {
      const run = new BatchRun(deps, checked)
      const { events } = run
      const stopBy = (reason: 'until' | 'closed' | 'maxCreates') =>
        tap(() => {
          events.stopped(reason)
        })
      const takeUntil = merge(
        from(until).pipe(stopBy('until')),
        deps.inFlight.closing.pipe(stopBy('closed')),
        run.limit?.reached.pipe(stopBy('maxCreates')) ?? NEVER,
        run.stopped
      )
      const solveItem = (item: T, index: number): Observable<Outcome<T, A>> =>
        run
          .solve(item, toTask, (result) => {
            run.onResult(result)
            return deliver && defer(() => checkDelivery(deliver({ index, item, result }))).pipe(ignoreElements())
          })
          .pipe(map((result) => ({ index, item, result })))
      const pull = { concurrency, scheduler: deps.scheduler, takeUntil, room: run.limit }
      return events.around(pullMergeMap(items, solveItem, pull), concurrency)
    })
  }

/** Refuses a `deliver` that returns nothing, because it would not report when the outcome is saved. */
const checkDelivery = (saving: unknown): ObservableInput<unknown> => {
  if (isObservableInput(saving)) return saving
  throw new TypeError('deliver: expected a promise or an Observable that completes once the outcome is saved')
}

/** One run of a batch. */
class BatchRun<T> {
  readonly #deps: BatchDeps
  readonly #stopsOnAccountError: boolean
  readonly #journaled: { readonly solver: JournaledSolver; readonly keyOf: (item: T) => string } | undefined
  readonly #batch: Batch
  readonly #stopped = new Subject<void>()
  readonly limit: SpendingLimit | undefined

  /** Emits when no item may be pulled any more, and errors if the journal failed. */
  readonly stopped: Observable<void> = this.#stopped.asObservable()
  readonly events: BatchEvents

  constructor(deps: BatchDeps, { stopOnAccountError = true, journal, keyOf, maxCreates }: BatchOptions<T, never>) {
    this.#deps = deps
    this.limit = maxCreates === undefined ? undefined : new SpendingLimit(maxCreates)
    this.events = new BatchEvents(deps.events, deps.label)
    this.#batch = {
      id: this.events.id,
      stopReason: undefined,
      stop: (reason) => {
        this.#stop(reason)
      }
    }
    this.#stopsOnAccountError = stopOnAccountError
    this.#journaled = journal && { solver: new JournaledSolver(journal, this.#journaledDeps()), keyOf }
  }

  /** Solves one item in the room that was taken for it; see {@link BatchRun.#solve}. */
  solve<A>(item: T, toTask: (item: T) => TaskSpec<A>, deliver: Deliver<A>): Observable<SolveResult<A>> {
    const spending = this.limit?.forItem()
    const solving = this.#solve(item, toTask, deliver, spending)
    return spending ? solving.pipe(finalize(spending.giveBack)) : solving
  }

  /** Solves one item, saves its result and emits it. */
  #solve<A>(
    item: T,
    toTask: (item: T) => TaskSpec<A>,
    deliver: Deliver<A>,
    spending: Spending | undefined
  ): Observable<SolveResult<A>> {
    const { solve, scrub } = this.#deps
    const unsolved = (result: E.Left<SolveError>): Observable<SolveResult<A>> => {
      this.events.endedUnsolved(result.left)
      return this.#saveAndEmit<A>(undefined, result, deliver(result))
    }
    this.events.onPulled()
    const task = callSafely('toTask', scrub, () => toTask(item))
    if (E.isLeft(task)) return unsolved(task)
    if (!this.#journaled)
      return solve(task.right, this.#batch, { spending }).pipe(
        OE.andThen((result) => this.#saveAndEmit(task.right, result, deliver(result)))
      )
    const { solver, keyOf } = this.#journaled
    const key = E.flatMap(
      callSafely('keyOf', scrub, () => keyOf(item)),
      checkKey
    )
    return E.isLeft(key) ? unsolved(key) : solver.solve(key.right, task.right, deliver, spending)
  }

  /** `task` is `undefined` if `toTask` gave none, and then nothing was paid. */
  #saveAndEmit<A>(
    task: Resumable<unknown> | undefined,
    result: SolveResult<A>,
    save: Observable<never> | undefined,
    recordEnd?: Observable<never>
  ): Observable<SolveResult<A>> {
    if (!save && !recordEnd) return of(result)
    const { inFlight, label } = this.#deps
    const ref = refOfResult(result)
    const paid = task && ref && orphanOf(ref, task, label)
    const orphan = (): void => {
      if (paid) this.events.orphaned(paid)
    }
    return saveAndEmit(inFlight, result, { save: save ?? EMPTY, recordEnd: recordEnd ?? EMPTY, paid, orphan })
  }

  /** Called with each result before it is delivered. */
  onResult(result: E.Either<SolveError, unknown>): void {
    this.events.onResult(result)
    if (this.#stopsOnAccountError && isAccountRefusal(result)) this.#stop('account')
  }

  #journaledDeps(): JournaledDeps {
    const { solve, resume, scrub } = this.#deps
    return {
      solve: (task, journal, spending) => solve(task, this.#batch, { journal, spending }),
      resume: (kind, ref) => resume(kind, ref, this.#batch),
      skip: (key) => {
        this.events.skipped(key)
      },
      endedUnsolved: (error) => {
        this.events.endedUnsolved(error)
      },
      saveAndEmit: (...args) => this.#saveAndEmit(...args),
      failed: (error) => {
        this.#stop('journal', { error })
        const cause = scrubbedCause(scrub, error)
        return { _tag: 'NotCreated', paid: 'no', reason: 'journal', attempts: 0, cause }
      }
    }
  }

  #stop(reason: StopReason, failure?: { readonly error: unknown }): void {
    this.events.stopped(reason)
    // Before the tasks are ended: each that ends makes room, and the room must not be filled; the last one completes the batch.
    if (failure) this.#stopped.error(failure.error)
    else this.#stopped.next()
    this.#deps.inFlight.stop(this.#batch, reason)
  }
}

const isAccountRefusal = (result: E.Either<SolveError, unknown>): boolean =>
  E.isLeft(result) && result.left._tag === 'Refused' && result.left.kind === 'account'

/** Calls a function of the caller. If it throws, or returns a promise, its item ends as `InvalidTask`. */
const callSafely = <A>(name: string, scrub: Scrub, call: () => A): E.Either<SolveError, A> => {
  try {
    const value = call()
    if (!(value instanceof Promise)) return E.right(value)
    // No other code handles its rejection, which would end the process.
    value.catch(() => undefined)
    return E.left(invalidTask(`${name}: returned a promise; await in the source of the items what it waits for`))
  } catch (error) {
    return E.left(invalidTask(`${name}: threw ${scrub(causeOf(error).message) || 'something without a message'}`))
  }
}

const checkKey = (key: unknown): E.Either<SolveError, string> =>
  NonEmptyString.is(key) ? E.right(key) : E.left(invalidTask(`keyOf: expected ${NonEmptyString.name}`))

const invalidTask = (problem: string): SolveError => ({ _tag: 'InvalidTask', paid: 'no', problems: [problem] })
