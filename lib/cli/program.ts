import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { EXIT_HELP } from './shared/exit-code.js'
import { ENV_HELP } from './shared/service.js'
import { printable, type World } from './shared/context.js'

// Two up from lib/edge and from dist/edge alike.
const version = (): string => {
  const about: unknown = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8'))
  return typeof about === 'object' && about !== null && 'version' in about ? String(about.version) : 'unknown'
}

const collect = (rule: string, rules: ReadonlyArray<string>): ReadonlyArray<string> => [...rules, rule]

const faults = (about: string): Option =>
  new Option('--fault <rule>', about).default([], 'none').argParser<ReadonlyArray<string>>(collect)

const withService = (command: Command): Command =>
  command
    .option('--base-url <address>', 'address of the service (env: CAPTCHA_BASE_URL)')
    .option('--poll-every-ms <ms>', 'wait between two polls, 3000 if left out (env: CAPTCHA_POLL_EVERY_MS)')
    .option('--give-up-after-ms <ms>', 'give up then, 300000 if left out (env: CAPTCHA_GIVE_UP_AFTER_MS)')
    .option('--client-key-file <file>', 'file with the client key (env: CAPTCHA_CLIENT_KEY_FILE)')
    .option('--emulator', 'use the embedded emulator: no account, no network, nothing is paid')
    .addOption(faults('let the emulator fail, as createTask:1:reset; may be repeated'))

const JSON_ABOUT = 'print one line of JSON, for failures too'

const EXAMPLES = `Examples:
  $ rx-captcha demo
  $ rx-captcha solve --emulator --url https://example.com --key SITE_KEY
  $ read -rs CAPTCHA_CLIENT_KEY && export CAPTCHA_CLIENT_KEY
  $ rx-captcha solve --url https://example.com --key SITE_KEY --json
  $ rx-captcha resume TASKID --created-at 1767225600000
  $ rx-captcha batch tasks.csv --journal tasks.journal --out tokens.ndjson
  $ rx-captcha emulate --port 8080 --fault 'getTaskResult:2:reset'`

const FAULT_HELP = `A rule says where, when and what: createTask:1:reset, getTaskResult:first2:503,
task:10%:ERROR_CAPTCHA_UNSOLVABLE, createTask:always:429;retry-after=7. After a
wrong one all names are listed.`

// Before any subcommand is added: each copies these settings when it is made.
const makeRoot = ({ stdout, stderr }: World): Command =>
  new Command('rx-captcha')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(printable(text)),
      getOutHelpWidth: () => Math.min(stdout.columns ?? 80, 100),
      getErrHelpWidth: () => Math.min(stderr.columns ?? 80, 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false
    })
    .description('Solves reCAPTCHA v2 tasks at a paid service: never loses a paid one, never pays twice unasked.')
    .version(version())
    .addHelpText('after', `\n${EXAMPLES}\n\n${ENV_HELP}\n\n${EXIT_HELP}`)

const BATCH_HELP = `Input, one task a line: {"websiteURL":"…","websiteKey":"…"}, with "isInvisible"
and "id" if you like; or CSV with these columns. Output: one line of JSON for
each task, in the order in which they end:
{"index":0,"ok":true,"taskId":"…","gRecaptchaResponse":"…",…}
{"index":0,"ok":false,"error":{…},"message":"…"}

With --journal or --out a task is known by its id, or else by what it says: the
same input again goes on where it stood. The last line of a key in --out holds.
With both, a kill -9 loses nothing that was paid for, and buys nothing twice.

Ctrl-C takes no more and finishes what is open; twice, or SIGTERM or SIGHUP,
stops now, and open tasks stand in the output and in the journal.`

const BATCH_EXIT_HELP = `Exit codes, the highest that holds:
  0    all solved, now or before
  1    some failed, and nothing was paid for those
  2    wrong usage: the options, or a file that cannot be opened; nothing paid
  3    some failed though paid: the service ended them, or they can be resumed
  4    some failed, perhaps paid: no readable answer came to createTask
  130  stopped by Ctrl-C before all were over (143 by SIGTERM, 129 by SIGHUP)`

const makeBatch = (program: Command): Command =>
  withService(
    program
      .command('batch')
      .description('solve all tasks of a file, or of what comes in for -')
      .argument('<file>', 'NDJSON or CSV; - reads from stdin')
      .option('--format <format>', 'ndjson or csv; if left out, the name or the first line tells')
      .option('--out <file>', 'append the outcomes to this file instead of printing them')
      .option('--journal <file>', 'remember there what was bought, so that a run that died can go on')
      .option('--concurrency <n>', 'how many tasks at a time, 10 if left out')
      .option('--creates-per-second <n>', 'create no more than that, as 5 or 0.5')
  ).addHelpText('after', `\n${BATCH_HELP}\n\n${FAULT_HELP}\n\n${ENV_HELP}\n\n${BATCH_EXIT_HELP}`)

/** The program without its actions. */
export const makeProgram = (world: World) => {
  const program = makeRoot(world)
  const solve = withService(
    program
      .command('solve')
      .description('buy one task and print its token')
      .requiredOption('--url <address>', 'address of the page')
      .requiredOption('--key <sitekey>', "site key of the page (not the account's key)")
      .option('--invisible', 'the page uses the invisible kind')
      .option('--json', JSON_ABOUT)
  ).addHelpText('after', `\n${FAULT_HELP}\n\n${ENV_HELP}\n\n${EXIT_HELP}`)
  const resume = withService(
    program
      .command('resume')
      .description('go on with a task that is paid for already, at no further cost')
      .argument('<taskid>', 'id of the task')
      .option('--created-at <ms>', 'when it was created, in epoch milliseconds; without it --json tells no times')
      .option('--json', JSON_ABOUT)
  ).addHelpText('after', `\n${ENV_HELP}\n\n${EXIT_HELP}`)
  const batch = makeBatch(program)
  const emulate = program
    .command('emulate')
    .alias('emulator')
    .description('serve the protocol on this machine until Ctrl-C, for trials and tests')
    .option('--port <port>', 'port on 127.0.0.1, any free one if left out')
    .option('--ready-after-ms <ms>', 'how long a task takes: N or MIN-MAX, 5000-15000 if left out')
    .option('--seed <n>', 'the same seed gives the same ids, tokens and waits')
    .option('--base-path <path>', 'what the paths start with, such as /v1')
    .addOption(faults('what goes wrong, as createTask:1:reset; may be repeated'))
    .addHelpText('after', `\n${FAULT_HELP}\n\nPrints its address and key as variables, and at the end what it counted.`)
  const demo = program
    .command('demo')
    .description('solve six tasks at once against the embedded emulator, with arranged mishaps (about 20 s)')
  return { program, solve, resume, batch, emulate, demo }
}
