import * as E from 'fp-ts/lib/Either.js'
import type * as t from 'io-ts'
import type { CreateUnknown, Refused, ReplyProblem } from '../model/error.js'
import type { CallResult, ErrorCause } from '../model/network.js'
import type { Problems } from '../validation/problems.js'
import { readState, readTaskId, searchTaskId, type ReplyState } from './codec.js'
import { hasErrorId, type TaskId } from './document.js'
import { excerptOf } from './redact.js'
import {
  KIND_OF,
  classify,
  documentOrNone,
  problemsWith,
  receivedReply,
  retryAfterOf,
  serviceErrorOf,
  type ReadOptions,
  type ReceivedReply,
  type ReplyClass,
  type ServiceError
} from './reply.js'

/** What the result of a createTask call means. */
export type InterpretedCreate<A> =
  /** `ready`: the reply holds the result already. */
  | { readonly _tag: 'Created'; readonly id: TaskId; readonly ready?: { readonly solution: A } }
  /** `assumed`: the service did not say that nothing was created; see docs/decisions/0008-an-assumed-503.md. */
  | {
      readonly _tag: 'Unavailable'
      readonly refused: Refused
      readonly assumed: boolean
      readonly retryAfterMs?: number
    }
  /** `hasDocument`: the service itself said so, and not only an HTTP status. */
  | { readonly _tag: 'Refused'; readonly refused: Refused; readonly hasDocument: boolean }
  | {
      readonly _tag: 'NotSent'
      readonly reason: 'dns' | 'connect' | 'tls'
      readonly problem: { readonly cause: ErrorCause }
    }
  | { readonly _tag: 'Unknown'; readonly problem: Omit<CreateUnknown, '_tag' | 'paid'> }

/** Interprets the result of createTask; `isSent` says whether a byte of the request may have gone out. */
export const interpretCreate = <A>(
  options: ReadOptions,
  solution: t.Decoder<unknown, A>,
  result: CallResult,
  isSent: boolean
): InterpretedCreate<A> => {
  const reply = receivedReply(result)
  if (E.isRight(reply)) return interpretCreateReply(options, solution, reply.right, retryAfterOf(result))
  const problem = { cause: reply.left }
  return isSent ? { _tag: 'Unknown', problem } : { _tag: 'NotSent', reason: reasonNotSent(reply.left), problem }
}

const interpretCreateReply = <A>(
  options: ReadOptions,
  solution: t.Decoder<unknown, A>,
  reply: ReceivedReply,
  retryAfterMs: number | undefined
): InterpretedCreate<A> => {
  const { status, body, document, cause } = reply
  const id = E.isLeft(document) ? document : readTaskId(body, document.right)
  if (E.isRight(id)) return { _tag: 'Created', id: id.right, ...readyIn(solution, reply) }
  const replyClass = classify(options, reply)
  const found = documentOrNone(document)
  const foundId = (found.errorId ?? 0) > 0 ? undefined : searchTaskId(body, E.isRight(document))
  if (foundId) return { _tag: 'Created', id: foundId }
  if (replyClass === 'serverError') {
    const problems = problemsWith(options, id.left, found.errorCode)
    const excerpt = body !== '' && { excerpt: excerptOf(options.scrub, body) }
    return { _tag: 'Unknown', problem: { status, ...(cause && { cause }), problems, ...excerpt } }
  }
  const serviceError = E.isRight(document) && serviceErrorOf(options, document.right)
  const refused: Refused = { _tag: 'Refused', paid: 'no', status, ...serviceError, kind: KIND_OF[replyClass] }
  if (replyClass !== 'unavailable') return { _tag: 'Refused', refused, hasDocument: hasErrorId(found) }
  const assumed = status === 503 && !hasErrorId(found)
  return { _tag: 'Unavailable', refused, assumed, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

const readyIn = <A>(solution: t.Decoder<unknown, A>, { document }: ReceivedReply) => {
  const state = E.flatMap(document, (found) => readState(solution, found))
  return E.isRight(state) && state.right._tag === 'Ready' && { ready: { solution: state.right.solution } }
}

// Node's names of what is wrong with a certificate, all but OUT_OF_MEM, which passes.
const CERTIFICATE_CODE =
  /^(CERT_|CRL_|ERROR_IN_C|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_|INVALID_(CA|PURPOSE)|PATH_LENGTH_E|UNSPECIFIED$)/
const TLS_CODE = /^(ERR_SSL|ERR_TLS|ERR_OSSL|EPROTO)/
const DNS_CODE = /^(ENOTFOUND|ENODATA|EAI_)/

const reasonNotSent = ({ code }: ErrorCause): 'dns' | 'connect' | 'tls' =>
  TLS_CODE.test(code) || CERTIFICATE_CODE.test(code) ? 'tls' : DNS_CODE.test(code) ? 'dns' : 'connect'

/** What the result of a getTaskResult call means. */
export type InterpretedPoll<A> =
  | Exclude<ReplyState<A>, { readonly _tag: 'Other' }>
  /** A status that this library does not know; the task exists. */
  | { readonly _tag: 'OtherStatus'; readonly taskStatus: string }
  /** The service does not know the task yet; it was created a few seconds ago. */
  | { readonly _tag: 'NotYetKnown'; readonly status: number; readonly errorCode: string }
  /** `hasDocument`: the service itself said so, and not only an HTTP status. */
  | { readonly _tag: 'Unavailable'; readonly problem: ReplyProblem; readonly hasDocument: boolean }
  /** `notFound`: the service does not know the task. */
  | ({ readonly _tag: 'Failed'; readonly notFound?: true } & ServiceError)
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
  const reply = receivedReply(result)
  if (E.isLeft(reply)) return { _tag: 'NoReply', cause: reply.left }
  const { status, body, document, cause } = reply.right
  if (cause && E.isLeft(document)) return { _tag: 'NoReply', cause }
  const state = E.isLeft(document) ? document : readState(solution, document.right)
  if (E.isRight(state)) return state.right._tag === 'Other' ? otherStatus(options, state.right.status) : state.right
  const replyClass = classify(options, reply.right)
  const found = documentOrNone(document)
  const serviceError = serviceErrorOf(options, found)
  const tag = ON_POLL[replyClass]
  switch (tag) {
    case 'Processing':
      return { _tag: 'Processing' }
    case 'Failed':
    case 'Unknown':
      return { _tag: tag, kind: KIND_OF[replyClass], status, ...serviceError }
    case 'NotFound':
      return isNew
        ? { _tag: 'NotYetKnown', status, errorCode: serviceError.errorCode }
        : { _tag: 'Failed', kind: 'task', status, ...serviceError, notFound: true }
    case 'Unavailable':
      return {
        _tag: 'Unavailable',
        problem: { status, ...(serviceError.errorCode !== '' && { errorCode: serviceError.errorCode }) },
        hasDocument: hasErrorId(found)
      }
    case 'BadReply': {
      const problems = problemsWith(options, state.left, found.errorCode)
      return { _tag: 'BadReply', status, problems, excerpt: excerptOf(options.scrub, body) }
    }
  }
}

const MAX_STATUS_LENGTH = 40

const otherStatus = ({ scrub }: ReadOptions, status: string): InterpretedPoll<never> => ({
  _tag: 'OtherStatus',
  taskStatus: scrub(status).slice(0, MAX_STATUS_LENGTH)
})

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
  accountStatus: 'BadReply',
  clientError: 'BadReply'
} as const satisfies Readonly<Record<ReplyClass, string>>
