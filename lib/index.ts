export { createSolver } from './http/create-solver.js'
export type { Solver } from './core/solver.js'
export type { AsyncDisposal } from './core/model/disposal.js'
export type { ScopeOptions, SolverCounts, SolverOptions, UndiciDispatcher } from './core/model/options.js'
export { InvalidOptions } from './core/model/options.js'

export { defineTask } from './core/model/task.js'
export type { Resumable, SolutionOf, Solved, TaskKind, TaskRef, TaskSpec } from './core/model/task.js'
export { defineCall } from './core/model/call.js'
export type { CallFailed, CallSpec } from './core/model/call.js'
export { recaptchaV2 } from './core/model/recaptcha-v2.js'
export type { RecaptchaV2Fields, RecaptchaV2Solution } from './core/model/recaptcha-v2.js'
export type { SolveResult, TaskState } from './core/model/result.js'

export type {
  BadReply,
  CodeMeaning,
  CreateUnknown,
  ErrorKind,
  Interrupted,
  InvalidTask,
  NotCreated,
  Refused,
  ReplyProblem,
  SolveError,
  TaskFailed,
  TimedOut
} from './core/model/error.js'
export type { Problems } from './core/validation/problems.js'
export { advise, explain } from './core/model/explain.js'
export type { Advice } from './core/model/explain.js'
export type {
  BatchEventBody,
  BatchMeta,
  CreateEnded,
  CreateSent,
  Ended,
  EventMeta,
  Orphan,
  PollEnded,
  SolveEventBody,
  SolveMeta,
  SolverEvent,
  SolverEventBody,
  Started,
  TaskEvent,
  TaskStep
} from './core/model/event.js'

export { SolveFailure, orThrow, retryLeft, toTaskEither } from './core/interop.js'
export type { RetryOptions } from './core/interop.js'

export type { BatchOptions, Outcome } from './core/model/batch.js'
export { entryAfter } from './core/model/journal.js'
export type { Journal, JournalEntry } from './core/model/journal.js'

export { jsonText } from './core/model/network.js'
export type {
  CallPath,
  CallResult,
  ErrorCause,
  JsonValue,
  NetworkEvent,
  PartialReply,
  Post,
  RequestBody,
  ServicePath
} from './core/model/network.js'
