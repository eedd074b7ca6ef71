import { CommanderError, type Command } from 'commander'
import { InvalidOptions } from '../core/model/options.js'
import { recaptchaV2 } from '../core/model/recaptcha-v2.js'
import { balance } from './balance.js'
import { batch, type BatchFlags } from './batch/run.js'
import { demo } from './demo/command.js'
import { emulate, type EmulateFlags } from './emulate.js'
import { journal, type JournalFlags } from './journal.js'
import { buildProgram } from './program.js'
import type { QueueFlags } from './queue/open.js'
import { commandLineWithout, refuseOptions } from './queue/submit/options.js'
import { submit } from './queue/submit/submit.js'
import { worker, type WorkerFlags } from './queue/worker/worker.js'
import { WrongUsage, printLine, type CliContext } from './shared/context.js'
import { EXIT } from './shared/exit-code.js'
import {
  BASE_URL_VARIABLE,
  KEY_VARIABLE,
  openService,
  withoutClientKey,
  type OpenedService,
  type ServiceFlags
} from './shared/service.js'
import { messageOf } from './shared/text.js'
import { runTask } from './solve/run-task.js'

/** Runs the command with its arguments (without the name of the program) and returns the exit code. */
export const run = async (argv: ReadonlyArray<string>, context: CliContext): Promise<number> => {
  // `write` reports a reader that is gone; as an unhandled event it would end the process.
  for (const output of [context.stdout, context.stderr]) output.on('error', () => undefined)
  let code: number = EXIT.solved
  try {
    refuseKeyArgument(argv)
    const program = withActions(context, argv, (ended) => {
      code = ended
    })
    await program.parseAsync(argv, { from: 'user' })
    return code
  } catch (thrown) {
    return reportThrown(context, thrown, argv)
  }
}

const withActions = (context: CliContext, argv: ReadonlyArray<string>, onEnd: (code: number) => void): Command => {
  const commands = buildProgram(context)
  commands.solve.action(async (flags: SolveFlags) => {
    onEnd(await runSolve(context, flags))
  })
  commands.resume.action(async (taskId: string, flags: ResumeFlags) => {
    onEnd(await runResume(context, taskId, flags))
  })
  commands.batch.action(async (input: string, flags: ServiceFlags & BatchFlags & Partial<QueueFlags>) => {
    const { queue, redis } = flags
    refuseOptions(commands.batch, queue)
    onEnd(
      queue === undefined
        ? await withService(context, flags, (service) => batch(context, service, input, flags, argv))
        : await submit(context, input, { ...flags, queue }, commandLineWithout(redis, argv))
    )
  })
  commands.worker.action(async (flags: ServiceFlags & WorkerFlags) => {
    onEnd(await withService(context, flags, (service) => worker(context, service, flags)))
  })
  commands.emulate.action(async (flags: EmulateFlags) => {
    onEnd(await emulate(context, flags))
  })
  commands.balance.action(async (flags: ServiceFlags & { readonly json?: true }) => {
    onEnd(await withService(context, flags, (service) => balance(context, service, flags.json === true)))
  })
  commands.journal.action(async (file: string, flags: JournalFlags) => {
    onEnd(await journal(context, file, flags))
  })
  commands.demo.action(async () => {
    onEnd(await demo(context))
  })
  return commands.program
}

interface SolveFlags extends ServiceFlags {
  readonly url: string
  readonly key: string
  readonly invisible?: true
  readonly json?: true
}

const runSolve = (context: CliContext, flags: SolveFlags): Promise<number> =>
  withService(context, flags, (service) => {
    const { url: websiteURL, key: websiteKey, invisible: isInvisible, json = false } = flags
    if (websiteKey === service.options.clientKey)
      throw new WrongUsage(`--key: this is the client key; expected the site key of the page`)
    const task = recaptchaV2({ websiteURL, websiteKey, isInvisible })
    return runTask(context, service, { json, isResumed: false }, ({ solveWithProgress }) => solveWithProgress(task))
  })

interface ResumeFlags extends ServiceFlags {
  readonly createdAt?: number
  readonly numeric?: true
  readonly json?: true
}

const runResume = (context: CliContext, taskId: string, flags: ResumeFlags): Promise<number> => {
  const { createdAt = 0, numeric, json = false } = flags
  // Without an instant the task counts as old, so "no such task" is not taken for a service that lags behind.
  const ref = { taskId, createdAt, ...(numeric && { numeric }) }
  return withService(context, flags, (service) =>
    runTask(context, service, { json, isResumed: true }, (solver) => solver.resumeWithProgress(recaptchaV2, ref))
  )
}

const withService = async (
  context: CliContext,
  flags: ServiceFlags,
  use: (service: OpenedService) => Promise<number>
): Promise<number> => {
  const service = await openService(context, flags)
  try {
    return await use(service)
  } finally {
    await service.close()
  }
}

// Any spelling: commander would repeat the value of an unknown option.
const KEY_ARGUMENT = /^--?(client|api)[-_]?key(=|$)/i

const refuseKeyArgument = (argv: ReadonlyArray<string>): void => {
  if (argv.some((argument) => KEY_ARGUMENT.test(argument)))
    throw new WrongUsage(
      'the client key is never read from an argument: every user of this machine could see it in `ps`, and the shell ' +
        `would keep it in its history. Set ${KEY_VARIABLE}, or use --client-key-file FILE`
    )
}

/** A problem of the solver's options, with the name that the user knows. */
const asFlag = (problem: string, argv: ReadonlyArray<string>): string => {
  const baseUrl = argv.some((argument) => argument.startsWith('--base-url')) ? '--base-url' : BASE_URL_VARIABLE
  return problem.replace(/^clientKey:/, 'the client key:').replace(/^baseUrl:/, `${baseUrl}:`)
}

const reportThrown = ({ stderr, env }: CliContext, thrown: unknown, argv: ReadonlyArray<string>): number => {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.solved : EXIT.usage
  if (thrown instanceof WrongUsage || thrown instanceof InvalidOptions) {
    const problems =
      thrown instanceof InvalidOptions ? thrown.problems.map((problem) => asFlag(problem, argv)) : [thrown.message]
    for (const problem of problems) printLine(stderr, withoutClientKey(`error: ${problem}`, env))
    return EXIT.usage
  }
  printLine(stderr, `internal error (please report it): ${messageOf(thrown)}. A task may have been paid for.`)
  return EXIT.perhaps
}
