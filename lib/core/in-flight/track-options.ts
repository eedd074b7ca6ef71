import type * as E from 'fp-ts/lib/Either.js'
import type { Observable } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { SolveMeta, Started, TaskStep } from '../model/event.js'
import type { Resumable, TaskRef } from '../model/task.js'
import type { ObservableEither } from '../rx/observable-either.js'
import type { StopReason } from './phase.js'

/** The tasks of one run of a batch. `stopReason` is set when no more of them may be created. */
export interface Batch {
  readonly id: number
  stopReason: StopReason | undefined
  /** Pulls no more items, and ends the tasks that are not created. */
  readonly stop: (reason: StopReason) => void
}

/** Where a batch records a task. */
export interface JournalHooks {
  /** Durable before createTask is sent; a `Left` forbids sending it. */
  readonly beforeCreate?: (() => ObservableEither<SolveError, unknown>) | undefined
  /** Durable before the first poll. Emits nothing, completes, never errors. The write starts with the call and runs to its end. */
  readonly afterCreate: (ref: TaskRef) => Observable<never>
  /** Withdraws the intent if the subscriber unsubscribed and nothing was created. Completes once durable, never errors. */
  readonly notCreated: () => Observable<never>
}

/** The share of one task in the spending limit of its batch: one createTask call that the service may accept. */
export interface Spending {
  /** Takes another one after {@link Spending.spend}; `false` if there is none. */
  readonly take: () => boolean
  /** A createTask was or may have been accepted. */
  readonly spend: () => void
  /** No createTask will be sent any more. */
  readonly giveBack: () => void
}

/** What a subscription to a solver is for. */
export interface TrackOptions<R> {
  readonly task: Resumable<unknown>
  readonly label: string | undefined
  readonly giveUpAfterMs: number
  /** The reference of a task that exists already. */
  readonly ref: TaskRef | undefined
  readonly operation: Started['operation']
  readonly onStep?: ((event: SolveMeta & TaskStep) => void) | undefined
  /** Called with the outcome before the subscriber gets it. */
  readonly onSettled?: ((result: E.Either<SolveError, R>, meta: SolveMeta) => void) | undefined
  readonly batch?: Batch | undefined
  readonly journal?: JournalHooks | undefined
  readonly spending?: Spending | undefined
}
