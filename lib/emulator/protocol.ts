import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { VerifyErrorCode } from './faults/fault.js'

/** A call of the service, or of reCAPTCHA. */
export type CallName = 'createTask' | 'getTaskResult' | 'getBalance' | 'siteverify'

/** A JSON object in a request or a reply. */
export type JsonObject = Readonly<Record<string, unknown>>

/** The only type of task that the service documents. */
export const RECAPTCHA_V2 = 'RecaptchaV2TaskProxyless'

// As in the documented examples, createTask replies with empty strings where getTaskResult replies with nulls.
const NO_ERROR = { errorId: 0, errorCode: null, errorDescription: null }

export const created = (taskId: string | bigint): JsonObject => ({
  errorId: 0,
  errorCode: '',
  errorDescription: '',
  taskId
})
export const inState = (status: string): JsonObject => ({ ...NO_ERROR, status })
export const withBalance = (balance: number): JsonObject => ({ ...NO_ERROR, balance })
export const ready = (solution: unknown): JsonObject => ({ ...NO_ERROR, solution, status: 'ready' })
export const refusal = (errorCode: string, errorDescription: string): JsonObject => ({
  errorId: 1,
  errorCode,
  errorDescription
})

/** The error codes of siteverify: https://developers.google.com/recaptcha/docs/verify#error_code_reference */
export const VERIFY_ERROR_CODES: ReadonlyArray<VerifyErrorCode> = [
  'missing-input-secret',
  'invalid-input-secret',
  'missing-input-response',
  'invalid-input-response',
  'bad-request',
  'timeout-or-duplicate'
]

/** The reply of siteverify if it accepts no token. */
export const rejected = (errorCodes: ReadonlyArray<VerifyErrorCode>): JsonObject => ({
  success: false,
  'error-codes': errorCodes
})

/** The JSON text of a reply. A `taskId` that is a bigint becomes a number with all its digits. */
export const jsonOf = (reply: JsonObject): string => {
  const { taskId } = reply
  if (typeof taskId !== 'bigint') return JSON.stringify(reply)
  return JSON.stringify({ ...reply, taskId: String(taskId) }).replace(`"taskId":"${taskId}"`, `"taskId":${taskId}`)
}

/** What a request must satisfy, apart from its form. */
export interface Account {
  readonly clientKey: string
  readonly isKnownType: (type: string) => boolean
}

/** The refusal of a request, if its client key or, for createTask, its task is wrong. */
export const refuse = (call: CallName, body: JsonObject, account: Account): JsonObject | undefined => {
  const request = { body, task: taskOf(body), account }
  const failed = (call === 'createTask' ? CREATE_CHECKS : [KEY_CHECK]).find(([, , holds]) => !holds(request))
  return failed && refusal(failed[0], failed[1])
}

/** The task in the body of a createTask; empty if there is none. */
export const taskOf = (body: JsonObject): JsonObject => (isJsonObject(body.task) ? body.task : {})

type Check = readonly [errorCode: string, errorDescription: string, holds: (request: CheckedRequest) => boolean]
interface CheckedRequest {
  readonly body: JsonObject
  readonly task: JsonObject
  readonly account: Account
}

const KEY_CHECK: Check = [
  'ERROR_KEY_DOES_NOT_EXIST',
  'no account has this clientKey',
  ({ body, account }) => body.clientKey === account.clientKey
]

// The first check that fails gives the refusal.
const CREATE_CHECKS: ReadonlyArray<Check> = [
  KEY_CHECK,
  ['ERROR_TASK_ABSENT', 'task is missing or not an object', ({ body }) => isJsonObject(body.task)],
  [
    'ERROR_TASK_NOT_SUPPORTED',
    'task.type is missing or not known',
    ({ task, account }) => typeof task.type === 'string' && account.isKnownType(task.type)
  ],
  [
    'ERROR_REQUIRED_FIELDS',
    'task.websiteURL and task.websiteKey must be nonempty strings',
    ({ task }) => task.type !== RECAPTCHA_V2 || (isNonEmpty(task.websiteURL) && isNonEmpty(task.websiteKey))
  ],
  [
    'ERROR_BAD_PARAMETERS',
    'task.isInvisible must be true, false or absent',
    ({ task }) => task.type !== RECAPTCHA_V2 || task.isInvisible === undefined || typeof task.isInvisible === 'boolean'
  ]
]

const isNonEmpty = (value: unknown): value is string => typeof value === 'string' && value !== ''

const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A request that is refused with an HTTP status, before its JSON is looked at. */
export interface HttpRefusal {
  readonly status: number
  readonly reason: string
}

/** The refusal of a request by its head. `call` is undefined if the path is not known. */
export const refuseHead = (
  { method, headers }: IncomingMessage,
  call: CallName | undefined
): HttpRefusal | undefined =>
  call === undefined
    ? { status: 404, reason: 'only /createTask, /getTaskResult, /getBalance and /siteverify are known' }
    : method !== 'POST'
      ? { status: 405, reason: 'only POST is allowed' }
      : call !== 'siteverify' && !/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')
        ? { status: 415, reason: 'content-type must be application/json' }
        : undefined

// Far above any request of the protocol.
const MAX_REQUEST_BYTES = 65_536

/**
 * Reads a body to its end, and calls `onBody` with the JSON object in it, or `onRefused`. Does nothing if the client
 * disconnects. A `taskId` that is an integer becomes a bigint.
 */
export const readRequestObject = (
  req: IncomingMessage,
  onBody: (body: JsonObject) => void,
  onRefused: (refusal: HttpRefusal) => void
): void =>
  readRequestBody(req, (bytes) => {
    if (!bytes) return onRefused({ status: 413, reason: `the body must not be over ${MAX_REQUEST_BYTES} bytes` })
    const body = parseObject(bytes)
    if (body) onBody(body)
    else onRefused({ status: 400, reason: 'the body must be a JSON object in UTF-8' })
  })

/** Reads a body to its end; it is undefined if it is too large. Does nothing if the client disconnects. */
export const readRequestBody = (req: IncomingMessage, onBody: (body: Buffer | undefined) => void): void => {
  const chunks: Buffer[] = []
  let size = 0
  req.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= MAX_REQUEST_BYTES) chunks.push(chunk)
  })
  req.once('end', () => onBody(size <= MAX_REQUEST_BYTES ? Buffer.concat(chunks) : undefined))
}

const parseObject = (body: Buffer): JsonObject | undefined => {
  try {
    const value: unknown = isUtf8(body) ? JSON.parse(body.toString()) : undefined
    return isJsonObject(value) ? withEveryDigit(value, body.toString()) : undefined
  } catch {
    return undefined
  }
}

// JSON.parse rounds an integer beyond 2^53 to that of another task.
const withEveryDigit = (body: JsonObject, text: string): JsonObject => {
  const [, digits] = /"taskId"\s*:\s*(\d+)\s*[,}]/.exec(text) ?? []
  return typeof body.taskId === 'number' && digits !== undefined ? { ...body, taskId: BigInt(digits) } : body
}
