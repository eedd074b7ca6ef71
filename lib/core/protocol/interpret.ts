import * as E from 'fp-ts/lib/Either.js'
import type * as t from 'io-ts'
import { CODE_MEANINGS, type CodeMeaning } from './error-codes.js'
import type { ReplyProblem, ErrorKind, Refused } from '../model/error.js'
import type { CallResult, ErrorCause } from '../model/network.js'
import { readDocument, readState, readTaskId, type Document } from './codec.js'
import { excerptOf, type Scrub } from './redact.js'
import type { Problems } from '../model/task.js'

/** How answers are read: the caller's table of codes in front of ours, and the client key taken out of every text. */
export interface ReadOptions {
  readonly kindOf: (errorCode: string) => CodeMeaning | undefined
  readonly scrub: Scrub
}

/** Beside what codes mean, what is left to say of an answer without a known one, by its HTTP status. */
type ReplyClass = CodeMeaning | 'serverError' | 'redirect' | 'clientError'

const UNAVAILABLE_STATUSES: ReadonlySet<number> = new Set([408, 429, 503])

const classifyStatus = (status: number): ReplyClass =>
  status >= 300 && status < 400 ? 'redirect' : status >= 400 && status < 500 ? 'clientError' : 'serverError'

type Reply = Extract<CallResult, { readonly _tag: 'Reply' }>

/** The reading order of the contract, once no good answer could be read: code, "later" by status, errorId, status. */
const classify = ({ kindOf }: ReadOptions, { status }: Reply, document: Document | undefined): ReplyClass => {
  const code = document?.errorCode ?? ''
  const known = code === '' ? undefined : (kindOf(code) ?? CODE_MEANINGS.get(code))
  if (known !== undefined) return known
  if (UNAVAILABLE_STATUSES.has(status)) return 'unavailable'
  return (document?.errorId ?? 0) > 0 ? 'unknown' : classifyStatus(status)
}

const MAX_TEXT_LENGTH = 500

/** What the service said beside its no. */
const serviceErrorOf = ({ scrub }: ReadOptions, document: Document) => ({
  errorId: document.errorId ?? 0,
  errorCode: scrub(document.errorCode).slice(0, MAX_TEXT_LENGTH),
  errorDescription: scrub(document.errorDescription).slice(0, MAX_TEXT_LENGTH)
})

const problemsWith = ({ scrub }: ReadOptions, problems: Problems, code: string | undefined): Problems =>
  [...(code === undefined || code === '' ? [] : [`errorCode: ${code}`]), ...problems].map((problem) =>
    scrub(problem).slice(0, MAX_TEXT_LENGTH)
  )

/** What an answer to createTask, or its absence, comes to. */
export type InterpretedCreate =
  | { readonly _tag: 'Created'; readonly taskId: string }
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
      readonly doubt: { readonly cause: ErrorCause }
    }
  | { readonly _tag: 'Unknown'; readonly doubt: ReplyProblem }

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

const TLS_CODE = /^(ERR_SSL|ERR_TLS|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/
const DNS_CODE = /^(ENOTFOUND|ENODATA|EAI_)/

const reasonNotSent = ({ code }: ErrorCause): 'dns' | 'connect' | 'tls' =>
  TLS_CODE.test(code) ? 'tls' : DNS_CODE.test(code) ? 'dns' : 'connect'

const interpretCreateReply = (reading: ReadOptions, reply: Reply): InterpretedCreate => {
  const { status, body, retryAfterMs } = reply
  const document = readDocument(body)
  const taskId = E.isLeft(document) ? document : readTaskId(document.right)
  if (E.isRight(taskId)) return { _tag: 'Created', taskId: taskId.right }
  const said = E.isRight(document) ? document.right : undefined
  const sense = classify(reading, reply, said)
  if (sense === 'serverError') {
    return { _tag: 'Unknown', doubt: { status, problems: problemsWith(reading, taskId.left, said?.errorCode) } }
  }
  const words = said && serviceErrorOf(reading, said)
  const refused: Refused = { _tag: 'Refused', paid: 'no', status, ...words, kind: REFUSED_KIND[sense] }
  if (sense !== 'unavailable') return { _tag: 'Refused', refused }
  const assumed = status === 503 && said?.errorId === undefined
  return { _tag: 'Unavailable', refused, assumed, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

/** Reads what came back from createTask; `left` says whether a byte of it may have gone out. */
export const interpretCreate = (reading: ReadOptions, answer: CallResult, left: boolean): InterpretedCreate => {
  if (answer._tag === 'Reply') return interpretCreateReply(reading, answer)
  const { cause } = answer
  return left
    ? { _tag: 'Unknown', doubt: { cause } }
    : { _tag: 'NotSent', reason: reasonNotSent(cause), doubt: { cause } }
}

/** What an answer to getTaskResult, or its absence, comes to. `Later` is `readable` if a document said so. */
export type InterpretedPoll<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'NotYetKnown' } // the service does not know its new task yet
  | { readonly _tag: 'Ready'; readonly solution: A }
  | {
      readonly _tag: 'Unavailable'
      readonly doubt: ReplyProblem
      readonly readable: boolean
      readonly retryAfterMs?: number
    }
  | ({ readonly _tag: 'Failed' } & ServiceError)
  | ({ readonly _tag: 'Unknown' } & ServiceError)
  | { readonly _tag: 'NoReply'; readonly cause: ErrorCause }
  | { readonly _tag: 'BadReply'; readonly status: number; readonly problems: Problems; readonly excerpt: string }

/** What the service said of a task that it will not go on with. */
type ServiceError = ReturnType<typeof serviceErrorOf> & { readonly kind: ErrorKind; readonly status: number }

const ON_POLL: Readonly<
  Record<ReplyClass, Exclude<InterpretedPoll<never>['_tag'], 'Ready' | 'NoReply' | 'NotYetKnown'> | 'NotFound'>
> = {
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
}

/** Reads what came back from getTaskResult; `young` says that the service may not know its new task everywhere yet. */
export const interpretPoll = <A>(
  reading: ReadOptions,
  solution: t.Decoder<unknown, A>,
  answer: CallResult,
  young: boolean
): InterpretedPoll<A> => {
  if (answer._tag === 'Failed') return { _tag: 'NoReply', cause: answer.cause }
  const { status, body, retryAfterMs } = answer
  const document = readDocument(body)
  const state = E.isLeft(document) ? document : readState(solution, document.right)
  if (E.isRight(state)) return state.right
  const said = E.isRight(document) ? document.right : undefined
  const sense = classify(reading, answer, said)
  const words = serviceErrorOf(reading, said ?? { fields: {}, errorCode: '', errorDescription: '' })
  const asked = ON_POLL[sense]
  switch (asked) {
    case 'Processing':
      return { _tag: 'Processing' }
    case 'Failed':
    case 'Unknown':
      return { _tag: asked, kind: REFUSED_KIND[sense], status, ...words }
    case 'NotFound':
      return young ? { _tag: 'NotYetKnown' } : { _tag: 'Failed', kind: 'task', status, ...words }
    case 'Unavailable':
      return {
        _tag: 'Unavailable',
        doubt: { status, ...(words.errorCode !== '' && { errorCode: words.errorCode }) },
        readable: said?.errorId !== undefined,
        ...(retryAfterMs !== undefined && { retryAfterMs })
      }
    case 'BadReply': {
      const problems = problemsWith(reading, state.left, said?.errorCode)
      return { _tag: 'BadReply', status, problems, excerpt: excerptOf(reading.scrub, body) }
    }
  }
}
