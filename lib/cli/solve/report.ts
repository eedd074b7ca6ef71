import * as E from 'fp-ts/lib/Either.js'
import type { SolveError, TaskFailed } from '../../core/model/error.js'
import { advise } from '../../core/model/explain.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { SolveResult } from '../../core/model/result.js'
import type { Solved } from '../../core/model/task.js'
import { printLine, whyNotWritten, write, type CliContext } from '../shared/context.js'
import { EXIT, exitCodeOf } from '../shared/exit-code.js'
import { explainInLine, explainUnlessResumable, howToResume, type ServiceReach } from '../shared/explain.js'

export interface ReportOptions {
  readonly json: boolean
  /** Whether the task was named by the user, and not created by this command. */
  readonly isResumed: boolean
  readonly service: ServiceReach
}

/** Prints the outcome, on stdout what programs read and on stderr what people read; returns the exit code. */
export const report = (
  context: CliContext,
  options: ReportOptions,
  result: SolveResult<RecaptchaV2Solution>
): Promise<number> =>
  E.isRight(result)
    ? reportSolved(context, options, result.right)
    : options.isResumed && result.left._tag === 'TaskFailed' && result.left.notFound
      ? reportNotFound(context, options, result.left)
      : reportFailed(context, options, result.left)

const reportSolved = async (
  { stdout, stderr }: CliContext,
  { json, service }: ReportOptions,
  solved: Solved<RecaptchaV2Solution>
): Promise<number> => {
  const text = json ? JSON.stringify(solvedJson(solved)) : solved.solution.gRecaptchaResponse
  const error = await write(stdout, `${text}\n`)
  if (!error) return EXIT.solved
  printLine(stderr, `The task is solved, but its token could not be written: ${whyNotWritten(error)}.`)
  printLine(stderr, howToResume(solved.ref, service, RESUME))
  return EXIT.paid
}

const solvedJson = ({ ref, solution, useBefore, expiresAt }: Solved<RecaptchaV2Solution>) => ({
  ok: true,
  ...ref,
  ...solution,
  useBefore,
  expiresAt,
  // Without a known instant of creation these times would be invented.
  ...(ref.createdAt === 0 && { createdAt: undefined, useBefore: undefined, expiresAt: undefined })
})

const reportFailed = async (
  { stdout, stderr }: CliContext,
  { json, service }: ReportOptions,
  error: SolveError
): Promise<number> => {
  const failure = { ok: false, error, message: explainInLine(error, service), advice: advise(error) }
  if (json) await write(stdout, `${JSON.stringify(failure)}\n`)
  else printLine(stderr, explainUnlessResumable(error))
  if (!json && error._tag === 'CreateUnknown' && error.excerpt !== undefined)
    printLine(stderr, `The reply began with: ${error.excerpt.trim()}`)
  if ('ref' in error)
    printLine(stderr, howToResume(error.ref, service, advise(error) === 'resume' ? RESUME : POLL_AGAIN))
  return exitCodeOf(error)
}

const RESUME = 'Resume it at no further cost:\n  '
const POLL_AGAIN = 'Poll it again at no further cost:\n  '

/** The id came from the user, so nothing says that such a task exists and was paid for. Resuming it again would fail again. */
const reportNotFound = async (
  { stdout, stderr }: CliContext,
  { json }: ReportOptions,
  error: TaskFailed
): Promise<number> => {
  const message =
    `The service does not know task ${error.ref.taskId} (${error.errorCode}): the id is wrong, the task belongs to another ` +
    'account, or it is too old. Nothing was paid by this command.'
  const failure = { ok: false, error: { ...error, paid: 'unknown' }, message, advice: 'decide' }
  if (json) await write(stdout, `${JSON.stringify(failure)}\n`)
  else printLine(stderr, message)
  return EXIT.unpaid
}
