import type { ErrorCause, JsonValue, PartialReply } from '../core/model/network.js'

/**
 * A reply with a JSON document. `status` is 200 by default; the reply comes after `afterMs`, by default at once.
 *
 * @since 0.1.0
 */
export interface ScriptedDocument {
  readonly document: JsonValue
  readonly status?: number
  readonly afterMs?: number
  /** What a `Retry-After` header of the reply asks for. */
  readonly retryAfterMs?: number
}

/**
 * What a scripted network does with one call: it replies with a document or with any body, it fails, or it stays silent. With
 * `sent: false` it fails before anything is sent; `received` is what arrived of a broken reply.
 *
 * @since 0.1.0
 */
export type Scripted =
  | ScriptedDocument
  | (Omit<ScriptedDocument, 'document'> & { readonly body: string })
  | {
      readonly failed: Partial<ErrorCause>
      readonly sent?: boolean
      readonly afterMs?: number
      readonly received?: PartialReply
    }
  | { readonly silent: true; readonly received?: PartialReply }

/**
 * Replies in the form that the service documents, for the script of {@link scriptedPost}. `ready` takes the token of a reCAPTCHA
 * task, or the whole solution of another kind.
 *
 * @example
 * ```ts
 * import { replies } from 'rx-captcha/testing'
 *
 * const slow = { ...replies.ready('a-token'), afterMs: 2_000 }
 * console.log(JSON.stringify(slow.document)) // prints "solution":{"gRecaptchaResponse":"a-token"},"status":"ready"
 * ```
 *
 * @see docs/protocol.md for the documents and where they are documented
 * @since 0.1.0
 */
export const replies = {
  /** To createTask: the task was created. */
  created: (taskId = 'task-1'): ScriptedDocument => ({
    document: { errorId: 0, errorCode: '', errorDescription: '', taskId }
  }),
  /** To getTaskResult: the task is not finished. */
  processing: (): ScriptedDocument => ({
    document: { errorId: 0, errorCode: null, errorDescription: null, status: 'processing' }
  }),
  /** To getTaskResult: the task is finished, with this token or solution. */
  ready: (solution: string | { readonly [name: string]: JsonValue } = 'token-1'): ScriptedDocument => ({
    document: {
      errorId: 0,
      errorCode: null,
      errorDescription: null,
      solution: typeof solution === 'string' ? { gRecaptchaResponse: solution } : solution,
      status: 'ready'
    }
  }),
  /** To either: an error of the service, such as `ERROR_ZERO_BALANCE`. */
  refused: (errorCode: string, errorDescription = ''): ScriptedDocument => ({
    document: { errorId: 1, errorCode, errorDescription }
  })
}
