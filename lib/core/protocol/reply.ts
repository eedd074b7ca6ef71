import * as E from 'fp-ts/lib/Either.js'
import type { CodeMeaning, ErrorKind } from '../model/error.js'
import type { CallResult, ErrorCause } from '../model/network.js'
import type { Problems } from '../validation/problems.js'
import { readDocument, type Document } from './document.js'
import { CODE_MEANINGS } from './error-codes.js'
import type { Scrub } from './redact.js'

/** How replies are read: with the caller's meanings of codes before the built-in table, and without the client key. */
export interface ReadOptions {
  readonly meaningOf: (errorCode: string) => CodeMeaning | undefined
  readonly scrub: Scrub
}

/** What arrived of a reply, and the document in it. `cause`: why the reply is not complete. */
export interface ReceivedReply {
  readonly status: number
  readonly body: string
  readonly document: E.Either<Problems, Document>
  readonly cause?: ErrorCause
}

/** The reply of a call, or why no part of one arrived. */
export const receivedReply = (result: CallResult): E.Either<ErrorCause, ReceivedReply> => {
  if (result._tag === 'Reply') {
    const { status, body } = result
    return E.right({ status, body, document: readDocument(body) })
  }
  const { cause, received } = result
  if (!received) return E.left(cause)
  const { status, body } = received
  return E.right({ status, body, document: readDocument(body), cause })
}

/** The `Retry-After` of a reply, also of a broken one. */
export const retryAfterOf = (result: CallResult): number | undefined =>
  result._tag === 'Reply' ? result.retryAfterMs : result.received?.retryAfterMs

/** Class of a reply that brings no id and no state: by its error code if that is a known one, else by its HTTP status. */
export type ReplyClass = CodeMeaning | 'serverError' | 'redirect' | 'accountStatus' | 'clientError'

const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([408, 429, 503])

// The order is part of the contract: docs/protocol.md, "How a reply is read".
export const classify = ({ meaningOf }: ReadOptions, { status, document, cause }: ReceivedReply): ReplyClass => {
  const { errorCode: code, errorId = 0 } = documentOrNone(document)
  const meaning = code === '' ? undefined : (meaningOf(code) ?? CODE_MEANINGS.get(code))
  if (meaning !== undefined) return meaning
  // What arrived of a broken reply counts if it is a document; a status alone may belong to anything.
  if (cause && E.isLeft(document)) return 'serverError'
  if (UNAVAILABLE_STATUSES.has(status)) return 'unavailable'
  return errorId > 0 ? 'unknown' : classifyStatus(status)
}

const classifyStatus = (status: number): ReplyClass => {
  if (status === 401 || status === 402) return 'accountStatus'
  return status >= 300 && status < 400 ? 'redirect' : status >= 400 && status < 500 ? 'clientError' : 'serverError'
}

/** The kind of an error of each class. */
export const KIND_OF: Readonly<Record<ReplyClass, ErrorKind>> = {
  account: 'account',
  request: 'request',
  unavailable: 'unavailable',
  task: 'task',
  unknown: 'unknown',
  notFound: 'unknown',
  pending: 'unknown',
  redirect: 'request',
  accountStatus: 'account',
  clientError: 'request',
  serverError: 'unknown'
}

const NO_DOCUMENT: Document = { fields: {}, errorCode: '', errorDescription: '' }

/** The document, or one that says nothing. */
export const documentOrNone: (document: E.Either<Problems, Document>) => Document = E.getOrElse(() => NO_DOCUMENT)

const MAX_TEXT_LENGTH = 500

/** An error document of the service. */
export type ServiceError = ReturnType<typeof serviceErrorOf> & { readonly kind: ErrorKind; readonly status: number }

/** The texts of a document, without the client key. */
export const serviceErrorOf = ({ scrub }: ReadOptions, document: Document) => ({
  errorId: document.errorId ?? 0,
  errorCode: scrub(document.errorCode).slice(0, MAX_TEXT_LENGTH),
  errorDescription: scrub(document.errorDescription).slice(0, MAX_TEXT_LENGTH)
})

/** The problems of a reply, after its error code. */
export const problemsWith = ({ scrub }: ReadOptions, problems: Problems, code: string): Problems =>
  [...(code === '' ? [] : [`errorCode: ${code}`]), ...problems].map((problem) =>
    scrub(problem).slice(0, MAX_TEXT_LENGTH)
  )
