import { createReadStream } from 'node:fs'
import type { Command } from 'commander'
import type { SolverOptions } from '../../core/model/options.js'
import { DEFAULT_BASE_URL } from '../../http/create-solver.js'
import { openProxyDispatchers } from '../../http/proxy-dispatchers.js'
import { WrongUsage, type CliContext } from './context.js'
import { decode, hasBlank, trimmed } from './decode.js'
import { reasonOf, messageOf, shellQuoted } from './text.js'

/** The options of every command that calls the service. */
export interface ServiceFlags {
  readonly baseUrl?: string
  readonly pollEveryMs?: number
  readonly giveUpAfterMs?: number
  readonly clientKeyFile?: string
  readonly emulator?: true
  /** Only commands that have `--emulator` have it. */
  readonly fault?: ReadonlyArray<string>
}

/** The service that a command calls. */
export interface OpenedService {
  readonly options: SolverOptions
  /** The options that another command line needs to reach the same service. */
  readonly flags: ReadonlyArray<string>
  /** The embedded emulator, whose tasks end with the command. */
  readonly isEmbedded: boolean
  readonly close: () => Promise<void>
}

/** Resolves the options, and starts the emulator if it is wanted. */
export const openService = async ({ env, loadEmulator }: CliContext, flags: ServiceFlags): Promise<OpenedService> => {
  const { baseUrl, pollEveryMs, giveUpAfterMs, clientKeyFile, emulator, fault = [] } = flags
  const pace = { pollEveryMs, giveUpAfterMs }
  if (emulator) return embeddedService(loadEmulator, pace, fault)
  const clientKey = await clientKeyOf(env, clientKeyFile, 'fault' in flags)
  const dispatcher = dispatchersOf(env, baseUrl)
  return {
    options: { ...pace, clientKey, baseUrl, dispatcher },
    flags: [
      ...(baseUrl === undefined ? [] : ['--base-url', shellQuoted(baseUrl)]),
      ...(clientKeyFile === undefined ? [] : ['--client-key-file', shellQuoted(clientKeyFile)])
    ],
    isEmbedded: false,
    close: async () => dispatcher?.close()
  }
}

const dispatchersOf = (env: CliContext['env'], baseUrl = DEFAULT_BASE_URL) => {
  try {
    return openProxyDispatchers(baseUrl, env)
  } catch (error) {
    throw new WrongUsage(messageOf(error))
  }
}

const embeddedService = async (
  load: CliContext['loadEmulator'],
  pace: Pick<SolverOptions, 'pollEveryMs' | 'giveUpAfterMs'>,
  faults: ReadonlyArray<string>
): Promise<OpenedService> => {
  const { EMULATOR_KEY, startEmulator } = await load()
  const everyMs = pace.pollEveryMs ?? 3_000
  // Ready at the second or third poll, whatever the pace.
  const readyAfterMs = [everyMs * 1.2, everyMs * 2.8] as const
  const { url, close } = await startEmulator({ faults, readyAfterMs }).catch((error: unknown) => {
    throw new WrongUsage(`--fault: ${messageOf(error)}`)
  })
  return { options: { ...pace, clientKey: EMULATOR_KEY, baseUrl: url }, flags: [], isEmbedded: true, close }
}

export const KEY_VARIABLE = 'CAPTCHA_CLIENT_KEY'
export const BASE_URL_VARIABLE = 'CAPTCHA_BASE_URL'
const KEY_FILE_VARIABLE = 'CAPTCHA_CLIENT_KEY_FILE'
export const REDIS_VARIABLE = 'RX_CAPTCHA_REDIS_URL'

const clientKeyOf = async (env: CliContext['env'], file: string | undefined, hasEmulator: boolean): Promise<string> => {
  if (file !== undefined) return keyIn('--client-key-file', file)
  const key = trimmed(env[KEY_VARIABLE] ?? '')
  if (key) return key
  const fileOfEnv = env[KEY_FILE_VARIABLE]
  if (fileOfEnv) return keyIn(KEY_FILE_VARIABLE, fileOfEnv)
  throw new WrongUsage(
    `no client key: set ${KEY_VARIABLE}, or name a file that holds it with --client-key-file` +
      (hasEmulator ? '. Without an account, try --emulator' : '')
  )
}

/** Text without the client key, which may have been typed where an argument was expected. */
export const withoutClientKey = (text: string, env: CliContext['env']): string => {
  const key = trimmed(env[KEY_VARIABLE] ?? '')
  return key === '' ? text : text.replaceAll(key, '…')
}

// The path is not repeated: the key itself may have been typed there.
const keyIn = async (name: string, path: string): Promise<string> => {
  const key = trimmed(await readText(name, path))
  if (hasBlank(key) || key === '') throw new WrongUsage(`${name}: expected a file that holds the key and nothing else`)
  return key
}

const readText = async (name: string, path: string): Promise<string> => {
  let text = ''
  try {
    for await (const part of decode(createReadStream(path))) text += part
    return text
  } catch (error) {
    throw new WrongUsage(`${name}: the file cannot be read (${reasonOf(error)})`)
  }
}

/** The variable of an option, by the name of the option. */
export const OPTION_VARIABLES: ReadonlyMap<string, string> = new Map([
  ['baseUrl', BASE_URL_VARIABLE],
  ['pollEveryMs', 'CAPTCHA_POLL_EVERY_MS'],
  ['giveUpAfterMs', 'CAPTCHA_GIVE_UP_AFTER_MS']
])

const VARIABLES: ReadonlyArray<readonly [name: string, meaning: string, option?: string]> = [
  [KEY_VARIABLE, 'the client key of the account; never an argument'],
  [KEY_FILE_VARIABLE, 'a file that holds it; same as --client-key-file'],
  [BASE_URL_VARIABLE, 'same as --base-url'],
  ['CAPTCHA_POLL_EVERY_MS', 'same as --poll-every-ms', '--poll-every-ms'],
  ['CAPTCHA_GIVE_UP_AFTER_MS', 'same as --give-up-after-ms', '--give-up-after-ms'],
  [REDIS_VARIABLE, 'same as --redis, for a URL with a password', '--redis'],
  ['HTTPS_PROXY, NO_PROXY', 'a proxy, and hosts that are reached without it']
]

/** The variables of a command, without those of options that it does not have; without a command, all. */
export const variablesHelp = (command?: Pick<Command, 'options'>): string =>
  [
    'Environment variables:',
    ...VARIABLES.filter(([, , flag]) => !command || !flag || command.options.some(({ long }) => long === flag)).map(
      ([name, meaning]) => `  ${name.padEnd(27)}${meaning}`
    ),
    'An option overrides its variable. An empty variable counts as not set.'
  ].join('\n')

/** The end of the help of a command: texts, the variables of its options, its exit codes. */
export const helpWith =
  (exitHelp: string, ...texts: ReadonlyArray<string>) =>
  ({ command }: { readonly command: Pick<Command, 'options'> }): string =>
    `\n${[...texts, variablesHelp(command), exitHelp].join('\n\n')}`
