import type * as E from 'fp-ts/lib/Either.js'
import type { Observable, ObservableInput } from 'rxjs'
import type { TaskState } from './solve/poll-result.js'
import type { BatchOptions, Outcome } from './batch/solve-all.js'
import type { SolveError } from './model/error.js'
import type { Orphan, SolverEvent, TaskEvent } from './model/event.js'
import type { ScopeOptions } from './model/options.js'
import type { Resumable, SolutionOf, Solved, TaskRef, TaskSpec } from './model/task.js'

type Observed<A> = Observable<E.Either<SolveError, A>>

/**
 * The client of one account. Members are functions that can be passed unbound: `tasks$.pipe(mergeMap(solver.solve, 20))`.
 *
 * @since 0.1.0
 */
export interface Solver {
  /**
   * Creates one task at the service, asks until it is final, and emits its outcome.
   *
   * Cold: every subscription creates, and pays for, a task of its own. Emits one `Either`, completes, never errors: a
   * failure of one task never ends another. At least `pollEveryMs` lie between an answer and the next poll.
   * Unsubscribing stops asking; a createTask that has left is read to its end, and its task appears on `orphans`, as does
   * a task that was known already.
   *
   * ```
   * solve   ---c---p---p---(R|)    c createTask, p "processing", R Right(Solved)
   * ```
   *
   * @param task - what to solve; see {@link recaptchaV2}
   * @returns `Right(Solved)`, or `Left` with `InvalidTask` (the fields do not fit), `NotCreated` (it never left),
   *  `Refused` (the service said no): nothing was paid; `CreateUnknown` (no readable answer to createTask): perhaps;
   *  `TaskFailed` (the service ended it), `BadReply` (answers outside the protocol), `TimedOut` (after `giveUpAfterMs`),
   *  `Interrupted` (the solver was closed): paid, `error.ref` goes to `resume`
   * @see docs/errors.md for each error and what to do, docs/protocol.md for the wire and its sources
   * @since 0.1.0
   */
  readonly solve: <A>(task: TaskSpec<A>) => Observed<Solved<A>>
  /**
   * As {@link Solver.solve}, and tells what happens on the way. The last event is `Settled` with the outcome; then it
   * completes. Every subscription buys a task.
   *
   * @since 0.1.0
   */
  readonly solveWithProgress: <A>(task: TaskSpec<A>) => Observable<TaskEvent<A>>
  /**
   * Goes on with a task that is paid for already: asks at once, then as {@link Solver.solve} does, for `giveUpAfterMs` from
   * the subscription. Creates nothing.
   *
   * @param task - the kind of the task, or the task itself: `resume(recaptchaV2, ref)`
   * @param ref - the task's id and the instant of its creation, from an error, an orphan, an event or `createTask`
   * @returns as `solve`, without what only creating can meet; `InvalidTask` if the reference is not one
   * @since 0.1.0
   */
  readonly resume: <A>(task: Resumable<A>, ref: TaskRef) => Observed<Solved<A>>
  /**
   * As {@link Solver.resume}, and tells what happens on the way. The last event is `Settled`.
   *
   * @since 0.1.0
   */
  readonly resumeWithProgress: <A>(task: Resumable<A>, ref: TaskRef) => Observable<TaskEvent<A>>
  /**
   * The create half of {@link Solver.solve}, by the same rules. The task that it emits is the caller's from then on.
   *
   * @returns `Right(TaskRef)`, or `Left` with `InvalidTask`, `NotCreated`, `Refused` or `CreateUnknown`
   * @since 0.1.0
   */
  readonly createTask: <A>(task: TaskSpec<A>) => Observed<TaskRef>
  /**
   * Asks one poll, not repeated. A `Left` is only the task's own end: `TaskFailed`; beside it `InvalidTask` for a
   * reference that is not one, and `Interrupted` for a solver that was closed.
   *
   * @since 0.1.0
   */
  readonly getTaskResult: <A>(task: Resumable<A>, ref: TaskRef) => Observed<TaskState<A>>
  /**
   * Solves all items of a source, `concurrency` at a time, and emits one {@link Outcome} for every item that it takes, as they
   * end; then completes. A failure ends no other task. Cold: every subscription goes through the source, and buys, anew.
   *
   * Arrays, iterables and async iterables are asked for an item only when there is room for it, so a file of any length does;
   * memory does not grow with their length. An Observable and a promise cannot be asked to wait: what is not taken yet is
   * kept, as `mergeMap` does.
   *
   * ```
   * items, 2 at a time   ab      c
   * a                    -----(R|)
   * b                    --------(L|)
   * result               -----R--L-…    { index, item, result }
   * ```
   *
   * A `toTask` or `keyOf` that throws is its item's `InvalidTask`. An error of the source ends the taking; what is open is
   * finished, and then it is passed on. After `close` nothing is taken. Leaving puts open tasks on `orphans`, and calls the
   * iterator's `return`.
   *
   * With a `journal` each key is bought once over all runs: a task of an earlier run is gone on with, a key that is finished is
   * skipped without an outcome (event `Skipped`), one whose createTask may have left is a `CreateUnknown`. The journal hears
   * of an outcome after your `next` has returned, so do there what must not be lost. If it fails nothing more is created, what
   * is open is finished, and then its error is passed on.
   *
   * @throws InvalidOptions at once, for a source that is none (a string, for example), or options out of bounds
   * @since 0.1.0
   */
  readonly solveAll: <T, S extends TaskSpec<unknown>>(
    items: ObservableInput<T>,
    toTask: (item: T) => S,
    options?: BatchOptions<T>
  ) => Observable<Outcome<T, SolutionOf<S>>>
  /**
   * The same solver (network, gate, orphans, events and `close`) with a label, or another deadline, for what is begun with
   * it.
   *
   * @throws InvalidOptions
   * @since 0.1.0
   */
  readonly withOptions: (options: ScopeOptions) => Solver
  /**
   * Tasks whose caller left before an outcome, for `resume`. Up to 1,000 that nobody listened to are kept for the first
   * subscriber, the newest ones. Completes when the solver is closed.
   *
   * @since 0.1.0
   */
  readonly orphans: Observable<Orphan>
  /**
   * Everything that happens, for logs and metrics; no client key, no token. Completes when the solver is closed.
   *
   * @since 0.1.0
   */
  readonly events: Observable<SolverEvent>
  /**
   * Ends the solver. What is not created yet ends at once as `NotCreated`; paid tasks are asked for until `graceMs`
   * (default 0) have passed and then end as `Interrupted`; a createTask that has left is read to its end. Later solves end
   * as `NotCreated`. A second call gives the first one's promise.
   *
   * @returns what was left open, to store and to resume; once the grace is over and no createTask is under way
   * @throws InvalidOptions
   * @since 0.1.0
   */
  readonly close: (options?: { readonly graceMs?: number | undefined }) => Promise<ReadonlyArray<Orphan>>
}
