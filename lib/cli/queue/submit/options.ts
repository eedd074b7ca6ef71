import type { Command } from 'commander'
import { WrongUsage } from '../../shared/context.js'
import { REDIS_VARIABLE } from '../../shared/service.js'
import { shellQuoted } from '../../shared/text.js'
import { REDIS_PASSWORD_HELP } from '../redis.js'

/** Refuses options of `batch` that do not fit together with `--queue`, or without it. Variables are ignored. */
export const refuseOptions = (batch: Command, queue: string | undefined): void => {
  const isGiven = (name: string): boolean => batch.getOptionValueSource(name) === 'cli'
  if (queue === undefined) {
    if (isGiven('redis')) throw new WrongUsage('--redis: requires --queue NAME')
    return
  }
  for (const option of batch.options) {
    const why = REASONS.get(option.attributeName())
    if (why !== undefined && isGiven(option.attributeName())) throw new WrongUsage(`--${option.name()}: ${why}`)
  }
}

const OF_WORKERS = 'cannot be used with --queue, because the workers call the service: pass it to rx-captcha worker'

const REASONS: ReadonlyMap<string, string> = new Map([
  ['journal', 'cannot be used with --queue, because the queue records what is paid for'],
  ['retryFailed', 'cannot be used with --queue, because a queue solves a key once: give the item another id'],
  ['maxTasks', 'cannot be used with --queue, because its workers create the tasks'],
  ...['createsPerSecond', 'baseUrl', 'clientKeyFile', 'pollEveryMs', 'giveUpAfterMs', 'fault', 'emulator'].map(
    (name) => [name, OF_WORKERS] as const
  )
])

/** The command line without the address of Redis, which may hold a password. */
export const commandLineWithout = (redis: string | undefined, argv: ReadonlyArray<string>): string => {
  const words = argv.map((word) => {
    if (redis === undefined || !word.endsWith(redis) || !/[@?]/.test(redis)) return shellQuoted(word)
    return word === redis ? VARIABLE : `--redis=${VARIABLE}`
  })
  return ['rx-captcha', ...words].join(' ')
}

const VARIABLE = `"$${REDIS_VARIABLE}"`

/** What the help of `batch` says about `--queue`. */
export const QUEUE_HELP = `With --queue the workers of that BullMQ queue solve the tasks: see rx-captcha
worker --help. They need the client key; this command does not. --concurrency
is then the number of tasks in the queue at a time (default: 1000).
A queue solves each task once and remembers it for 7 days; a task without an id
is recognized by its content. Run the same command again to fetch the missing
outcomes. A token is handed out once, and only while it is valid.
Ctrl-C submits no more tasks and waits for those in the queue. Ctrl-C again, or
SIGTERM or SIGHUP, stops waiting, and the tasks stay in the queue.
${REDIS_PASSWORD_HELP}`
