import * as E from 'fp-ts/lib/Either.js'
import type * as t from 'io-ts'
import { MEANING_OF_CODE, type Meaning } from './error-codes.js'
import type { Doubt, Kind, Refused } from '../model/error.js'
import type { Answer, Cause } from '../model/network.js'
import { readDocument, readState, readTaskId, type Document } from './codec.js'
import { excerptOf, type Scrub } from './redact.js'
import type { Problems } from '../model/task.js'

/** How answers are read: the caller's table of codes in front of ours, and the client key taken out of every text. */
export interface Reading {
  readonly kindOf: (errorCode: string) => Meaning | undefined
  readonly scrub: Scrub
}

/** Beside what codes mean, what is left to say of an answer without a known one, by its HTTP status. */
type Sense = Meaning | 'broken' | 'moved' | 'rejected'

const LATER_STATUS: ReadonlySet<number> = new Set([408, 429, 503])

const senseOfStatus = (status: number): Sense =>
  status >= 300 && status < 400 ? 'moved' : status >= 400 && status < 500 ? 'rejected' : 'broken'

type Reply = Extract<Answer, { readonly _tag: 'Reply' }>

/** The reading order of the contract, once no good answer could be read: code, "later" by status, errorId, status. */
const senseOf = ({ kindOf }: Reading, { status }: Reply, document: Document | undefined): Sense => {
  const code = document?.errorCode ?? ''
  const known = code === '' ? undefined : (kindOf(code) ?? MEANING_OF_CODE.get(code))
  if (known !== undefined) return known
  if (LATER_STATUS.has(status)) return 'later'
  return (document?.errorId ?? 0) > 0 ? 'unknown' : senseOfStatus(status)
}

const LONGEST_TEXT = 500

/** What the service said beside its no. */
const wordsOf = ({ scrub }: Reading, document: Document) => ({
  errorId: document.errorId ?? 0,
  errorCode: scrub(document.errorCode).slice(0, LONGEST_TEXT),
  errorDescription: scrub(document.errorDescription).slice(0, LONGEST_TEXT)
})

const problemsWith = ({ scrub }: Reading, problems: Problems, code: string | undefined): Problems =>
  [...(code === undefined || code === '' ? [] : [`errorCode: ${code}`]), ...problems].map((problem) =>
    scrub(problem).slice(0, LONGEST_TEXT)
  )

/** What an answer to createTask, or its absence, comes to. */
export type CreateAnswer =
  | { readonly _tag: 'Created'; readonly taskId: string }
  | { readonly _tag: 'Later'; readonly refused: Refused; readonly assumed: boolean; readonly retryAfterMs?: number }
  | { readonly _tag: 'Refused'; readonly refused: Refused }
  | {
      readonly _tag: 'NeverLeft'
      readonly reason: 'dns' | 'connect' | 'tls'
      readonly doubt: { readonly cause: Cause }
    }
  | { readonly _tag: 'Unknown'; readonly doubt: Doubt }

const REFUSED_AS: Readonly<Record<Sense, Kind>> = {
  account: 'account',
  request: 'request',
  later: 'later',
  task: 'task',
  unknown: 'unknown',
  gone: 'unknown',
  pending: 'unknown',
  moved: 'request',
  rejected: 'request',
  broken: 'unknown'
}

const TLS_CODE = /^(ERR_SSL|ERR_TLS|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/
const DNS_CODE = /^(ENOTFOUND|ENODATA|EAI_)/

const whyNeverLeft = ({ code }: Cause): 'dns' | 'connect' | 'tls' =>
  TLS_CODE.test(code) ? 'tls' : DNS_CODE.test(code) ? 'dns' : 'connect'

const readCreateReply = (reading: Reading, reply: Reply): CreateAnswer => {
  const { status, body, retryAfterMs } = reply
  const document = readDocument(body)
  const taskId = E.isLeft(document) ? document : readTaskId(document.right)
  if (E.isRight(taskId)) return { _tag: 'Created', taskId: taskId.right }
  const said = E.isRight(document) ? document.right : undefined
  const sense = senseOf(reading, reply, said)
  if (sense === 'broken') {
    return { _tag: 'Unknown', doubt: { status, problems: problemsWith(reading, taskId.left, said?.errorCode) } }
  }
  const words = said && wordsOf(reading, said)
  const refused: Refused = { _tag: 'Refused', paid: 'no', status, ...words, kind: REFUSED_AS[sense] }
  if (sense !== 'later') return { _tag: 'Refused', refused }
  const assumed = status === 503 && said?.errorId === undefined
  return { _tag: 'Later', refused, assumed, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

/** Reads what came back from createTask; `left` says whether a byte of it may have gone out. */
export const readCreate = (reading: Reading, answer: Answer, left: boolean): CreateAnswer => {
  if (answer._tag === 'Reply') return readCreateReply(reading, answer)
  const { cause } = answer
  return left
    ? { _tag: 'Unknown', doubt: { cause } }
    : { _tag: 'NeverLeft', reason: whyNeverLeft(cause), doubt: { cause } }
}

/** What an answer to getTaskResult, or its absence, comes to. `Later` is `readable` if a document said so. */
export type AskAnswer<A> =
  | { readonly _tag: 'Processing' }
  | { readonly _tag: 'Lagging' } // the service does not know its new task yet
  | { readonly _tag: 'Ready'; readonly solution: A }
  | { readonly _tag: 'Later'; readonly doubt: Doubt; readonly readable: boolean; readonly retryAfterMs?: number }
  | ({ readonly _tag: 'Failed' } & Said)
  | ({ readonly _tag: 'Unknown' } & Said)
  | { readonly _tag: 'Silent'; readonly cause: Cause }
  | { readonly _tag: 'Outside'; readonly status: number; readonly problems: Problems; readonly excerpt: string }

/** What the service said of a task that it will not go on with. */
type Said = ReturnType<typeof wordsOf> & { readonly kind: Kind; readonly status: number }

const ASKED: Readonly<Record<Sense, Exclude<AskAnswer<never>['_tag'], 'Ready' | 'Silent' | 'Lagging'> | 'Gone'>> = {
  account: 'Failed',
  request: 'Failed',
  task: 'Failed',
  unknown: 'Unknown',
  later: 'Later',
  gone: 'Gone',
  pending: 'Processing',
  broken: 'Outside',
  moved: 'Outside',
  rejected: 'Outside'
}

/** Reads what came back from getTaskResult; `young` says that the service may not know its new task everywhere yet. */
export const readAsk = <A>(
  reading: Reading,
  solution: t.Decoder<unknown, A>,
  answer: Answer,
  young: boolean
): AskAnswer<A> => {
  if (answer._tag === 'Failed') return { _tag: 'Silent', cause: answer.cause }
  const { status, body, retryAfterMs } = answer
  const document = readDocument(body)
  const state = E.isLeft(document) ? document : readState(solution, document.right)
  if (E.isRight(state)) return state.right
  const said = E.isRight(document) ? document.right : undefined
  const sense = senseOf(reading, answer, said)
  const words = wordsOf(reading, said ?? { fields: {}, errorCode: '', errorDescription: '' })
  const asked = ASKED[sense]
  switch (asked) {
    case 'Processing':
      return { _tag: 'Processing' }
    case 'Failed':
    case 'Unknown':
      return { _tag: asked, kind: REFUSED_AS[sense], status, ...words }
    case 'Gone':
      return young ? { _tag: 'Lagging' } : { _tag: 'Failed', kind: 'task', status, ...words }
    case 'Later':
      return {
        _tag: 'Later',
        doubt: { status, ...(words.errorCode !== '' && { errorCode: words.errorCode }) },
        readable: said?.errorId !== undefined,
        ...(retryAfterMs !== undefined && { retryAfterMs })
      }
    case 'Outside': {
      const problems = problemsWith(reading, state.left, said?.errorCode)
      return { _tag: 'Outside', status, problems, excerpt: excerptOf(reading.scrub, body) }
    }
  }
}
