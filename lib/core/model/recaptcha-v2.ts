import * as t from 'io-ts'
import type { JsonValue } from './network.js'
import { NonEmptyString, optional, parseUrl, refined } from '../validation/problems.js'
import { defineTask, type TaskKind } from './task.js'

/**
 * The fields of {@link recaptchaV2}.
 *
 * @since 0.1.0
 */
export interface RecaptchaV2Fields {
  /** The address of the page, with `http://` or `https://`. */
  readonly websiteURL: string
  /** The site key of the page. */
  readonly websiteKey: string
  /** `true` for invisible reCAPTCHA; otherwise not sent. @defaultValue false */
  readonly isInvisible?: boolean | undefined
}

/**
 * The solution of {@link recaptchaV2}.
 *
 * @since 0.1.0
 */
export interface RecaptchaV2Solution {
  /** The token. It can be used once. */
  readonly gRecaptchaResponse: string
}

const WebAddress = refined(
  'an address that begins with http:// or https://',
  (value): value is string =>
    typeof value === 'string' && /^https?:\/\/[^/\s]\S*$/i.test(value) && parseUrl(value) !== undefined
)

const RecaptchaV2Fields = t.type({
  websiteURL: WebAddress,
  websiteKey: NonEmptyString,
  isInvisible: optional(t.boolean)
})

const EncodedFields = new t.Type<RecaptchaV2Fields, JsonValue>(
  'the fields of a reCAPTCHA v2 task',
  RecaptchaV2Fields.is,
  RecaptchaV2Fields.validate,
  ({ websiteURL, websiteKey, isInvisible }) => ({
    websiteURL,
    websiteKey,
    ...(isInvisible === true && { isInvisible })
  })
)

const Solution: t.Type<RecaptchaV2Solution> = t.strict({ gRecaptchaResponse: NonEmptyString })

/**
 * A reCAPTCHA v2 task (`RecaptchaV2TaskProxyless`), the one kind that the service's page documents.
 *
 * Its token can be used once, is best used within 60 s and is valid for 120 s. The function never throws: with invalid fields
 * the solve ends as `InvalidTask` before anything is sent.
 *
 * @see docs/protocol.md#createtask for the fields and where they are documented
 * @since 0.1.0
 */
export const recaptchaV2: TaskKind<RecaptchaV2Fields, RecaptchaV2Solution> = defineTask({
  type: 'RecaptchaV2TaskProxyless',
  fields: EncodedFields,
  solution: Solution,
  bestWithinMs: 60_000,
  validForMs: 120_000
})
