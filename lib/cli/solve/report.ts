import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../core/model/error.js'
import { advise, explain } from '../../core/model/explain.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { SolveResult } from '../../core/model/result.js'
import type { Solved, TaskRef } from '../../core/model/task.js'
import { printLine, write, type CliContext } from '../shared/context.js'
import { EXIT, exitCodeOf } from '../shared/exit-code.js'
import type { Service } from '../shared/service.js'
import { shellQuoted } from '../shared/text.js'

export interface ReportOptions {
  readonly json: boolean
  /** Whether the user named the instant of creation; `resume` works without it. */
  readonly createdAt: 'known' | 'unknown'
  readonly service: Pick<Service, 'flags' | 'isEmbedded'>
}

/** Prints the outcome, on stdout what programs read and on stderr what people read; returns the exit code. */
export const report = (
  context: CliContext,
  options: ReportOptions,
  result: SolveResult<RecaptchaV2Solution>
): Promise<number> =>
  E.isRight(result) ? reportSolved(context, options, result.right) : reportFailed(context, options, result.left)

const reportSolved = async (
  { stdout, stderr }: CliContext,
  options: ReportOptions,
  solved: Solved<RecaptchaV2Solution>
): Promise<number> => {
  const text = options.json ? JSON.stringify(jsonOf(options, solved)) : solved.solution.gRecaptchaResponse
  if (await write(stdout, `${text}\n`)) return EXIT.solved
  printLine(stderr, 'The task is solved, but its token could not be written: the reader of the output is gone.')
  printLine(stderr, howToResume(options, solved.ref))
  return EXIT.paid
}

const jsonOf = (
  { createdAt }: ReportOptions,
  { ref, solution, useBefore, expiresAt }: Solved<RecaptchaV2Solution>
) => ({
  ok: true,
  taskId: ref.taskId,
  // Without a known instant of creation these times would be invented.
  ...(createdAt === 'known' && { createdAt: ref.createdAt }),
  ...solution,
  ...(createdAt === 'known' && { useBefore, expiresAt })
})

const reportFailed = async (
  { stdout, stderr }: CliContext,
  options: ReportOptions,
  error: SolveError
): Promise<number> => {
  const failure = { ok: false, error, message: explain(error), advice: advise(error) }
  if (options.json) await write(stdout, `${JSON.stringify(failure)}\n`)
  else printLine(stderr, explain(error))
  if ('ref' in error) {
    const title = advise(error) === 'resume' ? RESUME : POLL_AGAIN
    printLine(stderr, howToResume(options, error.ref, title))
  }
  return exitCodeOf(error)
}

const RESUME = 'Resume it at no further cost:'
const POLL_AGAIN = 'Poll it once more at no further cost:'

const howToResume = (options: ReportOptions, ref: TaskRef, title = RESUME): string =>
  options.service.isEmbedded
    ? `Task ${ref.taskId} belonged to the embedded emulator, which ends with this command.`
    : `${title}\n  ${resumeCommand(options, ref)}`

const resumeCommand = ({ createdAt, service }: ReportOptions, { taskId, createdAt: at }: TaskRef): string => {
  const options = [...(createdAt === 'known' ? ['--created-at', String(at)] : []), ...service.flags]
  // The service chooses ids; one that begins with a dash would be read as an option.
  const words = taskId.startsWith('-') ? [...options, '--', shellQuoted(taskId)] : [shellQuoted(taskId), ...options]
  return ['rx-captcha', 'resume', ...words].join(' ')
}
