import type { Observable, SchedulerLike } from 'rxjs'

/**
 * A value that survives JSON.
 *
 * @since 0.1.0
 */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [name: string]: Json }

/**
 * A foreign failure, reduced to three strings: errors of sockets and HTTP clients carry sockets and request bodies,
 * and so the client key, with them. `code` is `''` where the failure had none.
 *
 * @since 0.1.0
 */
export interface Cause {
  readonly name: string
  readonly code: string
  readonly message: string
}

/**
 * The two calls of the service; see docs/protocol.md.
 *
 * @since 0.1.0
 */
export type Path = '/createTask' | '/getTaskResult'

/**
 * What a network tells about one call: `Sent` at most once, as soon as a byte may have gone out, then exactly one
 * `Reply` or `Failed`. Before `Sent` nothing can have reached the service; after it, anything may have.
 *
 * @since 0.1.0
 */
export type Wire =
  | { readonly _tag: 'Sent' }
  | { readonly _tag: 'Reply'; readonly status: number; readonly body: string; readonly retryAfterMs?: number }
  | { readonly _tag: 'Failed'; readonly cause: Cause }

/**
 * The answer to one call, or why none came.
 *
 * @since 0.1.0
 */
export type Answer = Exclude<Wire, { readonly _tag: 'Sent' }>

/**
 * All we ask of a network. Cold; completes after its `Reply` or `Failed`; never errors; unsubscribing aborts the call.
 *
 * @since 0.1.0
 */
export type Post = (path: Path, body: Json) => Observable<Wire>

/** All the core asks of the world. */
export interface Ports {
  readonly post: Post
  readonly scheduler: SchedulerLike
  readonly random: () => number
  /** Called when the solver is closed and nothing is under way any more. */
  readonly end: () => Promise<void>
}
