import type * as E from 'fp-ts/lib/Either.js'
import type { JobFailed, TokenGone } from '../../bullmq/index.js'
import type { SolveError } from '../../core/model/error.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solved } from '../../core/model/task.js'

/** Every way in which an item can fail; those of jobs come from a queue only. */
export type ItemError = SolveError | TokenGone | JobFailed

/** The outcome of an item of a batch. */
export type ItemResult = E.Either<ItemError, Solved<RecaptchaV2Solution>>
