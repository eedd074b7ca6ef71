import * as E from 'fp-ts/lib/Either.js'
import { Observable, defer } from 'rxjs'
import { readAnswer } from './call.js'
import type { Context } from './context.js'
import type { Doubt, SolveError, TaskFailed } from '../model/error.js'
import type { Life } from './active-task.js'
import { readAsk, type AskAnswer } from '../protocol/interpret.js'
import type { ObservableEither } from '../rx/observable-either.js'
import { LONGEST_TIMER_MS } from '../model/options.js'
import { pollUntilFinal } from '../rx/poll.js'
import { getTaskResultBody } from '../protocol/codec.js'
import type { Known } from './phase.js'
import type { Resumable, Solved, TaskRef } from '../model/task.js'

/**
 * The state of a task, by one question. `Unanswered` says that this question brought no state, and why; the task goes on.
 *
 * @since 0.1.0
 */
export type TaskState<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'Ready'; readonly solution: A }
  | ({ readonly _tag: 'Unanswered' } & Doubt)

type Doubtful = Extract<AskAnswer<never>, { readonly _tag: 'Later' | 'Unknown' | 'Silent' | 'Outside' }>

type Verdict<A> = { readonly _tag: 'Processing' } | E.Either<SolveError, Solved<A>>

const PROCESSING = { _tag: 'Processing' } as const

const isFinal = <A>(verdict: Verdict<A>): verdict is E.Either<SolveError, Solved<A>> => verdict._tag !== 'Processing'

// A new task may not be known everywhere at the service yet.
const YOUNG_MS = 10_000
// Relatives of the service answer 120 questions for one task; at the usual pace 100 fit into the deadline.
const UNHURRIED_QUESTIONS = 109
const MOST_IN_A_RUN = 3
const MOST_CAUSES = 3

/** Hears that a question leaves, and what its answer says. */
interface Asker<A, V> {
  readonly begin?: () => void
  readonly judge: (answer: AskAnswer<A>) => V
}

/** One getTaskResult call, and what becomes of its answer. */
const ask = <A, V>(context: Context, { solution }: Resumable<A>, ref: TaskRef, asker: Asker<A, V>): Observable<V> => {
  const { call, reading, scheduler, settings } = context
  return new Observable((subscriber) => {
    const young = scheduler.now() - ref.createdAt < YOUNG_MS
    asker.begin?.()
    if (subscriber.closed) return undefined // left in hearing of it
    const body = getTaskResultBody(settings.clientKey, ref.taskId)
    const calling = call('/getTaskResult', body, settings.resultTimeoutMs)
    return readAnswer(calling, (answer) => asker.judge(readAsk(reading, solution, answer, young))).subscribe(subscriber)
  })
}

const taskFailed = (
  ref: TaskRef,
  { errorId, errorCode, errorDescription, kind }: Extract<AskAnswer<never>, { readonly _tag: 'Failed' | 'Unknown' }>
): TaskFailed => ({ _tag: 'TaskFailed', paid: 'yes', ref, errorId, errorCode, errorDescription, kind })

/** Why an answer is no state of the task. */
const doubtOf = (answer: Doubtful): Doubt => {
  switch (answer._tag) {
    case 'Later':
      return answer.doubt
    case 'Unknown':
      return { status: answer.status, errorCode: answer.errorCode }
    case 'Silent':
      return { cause: answer.cause }
    case 'Outside':
      return { status: answer.status, problems: answer.problems }
  }
}

/** All questions about one task: what each answer means after those before it, and how long to wait for the next. */
class Inquiry<A> implements Asker<A, Verdict<A>> {
  waitMs: number
  #askedAt = 0
  #unreadyAt: number
  #outside = 0 // answers outside the protocol in this run
  #unknown = 0 // unknown codes in a row

  constructor(
    private readonly context: Context,
    private readonly task: Resumable<A>,
    private readonly known: Known,
    private readonly life: Life,
    firstWaitMs: number
  ) {
    this.waitMs = firstWaitMs
    this.#unreadyAt = known.ref.createdAt
  }

  begin(): void {
    const { ref } = this.known
    this.#askedAt = this.context.scheduler.now()
    this.known.asked += 1
    this.life.tell({ _tag: 'Asked', ref, asked: this.known.asked })
  }

  judge(answer: AskAnswer<A>): Verdict<A> {
    this.known.heard = true
    switch (answer._tag) {
      case 'Ready':
        return E.right(this.#solved(answer.solution))
      case 'Failed':
        return E.left(taskFailed(this.known.ref, answer))
      case 'Processing':
        this.#unreadyAt = this.#askedAt
        return this.#goOn(0, 0)
      case 'Lagging':
        return this.#goOn(0, 0)
      case 'Later':
      case 'Unknown':
      case 'Silent':
      case 'Outside':
        return this.#doubt(answer)
    }
  }

  #doubt(answer: Doubtful): Verdict<A> {
    const { ref } = this.known
    this.known.causes = [...this.known.causes, doubtOf(answer)].slice(-MOST_CAUSES)
    switch (answer._tag) {
      case 'Silent':
        return this.#goOn(this.#outside, this.#unknown, 'network')
      case 'Later':
        return answer.readable
          ? this.#goOn(0, 0, 'later', answer.retryAfterMs)
          : this.#goOn(this.#outside, this.#unknown, 'later', answer.retryAfterMs)
      case 'Unknown':
        if (this.#unknown + 1 === MOST_IN_A_RUN) return E.left(taskFailed(ref, answer))
        return this.#goOn(0, this.#unknown + 1, 'reply')
      case 'Outside': {
        const { status, problems, excerpt } = answer
        if (this.#outside + 1 === MOST_IN_A_RUN)
          return E.left({ _tag: 'BadReply', paid: 'yes', ref, status, problems, excerpt })
        return this.#goOn(this.#outside + 1, 0, 'reply')
      }
    }
  }

  #goOn(outside: number, unknown: number, reason?: 'later' | 'network' | 'reply', retryAfterMs = 0): Verdict<A> {
    const { ref, asked } = this.known
    const hurry = 2 ** Math.max(0, asked - UNHURRIED_QUESTIONS)
    const retryMs = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs) : 0
    this.waitMs = Math.min(Math.max(this.context.settings.pollEveryMs * hurry, retryMs), LONGEST_TIMER_MS)
    this.#outside = outside
    this.#unknown = unknown
    if (reason) this.life.tell({ _tag: 'Delayed', reason, waitMs: this.waitMs, ref })
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
export const askUntilFinal =
  (context: Context) =>
  <A>(task: Resumable<A>, known: Known, life: Life, firstWaitMs: number): ObservableEither<SolveError, Solved<A>> =>
    defer(() => {
      const inquiry = new Inquiry(context, task, known, life, firstWaitMs)
      const question = ask(context, task, known.ref, inquiry)
      return pollUntilFinal(() => inquiry.waitMs, context.scheduler)(question, isFinal<A>)
    })

const stateOf =
  (ref: TaskRef) =>
  <A>(answer: AskAnswer<A>): E.Either<SolveError, TaskState<A>> => {
    switch (answer._tag) {
      case 'Failed':
        return E.left(taskFailed(ref, answer))
      case 'Processing':
      case 'Lagging':
        return E.right(PROCESSING)
      case 'Ready':
        return E.right(answer)
      case 'Later':
      case 'Unknown':
      case 'Silent':
      case 'Outside':
        return E.right({ _tag: 'Unanswered', ...doubtOf(answer) })
    }
  }

/** Asks once. A `Left` is the task's own end. */
export const askOnce =
  (context: Context) =>
  <A>(task: Resumable<A>, ref: TaskRef): ObservableEither<SolveError, TaskState<A>> =>
    ask(context, task, ref, { judge: stateOf(ref)<A> })
