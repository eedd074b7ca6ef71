import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { parseUrl } from '../core/validation/problems.js'
import type { VerifyErrorCode } from './faults/fault.js'
import { taskOfToken, type Ledger, type LedgerTask } from './ledger.js'
import { rejected, type JsonObject } from './protocol.js'

/** The reply to a siteverify request, and the task whose token it accepts. */
export interface Verdict {
  readonly reply: JsonObject
  readonly task?: LedgerTask
}

/**
 * Judges a siteverify request as reCAPTCHA documents it: https://developers.google.com/recaptcha/docs/verify
 * Without a `siteSecret` every secret is right.
 */
export const verify = (
  ledger: Ledger,
  siteSecret: string | undefined,
  { headers }: IncomingMessage,
  body: Buffer | undefined
): Verdict => {
  const form = readForm(headers['content-type'], body)
  if (!form) return refused('bad-request')
  const [secret, token] = [form.get('secret'), form.get('response')]
  if (!secret && !token) return refused('missing-input-secret', 'missing-input-response')
  if (!secret) return refused('missing-input-secret')
  if (!token) return refused('missing-input-response')
  if (siteSecret !== undefined && secret !== siteSecret) return refused('invalid-input-secret')
  const task = taskOfToken(ledger, token)
  if (task === 'unknown') return refused('invalid-input-response')
  return task === 'spent' ? refused('timeout-or-duplicate') : { task, reply: acceptedTokenOf(task) }
}

const refused = (...errorCodes: ReadonlyArray<VerifyErrorCode>): Verdict => ({ reply: rejected(errorCodes) })

const acceptedTokenOf = ({ madeAt, task }: LedgerTask): JsonObject => ({
  success: true,
  challenge_ts: new Date(madeAt).toISOString().replace(/\.\d+/, ''), // the documented form has no fraction
  hostname: parseUrl(String(task.websiteURL))?.hostname ?? ''
})

const readForm = (type = '', body: Buffer | undefined): URLSearchParams | undefined =>
  body && isUtf8(body) && /^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)
    ? new URLSearchParams(body.toString())
    : undefined
