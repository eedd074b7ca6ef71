import type * as E from 'fp-ts/lib/Either.js'
import { of, tap, timeout, type MonoTypeOperatorFunction, type Observable } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { JsonValue } from '../model/network.js'
import type { Resumable, Solved, TaskRef } from '../model/task.js'
import * as OE from '../rx/observable-either.js'
import type { Permit } from '../rx/rate-limiter.js'
import type { ActiveTask } from '../in-flight/active-task.js'
import type { Context } from './context.js'
import { createTask } from './create-task.js'
import { pollResult, waitBeforePoll } from './poll-result.js'
import { solved } from './solved.js'

/** One task through time: it waits for a permit, is created, is polled until it is final, and ends by its deadline. */
export const solve = <A>(
  context: Context,
  kind: Resumable<A>,
  payload: JsonValue,
  task: ActiveTask
): OE.ObservableEither<SolveError, Solved<A>> =>
  firstPermit(context, task).pipe(
    OE.andThen((permit) =>
      createTask(context, kind, payload, task, permit).pipe(
        OE.flatMap(({ created, ready, retryAfterMs }) =>
          ready
            ? OE.right(solved(context, kind, created, ready.solution))
            : pollResult(context, kind, created, task, waitBeforePoll(context.settings.pollEveryMs, retryAfterMs))
        ),
        endAtDeadline(context, task)
      )
    )
  )

/** The first half of {@link solve}. */
export const create = (
  context: Context,
  kind: Resumable<unknown>,
  payload: JsonValue,
  task: ActiveTask
): OE.ObservableEither<SolveError, TaskRef> =>
  firstPermit(context, task).pipe(
    OE.andThen((permit) =>
      createTask(context, kind, payload, task, permit).pipe(
        OE.map(({ created }) => created.ref),
        endAtDeadline(context, task)
      )
    )
  )

/** The second half of {@link solve}, for a task that exists: the first poll is sent at once. */
export const resume = <A>(
  context: Context,
  kind: Resumable<A>,
  ref: TaskRef,
  task: ActiveTask
): OE.ObservableEither<SolveError, Solved<A>> => {
  context.limiter.openTask()
  task.openIn(context.limiter)
  return pollResult(context, kind, task.markCreated(ref), task, 0).pipe(endAtDeadline(context, task))
}

/** The wait for the first permit is not part of the deadline, so it comes before `endAtDeadline`. */
const firstPermit = ({ limiter }: Context, task: ActiveTask): Observable<Permit> =>
  limiter
    .acquire('new', (delay) => {
      task.emit({ _tag: 'Delayed', ...delay })
    })
    .pipe(
      tap(() => {
        task.openIn(limiter)
      })
    )

/** Ends a task at its deadline with what is known of it. */
const endAtDeadline = <A>(
  { scheduler }: Context,
  task: ActiveTask
): MonoTypeOperatorFunction<E.Either<SolveError, A>> =>
  timeout({ first: task.giveUpAfterMs, scheduler, with: () => of(task.outcomeIfEnded('deadline')) })
