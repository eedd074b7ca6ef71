import { CommanderError, type Command } from 'commander'
import { InvalidOptions } from '../core/model/options.js'
import { recaptchaV2 } from '../core/model/recaptcha-v2.js'
import { EXIT } from './shared/exit-code.js'
import { batch, checkBatch, type BatchGiven } from './batch/command.js'
import { demo } from './demo/command.js'
import { emulate, type EmulateGiven } from './emulate.js'
import { instant, optional } from './shared/parse.js'
import { makeProgram } from './program.js'
import { KEY_VARIABLE, openService, type Service, type ServiceGiven } from './shared/service.js'
import { runTask } from './solve/run-task.js'
import { WrongUsage, messageOf, tell, type World } from './shared/context.js'

interface SolveGiven extends ServiceGiven {
  readonly url: string
  readonly key: string
  readonly invisible?: true
  readonly json?: true
}

interface ResumeGiven extends ServiceGiven {
  readonly createdAt?: string
  readonly json?: true
}

const using = async (
  world: World,
  given: ServiceGiven,
  use: (service: Service) => Promise<number>
): Promise<number> => {
  const service = await openService(world, given)
  try {
    return await use(service)
  } finally {
    await service.close()
  }
}

const solve = (world: World, given: SolveGiven): Promise<number> =>
  using(world, given, (service) => {
    const { url: websiteURL, key: websiteKey, invisible: isInvisible, json = false } = given
    if (websiteKey === service.options.clientKey)
      throw new WrongUsage(`--key: this is the client key; expected the site key of the page`)
    const task = recaptchaV2({ websiteURL, websiteKey, isInvisible })
    return runTask(world, service, { json, createdAt: 'known' }, ({ solveWithProgress }) => solveWithProgress(task))
  })

const resume = (world: World, taskId: string, given: ResumeGiven): Promise<number> => {
  const createdAt = optional(instant, '--created-at', given.createdAt)
  const reporting = { json: given.json ?? false, createdAt: createdAt === undefined ? 'unknown' : 'known' } as const
  // Long ago, if nobody knows: then the service is not believed to lag behind a create.
  const ref = { taskId, createdAt: createdAt ?? 0 }
  return using(world, given, (service) =>
    runTask(world, service, reporting, ({ resumeWithProgress }) => resumeWithProgress(recaptchaV2, ref))
  )
}

// The other spellings would be unknown options, and commander repeats those with their values.
const asArgument = /^--?(client|api)[-_]?key(=|$)/i

const refuseKeyArgument = (argv: ReadonlyArray<string>): void => {
  if (argv.some((argument) => asArgument.test(argument)))
    throw new WrongUsage(
      'the client key is never taken from an argument: everybody on this machine would see it in `ps`, and the shell ' +
        `would keep it in its history. Set ${KEY_VARIABLE}, or use --client-key-file FILE`
    )
}

const OPTION_OF: Readonly<Record<string, string>> = {
  clientKey: 'the client key',
  baseUrl: '--base-url',
  pollEveryMs: '--poll-every-ms',
  giveUpAfterMs: '--give-up-after-ms',
  createsPerSecond: '--creates-per-second'
}

const inWordsOfTheCommand = (problem: string): string => {
  const [name = '', ...rest] = problem.split(': ')
  return [OPTION_OF[name] ?? name, ...rest].join(': ')
}

const failed = ({ stderr }: World, thrown: unknown): number => {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.solved : EXIT.usage
  if (thrown instanceof WrongUsage || thrown instanceof InvalidOptions) {
    const problems = thrown instanceof InvalidOptions ? thrown.problems.map(inWordsOfTheCommand) : [thrown.message]
    for (const problem of problems) tell(stderr, `error: ${problem}`)
    return EXIT.usage
  }
  tell(stderr, `error, a defect of rx-captcha: ${messageOf(thrown)}. A task may have been paid for.`)
  return EXIT.perhaps
}

const withActions = (world: World, argv: ReadonlyArray<string>, ended: (code: number) => void): Command => {
  const commands = makeProgram(world)
  commands.solve.action(async (given: SolveGiven) => {
    ended(await solve(world, given))
  })
  commands.resume.action(async (taskId: string, given: ResumeGiven) => {
    ended(await resume(world, taskId, given))
  })
  commands.batch.action(async (input: string, given: ServiceGiven & BatchGiven) => {
    checkBatch(given)
    ended(await using(world, given, (service) => batch(world, service, input, given, argv)))
  })
  commands.emulate.action(async (given: EmulateGiven) => {
    ended(await emulate(world, given))
  })
  commands.demo.action(async () => {
    ended(await demo(world))
  })
  return commands.program
}

/** The command: reads its arguments (without the program's name), does what they say, and gives the exit code. */
export const run = async (argv: ReadonlyArray<string>, world: World): Promise<number> => {
  // A reader that is gone shows in what `deliver` says; as an event it would end the process.
  for (const output of [world.stdout, world.stderr]) output.on('error', () => undefined)
  let code: number = EXIT.solved
  try {
    refuseKeyArgument(argv)
    const program = withActions(world, argv, (ended) => {
      code = ended
    })
    await program.parseAsync(argv, { from: 'user' })
    return code
  } catch (thrown) {
    return failed(world, thrown)
  }
}
