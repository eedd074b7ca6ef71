import * as E from 'fp-ts/lib/Either.js'
import { Observable } from 'rxjs'
import { askOnce, type TaskState } from './ask.js'
import { caller } from './call.js'
import type { Context } from './context.js'
import type { SolveError } from './error.js'
import type { Orphan, SolverEvent, TaskEvent } from './event.js'
import { Gate } from './gate.js'
import { Lives, type Intent } from './lives.js'
import { News } from './news.js'
import * as OE from './observable-either.js'
import { problemsOfClose, problemsOfScope, throwIfAny, type ScopeOptions, type Settings } from './options.js'
import type { Ports } from './ports.js'
import { scrubber } from './secrets.js'
import { create, resume, solve } from './solve.js'
import {
  readPayload,
  readRef,
  type Problems,
  type Resumable,
  type Solved,
  type TaskRef,
  type TaskSpec
} from './task.js'

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
   * failure of one task never ends another. At least `pollEveryMs` lie between an answer and the next question.
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
   * Asks one question, not repeated. A `Left` is only the task's own end: `TaskFailed`; beside it `InvalidTask` for a
   * reference that is not one, and `Interrupted` for a solver that was closed.
   *
   * @since 0.1.0
   */
  readonly getTaskResult: <A>(task: Resumable<A>, ref: TaskRef) => Observed<TaskState<A>>
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

interface Scope {
  readonly label: string | undefined
  readonly giveUpAfterMs: number
}

type Listening<A> = Pick<Intent<Solved<A>>, 'onStep' | 'onSettled'>

/** Runs a solve and passes on what it tells; the outcome comes as the last event. */
const withProgress = <A>(
  { scheduler }: Context,
  { label }: Scope,
  run: (listening: Listening<A>) => Observed<Solved<A>>
) =>
  new Observable<TaskEvent<A>>((subscriber) =>
    run({
      onStep: (step) => {
        subscriber.next(step)
      },
      onSettled: (result) => {
        const at = scheduler.now()
        subscriber.next({ at, ...(label !== undefined && { label }), _tag: 'Settled', result })
      }
    }).subscribe({
      error: (defect: unknown) => {
        subscriber.error(defect)
      },
      complete: () => {
        subscriber.complete()
      }
    })
  )

const invalid = (problems: Problems) => OE.left<SolveError>({ _tag: 'InvalidTask', paid: 'no', problems })

const refOf: (read: E.Either<Problems, TaskRef>) => TaskRef | undefined = E.getOrElseW(() => undefined)

/** Goes on with what could be read, or ends as `InvalidTask`. */
const checked = <T, A>(input: E.Either<Problems, T>, next: (input: T) => Observed<A>): Observed<A> =>
  E.isLeft(input) ? invalid(input.left) : next(input.right)

/** What one solver hands out for one scope. */
const solverOf = (context: Context, news: News, close: Solver['close'], scope: Scope): Solver => {
  const { lives } = context

  const solving = <A>(task: TaskSpec<A>, listening?: Listening<A>): Observed<Solved<A>> =>
    lives.live({ ...scope, ...listening, task, ref: undefined, whole: true }, (life) =>
      checked(readPayload(task), (payload) => solve(context)(task, payload, life))
    )
  const resuming = <A>(task: Resumable<A>, given: TaskRef, listening?: Listening<A>): Observed<Solved<A>> => {
    const read = readRef(task, given)
    return lives.live({ ...scope, ...listening, task, ref: refOf(read), whole: true }, (life) =>
      checked(read, (ref) => resume(context)(task, ref, life))
    )
  }

  return {
    solve: (task) => solving(task),
    solveWithProgress: (task) => withProgress(context, scope, (listening) => solving(task, listening)),
    resume: (task, ref) => resuming(task, ref),
    resumeWithProgress: (task, ref) => withProgress(context, scope, (listening) => resuming(task, ref, listening)),
    createTask: (task) =>
      lives.live({ ...scope, task, ref: undefined, whole: false }, (life) =>
        checked(readPayload(task), (payload) => create(context)(payload, life))
      ),
    getTaskResult: (task, given) => {
      const read = readRef(task, given)
      return lives.live({ ...scope, task, ref: refOf(read), whole: false }, () =>
        checked(read, (ref) => askOnce(context)(task, ref))
      )
    },
    withOptions: (options) => {
      throwIfAny(problemsOfScope(options))
      const { label = scope.label, giveUpAfterMs = scope.giveUpAfterMs } = options
      return solverOf(context, news, close, { label, giveUpAfterMs })
    },
    orphans: news.orphans,
    events: news.events,
    close
  }
}

/** Builds a solver over the ports; options are checked already. */
export const makeSolver = (ports: Ports, settings: Settings): Solver => {
  const { scheduler, random } = ports
  const scrub = scrubber(settings.clientKey)
  const news = new News(scheduler)
  const lives = new Lives(scheduler, news)
  const context: Context = {
    scheduler,
    random,
    settings,
    call: caller(ports, scrub),
    gate: new Gate(scheduler, random, settings.createsPerSecond),
    lives,
    reading: { kindOf: settings.kindOf, scrub }
  }
  let closed: Promise<ReadonlyArray<Orphan>> | undefined
  const close: Solver['close'] = (options = {}) => {
    throwIfAny(problemsOfClose(options))
    return (closed ??= lives.close(options.graceMs ?? 0).finally(ports.end))
  }
  return solverOf(context, news, close, { label: undefined, giveUpAfterMs: settings.giveUpAfterMs })
}
