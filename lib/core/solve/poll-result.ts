import * as E from 'fp-ts/lib/Either.js'
import { Observable, defer } from 'rxjs'
import type { ReplyProblem, SolveError, TaskFailed } from '../model/error.js'
import { MAX_TIMER_MS } from '../model/options.js'
import type { SolveResult, TaskState } from '../model/result.js'
import type { Resumable, Solved, TaskRef } from '../model/task.js'
import { getTaskResultBody } from '../protocol/codec.js'
import { interpretPoll, type InterpretedPoll } from '../protocol/interpret.js'
import type { ObservableEither } from '../rx/observable-either.js'
import { pollUntilFinal } from '../rx/poll.js'
import type { ActiveTask } from './active-task.js'
import { mapResult } from './call.js'
import type { Context } from './context.js'
import type { CreatedPhase } from './phase.js'

/** Polls a task until its outcome is final. The deadline is the caller's. */
export const pollResult = <A>(
  context: Context,
  kind: Resumable<A>,
  created: CreatedPhase,
  task: ActiveTask,
  firstWaitMs: number
): ObservableEither<SolveError, Solved<A>> =>
  defer(() => {
    const state = new PollState(context, kind, created, task, firstWaitMs)
    const polling = poll(
      context,
      kind,
      created.ref,
      () => {
        state.start()
      },
      (reply) => state.decide(reply)
    )
    return pollUntilFinal(() => state.waitMs, context.scheduler)(polling, isFinal<A>)
  })

/** Polls a task once. A `Left` means that the task itself has ended. */
export const pollOnce = <A>(
  context: Context,
  kind: Resumable<A>,
  ref: TaskRef
): ObservableEither<SolveError, TaskState<A>> =>
  poll(
    context,
    kind,
    ref,
    () => undefined,
    (reply) => stateOf(ref, reply)
  )

// The service may not know a new task on all of its servers yet.
const NEW_TASK_MS = 10_000

/** Makes one getTaskResult call; `decide` maps its reply. */
const poll = <A, R>(
  context: Context,
  { solution }: Resumable<A>,
  ref: TaskRef,
  onStart: () => void,
  decide: (reply: InterpretedPoll<A>) => R
): Observable<R> => {
  const { call, readOptions, scheduler, settings } = context
  return new Observable((subscriber) => {
    const isNew = scheduler.now() - ref.createdAt < NEW_TASK_MS
    onStart()
    // A listener may unsubscribe synchronously from the `Polled` event, and then the request must not be sent.
    if (subscriber.closed) return undefined
    const body = getTaskResultBody(settings.clientKey, ref.taskId)
    const result = call('/getTaskResult', body, settings.resultTimeoutMs)
    return mapResult(result, (reply) => decide(interpretPoll(readOptions, solution, reply, isNew))).subscribe(
      subscriber
    )
  })
}

type Decision<A> = SolveResult<A> | 'poll again'

const isFinal = <A>(decision: Decision<A>): decision is SolveResult<A> => decision !== 'poll again'

// Services of the same family answer 120 polls of one task; at the default pace 100 polls fit into the deadline.
const FULL_PACE_POLLS = 109
const MAX_IN_A_ROW = 3
const MAX_CAUSES = 3

/** All polls of one task: what each reply means after those before it, and how long to wait for the next poll. */
class PollState<A> {
  readonly #context: Context
  readonly #kind: Resumable<A>
  readonly #created: CreatedPhase
  readonly #task: ActiveTask
  #waitMs: number
  #polledAt = 0
  /** When the task was last known to be unfinished. */
  #unfinishedAt: number
  #violations = 0
  #unknownErrors = 0

  constructor(context: Context, kind: Resumable<A>, created: CreatedPhase, task: ActiveTask, firstWaitMs: number) {
    this.#context = context
    this.#kind = kind
    this.#created = created
    this.#task = task
    this.#waitMs = firstWaitMs
    this.#unfinishedAt = created.ref.createdAt
  }

  get waitMs(): number {
    return this.#waitMs
  }

  start(): void {
    const created = this.#created
    this.#polledAt = this.#context.scheduler.now()
    created.polls += 1
    this.#task.emit({ _tag: 'Polled', ref: created.ref, polls: created.polls })
  }

  decide(reply: InterpretedPoll<A>): Decision<A> {
    const { ref } = this.#created
    this.#created.gotReply = true
    switch (reply._tag) {
      case 'Ready':
        return E.right(this.#solved(reply.solution))
      case 'Failed':
        return E.left(taskFailed(ref, reply))
      case 'Processing':
        this.#unfinishedAt = this.#polledAt
        return this.#pollAgain(0, 0)
      case 'NotYetKnown':
        return this.#pollAgain(0, 0)
      case 'NoReply':
        return this.#pollAgainAfter(reply, this.#violations, this.#unknownErrors, 'network')
      case 'Unavailable': {
        // A page with HTTP 503 says nothing about the task, so it does not end a run of violations.
        const [violations, unknown] = reply.hasDocument ? [0, 0] : [this.#violations, this.#unknownErrors]
        return this.#pollAgainAfter(reply, violations, unknown, 'unavailable', reply.retryAfterMs)
      }
      case 'Unknown':
        if (this.#unknownErrors + 1 === MAX_IN_A_ROW) return E.left(taskFailed(ref, reply))
        return this.#pollAgainAfter(reply, 0, this.#unknownErrors + 1, 'reply')
      case 'BadReply': {
        const { status, problems, excerpt } = reply
        if (this.#violations + 1 < MAX_IN_A_ROW) return this.#pollAgainAfter(reply, this.#violations + 1, 0, 'reply')
        return E.left({ _tag: 'BadReply', paid: 'yes', ref, status, problems, excerpt })
      }
    }
  }

  #pollAgainAfter(
    reply: NoState,
    violations: number,
    unknownErrors: number,
    reason: 'unavailable' | 'network' | 'reply',
    retryAfterMs?: number
  ): 'poll again' {
    this.#created.causes = [...this.#created.causes, problemOf(reply)].slice(-MAX_CAUSES)
    this.#pollAgain(violations, unknownErrors, retryAfterMs)
    this.#task.emit({ _tag: 'Delayed', reason, waitMs: this.#waitMs, ref: this.#created.ref })
    return 'poll again'
  }

  #pollAgain(violations: number, unknownErrors: number, retryAfterMs = 0): 'poll again' {
    this.#violations = violations
    this.#unknownErrors = unknownErrors
    const paceMs = this.#context.pollBackoff(Math.max(0, this.#created.polls - FULL_PACE_POLLS))
    const askedMs = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs) : 0
    this.#waitMs = Math.min(Math.max(paceMs, askedMs), MAX_TIMER_MS)
    return 'poll again'
  }

  #solved(solution: A): Solved<A> {
    const { bestWithinMs, validForMs } = this.#kind
    return {
      ref: this.#created.ref,
      solution,
      readyAt: this.#context.scheduler.now(),
      ...(bestWithinMs !== undefined && { useBefore: this.#unfinishedAt + bestWithinMs }),
      ...(validForMs !== undefined && { expiresAt: this.#unfinishedAt + validForMs })
    }
  }
}

/** A reply that brings no state of the task. */
type NoState = Extract<InterpretedPoll<never>, { readonly _tag: 'NoReply' | 'Unavailable' | 'Unknown' | 'BadReply' }>

const problemOf = (reply: NoState): ReplyProblem => {
  switch (reply._tag) {
    case 'NoReply':
      return { cause: reply.cause }
    case 'Unavailable':
      return reply.problem
    case 'Unknown':
      return { status: reply.status, errorCode: reply.errorCode }
    case 'BadReply':
      return { status: reply.status, problems: reply.problems }
  }
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

const stateOf = <A>(ref: TaskRef, reply: InterpretedPoll<A>): E.Either<SolveError, TaskState<A>> => {
  switch (reply._tag) {
    case 'Failed':
      return E.left(taskFailed(ref, reply))
    case 'Processing':
    case 'NotYetKnown':
      return E.right({ _tag: 'Processing' })
    case 'Ready':
      return E.right(reply)
    case 'NoReply':
    case 'Unavailable':
    case 'Unknown':
    case 'BadReply':
      return E.right({ _tag: 'Unanswered', ...problemOf(reply) })
  }
}
