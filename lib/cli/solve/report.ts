import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../core/model/error.js'
import { advise, explain } from '../../core/model/explain.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solved, TaskRef } from '../../core/model/task.js'
import { EXIT, exitOf } from '../shared/exit-code.js'
import { deliver, quoted, tell, type World } from '../shared/context.js'

type Token = Solved<RecaptchaV2Solution>

export interface Reporting {
  readonly json: boolean
  /** When the task was created: `resume` may not have been told. */
  readonly createdAt: 'known' | 'unknown'
  readonly repeated: ReadonlyArray<string>
  readonly embedded: boolean
}

const RESUME = 'Resume it, at no further cost:'

const ASK_AGAIN = 'To ask about it once more, at no further cost:'

/** The command line that goes on with a paid task. */
const resumeLine = ({ createdAt, repeated }: Reporting, ref: TaskRef): string => {
  const at = createdAt === 'known' ? ['--created-at', String(ref.createdAt)] : []
  // An id is the service's own; one with a dash in front would read as an option.
  const id = ref.taskId.startsWith('-') ? ['--', quoted(ref.taskId)] : [quoted(ref.taskId)]
  const [front, back] = id.length === 1 ? [id, []] : [[], id]
  return ['rx-captcha', 'resume', ...front, ...at, ...repeated, ...back].join(' ')
}

const howToResume = (reporting: Reporting, ref: TaskRef, again = RESUME): string =>
  reporting.embedded
    ? `Task ${ref.taskId} was the embedded emulator's, which ends with this command.`
    : `${again}\n  ${resumeLine(reporting, ref)}`

const solvedJson = ({ createdAt }: Reporting, { ref, solution, useBefore, expiresAt }: Token) => ({
  ok: true,
  taskId: ref.taskId,
  // Times that may count from an instant that nobody named would be invented.
  ...(createdAt === 'known' && { createdAt: ref.createdAt }),
  ...solution,
  ...(createdAt === 'known' && { useBefore, expiresAt })
})

const failedJson = (error: SolveError) => ({ ok: false, error, message: explain(error), advice: advise(error) })

const reportSolved = async (world: World, reporting: Reporting, solved: Token): Promise<number> => {
  const text = reporting.json ? JSON.stringify(solvedJson(reporting, solved)) : solved.solution.gRecaptchaResponse
  if (await deliver(world.stdout, `${text}\n`)) return EXIT.solved
  tell(world.stderr, `Solved, but the token could not be written: nobody reads it.`)
  tell(world.stderr, howToResume(reporting, solved.ref))
  return EXIT.paid
}

const reportFailed = async (world: World, reporting: Reporting, error: SolveError): Promise<number> => {
  if (reporting.json) await deliver(world.stdout, `${JSON.stringify(failedJson(error))}\n`)
  else tell(world.stderr, explain(error))
  if ('ref' in error)
    tell(world.stderr, howToResume(reporting, error.ref, advise(error) === 'resume' ? RESUME : ASK_AGAIN))
  return exitOf(error)
}

/** Prints the outcome: the result on stdout, what only people need on stderr. */
export const report = (world: World, reporting: Reporting, result: E.Either<SolveError, Token>): Promise<number> =>
  E.isRight(result) ? reportSolved(world, reporting, result.right) : reportFailed(world, reporting, result.left)
