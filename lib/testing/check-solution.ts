import * as E from 'fp-ts/lib/Either.js'
import type * as t from 'io-ts'
import type { TaskEvent } from '../core/model/event.js'
import type { TaskState } from '../core/model/result.js'
import type { Resumable, Solved } from '../core/model/task.js'

/**
 * The result with a solution of the type of the task. Throws if the decoder of the task could not have returned it. `member` of the
 * stub has emitted it.
 */
export const checkedResult = <A>(member: string, task: Resumable<A>) =>
  E.map((solved: Solved<unknown>): Solved<A> => ({
    ...solved,
    solution: checkedSolution(member, task, solved.solution)
  }))

/** As {@link checkedResult}, for an event that may hold the result. */
export const checkedEvent =
  <A>(member: string, task: Resumable<A>) =>
  (event: TaskEvent<unknown>): TaskEvent<A> =>
    event._tag === 'Settled' ? { ...event, result: checkedResult(member, task)(event.result) } : event

/** As {@link checkedResult}, for a state that may be ready. */
export const checkedState =
  <A>(member: string, task: Resumable<A>) =>
  (state: TaskState<unknown>): TaskState<A> =>
    state._tag === 'Ready' ? { ...state, solution: checkedSolution(member, task, state.solution) } : state

const checkedSolution = <A>(member: string, { solution: decoder }: Resumable<A>, solution: unknown): A => {
  if (fits(decoder, solution)) return solution
  throw new Error(
    `stubSolver: ${member} emitted a solution that this kind of task cannot have; expected ${decoder.name}`
  )
}

/** A codec of io-ts knows its values. Another decoder knows only what it decodes, which may differ from its solution. */
const fits = <A>(decoder: t.Decoder<unknown, A> | t.Type<A>, solution: unknown): solution is A =>
  !('is' in decoder) || decoder.is(solution)
