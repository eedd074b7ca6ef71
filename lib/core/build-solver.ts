import * as E from 'fp-ts/lib/Either.js'
import { Observable, type ObservableInput } from 'rxjs'
import { pollOnce } from './solve/poll-result.js'
import { solveAll, type BatchOptions } from './batch/solve-all.js'
import { makeCall } from './solve/call.js'
import type { Context } from './solve/context.js'
import type { Solver } from './solver.js'
import type { SolveError } from './model/error.js'
import type { Orphan, TaskEvent } from './model/event.js'
import { RateLimiter } from './rx/rate-limiter.js'
import type { TrackOptions } from './solve/active-task.js'
import { InFlight } from './solve/in-flight.js'
import { EventBus } from './solve/event-bus.js'
import * as OE from './rx/observable-either.js'
import { problemsOfClose, problemsOfScope, throwIfAny, type Settings } from './model/options.js'
import type { Ports } from './model/network.js'
import { scrubber } from './protocol/redact.js'
import { create, resume, solve } from './solve/solve.js'
import {
  readPayload,
  readRef,
  type Problems,
  type Resumable,
  type SolutionOf,
  type Solved,
  type TaskRef,
  type TaskSpec
} from './model/task.js'

type Observed<A> = Observable<E.Either<SolveError, A>>

interface Scope {
  readonly label: string | undefined
  readonly giveUpAfterMs: number
}

/** Who hears of a subscription beside its subscriber, and what it is part of. */
type Aside<A> = Pick<TrackOptions<Solved<A>>, 'onStep' | 'onSettled' | 'batch' | 'journal'>

/** Runs a solve and passes on what it tells; the outcome comes as the last event. */
const withProgress = <A>({ scheduler }: Context, { label }: Scope, run: (aside: Aside<A>) => Observed<Solved<A>>) =>
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
const fromEither = <T, A>(input: E.Either<Problems, T>, next: (input: T) => Observed<A>): Observed<A> =>
  E.isLeft(input) ? invalid(input.left) : next(input.right)

/** A solve and a resume, each one subscription of its own. */
const subscriptions = (context: Context, scope: Scope) => ({
  solving: <A>(task: TaskSpec<A>, aside?: Aside<A>): Observed<Solved<A>> =>
    context.inFlight.track({ task, ref: undefined, isSolve: true, ...scope, ...aside }, (life) =>
      fromEither(readPayload(task), (payload) => solve(context)(task, payload, life))
    ),
  resuming: <A>(task: Resumable<A>, given: TaskRef, aside?: Aside<A>): Observed<Solved<A>> => {
    const read = readRef(task, given)
    return context.inFlight.track({ task, ref: refOf(read), isSolve: true, ...scope, ...aside }, (life) =>
      fromEither(read, (ref) => resume(context)(task, ref, life))
    )
  }
})

const batches = (
  { inFlight: lives, readOptions: reading }: Context,
  news: EventBus,
  { label }: Scope,
  by: ReturnType<typeof subscriptions>
) =>
  solveAll({
    lives,
    scrub: reading.scrub,
    solve: (task, batch, notes) => by.solving(task, { batch, journal: notes }),
    resume: (task, ref, batch) => by.resuming(task, ref, { batch }),
    skipped: (key) => {
      news.emit(label, { _tag: 'Skipped', key })
    }
  })

/** What one solver hands out for one scope. */
const scopedSolver = (context: Context, news: EventBus, close: Solver['close'], scope: Scope): Solver => {
  const { inFlight: lives } = context
  const by = subscriptions(context, scope)
  const { solving, resuming } = by
  const all = batches(context, news, scope, by)

  return {
    solve: (task) => solving(task),
    solveWithProgress: (task) => withProgress(context, scope, (aside) => solving(task, aside)),
    resume: (task, ref) => resuming(task, ref),
    resumeWithProgress: (task, ref) => withProgress(context, scope, (aside) => resuming(task, ref, aside)),
    createTask: (task) =>
      lives.track({ task, ref: undefined, isSolve: false, ...scope }, (life) =>
        fromEither(readPayload(task), (payload) => create(context)(payload, life))
      ),
    getTaskResult: (task, given) => {
      const read = readRef(task, given)
      return lives.track({ task, ref: refOf(read), isSolve: false, ...scope }, () =>
        fromEither(read, (ref) => pollOnce(context)(task, ref))
      )
    },
    // S is a TaskSpec of its own solution, which the compiler cannot see of a type parameter.
    solveAll: <T, S extends TaskSpec<unknown>>(
      items: ObservableInput<T>,
      toTask: (item: T) => S,
      options?: BatchOptions<T>
    ) => all(items, toTask as (item: T) => TaskSpec<SolutionOf<S>>, options),
    withOptions: (options) => {
      throwIfAny(problemsOfScope(options))
      const { label = scope.label, giveUpAfterMs = scope.giveUpAfterMs } = options
      return scopedSolver(context, news, close, { label, giveUpAfterMs })
    },
    orphans: news.orphans,
    events: news.events,
    close
  }
}

/** Builds a solver over the ports; options are checked already. */
export const buildSolver = (ports: Ports, settings: Settings): Solver => {
  const { scheduler, random } = ports
  const scrub = scrubber(settings.clientKey)
  const news = new EventBus(scheduler)
  const lives = new InFlight(scheduler, news)
  const context: Context = {
    scheduler,
    random,
    settings,
    call: makeCall(ports, scrub),
    limiter: new RateLimiter(scheduler, random, settings.createsPerSecond),
    inFlight: lives,
    readOptions: { kindOf: settings.meaningOf, scrub }
  }
  let closed: Promise<ReadonlyArray<Orphan>> | undefined
  const close: Solver['close'] = (options = {}) => {
    throwIfAny(problemsOfClose(options))
    return (closed ??= lives.close(options.graceMs ?? 0).finally(ports.end))
  }
  return scopedSolver(context, news, close, { label: undefined, giveUpAfterMs: settings.giveUpAfterMs })
}
