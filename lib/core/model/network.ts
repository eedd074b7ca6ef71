import type { Observable, SchedulerLike } from 'rxjs'

/**
 * A value that survives JSON.
 *
 * @since 0.1.0
 */
export type JsonValue =
  null | boolean | number | string | ReadonlyArray<JsonValue> | { readonly [name: string]: JsonValue }

/**
 * A foreign error, reduced to three strings, because errors of sockets and HTTP clients may hold the request body and with it
 * the client key. `code` is `''` if the error had none.
 *
 * @since 0.1.0
 */
export interface ErrorCause {
  readonly name: string
  readonly code: string
  readonly message: string
}

/** The cause of an error after `close`. */
export const CLOSED: ErrorCause = {
  name: 'Closed',
  code: 'CLOSED',
  message: 'the solver was closed before the reply arrived'
}

/**
 * A path below the base URL: that of one of the two calls that solve tasks, or of a `defineCall`.
 *
 * @since 0.1.0
 */
export type ServicePath = `/${string}`

/**
 * The two calls that solve tasks; see docs/protocol.md.
 *
 * @since 0.1.0
 */
export type CallPath = '/createTask' | '/getTaskResult'

/**
 * The body of a call. A task id that the service gave as a number is a number here too, and beyond 2^53 a bigint;
 * {@link jsonText} writes all of its digits.
 *
 * @since 0.1.0
 */
export interface RequestBody {
  readonly clientKey: string
  readonly task?: JsonValue
  readonly taskId?: string | number | bigint
  /** The fields of a `defineCall`. */
  readonly [field: string]: JsonValue | bigint | undefined
}

/**
 * The body of a call as JSON text. `JSON.stringify` would throw for a bigint.
 *
 * @since 0.1.0
 */
export const jsonText = (body: RequestBody): string =>
  typeof body.taskId === 'bigint'
    ? `{"clientKey":${JSON.stringify(body.clientKey)},"taskId":${String(body.taskId)}}`
    : JSON.stringify(body)

/**
 * What had arrived of a reply when the call failed; `body` is the part that could be decoded.
 *
 * @since 0.1.0
 */
export interface PartialReply {
  readonly status: number
  readonly body: string
  readonly retryAfterMs?: number
}

/**
 * What a network emits for one call: `Sent` at most once, as soon as a byte may have gone out, then exactly one `Reply` or
 * `Failed`. Before `Sent` nothing can have reached the service; after it, anything may have. `received` is what has arrived of
 * the reply: in `Failed`, of a broken one; in `Sent`, a function for a call that reaches its limit before its reply is complete.
 *
 * @since 0.1.0
 */
export type NetworkEvent =
  | {
      readonly _tag: 'Sent'
      /** Returns what has arrived of the reply so far. */
      readonly received?: () => PartialReply | undefined
    }
  | { readonly _tag: 'Reply'; readonly status: number; readonly body: string; readonly retryAfterMs?: number }
  | { readonly _tag: 'Failed'; readonly cause: ErrorCause; readonly received?: PartialReply | undefined }

/**
 * How a call ended: with the reply of the service, or with the cause of a failure.
 *
 * @since 0.1.0
 */
export type CallResult = Exclude<NetworkEvent, { readonly _tag: 'Sent' }>

/**
 * The network, as the core needs it. The Observable is cold, completes after its `Reply` or `Failed` and never errors;
 * unsubscribing aborts the call.
 *
 * @since 0.1.0
 */
export type Post = {
  /** Sends one call. */
  // A method: its parameters are compared leniently, so a `post` that is typed for the two calls of tasks alone compiles.
  post(path: ServicePath, body: RequestBody): Observable<NetworkEvent>
}['post']

/** Everything that the core needs from outside. */
export interface Ports {
  readonly post: Post
  readonly scheduler: SchedulerLike
  /** Milliseconds since an arbitrary moment, unaffected by changes of the system clock; without it, `scheduler.now()`. */
  readonly elapsed?: (() => number) | undefined
  readonly random: () => number
  /** Called once the solver is closed and no call is in flight. */
  readonly close: () => Promise<void>
}

const textOrEmpty = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : ''

/** Reduces a thrown value to its name, code and message. An AggregateError without a message gets the messages of its errors. */
export const causeOf = (error: unknown): ErrorCause => {
  try {
    return reduced(error)
  } catch {
    // A getter or a Proxy threw, or the errors contain themselves.
    return { name: 'Error', code: '', message: '' }
  }
}

const reduced = (error: unknown): ErrorCause => {
  if (typeof error !== 'object' || error === null) return { name: 'Error', code: '', message: textOrEmpty(error) }
  const { name, code, message, errors }: { name?: unknown; code?: unknown; message?: unknown; errors?: unknown } = error
  const inner = Array.isArray(errors) ? errors.map((one) => reduced(one).message).join('; ') : ''
  return { name: textOrEmpty(name), code: textOrEmpty(code), message: textOrEmpty(message) || inner }
}
