import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { BALANCE_EXIT_HELP } from './balance.js'
import { BATCH_EXIT_HELP, BATCH_HELP } from './batch/help.js'
import { JOURNAL_HELP } from './journal.js'
import { QUEUE_HELP } from './queue/submit/options.js'
import { WORKER_EXIT_HELP, WORKER_HELP } from './queue/worker/worker.js'
import { WrongUsage, type CliContext } from './shared/context.js'
import { EXIT_HELP } from './shared/exit-code.js'
import * as parse from './shared/parse.js'
import { OPTION_VARIABLES, helpWith, variablesHelp, withoutClientKey } from './shared/service.js'
import { messageOf, printable, withoutPasswords } from './shared/text.js'

/** The commands and their options, without actions. */
export const buildProgram = (context: CliContext) => {
  const program = rootCommand(context)
  const solve = addServiceOptions(
    program
      .command('solve')
      .description('solve one task and print its token')
      .requiredOption('--url <address>', 'address of the page')
      .requiredOption('--key <sitekey>', 'site key of the page, not the client key of the account')
      .option('--invisible', 'the page uses invisible reCAPTCHA')
      .option('--json', JSON_HELP)
  ).addHelpText('after', helpWith(EXIT_HELP, FAULT_HELP))
  const resume = addReachOptions(
    program
      .command('resume')
      .description('continue a task that is paid for, at no further cost')
      .argument('<taskid>', 'id of the task')
      .option(
        '--created-at <ms>',
        'when the task was created, in epoch milliseconds; without it --json prints no times',
        parse.instant
      )
      .option('--numeric', 'send the id as a JSON number, as the service returned it')
      .option('--json', JSON_HELP)
  ).addHelpText('after', helpWith(EXIT_HELP))
  const demo = program
    .command('demo')
    .description('solve six tasks with injected faults against the embedded emulator (about 20 s)')
  return {
    ...{ program, solve, resume, batch: batchCommand(program), worker: workerCommand(program) },
    ...{ balance: balanceCommand(program), journal: journalCommand(program), emulate: emulateCommand(program), demo }
  }
}

const balanceCommand = (program: Command): Command =>
  addAccountOptions(
    program
      .command('balance')
      .description('print the balance of the account (not documented by this service, only by similar ones)')
      .option('--json', JSON_HELP)
  ).addHelpText('after', helpWith(BALANCE_EXIT_HELP))

const journalCommand = (program: Command): Command =>
  program
    .command('journal')
    .description('list the keys of a journal with their states, or release some')
    .argument('<file>', 'the journal of a batch, such as FILE.journal')
    .addOption(
      new Option('--release <key>', 'forget this key, so that the next run pays for its task again (repeatable)')
        .default([], 'none')
        .argParser<ReadonlyArray<string>>(parse.collect)
    )
    .option('--json', 'print one line of JSON for each key')
    .addHelpText('after', `\n${JOURNAL_HELP}`)

const emulateCommand = (program: Command): Command =>
  program
    .command('emulate')
    .alias('emulator')
    .description('run an emulator of the service on this machine, until Ctrl-C')
    .option('--port <port>', 'port on 127.0.0.1 (default: any free one)', parse.port)
    .option('--ready-after-ms <ms>', 'time to solve a task: N or MIN-MAX (default: 5000-15000)', parse.waitRange)
    .option('--seed <n>', 'the same seed gives the same ids, tokens and times (default: random)', parse.seed)
    .option('--base-path <path>', 'prefix of the paths, such as /v1 (default: none)')
    .option('--site-secret <secret>', 'the only secret that siteverify accepts (default: any)')
    .option('--numeric-ids', 'task ids are JSON numbers beyond 2^53, and polls must send them as such')
    .addOption(faultOption('inject a fault, such as createTask:1:reset (repeatable)'))
    .addHelpText(
      'after',
      `\n${FAULT_HELP}\n\nPrints its address and key as shell variables, and its counters at the end.`
    )

const batchCommand = (program: Command): Command =>
  addServiceOptions(
    program
      .command('batch')
      .description('solve all tasks of a file, or of stdin')
      .argument('<file>', 'NDJSON or CSV; - reads stdin')
      .addOption(
        new Option('--format <format>', 'input format (default: by file name, else by the first line)').choices([
          'ndjson',
          'csv'
        ])
      )
      .option('--out <file>', 'append outcomes to this file, and continue from it (default: print them)')
      .addOption(
        new Option(
          '--journal <file>',
          'record paid tasks here, so that a crashed run can continue (default: FILE.journal with --out FILE)'
        ).conflicts('emulator')
      )
      .addOption(
        new Option(
          '--retry-failed',
          'pay again for tasks that failed or stayed in doubt in an earlier run with the same --out or --journal'
        ).conflicts('emulator')
      )
      .option('--concurrency <n>', 'maximum active tasks (default: 10)', parse.concurrency)
      .option(
        '--max-tasks <n>',
        'spending limit of this run: stop once this many tasks are, or may be, paid for (default: none)',
        parse.limit
      )
      .option(
        '--creates-per-second <n>',
        'maximum createTask calls per second, such as 5 or 0.5 (default: none)',
        parse.rate
      )
      .option('--queue <name>', 'let the workers of this BullMQ queue solve the tasks', parse.queueName)
      .option('--redis <url>', REDIS_HELP)
  ).addHelpText('after', helpWith(BATCH_EXIT_HELP, BATCH_HELP, QUEUE_HELP, FAULT_HELP))

const workerCommand = (program: Command): Command =>
  addServiceOptions(
    program
      .command('worker')
      .description('solve the tasks of a BullMQ queue, until Ctrl-C')
      .requiredOption('--queue <name>', 'name of the queue', parse.queueName)
      .option('--redis <url>', REDIS_HELP)
      .option('--concurrency <n>', 'maximum active tasks of this worker (default: 100)', parse.concurrency)
      .option(
        '--max-open <n>',
        'maximum unfinished tasks of all workers, stored in the queue (default: unchanged)',
        parse.concurrency
      )
      .option(
        '--creates-per-second <n>',
        'maximum createTask calls per second of all workers; pass the same value to each (default: none)',
        parse.rate
      )
      .addOption(
        new Option('--grace <seconds>', 'on a signal, poll active tasks for this long, then hand them over')
          .default(20)
          .argParser(parse.graceSeconds)
      )
      .option('--resume-queue', 'resume the queue if it is paused')
      .option('--lock-ms <ms>', 'a worker that is silent for this long counts as dead (default: 15000)', parse.duration)
      .option('--stalled-check-ms <ms>', 'interval between checks for dead workers (default: 5000)', parse.duration)
  ).addHelpText('after', helpWith(WORKER_EXIT_HELP, WORKER_HELP, FAULT_HELP))

const addAccountOptions = (command: Command): Command =>
  command
    .option('--base-url <address>', 'address of the service (env: CAPTCHA_BASE_URL)')
    .option('--client-key-file <file>', 'file with the client key (env: CAPTCHA_CLIENT_KEY_FILE)')

const addReachOptions = (command: Command): Command =>
  addAccountOptions(command)
    .option('--poll-every-ms <ms>', 'delay between polls (default: 3000, env: CAPTCHA_POLL_EVERY_MS)', parse.duration)
    .option(
      '--give-up-after-ms <ms>',
      'deadline of a task (default: 300000, env: CAPTCHA_GIVE_UP_AFTER_MS)',
      parse.duration
    )

/** `resume` has no emulator: its tasks end with the command that created them. */
const addServiceOptions = (command: Command): Command =>
  addReachOptions(command)
    .addOption(
      new Option('--emulator', 'use the embedded emulator: no account, no network, nothing is paid').conflicts(
        'baseUrl'
      )
    )
    .addOption(
      faultOption('inject a fault into the emulator, such as createTask:1:reset (repeatable)').implies({
        emulator: true
      })
    )

const faultOption = (about: string): Option =>
  new Option('--fault <rule>', about).default([], 'none').argParser<ReadonlyArray<string>>(parse.collect)

// Each subcommand copies these settings when it is added, so they come first.
const rootCommand = ({ stdout, stderr, env }: CliContext): Command =>
  new Command('rx-captcha')
    .exitOverride()
    .showHelpAfterError('(--help shows the usage)')
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(printable(withoutPasswords(withoutClientKey(text, env)))),
      getOutHelpWidth: () => Math.min(stdout.columns ?? 80, 100),
      getErrHelpWidth: () => Math.min(stderr.columns ?? 80, 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false
    })
    .description(
      'Solves reCAPTCHA v2 tasks through a paid service. Never loses a paid task or pays twice without telling you.'
    )
    .version(version())
    .addHelpText('after', `\n${EXAMPLES}\n\n${variablesHelp()}\n\n${EXIT_HELP}`)
    .hook('preAction', (_, command) => {
      applyVariables(command, env)
    })

/** Gives options that were not used the values of their variables. commander's own way counts an empty one as set. */
const applyVariables = (command: Command, env: CliContext['env']): void => {
  for (const option of command.options) {
    const name = option.attributeName()
    const variable = OPTION_VARIABLES.get(name)
    const text = variable === undefined ? undefined : env[variable]
    if (variable === undefined || !text || command.getOptionValueSource(name) !== undefined) continue
    try {
      const value: unknown = option.parseArg?.<unknown>(text, undefined) ?? text
      command.setOptionValueWithSource(name, value, 'env')
    } catch (error) {
      throw new WrongUsage(`${variable}: ${messageOf(error)}`)
    }
  }
}

// Two folders up from lib/cli and from dist/cli.
const version = (): string => {
  const manifest = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string }
  return manifest.version
}

const REDIS_HELP = 'Redis URL, such as redis://127.0.0.1:6379 (env: RX_CAPTCHA_REDIS_URL)'

const JSON_HELP = 'print one line of JSON, even on failure'

const EXAMPLES = `Examples:
  $ rx-captcha demo
  $ rx-captcha solve --emulator --url https://example.com --key SITE_KEY
  $ read -rs CAPTCHA_CLIENT_KEY && export CAPTCHA_CLIENT_KEY
  $ rx-captcha solve --url https://example.com --key SITE_KEY --json
  $ rx-captcha resume TASKID --created-at 1767225600000
  $ rx-captcha batch tasks.csv --out tokens.ndjson
  $ rx-captcha emulate --port 8080 --fault 'getTaskResult:2:reset'`

const FAULT_HELP = `A fault rule is CALL:WHEN:FAULT, such as createTask:1:reset,
getTaskResult:first2:503, task:10%:ERROR_CAPTCHA_UNSOLVABLE or
createTask:always:429;retry-after=7. If WHEN is a duration, it starts at the
first call: createTask:500ms:502, or outage:2s:502 for all calls. An unknown
fault prints the list of faults.`
