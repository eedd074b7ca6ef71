import type { Observable, SchedulerLike } from 'rxjs'

/**
 * A value that survives JSON.
 *
 * @since 0.1.0
 */
export type JsonValue =
  null | boolean | number | string | ReadonlyArray<JsonValue> | { readonly [name: string]: JsonValue }

/**
 * A foreign failure, reduced to three strings: errors of sockets and HTTP clients carry sockets and request bodies,
 * and so the client key, with them. `code` is `''` where the failure had none.
 *
 * @since 0.1.0
 */
export interface ErrorCause {
  readonly name: string
  readonly code: string
  readonly message: string
}

/**
 * The two calls of the service; see docs/protocol.md.
 *
 * @since 0.1.0
 */
export type CallPath = '/createTask' | '/getTaskResult'

/**
 * What a network tells about one call: `Sent` at most once, as soon as a byte may have gone out, then exactly one
 * `Reply` or `Failed`. Before `Sent` nothing can have reached the service; after it, anything may have.
 *
 * @since 0.1.0
 */
export type NetworkEvent =
  | { readonly _tag: 'Sent' }
  | { readonly _tag: 'Reply'; readonly status: number; readonly body: string; readonly retryAfterMs?: number }
  | { readonly _tag: 'Failed'; readonly cause: ErrorCause }

/**
 * The answer to one call, or why none came.
 *
 * @since 0.1.0
 */
export type CallResult = Exclude<NetworkEvent, { readonly _tag: 'Sent' }>

/**
 * All we ask of a network. Cold; completes after its `Reply` or `Failed`; never errors; unsubscribing aborts the call.
 *
 * @since 0.1.0
 */
export type Post = (path: CallPath, body: JsonValue) => Observable<NetworkEvent>

/** All the core asks of the world. */
export interface Ports {
  readonly post: Post
  readonly scheduler: SchedulerLike
  readonly random: () => number
  /** Called when the solver is closed and nothing is under way any more. */
  readonly end: () => Promise<void>
}
