import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, defer, type Observable } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { CallResult } from '../model/network.js'
import { MAX_TIMER_MS } from '../model/options.js'
import type { SolveResult, TaskState } from '../model/result.js'
import type { Resumable, Solved, TaskRef } from '../model/task.js'
import { getTaskResultBody } from '../protocol/codec.js'
import { interpretPoll, type InterpretedPoll } from '../protocol/interpret.js'
import { retryAfterOf } from '../protocol/reply.js'
import type { ObservableEither } from '../rx/observable-either.js'
import { pollUntilFinal, type Decision, type Polls } from '../rx/poll.js'
import type { ActiveTask } from '../in-flight/active-task.js'
import type { ResultReader } from './call.js'
import { pollEndedEvent } from '../in-flight/call-events.js'
import type { Context } from './context.js'
import type { CreatedPhase } from '../in-flight/phase.js'
import { replyProblemOf, stateOf, taskFailed, type NoState } from './poll-outcome.js'
import { solved } from './solved.js'

/** Polls a task until its outcome is final. The deadline is the caller's. */
export const pollResult = <A>(
  context: Context,
  kind: Resumable<A>,
  created: CreatedPhase,
  task: ActiveTask,
  firstWaitMs: number
): ObservableEither<SolveError, Solved<A>> =>
  defer(() => pollUntilFinal(new PollState(context, kind, created, task, firstWaitMs), context.scheduler))

/** Polls a task once. A `Left` means that the task itself has ended. */
export const pollOnce = <A>(
  context: Context,
  { solution }: Resumable<A>,
  created: CreatedPhase,
  task: ActiveTask
): ObservableEither<SolveError, TaskState<A>> =>
  defer(() => {
    const isNew = isNewAt(ageOf(context, created))
    const polledAt = beginPoll(context, created, task)
    // A listener may unsubscribe synchronously from the `Polled` event, and then the request must not be sent.
    if (task.isSettled) return EMPTY
    return getTaskResult(context, created.ref, {
      read: (result) => {
        const reply = interpretPoll(context.readOptions, solution, result, isNew)
        logPoll(context, created, task, reply, polledAt)
        return stateOf(created.ref, reply)
      }
    })
  })

/** A poll begins. Returns when, in elapsed milliseconds. */
const beginPoll = ({ elapsed }: Context, created: CreatedPhase, task: ActiveTask): number => {
  const polledAt = elapsed()
  created.polls += 1
  task.emit({ _tag: 'Polled', ref: created.ref, polls: created.polls })
  return polledAt
}

const logPoll = (
  { elapsed }: Context,
  { ref, polls }: CreatedPhase,
  task: ActiveTask,
  reply: InterpretedPoll<unknown>,
  polledAt: number
): void => {
  if (task.observed) task.log(pollEndedEvent(reply, ref, polls, Math.round(elapsed() - polledAt)))
}

/** The usual wait, or the longer one that the service asked for. */
export const waitBeforePoll = (paceMs: number, retryAfterMs = 0): number => {
  const askedMs = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs) : 0
  return Math.min(Math.max(paceMs, askedMs), MAX_TIMER_MS)
}

// The service may not know a new task on all of its servers yet.
const NEW_TASK_MS = 10_000

const isNewAt = (ageMs: number): boolean => ageMs >= 0 && ageMs < NEW_TASK_MS

/** Makes one getTaskResult call. */
const getTaskResult = <R>({ call, settings }: Context, ref: TaskRef, reader: ResultReader<R>): Observable<R> =>
  call('/getTaskResult', getTaskResultBody(settings.clientKey, ref), settings.resultTimeoutMs, reader)

// A reference of another process has wall-clock time only, and its clock may run ahead.
const ageOf = (
  { scheduler, elapsed }: Context,
  { ref, sentElapsed }: Pick<CreatedPhase, 'ref' | 'sentElapsed'>
): number => (sentElapsed === undefined ? scheduler.now() - ref.createdAt : elapsed() - sentElapsed)

// Services of the same family allow 120 polls of a task; at the default pace 100 polls fit into the deadline.
const FULL_PACE_POLLS = 109
const MAX_IN_A_ROW = 3
const MAX_CAUSES = 3

/** All polls of one task: what each reply means after those before it, and how long to wait for the next poll. */
class PollState<A> implements Polls<SolveResult<A>>, ResultReader<Decision<SolveResult<A>>> {
  readonly #context: Context
  readonly #kind: Resumable<A>
  readonly #created: CreatedPhase
  readonly #task: ActiveTask
  #waitMs: number
  #isNew = false
  #polledAt = 0
  #violations = 0
  #unknownErrors = 0

  constructor(context: Context, kind: Resumable<A>, created: CreatedPhase, task: ActiveTask, firstWaitMs: number) {
    this.#context = context
    this.#kind = kind
    this.#created = created
    this.#task = task
    this.#waitMs = firstWaitMs
  }

  get waitMs(): number {
    return this.#waitMs
  }

  poll(): Observable<Decision<SolveResult<A>>> {
    const created = this.#created
    this.#isNew = isNewAt(ageOf(this.#context, created))
    this.#polledAt = beginPoll(this.#context, created, this.#task)
    return getTaskResult(this.#context, created.ref, this)
  }

  read(result: CallResult): Decision<SolveResult<A>> {
    const reply = interpretPoll(this.#context.readOptions, this.#kind.solution, result, this.#isNew)
    return this.#decide(reply, retryAfterOf(result))
  }

  #decide(reply: InterpretedPoll<A>, retryAfterMs: number | undefined): Decision<SolveResult<A>> {
    const { ref } = this.#created
    logPoll(this.#context, this.#created, this.#task, reply, this.#polledAt)
    this.#created.gotReply = true
    switch (reply._tag) {
      case 'Ready':
        return E.right(solved(this.#context, this.#kind, this.#created, reply.solution))
      case 'Failed':
        return E.left(taskFailed(ref, reply))
      case 'Processing':
        this.#created.unfinishedElapsed = this.#polledAt
        return this.#stillProcessing(retryAfterMs)
      case 'NotYetKnown':
        this.#addCause(reply)
        return this.#stillProcessing(retryAfterMs)
      case 'OtherStatus':
        return this.#pollAgainAfter(reply, 0, 0, 'unavailable', retryAfterMs)
      case 'NoReply':
        return this.#pollAgainAfter(reply, this.#violations, this.#unknownErrors, 'network', retryAfterMs)
      case 'Unavailable': {
        // A page with HTTP 503 says nothing about the task, so it does not end a run of violations.
        const [violations, unknown] = reply.hasDocument ? [0, 0] : [this.#violations, this.#unknownErrors]
        return this.#pollAgainAfter(reply, violations, unknown, 'unavailable', retryAfterMs)
      }
      case 'Unknown':
        if (this.#unknownErrors + 1 === MAX_IN_A_ROW) return E.left(taskFailed(ref, reply))
        return this.#pollAgainAfter(reply, 0, this.#unknownErrors + 1, 'reply', retryAfterMs)
      case 'BadReply': {
        const { status, problems, excerpt } = reply
        if (this.#violations + 1 < MAX_IN_A_ROW)
          return this.#pollAgainAfter(reply, this.#violations + 1, 0, 'reply', retryAfterMs)
        return E.left({ _tag: 'BadReply', paid: 'yes', ref, status, problems, excerpt })
      }
    }
  }

  #pollAgainAfter(
    reply: NoState,
    violations: number,
    unknownErrors: number,
    reason: 'unavailable' | 'network' | 'reply',
    retryAfterMs: number | undefined
  ): 'poll again' {
    this.#addCause(reply)
    this.#pollAgain(violations, unknownErrors, retryAfterMs)
    this.#emitDelay(reason)
    return 'poll again'
  }

  #addCause(reply: NoState): void {
    this.#created.causes = [...this.#created.causes, replyProblemOf(reply)].slice(-MAX_CAUSES)
  }

  #stillProcessing(retryAfterMs: number | undefined): 'poll again' {
    if (this.#pollAgain(0, 0, retryAfterMs)) this.#emitDelay('unavailable')
    return 'poll again'
  }

  /** Returns whether the service asked for more than the usual wait. */
  #pollAgain(violations: number, unknownErrors: number, retryAfterMs: number | undefined): boolean {
    this.#violations = violations
    this.#unknownErrors = unknownErrors
    const paceMs = this.#context.pollBackoff(Math.max(0, this.#created.polls - FULL_PACE_POLLS))
    this.#waitMs = waitBeforePoll(paceMs, retryAfterMs)
    return this.#waitMs > paceMs
  }

  #emitDelay(reason: 'unavailable' | 'network' | 'reply'): void {
    this.#task.emit({ _tag: 'Delayed', reason, waitMs: this.#waitMs, ref: this.#created.ref })
  }
}
