import type { Either } from 'fp-ts/lib/Either.js'
import type { Observable, ObservableInput } from 'rxjs'
import type { BatchOptions, Outcome } from './model/batch.js'
import type { CallFailed, CallSpec } from './model/call.js'
import type { AsyncDisposal } from './model/disposal.js'
import type { SolveError } from './model/error.js'
import type { Orphan, SolverEvent, TaskEvent } from './model/event.js'
import type { ScopeOptions, SolverCounts } from './model/options.js'
import type { SolveResult, TaskState } from './model/result.js'
import type { Resumable, SolutionOf, TaskRef, TaskSpec } from './model/task.js'

/**
 * The client of one account. Its members are function properties and can be passed unbound:
 * `tasks$.pipe(mergeMap(solver.solve, 20))`.
 *
 * `await using solver = createSolver(…)` closes the solver at the end of the block. `Symbol.asyncDispose` is `close` with a grace
 * period that lasts until every paid task has ended, each at its own deadline at the latest, and every `deliver` whose subscriber
 * has unsubscribed. It returns no orphans, so subscribe to `orphans` if subscribers may unsubscribe early. To wait for less, call
 * `close` yourself: only the first call counts.
 *
 * @since 0.1.0
 */
export interface Solver extends AsyncDisposal {
  /**
   * Creates one task at the service, polls it until it is final, and emits its outcome.
   *
   * Cold: every subscription creates, and pays for, its own task. Emits one `Either`, completes and never errors, so the
   * failure of one task never ends another. At least `pollEveryMs` pass between a reply and the next poll. Unsubscribing
   * stops polling, but does not abort a createTask that was sent. A task that exists, or turns out to exist, is then emitted on
   * `orphans`.
   *
   * ```
   * solve   ---c---p---p---(R|)    c createTask, p "processing", R Right(Solved)
   * ```
   *
   * @param task - what to solve; see `recaptchaV2`
   * @returns `Right(Solved)`, or `Left` with `InvalidTask` (the fields are invalid), `NotCreated` (no connection, or no
   *  time left), `Refused` (the service refused it): nothing was paid, or `paid` is `unknown`; `CreateUnknown` (createTask was
   *  sent, and no task id could be read from what arrived): perhaps paid; `TaskFailed` (the service ended it), `BadReply` (replies
   *  violated the protocol), `TimedOut` (after `giveUpAfterMs`), `Interrupted` (the solver was closed): paid, pass `error.ref` to
   *  `resume`
   * @example
   * ```ts
   * import { map } from 'rxjs'
   * import { createSolver, recaptchaV2 } from 'rx-captcha'
   *
   * const { solve } = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
   *
   * solve(recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' }))
   *   .pipe(map((result) => (result._tag === 'Right' ? 'solved' : `${result.left._tag}, paid: ${result.left.paid}`)))
   *   .subscribe((line) => console.log(line)) // prints solved
   * ```
   *
   * @see docs/errors.md for each error and what to do, docs/protocol.md for the requests, the replies and their sources
   * @since 0.1.0
   */
  readonly solve: <A>(task: TaskSpec<A>) => Observable<SolveResult<A>>
  /**
   * Like {@link Solver.solve}, but emits every step. The last event is `Settled` with the outcome; then it completes. Every
   * subscription pays for its own task.
   *
   * @since 0.1.0
   */
  readonly solveWithProgress: <A>(task: TaskSpec<A>) => Observable<TaskEvent<A>>
  /**
   * Continues a task that is paid for: polls at once, then continues like {@link Solver.solve}, until `giveUpAfterMs` after the
   * subscription. Creates nothing.
   *
   * @param task - the kind of the task, or the task itself: `resume(recaptchaV2, ref)`
   * @param ref - the id of the task and when it was created, from an error, an orphan, an event or `createTask`
   * @returns as `solve`, without the errors of creating; `InvalidTask` if `ref` is not a reference
   * @since 0.1.0
   */
  readonly resume: <A>(task: Resumable<A>, ref: TaskRef) => Observable<SolveResult<A>>
  /**
   * Like {@link Solver.resume}, but emits every step. The last event is `Settled`.
   *
   * @since 0.1.0
   */
  readonly resumeWithProgress: <A>(task: Resumable<A>, ref: TaskRef) => Observable<TaskEvent<A>>
  /**
   * The create half of {@link Solver.solve}, by the same rules. The solver does not follow the task any further: storing its
   * reference is up to the caller.
   *
   * Only the reference is emitted. If the service solves a task at once and puts the solution into the reply to createTask, that
   * solution is lost: use {@link Solver.solve} for such kinds of tasks.
   *
   * @returns `Right(TaskRef)`, or `Left` with `InvalidTask`, `NotCreated`, `Refused` or `CreateUnknown`; with `TimedOut` or
   *  `Interrupted`, and so with `error.ref`, if the id had arrived in a reply that was still open at the deadline or at `close`
   * @since 0.1.0
   */
  readonly createTask: <A>(task: TaskSpec<A>) => Observable<Either<SolveError, TaskRef>>
  /**
   * Polls once, without a retry.
   *
   * @returns `Right(TaskState)`, or `Left` with `TaskFailed` if the task has ended with an error, `InvalidTask` if `ref` is not a
   *  reference, or `Interrupted` if the solver was closed
   * @since 0.1.0
   */
  readonly getTaskResult: <A>(task: Resumable<A>, ref: TaskRef) => Observable<Either<SolveError, TaskState<A>>>
  /**
   * Solves all items of a source, `concurrency` at a time, and emits one {@link Outcome} for every item that it pulls, in the
   * order in which they end; then it completes. A failure ends no other task. Cold: every subscription reads the source from
   * the start, and pays for its tasks again.
   *
   * The next item of an array, an iterable or an async iterable is pulled only when there is room for it, so a file may have any
   * length, and memory does not grow with it. Observables and promises cannot be made to wait: their items are buffered, as by
   * `mergeMap`.
   *
   * ```
   * items, 2 at a time   ab      c
   * a                    -----(R|)
   * b                    --------(L|)
   * result               -----R--L-…    { index, item, result }
   * ```
   *
   * If `toTask` or `keyOf` throws or returns a promise, the outcome of that item is `InvalidTask`. After an error of the source
   * no item is pulled; the error is passed on when the active tasks have ended. After `close` nothing is pulled. Unsubscribing
   * emits the active tasks on `orphans` and calls the iterator's `return`; a `deliver` that was called still runs to its end.
   *
   * With a `journal`, each key has one task across all runs, except after an HTTP 503 that counts as a refusal: a task of an
   * earlier run is resumed, a finished key is skipped without an outcome (event `Skipped`), and a key whose createTask may have
   * been sent ends as `CreateUnknown`. The journal
   * records that a key is finished after its outcome was emitted, and after `deliver` has completed: save outcomes in
   * `deliver`, because RxJS does not report whether a subscriber's `next` threw or is still saving. If the journal fails,
   * nothing more is created; its error is passed on when the active tasks have ended.
   *
   * @throws InvalidOptions at once, for `items` that are not a source (a string, for example), or options out of bounds
   *
   * @example
   * ```ts
   * import { createSolver, recaptchaV2 } from 'rx-captcha'
   *
   * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '' })
   * const pages = new Set(['https://example.com/a', 'https://example.com/b'])
   *
   * solver
   *   .solveAll(pages, (websiteURL) => recaptchaV2({ websiteURL, websiteKey: 'your-site-key' }), { concurrency: 2 })
   *   .subscribe(({ item, result }) => console.log(result._tag, item)) // prints Right https://example.com/
   * ```
   *
   * @since 0.1.0
   */
  readonly solveAll: <T, S extends TaskSpec<unknown>>(
    items: ObservableInput<T>,
    toTask: (item: T) => S,
    options?: BatchOptions<T, SolutionOf<S>>
  ) => Observable<Outcome<T, SolutionOf<S>>>
  /**
   * Makes another call of the same protocol, such as `/getBalance`, once: with the client key, the network, the limit on replies and
   * the redaction of the solver. It needs no permit, emits no event, and creates no task. Cold: every subscription calls. Emits
   * one `Either`, completes and never errors. Unsubscribing and `close` abort the call.
   *
   * @param call - what `defineCall` returns
   * @returns `Right` with what `reply` reads, or `Left` with {@link CallFailed}
   * @throws InvalidOptions at once, for anything other than a call
   * @since 0.1.0
   */
  readonly call: <A>(call: CallSpec<A>) => Observable<Either<CallFailed, A>>
  /**
   * The same solver (network, limiter, orphans, events and `close`) with a label, another deadline or another delay between polls
   * for the tasks that it solves.
   *
   * @throws InvalidOptions
   * @since 0.1.0
   */
  readonly withOptions: (options: ScopeOptions) => Solver
  /**
   * Paid tasks whose subscriber unsubscribed before an outcome, or whose outcome `deliver` could not save, for `resume`. While
   * nothing subscribes to `orphans`, the newest 1,000 are buffered for the first subscriber. Completes when the solver is closed.
   *
   * @since 0.1.0
   */
  readonly orphans: Observable<Orphan>
  /**
   * Everything that happens, for logs and metrics, without the client key and without tokens. Completes when the solver is closed.
   *
   * @since 0.1.0
   */
  readonly events: Observable<SolverEvent>
  /**
   * How many tasks of the solver are open and how many wait to be created, now, over all solves and scopes of `withOptions`.
   *
   * @example
   * ```ts
   * import { createSolver, recaptchaV2 } from 'rx-captcha'
   *
   * const solver = createSolver({ clientKey: process.env.CAPTCHA_CLIENT_KEY ?? '', maxOpenTasks: 2 })
   * const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
   *
   * for (const _ of [1, 2, 3]) solver.solve(task).subscribe()
   * console.log(JSON.stringify(solver.counts())) // prints {"open":2,"waiting":1}
   * ```
   *
   * @since 0.1.0
   */
  readonly counts: () => SolverCounts
  /**
   * Closes the solver. A task that is not created ends at once as `NotCreated`, or as `Refused` if the service refused it temporarily;
   * a paid task is polled until `graceMs` (default 0) have passed, and then ends as `Interrupted`. A task whose createTask has no
   * reply by then ends as `CreateUnknown`; the reply is still awaited, at most for `createTimeoutMs`. Later solves end as
   * `NotCreated`, and a later `resume` as `Interrupted`. A second call returns the promise of the first.
   *
   * @returns the paid tasks without a final outcome, to store and to resume: those that ended as `Interrupted`, those whose `deliver`
   *  has not ended, and the orphans since the call of `close` or without a subscriber. The promise resolves when the grace period
   *  is over, or all tasks and each `deliver` have ended; no createTask is in flight, the journal has recorded the ids and the ends
   *  of emitted outcomes, and the connections are closed. If `created` or `ended` of a journal never completes, the promise never
   *  resolves
   * @throws InvalidOptions
   * @since 0.1.0
   */
  readonly close: (options?: { readonly graceMs?: number | undefined }) => Promise<ReadonlyArray<Orphan>>
}
