export { createSolver } from './edge/client.js'
export type { SolverOptions } from './edge/client.js'
export type { Solver } from './core/contract.js'
export type { SolveOptions, ScopeOptions } from './core/options.js'
export { InvalidOptions } from './core/options.js'

export { recaptchaV2, defineTask } from './core/task.js'
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
} from './core/task.js'
export type { TaskState } from './core/ask.js'

export type {
  BadReply,
  CreateUnknown,
  Doubt,
  Interrupted,
  InvalidTask,
  Kind,
  NotCreated,
  Refused,
  SolveError,
  TaskFailed,
  TimedOut
} from './core/error.js'
export { advise, explain } from './core/explain.js'
export type { Advice } from './core/explain.js'
export type { Meaning } from './core/codes.js'
export type { Orphan, SolverEvent, TaskEvent } from './core/event.js'

export { SolveFailure, orThrow, retryLeft, toTaskEither } from './core/interop.js'
export type { RetryOptions } from './core/interop.js'

export type { Answer, Cause, Json, Path, Post, Wire } from './core/ports.js'

export type { BatchOptions, Outcome } from './core/batch.js'
export type { Entry, Journal } from './core/journal.js'
export { entryAfter } from './core/journal.js'
