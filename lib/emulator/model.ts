import type { FaultRule } from './faults/fault.js'

/**
 * A running emulator.
 *
 * @since 0.1.0
 */
export interface Emulator {
  /** The base URL for a client. In a browser it shows a page with the counters, the faults and the newest tasks. */
  readonly url: string
  /** The seed in use. An emulator with the same seed draws the same ids, tokens, durations and faults. */
  readonly seed: number
  /** What was counted since the start. */
  readonly counters: () => Counters
  /** All tasks since the start, oldest first. */
  readonly tasks: () => ReadonlyArray<TaskRecord>
  /** Ends every connection and timer, and stops listening; `counters` and `tasks` still work. May be called again. */
  readonly close: () => Promise<void>
}

/**
 * The client key that an emulator accepts unless it is given another one. It belongs to no account.
 *
 * @since 0.1.0
 */
export const EMULATOR_KEY = 'emulator-client-key'

/**
 * How an emulator behaves. Durations are in milliseconds.
 *
 * @since 0.1.0
 */
export interface EmulatorOptions {
  /** Port on 127.0.0.1. @defaultValue `0`, any free one */
  readonly port?: number | undefined
  /** The prefix of the paths of the calls, such as `/v1`. @defaultValue `''` */
  readonly basePath?: string | undefined
  /** The only client key that is accepted. @defaultValue {@link EMULATOR_KEY} */
  readonly clientKey?: string | undefined
  /** The only secret that siteverify accepts. @defaultValue any secret that is not empty */
  readonly siteSecret?: string | undefined
  /** The time from createTask to the solution; each task draws its own from a range. @defaultValue `[5_000, 15_000]` */
  readonly readyAfterMs?: number | readonly [min: number, max: number] | undefined
  /** The time from createTask until the task is unknown to the emulator. @defaultValue `Infinity` */
  readonly forgetAfterMs?: number | undefined
  /** The same seed gives each task the same id, token, duration and faults. @defaultValue a random one */
  readonly seed?: number | undefined
  /** What goes wrong, as rules or in the form of the command line (`createTask:1:reset`). @defaultValue nothing */
  readonly faults?: ReadonlyArray<FaultRule | string> | undefined
  /** How long an idle connection stays open before it is closed without notice; `0` keeps it open. @defaultValue `5_000` */
  readonly idleMs?: number | undefined
  /** The delay of every reply. @defaultValue `0` */
  readonly latencyMs?: number | undefined
  /**
   * Makes task ids JSON numbers beyond 2^53, which JavaScript's `JSON.parse` rounds. A poll must send its id as a number with
   * every digit; a string gets ERROR_TASKID_INVALID. @defaultValue `false`
   */
  readonly numericIds?: boolean | undefined
  /**
   * More types of tasks, each with a function that returns the solution of a task as it was sent. If it throws, or JSON cannot hold
   * what it returns, the reply is HTTP 500 with the reason. @defaultValue none
   */
  readonly solutions?: Readonly<Record<string, (task: Readonly<Record<string, unknown>>) => unknown>> | undefined
  /**
   * The clock, in epoch milliseconds. A test can move it forward instead of waiting until a token expires. Reply delays do not
   * use it. @defaultValue a clock that does not change when the system clock is set
   */
  readonly now?: (() => number) | undefined
}

/**
 * What an emulator counted since it started.
 *
 * @since 0.1.0
 */
export interface Counters {
  /** Requests by call, valid or not; `other` went to an unknown path. */
  readonly requests: Readonly<Record<'createTask' | 'getTaskResult' | 'getBalance' | 'siteverify' | 'other', number>>
  /** createTask requests that created a task; each of them is billed. */
  readonly accepted: number
  /** createTask requests that created no task. */
  readonly refused: number
  /** Billed createTask requests without a reply from which the client can read the task id. */
  readonly lostCreates: number
  /** Polls by task id. */
  readonly polls: Readonly<Record<string, number>>
  /** The shortest time from the end of a reply about a task (createTask included) to the arrival of its next poll. */
  readonly smallestGapMs: number | undefined
  /** Polls that arrived while another poll of the same task had no complete reply. */
  readonly overlaps: number
  /** Tasks whose solution was sent to a client, each counted once. */
  readonly delivered: number
  /** Tasks whose solution was not sent to any client, ready or not, except those that a fault rule fails. */
  readonly neverFetched: number
  /** siteverify requests that accepted a token. */
  readonly verified: number
  /** siteverify requests that accepted no token. */
  readonly unverified: number
}

/**
 * A task of an emulator. Instants are epoch milliseconds.
 *
 * @since 0.1.0
 */
export interface TaskRecord {
  /** A string even if it is a number on the wire. */
  readonly taskId: string
  readonly acceptedAt: number
  readonly readyAt: number
  /** Whether a reply to createTask was sent from which the client can read the task id. */
  readonly replySent: boolean
  readonly polls: number
  /** When the solution was first sent completely to a client. */
  readonly deliveredAt?: number | undefined
  /** When siteverify accepted the token. */
  readonly verifiedAt?: number | undefined
  /** The task as it was sent, with its `type`. */
  readonly task: Readonly<Record<string, unknown>>
  /** The fault that replaces the solution, if a rule on `task` chose one. */
  readonly fault?: string | undefined
}
