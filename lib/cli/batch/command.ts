import { realClock } from '../../http/clock.js'
import { runBatch } from './run.js'
import { FORMATS, type Format } from './input.js'
import { openPlaces } from './files.js'
import { optional, rate, whole } from '../shared/parse.js'
import type { Service } from '../shared/service.js'
import { WrongUsage, quoted, type World } from '../shared/context.js'

/** The options of `batch`, as they were written, beside those of the service. */
export interface BatchGiven {
  readonly format?: string
  readonly journal?: string
  readonly out?: string
  readonly concurrency?: string
  readonly createsPerSecond?: string
}

const MOST_AT_ONCE = 100_000

const concurrency = whole(1, MOST_AT_ONCE, 'tasks')

const format = (name: string, text: string): Format => {
  const found = FORMATS.find((known) => known === text.toLowerCase())
  if (found) return found
  throw new WrongUsage(`${name}: expected ${FORMATS.join(' or ')}, not ${JSON.stringify(text)}`)
}

/** Refuses what cannot be meant, before anything is opened. */
export const checkBatch = (given: BatchGiven & { readonly emulator?: true }): void => {
  if (given.emulator && given.journal !== undefined)
    throw new WrongUsage(
      '--journal: not together with --emulator, whose tasks end with this command; `rx-captcha emulate` keeps ' +
        'them from one run to the next'
    )
}

/** Opens all that a batch needs, and runs it. */
export const batch = async (
  world: World,
  service: Service,
  input: string,
  given: BatchGiven,
  argv: ReadonlyArray<string>
): Promise<number> => {
  const atOnce = optional(concurrency, '--concurrency', given.concurrency)
  const createsPerSecond = optional(rate, '--creates-per-second', given.createsPerSecond)
  const { out, journal } = given
  const places = await openPlaces(world, { input, out, journal, format: optional(format, '--format', given.format) })
  try {
    return await runBatch(world, {
      places,
      options: { ...service.options, createsPerSecond },
      concurrency: atOnce,
      embedded: service.embedded,
      commandLine: ['rx-captcha', ...argv.map(quoted)].join(' '),
      scheduler: realClock
    })
  } finally {
    await places.close()
  }
}
