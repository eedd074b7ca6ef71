import type { IncomingMessage } from 'node:http'
import { isUtf8 } from 'node:buffer'

/** A call of the service. */
export type Call = 'createTask' | 'getTaskResult'

/** A JSON object, as it stands in a request or an answer. */
export type Document = Readonly<Record<string, unknown>>

/** The only type of task the service documents. */
export const RECAPTCHA_V2 = 'RecaptchaV2TaskProxyless'

/** What a request must fulfil beyond its form. */
export interface Account {
  readonly clientKey: string
  readonly isKnownType: (type: string) => boolean
}

export const isDocument = (value: unknown): value is Document =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

// The documented examples: a create has empty strings where a result has nulls.
const noError = { errorId: 0, errorCode: null, errorDescription: null }

export const created = (taskId: string): Document => ({ errorId: 0, errorCode: '', errorDescription: '', taskId })
export const inState = (status: string): Document => ({ ...noError, status })
export const ready = (solution: unknown): Document => ({ ...noError, solution, status: 'ready' })
export const refusal = (errorCode: string | null, errorDescription: string): Document => ({
  errorId: 1,
  errorCode,
  errorDescription
})

const isFilled = (value: unknown): value is string => typeof value === 'string' && value !== ''

type Check = readonly [errorCode: string, errorDescription: string, holds: (request: CheckedRequest) => boolean]
interface CheckedRequest {
  readonly body: Document
  readonly task: Document
  readonly account: Account
}

const keyCheck: Check = [
  'ERROR_KEY_DOES_NOT_EXIST',
  'no account has this clientKey',
  ({ body, account }) => body.clientKey === account.clientKey
]

// In this order: the first that does not hold is the answer.
const createChecks: ReadonlyArray<Check> = [
  keyCheck,
  ['ERROR_TASK_ABSENT', 'task is missing or not an object', ({ body }) => isDocument(body.task)],
  [
    'ERROR_TASK_NOT_SUPPORTED',
    'task.type is missing or not known',
    ({ task, account }) => typeof task.type === 'string' && account.isKnownType(task.type)
  ],
  [
    'ERROR_REQUIRED_FIELDS',
    'task.websiteURL and task.websiteKey must be nonempty strings',
    ({ task }) => task.type !== RECAPTCHA_V2 || (isFilled(task.websiteURL) && isFilled(task.websiteKey))
  ],
  [
    'ERROR_BAD_PARAMETERS',
    'task.isInvisible must be true, false or absent',
    ({ task }) => task.type !== RECAPTCHA_V2 || task.isInvisible === undefined || typeof task.isInvisible === 'boolean'
  ]
]

/** The refusal that a request body earns, if any: its key first, then, for a create, its task. */
export const refuse = (call: Call, body: Document, account: Account): Document | undefined => {
  const request = { body, task: taskOf(body), account }
  const broken = (call === 'createTask' ? createChecks : [keyCheck]).find(([, , holds]) => !holds(request))
  return broken && refusal(broken[0], broken[1])
}

/** The task of a create's body; empty where there is none. */
export const taskOf = (body: Document): Document => (isDocument(body.task) ? body.task : {})

/** A request that is refused by HTTP alone, before anybody reads a document. */
export interface HttpRefusal {
  readonly status: number
  readonly reason: string
}

/** What is wrong with a request's head, if anything. `call` is undefined where the path is not known. */
export const refuseHead = ({ method, headers }: IncomingMessage, call: Call | undefined): HttpRefusal | undefined =>
  call === undefined
    ? { status: 404, reason: 'only /createTask and /getTaskResult are known' }
    : method !== 'POST'
      ? { status: 405, reason: 'only POST is allowed' }
      : !/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')
        ? { status: 415, reason: 'content-type must be application/json' }
        : undefined

/** Far above any request of the protocol. */
const MAX_REQUEST_BYTES = 65_536

/** Reads a body to its end and hands on the JSON object in it, or what is wrong with it; nothing if the client leaves. */
export const readBody = (
  req: IncomingMessage,
  use: (body: Document | undefined, broken: HttpRefusal) => void
): void => {
  const chunks: Buffer[] = []
  let size = 0
  req.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_REQUEST_BYTES) chunks.push(chunk)
  })
  req.once('end', () =>
    size > MAX_REQUEST_BYTES
      ? use(undefined, { status: 413, reason: `the body must not be over ${MAX_REQUEST_BYTES} bytes` })
      : use(readDocument(Buffer.concat(chunks)), { status: 400, reason: 'the body must be a JSON object in UTF-8' })
  )
}

const readDocument = (body: Buffer): Document | undefined => {
  try {
    const value: unknown = isUtf8(body) ? JSON.parse(body.toString()) : undefined
    return isDocument(value) ? value : undefined
  } catch {
    return undefined
  }
}
