import * as E from 'fp-ts/lib/Either.js'
import type * as t from 'io-ts'
import type { CodeMeaning, ErrorKind, Refused, ReplyProblem } from '../model/error.js'
import type { CallResult, ErrorCause } from '../model/network.js'
import type { Problems } from '../model/problems.js'
import { readDocument, readState, readTaskId, type Document } from './codec.js'
import { CODE_MEANINGS } from './error-codes.js'
import { excerptOf, type Scrub } from './redact.js'

/** How replies are read: with the caller's meanings of codes before the built-in table, and without the client key. */
export interface ReadOptions {
  readonly meaningOf: (errorCode: string) => CodeMeaning | undefined
  readonly scrub: Scrub
}

type Reply = Extract<CallResult, { readonly _tag: 'Reply' }>

/** What the result of a createTask call means. */
export type InterpretedCreate =
  | { readonly _tag: 'Created'; readonly taskId: string }
  /** `assumed`: the service did not say that nothing was created; see docs/decisions/0008-an-assumed-503.md. */
  | {
      readonly _tag: 'Unavailable'
      readonly refused: Refused
      readonly assumed: boolean
      readonly retryAfterMs?: number
    }
  | { readonly _tag: 'Refused'; readonly refused: Refused }
  | {
      readonly _tag: 'NotSent'
      readonly reason: 'dns' | 'connect' | 'tls'
      readonly problem: { readonly cause: ErrorCause }
    }
  | { readonly _tag: 'Unknown'; readonly problem: ReplyProblem }

/** Interprets the result of createTask; `isSent` says whether a byte of the request may have gone out. */
export const interpretCreate = (options: ReadOptions, result: CallResult, isSent: boolean): InterpretedCreate => {
  if (result._tag === 'Reply') return interpretCreateReply(options, result)
  const { cause } = result
  const problem = { cause }
  return isSent ? { _tag: 'Unknown', problem } : { _tag: 'NotSent', reason: reasonNotSent(cause), problem }
}

const interpretCreateReply = (options: ReadOptions, reply: Reply): InterpretedCreate => {
  const { status, body, retryAfterMs } = reply
  const document = readDocument(body)
  const taskId = E.flatMap(document, readTaskId)
  if (E.isRight(taskId)) return { _tag: 'Created', taskId: taskId.right }
  const found = E.isRight(document) ? document.right : undefined
  const replyClass = classify(options, reply, found)
  if (replyClass === 'serverError') {
    return { _tag: 'Unknown', problem: { status, problems: problemsWith(options, taskId.left, found?.errorCode) } }
  }
  const serviceError = found && serviceErrorOf(options, found)
  const refused: Refused = { _tag: 'Refused', paid: 'no', status, ...serviceError, kind: REFUSED_KIND[replyClass] }
  if (replyClass !== 'unavailable') return { _tag: 'Refused', refused }
  const assumed = status === 503 && found?.errorId === undefined
  return { _tag: 'Unavailable', refused, assumed, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

const TLS_CODE = /^(ERR_SSL|ERR_TLS|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/
const DNS_CODE = /^(ENOTFOUND|ENODATA|EAI_)/

const reasonNotSent = ({ code }: ErrorCause): 'dns' | 'connect' | 'tls' =>
  TLS_CODE.test(code) ? 'tls' : DNS_CODE.test(code) ? 'dns' : 'connect'

/** What the result of a getTaskResult call means. */
export type InterpretedPoll<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'Ready'; readonly solution: A }
  /** The service does not know the task yet; it was created a few seconds ago. */
  | { readonly _tag: 'NotYetKnown' }
  /** `hasDocument`: the service itself said so, and not only an HTTP status. */
  | {
      readonly _tag: 'Unavailable'
      readonly problem: ReplyProblem
      readonly hasDocument: boolean
      readonly retryAfterMs?: number
    }
  | ({ readonly _tag: 'Failed' } & ServiceError)
  | ({ readonly _tag: 'Unknown' } & ServiceError)
  | { readonly _tag: 'NoReply'; readonly cause: ErrorCause }
  | { readonly _tag: 'BadReply'; readonly status: number; readonly problems: Problems; readonly excerpt: string }

/** Interprets the result of getTaskResult; `isNew` says that the service may not know the task everywhere yet. */
export const interpretPoll = <A>(
  options: ReadOptions,
  solution: t.Decoder<unknown, A>,
  result: CallResult,
  isNew: boolean
): InterpretedPoll<A> => {
  if (result._tag === 'Failed') return { _tag: 'NoReply', cause: result.cause }
  const { status, body, retryAfterMs } = result
  const document = readDocument(body)
  const state = E.isLeft(document) ? document : readState(solution, document.right)
  if (E.isRight(state)) return state.right
  const found = E.isRight(document) ? document.right : undefined
  const replyClass = classify(options, result, found)
  const serviceError = serviceErrorOf(options, found ?? NO_DOCUMENT)
  const tag = ON_POLL[replyClass]
  switch (tag) {
    case 'Processing':
      return { _tag: 'Processing' }
    case 'Failed':
    case 'Unknown':
      return { _tag: tag, kind: REFUSED_KIND[replyClass], status, ...serviceError }
    case 'NotFound':
      return isNew ? { _tag: 'NotYetKnown' } : { _tag: 'Failed', kind: 'task', status, ...serviceError }
    case 'Unavailable':
      return {
        _tag: 'Unavailable',
        problem: { status, ...(serviceError.errorCode !== '' && { errorCode: serviceError.errorCode }) },
        hasDocument: found?.errorId !== undefined,
        ...(retryAfterMs !== undefined && { retryAfterMs })
      }
    case 'BadReply': {
      const problems = problemsWith(options, state.left, found?.errorCode)
      return { _tag: 'BadReply', status, problems, excerpt: excerptOf(options.scrub, body) }
    }
  }
}

/** Class of a reply that brings no id and no state: by its error code if that is a known one, else by its HTTP status. */
type ReplyClass = CodeMeaning | 'serverError' | 'redirect' | 'clientError'

const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([408, 429, 503])

// The order is part of the contract: docs/protocol.md, "How a reply is read".
const classify = ({ meaningOf }: ReadOptions, { status }: Reply, document: Document | undefined): ReplyClass => {
  const code = document?.errorCode ?? ''
  const meaning = code === '' ? undefined : (meaningOf(code) ?? CODE_MEANINGS.get(code))
  if (meaning !== undefined) return meaning
  if (UNAVAILABLE_STATUSES.has(status)) return 'unavailable'
  return (document?.errorId ?? 0) > 0 ? 'unknown' : classifyStatus(status)
}

const classifyStatus = (status: number): ReplyClass =>
  status >= 300 && status < 400 ? 'redirect' : status >= 400 && status < 500 ? 'clientError' : 'serverError'

const REFUSED_KIND: Readonly<Record<ReplyClass, ErrorKind>> = {
  account: 'account',
  request: 'request',
  unavailable: 'unavailable',
  task: 'task',
  unknown: 'unknown',
  notFound: 'unknown',
  pending: 'unknown',
  redirect: 'request',
  clientError: 'request',
  serverError: 'unknown'
}

const ON_POLL = {
  account: 'Failed',
  request: 'Failed',
  task: 'Failed',
  unknown: 'Unknown',
  unavailable: 'Unavailable',
  notFound: 'NotFound',
  pending: 'Processing',
  serverError: 'BadReply',
  redirect: 'BadReply',
  clientError: 'BadReply'
} as const satisfies Readonly<Record<ReplyClass, string>>

const MAX_TEXT_LENGTH = 500

/** An error document of the service. */
type ServiceError = ReturnType<typeof serviceErrorOf> & { readonly kind: ErrorKind; readonly status: number }

const serviceErrorOf = ({ scrub }: ReadOptions, document: Document) => ({
  errorId: document.errorId ?? 0,
  errorCode: scrub(document.errorCode).slice(0, MAX_TEXT_LENGTH),
  errorDescription: scrub(document.errorDescription).slice(0, MAX_TEXT_LENGTH)
})

const NO_DOCUMENT: Document = { fields: {}, errorCode: '', errorDescription: '' }

const problemsWith = ({ scrub }: ReadOptions, problems: Problems, code = ''): Problems =>
  [...(code === '' ? [] : [`errorCode: ${code}`]), ...problems].map((problem) =>
    scrub(problem).slice(0, MAX_TEXT_LENGTH)
  )
