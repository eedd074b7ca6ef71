import * as E from 'fp-ts/lib/Either.js'
import { of, timeout, type MonoTypeOperatorFunction } from 'rxjs'
import { pollTask } from './poll-result.js'
import type { Context } from './context.js'
import { createTask } from './create-task.js'
import type { SolveError } from '../model/error.js'
import type { ActiveTask } from './active-task.js'
import * as OE from '../rx/observable-either.js'
import type { JsonValue } from '../model/network.js'
import { createdPhase } from './phase.js'
import type { Resumable, Solved, TaskRef } from '../model/task.js'

/** When the time is up, a task ends as what it is by then. */
const giveUp = <A>({ scheduler }: Context, life: ActiveTask): MonoTypeOperatorFunction<E.Either<SolveError, A>> =>
  timeout({ first: life.giveUpAfterMs, scheduler, with: () => of(E.left(life.errorIfEnded('deadline'))) })

const turn = ({ limiter: gate }: Context, life: ActiveTask) =>
  gate.acquire('newcomer', (delay) => {
    life.emit({ _tag: 'Delayed', ...delay })
  })

/** What happens to a task: it waits for its turn, is created, is asked for until it is final, and is given up in time. */
export const solve =
  (context: Context) =>
  <A>(task: Resumable<A>, payload: JsonValue, life: ActiveTask): OE.ObservableEither<SolveError, Solved<A>> =>
    turn(context, life).pipe(
      OE.andThen((first) =>
        createTask(context)(payload, life, first).pipe(
          OE.flatMap((created) => pollTask(context)(task, created, life, context.settings.pollEveryMs)),
          giveUp(context, life)
        )
      )
    )

/** The first half of {@link solve}. */
export const create =
  (context: Context) =>
  (payload: JsonValue, life: ActiveTask): OE.ObservableEither<SolveError, TaskRef> =>
    turn(context, life).pipe(
      OE.andThen((first) =>
        createTask(context)(payload, life, first).pipe(
          OE.map(({ ref }) => ref),
          giveUp(context, life)
        )
      )
    )

/** The second half of {@link solve}: the task is paid for already, so it is asked for at once. */
export const resume =
  (context: Context) =>
  <A>(task: Resumable<A>, ref: TaskRef, life: ActiveTask): OE.ObservableEither<SolveError, Solved<A>> => {
    const paid = createdPhase(ref)
    life.phase = paid
    return pollTask(context)(task, paid, life, 0).pipe(giveUp(context, life))
  }
