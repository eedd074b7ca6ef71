import type { Command } from 'commander'
import { WrongUsage } from '../../shared/context.js'
import { REDIS_VARIABLE } from '../../shared/service.js'
import { shellQuoted } from '../../shared/text.js'

/** Refuses options of `batch` that do not fit together with `--queue`, or without it. Variables are ignored. */
export const refuseOptions = (batch: Command, queue: string | undefined): void => {
  const isGiven = (name: string): boolean => batch.getOptionValueSource(name) === 'cli'
  if (queue === undefined) {
    if (isGiven('redis')) throw new WrongUsage('--redis: expected --queue NAME as well')
    return
  }
  for (const option of batch.options) {
    const why = REASONS.get(option.attributeName())
    if (why !== undefined && isGiven(option.attributeName())) throw new WrongUsage(`--${option.name()}: ${why}`)
  }
}

const OF_WORKERS = 'not with --queue, because the workers call the service: give it to rx-captcha worker'

const REASONS: ReadonlyMap<string, string> = new Map([
  ['journal', 'not with --queue, because the queue records what is paid for'],
  ['retryFailed', 'not with --queue, where a key is solved once: give the item another id'],
  ['maxTasks', 'not with --queue, because its workers create the tasks'],
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
