import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../../../core/validation/problems.js'
import { recaptchaV2, type RecaptchaV2Fields, type RecaptchaV2Solution } from '../../../core/model/recaptcha-v2.js'
import type { TaskSpec } from '../../../core/model/task.js'

/**
 * The task of a job. Its data is what createTask sends as `task`, with or without the type; for any other data the task ends as
 * `InvalidTask`.
 */
export const taskOfJob = (data: unknown, clientKey: string): TaskSpec<RecaptchaV2Solution> => {
  const task = recaptchaV2(data as RecaptchaV2Fields)
  const { type = task.type, websiteKey }: { type?: unknown; websiteKey?: unknown } = isRecord(data) ? data : {}
  if (type !== task.type) return { ...task, payload: E.left([`type: expected ${task.type}`]) }
  return websiteKey === clientKey ? { ...task, payload: E.left([CLIENT_KEY_AS_SITE_KEY]) } : task
}

const CLIENT_KEY_AS_SITE_KEY = 'websiteKey: expected the site key of the page, this is the client key'
