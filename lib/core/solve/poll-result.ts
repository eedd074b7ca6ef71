import * as E from 'fp-ts/lib/Either.js'
import { Observable, defer } from 'rxjs'
import { mapResult } from './call.js'
import type { Context } from './context.js'
import type { ReplyProblem, SolveError, TaskFailed } from '../model/error.js'
import type { ActiveTask } from './active-task.js'
import { interpretPoll, type InterpretedPoll } from '../protocol/interpret.js'
import type { ObservableEither } from '../rx/observable-either.js'
import { MAX_TIMER_MS } from '../model/options.js'
import { pollUntilFinal } from '../rx/poll.js'
import { getTaskResultBody } from '../protocol/codec.js'
import type { CreatedPhase } from './phase.js'
import type { Resumable, Solved, TaskRef } from '../model/task.js'

/**
 * The state of a task, by one poll. `Unanswered` says that this poll brought no state, and why; the task goes on.
 *
 * @since 0.1.0
 */
export type TaskState<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'Ready'; readonly solution: A }
  | ({ readonly _tag: 'Unanswered' } & ReplyProblem)

type Doubtful = Extract<InterpretedPoll<never>, { readonly _tag: 'Unavailable' | 'Unknown' | 'NoReply' | 'BadReply' }>

type Verdict<A> = { readonly _tag: 'Processing' } | E.Either<SolveError, Solved<A>>

const PROCESSING = { _tag: 'Processing' } as const

const isFinal = <A>(verdict: Verdict<A>): verdict is E.Either<SolveError, Solved<A>> => verdict._tag !== 'Processing'

// A new task may not be known everywhere at the service yet.
const NEW_TASK_MS = 10_000
// Relatives of the service answer 120 polls for one task; at the usual pace 100 fit into the deadline.
const FULL_PACE_POLLS = 109
const MAX_IN_A_ROW = 3
const MAX_CAUSES = 3

/** Hears that a poll leaves, and what its answer says. */
interface PollObserver<A, V> {
  readonly begin?: () => void
  readonly judge: (answer: InterpretedPoll<A>) => V
}

/** One getTaskResult call, and what becomes of its answer. */
const poll = <A, V>(
  context: Context,
  { solution }: Resumable<A>,
  ref: TaskRef,
  asker: PollObserver<A, V>
): Observable<V> => {
  const { call, readOptions: reading, scheduler, settings } = context
  return new Observable((subscriber) => {
    const young = scheduler.now() - ref.createdAt < NEW_TASK_MS
    asker.begin?.()
    if (subscriber.closed) return undefined // left in hearing of it
    const body = getTaskResultBody(settings.clientKey, ref.taskId)
    const calling = call('/getTaskResult', body, settings.resultTimeoutMs)
    return mapResult(calling, (answer) => asker.judge(interpretPoll(reading, solution, answer, young))).subscribe(
      subscriber
    )
  })
}

const taskFailed = (
  ref: TaskRef,
  {
    errorId,
    errorCode,
    errorDescription,
    kind
  }: Extract<InterpretedPoll<never>, { readonly _tag: 'Failed' | 'Unknown' }>
): TaskFailed => ({ _tag: 'TaskFailed', paid: 'yes', ref, errorId, errorCode, errorDescription, kind })

/** Why an answer is no state of the task. */
const doubtOf = (answer: Doubtful): ReplyProblem => {
  switch (answer._tag) {
    case 'Unavailable':
      return answer.doubt
    case 'Unknown':
      return { status: answer.status, errorCode: answer.errorCode }
    case 'NoReply':
      return { cause: answer.cause }
    case 'BadReply':
      return { status: answer.status, problems: answer.problems }
  }
}

/** All polls about one task: what each answer means after those before it, and how long to wait for the next. */
class PollState<A> implements PollObserver<A, Verdict<A>> {
  waitMs: number
  #askedAt = 0
  #unreadyAt: number
  #outside = 0 // answers outside the protocol in this run
  #unknown = 0 // unknown codes in a row

  constructor(
    private readonly context: Context,
    private readonly task: Resumable<A>,
    private readonly known: CreatedPhase,
    private readonly life: ActiveTask,
    firstWaitMs: number
  ) {
    this.waitMs = firstWaitMs
    this.#unreadyAt = known.ref.createdAt
  }

  begin(): void {
    const { ref } = this.known
    this.#askedAt = this.context.scheduler.now()
    this.known.polls += 1
    this.life.emit({ _tag: 'Polled', ref, polls: this.known.polls })
  }

  judge(answer: InterpretedPoll<A>): Verdict<A> {
    this.known.gotReply = true
    switch (answer._tag) {
      case 'Ready':
        return E.right(this.#solved(answer.solution))
      case 'Failed':
        return E.left(taskFailed(this.known.ref, answer))
      case 'Processing':
        this.#unreadyAt = this.#askedAt
        return this.#goOn(0, 0)
      case 'NotYetKnown':
        return this.#goOn(0, 0)
      case 'Unavailable':
      case 'Unknown':
      case 'NoReply':
      case 'BadReply':
        return this.#doubt(answer)
    }
  }

  #doubt(answer: Doubtful): Verdict<A> {
    const { ref } = this.known
    this.known.causes = [...this.known.causes, doubtOf(answer)].slice(-MAX_CAUSES)
    switch (answer._tag) {
      case 'NoReply':
        return this.#goOn(this.#outside, this.#unknown, 'network')
      case 'Unavailable':
        return answer.readable
          ? this.#goOn(0, 0, 'unavailable', answer.retryAfterMs)
          : this.#goOn(this.#outside, this.#unknown, 'unavailable', answer.retryAfterMs)
      case 'Unknown':
        if (this.#unknown + 1 === MAX_IN_A_ROW) return E.left(taskFailed(ref, answer))
        return this.#goOn(0, this.#unknown + 1, 'reply')
      case 'BadReply': {
        const { status, problems, excerpt } = answer
        if (this.#outside + 1 === MAX_IN_A_ROW)
          return E.left({ _tag: 'BadReply', paid: 'yes', ref, status, problems, excerpt })
        return this.#goOn(this.#outside + 1, 0, 'reply')
      }
    }
  }

  #goOn(outside: number, unknown: number, reason?: 'unavailable' | 'network' | 'reply', retryAfterMs = 0): Verdict<A> {
    const { ref, polls: asked } = this.known
    const hurry = 2 ** Math.max(0, asked - FULL_PACE_POLLS)
    const retryMs = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs) : 0
    this.waitMs = Math.min(Math.max(this.context.settings.pollEveryMs * hurry, retryMs), MAX_TIMER_MS)
    this.#outside = outside
    this.#unknown = unknown
    if (reason) this.life.emit({ _tag: 'Delayed', reason, waitMs: this.waitMs, ref })
    return PROCESSING
  }

  #solved(solution: A): Solved<A> {
    const { bestWithinMs, validForMs } = this.task
    return {
      ref: this.known.ref,
      solution,
      readyAt: this.context.scheduler.now(),
      ...(bestWithinMs !== undefined && { useBefore: this.#unreadyAt + bestWithinMs }),
      ...(validForMs !== undefined && { expiresAt: this.#unreadyAt + validForMs })
    }
  }
}

/** Asks about a task that exists until its outcome is final. Does not give up by itself. */
export const pollTask =
  (context: Context) =>
  <A>(
    task: Resumable<A>,
    known: CreatedPhase,
    life: ActiveTask,
    firstWaitMs: number
  ): ObservableEither<SolveError, Solved<A>> =>
    defer(() => {
      const inquiry = new PollState(context, task, known, life, firstWaitMs)
      const polling = poll(context, task, known.ref, inquiry)
      return pollUntilFinal(() => inquiry.waitMs, context.scheduler)(polling, isFinal<A>)
    })

const stateOf =
  (ref: TaskRef) =>
  <A>(answer: InterpretedPoll<A>): E.Either<SolveError, TaskState<A>> => {
    switch (answer._tag) {
      case 'Failed':
        return E.left(taskFailed(ref, answer))
      case 'Processing':
      case 'NotYetKnown':
        return E.right(PROCESSING)
      case 'Ready':
        return E.right(answer)
      case 'Unavailable':
      case 'Unknown':
      case 'NoReply':
      case 'BadReply':
        return E.right({ _tag: 'Unanswered', ...doubtOf(answer) })
    }
  }

/** Asks once. A `Left` is the task's own end. */
export const pollOnce =
  (context: Context) =>
  <A>(task: Resumable<A>, ref: TaskRef): ObservableEither<SolveError, TaskState<A>> =>
    poll(context, task, ref, { judge: stateOf(ref)<A> })
