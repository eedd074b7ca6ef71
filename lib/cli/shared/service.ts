import { readFile } from 'node:fs/promises'
import { duration, optional } from './parse.js'
import { WrongUsage, codeOf, messageOf, quoted, type World } from './context.js'
import type { SolverOptions } from '../../core/model/options.js'

/** The options of every command that talks to the service, as they were written. */
export interface ServiceGiven {
  readonly baseUrl?: string
  readonly pollEveryMs?: string
  readonly giveUpAfterMs?: string
  readonly clientKeyFile?: string
  readonly emulator?: true
  readonly fault: ReadonlyArray<string>
}

/** Whom to ask and how. */
export interface Service {
  readonly options: SolverOptions
  /** What a command line has to repeat to reach the same service. */
  readonly repeated: ReadonlyArray<string>
  /** The embedded emulator, whose tasks end with this command. */
  readonly embedded: boolean
  readonly close: () => Promise<void>
}

export const KEY_VARIABLE = 'CAPTCHA_CLIENT_KEY'

export const ENV_HELP = `Environment variables:
  ${KEY_VARIABLE}         the key of the account; never taken as an argument
  CAPTCHA_CLIENT_KEY_FILE    a file that holds it, as --client-key-file
  CAPTCHA_BASE_URL           as --base-url
  CAPTCHA_POLL_EVERY_MS      as --poll-every-ms
  CAPTCHA_GIVE_UP_AFTER_MS   as --give-up-after-ms
  An option goes before its variable; an empty variable counts as not set.`

type Env = World['env']

// An empty variable is how containers and CI say "not set".
const notEmpty = (text: string | undefined) => (text === '' ? undefined : text)

/** An option, or else its variable. */
const given = (env: Env, option: string, value: string | undefined, variable: string) =>
  value === undefined ? { name: variable, text: notEmpty(env[variable]) } : { name: option, text: value }

const durationOf = (env: Env, option: string, value: string | undefined, variable: string) => {
  const { name, text } = given(env, option, value, variable)
  return optional(duration, name, text)
}

// The path is not repeated: somebody may have put the key itself there.
const keyIn = async (name: string, path: string): Promise<string> => {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new WrongUsage(`${name}: the file cannot be read (${codeOf(error)})`)
  })
  const key = text.trim()
  if (/\s/.test(key) || key === '') throw new WrongUsage(`${name}: expected a file with the key alone in it`)
  return key
}

const clientKeyOf = async (env: Env, file: string | undefined): Promise<string> => {
  const key = env[KEY_VARIABLE]?.trim()
  if (file === undefined && key) return key
  const { name, text } = given(env, '--client-key-file', file, 'CAPTCHA_CLIENT_KEY_FILE')
  if (text !== undefined) return keyIn(name, text)
  throw new WrongUsage(
    `no client key: set ${KEY_VARIABLE}, or name a file that holds it with --client-key-file. ` +
      'Without an account, try --emulator'
  )
}

const embedded = async (
  load: World['loadEmulator'],
  pace: SolverOptionsOfPace,
  faults: ReadonlyArray<string>
): Promise<Service> => {
  const { EMULATOR_KEY, startEmulator } = await load()
  const everyMs = pace.pollEveryMs ?? 3_000
  // Ready at the second or third poll, whatever the pace.
  const readyAfterMs = [everyMs * 1.2, everyMs * 2.8] as const
  const { url, close } = await startEmulator({ faults, readyAfterMs }).catch((error: unknown) => {
    throw new WrongUsage(`--fault: ${messageOf(error)}`)
  })
  return { options: { ...pace, clientKey: EMULATOR_KEY, baseUrl: url }, repeated: [], embedded: true, close }
}

type SolverOptionsOfPace = Pick<SolverOptions, 'pollEveryMs' | 'giveUpAfterMs'>

const paceOf = (env: Env, { pollEveryMs, giveUpAfterMs }: ServiceGiven): SolverOptionsOfPace => ({
  pollEveryMs: durationOf(env, '--poll-every-ms', pollEveryMs, 'CAPTCHA_POLL_EVERY_MS'),
  giveUpAfterMs: durationOf(env, '--give-up-after-ms', giveUpAfterMs, 'CAPTCHA_GIVE_UP_AFTER_MS')
})

/** Resolves options and variables; starts the emulator if it is asked for. */
export const openService = async ({ env, loadEmulator }: World, options: ServiceGiven): Promise<Service> => {
  const pace = paceOf(env, options)
  const { baseUrl, clientKeyFile, emulator, fault } = options
  if (emulator && baseUrl !== undefined) throw new WrongUsage('--emulator: not together with --base-url')
  if (!emulator && fault.length > 0) throw new WrongUsage('--fault: only together with --emulator')
  if (emulator) return embedded(loadEmulator, pace, fault)
  const clientKey = await clientKeyOf(env, clientKeyFile)
  return {
    options: { ...pace, clientKey, baseUrl: given(env, '--base-url', baseUrl, 'CAPTCHA_BASE_URL').text },
    repeated: [
      ...(baseUrl === undefined ? [] : ['--base-url', quoted(baseUrl)]),
      ...(clientKeyFile === undefined ? [] : ['--client-key-file', quoted(clientKeyFile)])
    ],
    embedded: false,
    close: () => Promise.resolve()
  }
}
