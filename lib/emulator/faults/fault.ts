import type { ServerResponse } from 'node:http'

/**
 * A fault, and when it is injected. The first rule that applies wins, and an outage has precedence over all other rules.
 * Examples in the form of the command line: `createTask:always:503`, `createTask:1:reset`, `getTaskResult:first2:503`,
 * `task:10%:never`, `createTask:500ms:502`, `outage:2s:502`.
 *
 * @since 0.1.0
 */
export interface FaultRule {
  /**
   * What `when` counts: the createTask requests of the emulator, the polls of each task, the tasks (the fault replaces the
   * solution, once the task would be ready), the getBalance or siteverify requests, or the connections (only `reset` and `close`).
   * An `outage` replaces the replies to createTask, getTaskResult and getBalance, including those about unknown tasks, and needs
   * a duration.
   */
  readonly on: 'createTask' | 'getTaskResult' | 'task' | 'getBalance' | 'siteverify' | 'connection' | 'outage'
  readonly when: When
  /**
   * What goes wrong. A function is called in place of the correct reply, after `latencyMs`. It may write any bytes to `res` or to
   * its socket, now or later, or none. The emulator does not catch what it throws.
   */
  readonly fault: Fault | ((reply: FaultReply) => void)
  /**
   * For a function: whether the client can read the correct reply from what it writes. If not, a createTask creates no task
   * (unless `billed`), so the task id in `correctReply` does not exist, a poll delivers no solution, and a siteverify uses up no
   * token. @defaultValue `false`
   */
  readonly isReadable?: boolean | undefined
  /** For a createTask fault that hides the task id: whether the task is created and billed nevertheless. @defaultValue `false` */
  readonly billed?: boolean | undefined
}

/**
 * When a rule applies: always, the `nth` time, the `first` n times, in a random `share` (0 to 1) of cases, or for a duration in
 * milliseconds that begins at the first time.
 *
 * @since 0.1.0
 */
export type When =
  | 'always'
  | { readonly nth: number }
  | { readonly first: number }
  | { readonly share: number }
  | { readonly forMs: number }

/**
 * What goes wrong, in the form of the command line: a {@link FaultName}; `name=NUMBER` for those with a duration (in
 * milliseconds; `retry-after` in seconds) or a size in bytes; `right@STATUS`, the correct reply with another HTTP status; an HTTP
 * status with an HTML page; or an error code with an error document (`ERROR_FOO`, `ERROR_FOO@400`). The last three may be followed by
 * `;retry-after=SECONDS-OR-DATE` and `;location=URL`. On siteverify, error codes are those of {@link VerifyErrorCode}.
 *
 * @since 0.1.0
 */
export type Fault =
  | FaultName
  | `${'drip' | 'drip-headers' | 'slow' | 'reply-unfinished' | 'large' | 'gzip-bomb' | 'retry-after'}=${number}`
  | `right@${number}`
  | `right@${number};${'retry-after' | 'location'}=${string}`
  | `${number}`
  | `${number};${'retry-after' | 'location'}=${string}`
  | `${Uppercase<string>}_${Uppercase<string>}`
  | `${Uppercase<string>}_${Uppercase<string>}@${number}`
  | `${Uppercase<string>}_${Uppercase<string>};${'retry-after' | 'location'}=${string}`
  | `${Uppercase<string>}_${Uppercase<string>}@${number};${'retry-after' | 'location'}=${string}`
  | VerifyErrorCode

/**
 * The error codes that reCAPTCHA documents for siteverify.
 *
 * @see https://developers.google.com/recaptcha/docs/verify#error_code_reference
 * @since 0.1.0
 */
export type VerifyErrorCode =
  | 'missing-input-secret'
  | 'invalid-input-secret'
  | 'missing-input-response'
  | 'invalid-input-response'
  | 'bad-request'
  | 'timeout-or-duplicate'

/**
 * The name of a fault.
 *
 * Connection: `reset` after the request is read, `reset-unread` before; `close` without a reply; `close-headers` within the
 * head; `cut` within the body; `not-http` sends something that is not HTTP. Time: `silent` never replies, `drip` and
 * `drip-headers` send a byte at a time (every 1,000 ms; the head never ends), `slow` replies correctly after 30,000 ms, and
 * `reply-unfinished` sends the whole body at once but never the last chunk (`reply-unfinished=MS` closes the connection after
 * that time; without a number it stays open). Body: `large` (1,000,000 bytes) and `gzip-bomb` (50,000,000 bytes once inflated)
 * send JSON without content; `html`, `empty`, `cut-json` and `not-json` are not JSON; `gzip` is the correct reply, compressed;
 * `text-before` is the correct reply after a warning of the server's script.
 *
 * createTask: `no-id`, `numeric-id` (the id as a number, which is correct), and `ready-at-once` (the reply also holds the
 * solution). getTaskResult: `never` (always processing), `retry-after` (the correct reply, with a `Retry-After` header of
 * 5 seconds), `no-solution`, `empty-token` and `unknown-status`. Either of them, and getBalance: `echo-key` is an error that
 * repeats the client key.
 *
 * @since 0.1.0
 */
export type FaultName =
  | 'reset'
  | 'reset-unread'
  | 'close'
  | 'close-headers'
  | 'cut'
  | 'not-http'
  | 'silent'
  | 'drip'
  | 'drip-headers'
  | 'slow'
  | 'reply-unfinished'
  | 'large'
  | 'gzip-bomb'
  | 'html'
  | 'empty'
  | 'cut-json'
  | 'not-json'
  | 'gzip'
  | 'text-before'
  | 'no-id'
  | 'numeric-id'
  | 'ready-at-once'
  | 'never'
  | 'retry-after'
  | 'no-solution'
  | 'empty-token'
  | 'unknown-status'
  | 'echo-key'

/**
 * What a fault function gets: a reply that is due.
 *
 * @since 0.1.0
 */
export interface FaultReply {
  /** The response. None of it has been sent yet, and the request has been read completely; `res.req.socket` is the connection. */
  readonly res: ServerResponse
  /** The JSON object that the service would send without the fault. With `numericIds` its `taskId` is a bigint. */
  readonly correctReply: Readonly<Record<string, unknown>>
  /** The same as JSON text, with every digit of its `taskId`. */
  readonly correctJson: string
  /** The client key that the emulator accepts. */
  readonly clientKey: string
}
