import * as E from 'fp-ts/lib/Either.js'
import { Observable, type ObservableInput } from 'rxjs'
import { solveAll } from './batch/solve-all.js'
import { defineCall } from './model/call.js'
import type { BatchOptions } from './model/batch.js'
import type { SolveError } from './model/error.js'
import type { EventPorts, Orphan, TaskEvent } from './model/event.js'
import type { Ports } from './model/network.js'
import {
  MAX_TIMER_MS,
  checkOptions,
  closeOptionCodecs,
  scopeOptionCodecs,
  type ScopeOptions,
  type Settings
} from './model/options.js'
import type { Problems } from './validation/problems.js'
import type { SolveResult } from './model/result.js'
import {
  readRef,
  readTask,
  type Resumable,
  type SolutionOf,
  type Solved,
  type TaskRef,
  type TaskSpec
} from './model/task.js'
import { scrubber } from './protocol/redact.js'
import { exponential } from './rx/backoff.js'
import * as OE from './rx/observable-either.js'
import { subscribeWithin } from './rx/subscribe-within.js'
import { RateLimiter } from './rx/rate-limiter.js'
import { Spacing } from './rx/spacing.js'
import type { TrackOptions } from './in-flight/track-options.js'
import { makeCall } from './solve/call.js'
import type { Context } from './solve/context.js'
import { EventBus } from './in-flight/event-bus.js'
import { InFlight } from './in-flight/in-flight.js'
import { otherCall } from './solve/other-call.js'
import { pollOnce } from './solve/poll-result.js'
import { create, resume, solve } from './solve/solve.js'
import type { Solver } from './solver.js'

/** Builds a solver over the ports. The settings are checked already. */
export const buildSolver = (ports: Ports & EventPorts, settings: Settings): Solver => {
  const { scheduler, elapsed = () => scheduler.now(), random, nextId, sink } = ports
  const scrub = scrubber(settings.clientKey)
  const events = new EventBus({ scheduler, elapsed, nextId, sink })
  const inFlight = new InFlight(scheduler, events)
  const { createsPerSecond, maxOpenTasks } = settings
  const context: Context = {
    scheduler,
    elapsed,
    random,
    settings,
    events,
    readOptions: { meaningOf: settings.meaningOf, scrub },
    call: makeCall(ports, scrub),
    pollBackoff: pollBackoff(settings.pollEveryMs),
    limiter: new RateLimiter(
      { scheduler, elapsed, random },
      {
        ...{ createsPerSecond, maxOpenTasks },
        onUnreadable: () => {
          inFlight.stopBatches('unreadable')
        }
      }
    ),
    spacing: createsPerSecond === undefined ? undefined : new Spacing({ scheduler, elapsed }, createsPerSecond),
    inFlight
  }
  return scopedSolver(context, closeOnce(context, ports), { label: undefined, giveUpAfterMs: settings.giveUpAfterMs })
}

const pollBackoff = (pollEveryMs: number) => exponential({ firstMs: pollEveryMs, maxMs: MAX_TIMER_MS })

/** The same solver with another delay between polls. */
const withPace = (context: Context, pollEveryMs: number): Context => ({
  ...context,
  settings: { ...context.settings, pollEveryMs },
  pollBackoff: pollBackoff(pollEveryMs)
})

const closeOnce = ({ inFlight }: Context, ports: Ports): Solver['close'] => {
  let closed: Promise<ReadonlyArray<Orphan>> | undefined
  return (options = {}) => {
    const { graceMs = 0 } = checkOptions(closeOptionCodecs, options)
    if (closed) return closed
    let resolve!: (leftOpen: Promise<ReadonlyArray<Orphan>>) => void
    closed = new Promise((settle) => (resolve = settle))
    // After `closed` is set, because a subscriber that gets its outcome here may call `close`.
    resolve(inFlight.close(graceMs).finally(ports.close))
    return closed
  }
}

/** The settings of one task, which `withOptions` changes. */
type ScopeSettings = Pick<TrackOptions<unknown>, 'label' | 'giveUpAfterMs'>

const scopedSolver = (context: Context, close: Solver['close'], scope: ScopeSettings): Solver => {
  const { events, inFlight } = context
  const { solveTask, resumeTask } = trackedSolves(context, scope)
  const batch = solveAll({
    inFlight,
    scrub: context.readOptions.scrub,
    solve: (task, run, extras) => solveTask(task, { batch: run, ...extras }),
    resume: (kind, ref, run) => resumeTask(kind, ref, { batch: run }),
    events,
    scheduler: context.scheduler,
    label: scope.label
  })

  return {
    solve: (task) => solveTask(task),
    solveWithProgress: (task) => withProgress((observers) => solveTask(task, observers)),
    resume: (task, ref) => resumeTask(task, ref),
    resumeWithProgress: (task, ref) => withProgress((observers) => resumeTask(task, ref, observers)),
    ...trackedCalls(context, scope),
    // S is a TaskSpec of its own solution, which the compiler cannot infer for a type parameter.
    solveAll: <T, S extends TaskSpec<unknown>>(
      items: ObservableInput<T>,
      toTask: (item: T) => S,
      options?: BatchOptions<T, SolutionOf<S>>
    ) => batch(items, toTask as (item: T) => TaskSpec<SolutionOf<S>>, options),
    call: (call) => otherCall(context, defineCall(call)),
    withOptions: (options) => {
      const checked = checkOptions<ScopeOptions>(scopeOptionCodecs, options)
      const { label = scope.label, giveUpAfterMs = scope.giveUpAfterMs, pollEveryMs } = checked
      const paced = pollEveryMs === undefined ? context : withPace(context, pollEveryMs)
      return scopedSolver(paced, close, { label, giveUpAfterMs })
    },
    orphans: events.orphans,
    events: events.events,
    counts: () => context.limiter.counts,
    close,
    // The longest grace: what `close` resolves with is lost here, so every paid task is polled to its own end.
    [Symbol.asyncDispose]: () => close({ graceMs: MAX_TIMER_MS }).then(() => undefined)
  }
}

/** The options of a solve beyond its task and scope. */
type SolveExtras<A> = Pick<TrackOptions<Solved<A>>, 'onStep' | 'onSettled' | 'batch' | 'journal' | 'spending'>

const trackedSolves = (context: Context, scope: ScopeSettings) => ({
  solveTask: <A>(task: TaskSpec<A>, extras?: SolveExtras<A>): Observable<SolveResult<A>> =>
    context.inFlight.track({ task, ref: undefined, operation: 'solve', ...scope, ...extras }, (active) =>
      fromEither(readTask(task), ({ kind, payload }) => solve(context, kind, payload, active))
    ),
  resumeTask: <A>(task: Resumable<A>, given: TaskRef, extras?: SolveExtras<A>): Observable<SolveResult<A>> => {
    const checked = readRef(task, given)
    return context.inFlight.track(
      { task, ref: refOrNothing(checked), operation: 'resume', ...scope, ...extras },
      (active) => fromEither(checked, ({ kind, ref }) => resume(context, kind, ref, active))
    )
  }
})

/** The two halves of a solve, as single calls. */
const trackedCalls = (context: Context, scope: ScopeSettings): Pick<Solver, 'createTask' | 'getTaskResult'> => ({
  createTask: (task) =>
    context.inFlight.track({ task, ref: undefined, operation: 'createTask', ...scope }, (active) =>
      fromEither(readTask(task), ({ kind, payload }) => create(context, kind, payload, active))
    ),
  getTaskResult: (task, given) => {
    const checked = readRef(task, given)
    const options = { task, ref: refOrNothing(checked), operation: 'getTaskResult', ...scope } as const
    return context.inFlight.track(options, (active) =>
      fromEither(checked, ({ kind, ref }) => pollOnce(context, kind, active.markCreated(ref), active))
    )
  }
})

/** Runs a solve and emits its steps; the last event is its outcome. */
const withProgress = <A>(run: (observers: SolveExtras<A>) => Observable<SolveResult<A>>) =>
  new Observable<TaskEvent<A>>((subscriber) => {
    const solving = run({
      onStep: (step) => {
        subscriber.next(step)
      },
      onSettled: (result, meta) => {
        subscriber.next({ ...meta, _tag: 'Settled', result })
      }
    })
    subscribeWithin(subscriber, solving, {
      error: (defect: unknown) => {
        subscriber.error(defect)
      },
      complete: () => {
        subscriber.complete()
      }
    })
  })

/** Continues with valid input, or ends as `InvalidTask`. */
const fromEither = <T, A>(
  input: E.Either<Problems, T>,
  next: (input: T) => OE.ObservableEither<SolveError, A>
): OE.ObservableEither<SolveError, A> =>
  E.isLeft(input) ? OE.left({ _tag: 'InvalidTask', paid: 'no', problems: input.left }) : next(input.right)

const refOrNothing = (checked: E.Either<Problems, { readonly ref: TaskRef }>): TaskRef | undefined =>
  E.isLeft(checked) ? undefined : checked.right.ref
