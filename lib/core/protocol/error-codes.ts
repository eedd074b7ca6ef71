import type { CodeMeaning } from '../model/error.js'

/** A meaning that only the table has: an internal error of the service, which leaves open whether a task was created. */
type TableMeaning = CodeMeaning | 'serverError'

/** The error codes that a reCAPTCHA v2 task can get. The service documents none; docs/protocol.md says where each was seen. */
const CODES: Readonly<Record<TableMeaning, ReadonlyArray<string>>> = {
  account: [
    'ERROR_KEY_DOES_NOT_EXIST',
    'ERROR_WRONG_USER_KEY',
    'ERROR_KEY_DENIED_ACCESS',
    'ERROR_KEY_BANNED',
    'ERROR_KEY_TEMP_BLOCKED',
    'ERROR_INVALID_KEY_TYPE',
    'ERROR_ZERO_BALANCE',
    'ERROR_SETTLEMENT_FAILED',
    'ERROR_ACCOUNT_SUSPENDED',
    'ERROR_IP_NOT_ALLOWED',
    'ERROR_IP_BLOCKED',
    'ERROR_IP_BANNED',
    'IP_BANNED',
    'MAX_USER_TURN'
  ],
  request: [
    'ERROR_TASK_ABSENT',
    'ERROR_TASK_NOT_SUPPORTED',
    'ERROR_NO_SUCH_METHOD',
    'ERROR_PAGE_NOT_FOUND',
    'ERROR_BAD_REQUEST',
    'ERROR_BAD_PARAMETERS',
    'ERROR_REQUIRED_FIELDS',
    'ERROR_INVALID_TASK_DATA',
    'ERROR_RECAPTCHA_INVALID_SITEKEY',
    'ERROR_GOOGLEKEY',
    'ERROR_SITEKEY',
    'ERROR_WRONG_GOOGLEKEY',
    'ERROR_RECAPTCHA_INVALID_DOMAIN',
    'ERROR_PAGEURL',
    'ERROR_BAD_TOKEN_OR_PAGEURL',
    'ERROR_DOMAIN_NOT_ALLOWED',
    'ERROR_INVISIBLE_RECAPTCHA',
    'ERROR_VISIBLE_RECAPTCHA'
  ],
  unavailable: [
    'ERROR_NO_SLOT_AVAILABLE',
    'ERROR_ALL_WORKERS_FILTERED',
    'ERROR_SERVICE_UNAVALIABLE',
    'ERROR_SERVICE_UNAVAILABLE',
    'ERROR_SERVICE_NOT_AVAILABLE',
    'ERROR_RATE_LIMIT',
    'ERROR_TOO_MUCH_REQUESTS',
    'ERROR_THREADS_MAXIMUM'
  ],
  task: [
    'ERROR_CAPTCHA_UNSOLVABLE',
    'ERROR_RECAPTCHA_TIMEOUT',
    'ERROR_FAILED_LOADING_WIDGET',
    'ERROR_BAD_DUPLICATES',
    'ERROR_TASK_CANCELED',
    'ERROR_TASK_TIMEOUT'
  ],
  unknown: [],
  notFound: [
    'ERROR_NO_SUCH_CAPCHA_ID',
    'WRONG_CAPTCHA_ID',
    'ERROR_WRONG_CAPTCHA_ID',
    'ERROR_TASKID_INVALID',
    'ERROR_WRONG_ID_FORMAT',
    'ERROR_CAPTCHA_ID'
  ],
  pending: ['CAPTCHA_NOT_READY', 'CAPCHA_NOT_READY'],
  serverError: ['ERROR_INTERNAL_SERVER_ERROR']
}

const isMeaning = (name: string): name is TableMeaning => name in CODES

/** The meaning of each known code. */
export const CODE_MEANINGS: ReadonlyMap<string, TableMeaning> = new Map(
  Object.keys(CODES)
    .filter(isMeaning)
    .flatMap((meaning) => CODES[meaning].map((code): [string, TableMeaning] => [code, meaning]))
)
