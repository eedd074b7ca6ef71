export { createSolver } from './http/create-solver.js'
export type { SolverOptions } from './http/create-solver.js'
export type { Solver } from './core/solver.js'
export type { SolveOptions, ScopeOptions } from './core/model/options.js'
export { InvalidOptions } from './core/model/options.js'

export { recaptchaV2, defineTask } from './core/model/task.js'
export type {
  Problems,
  RecaptchaV2Fields,
  RecaptchaV2Solution,
  Resumable,
  SolutionOf,
  Solved,
  TaskKind,
  TaskRef,
  TaskSpec
} from './core/model/task.js'
export type { TaskState } from './core/solve/poll-result.js'

export type {
  BadReply,
  CreateUnknown,
  ReplyProblem,
  Interrupted,
  InvalidTask,
  ErrorKind,
  NotCreated,
  Refused,
  SolveError,
  TaskFailed,
  TimedOut
} from './core/model/error.js'
export { advise, explain } from './core/model/explain.js'
export type { Advice } from './core/model/explain.js'
export type { CodeMeaning } from './core/protocol/error-codes.js'
export type { Orphan, SolverEvent, TaskEvent } from './core/model/event.js'

export { SolveFailure, orThrow, retryLeft, toTaskEither } from './core/interop.js'
export type { RetryOptions } from './core/interop.js'

export type { CallResult, ErrorCause, JsonValue, CallPath, Post, NetworkEvent } from './core/model/network.js'

export type { BatchOptions, Outcome } from './core/batch/solve-all.js'
export type { JournalEntry, Journal } from './core/batch/journaled.js'
export { entryAfter } from './core/batch/journaled.js'
