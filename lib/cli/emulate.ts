import { firstValueFrom } from 'rxjs'
import { optional, port, range, seed } from './shared/parse.js'
import { EXIT } from './shared/exit-code.js'
import { WrongUsage, deliver, hear, messageOf, tell, type World } from './shared/context.js'
import type { Counters, Emulator } from '../emulator/index.js'

/** The options of `emulate`, as they were written. */
export interface EmulateGiven {
  readonly port?: string
  readonly readyAfterMs?: string
  readonly seed?: string
  readonly basePath?: string
  readonly fault: ReadonlyArray<string>
}

// `# ` keeps what is printed a file of variables that a shell can read.
const counted = ({ requests, accepted, refused, lostCreates, delivered, neverFetched, ...rest }: Counters): string =>
  [
    `# createTask     ${requests.createTask} calls: ${accepted} tasks, ${refused} refused, ${lostCreates} answers lost`,
    `# getTaskResult  ${requests.getTaskResult} calls: ${delivered} solutions handed over, ${neverFetched} never fetched`,
    `# other          ${requests.other} calls`,
    `# smallest gap   ${rest.smallestGapMs === undefined ? '-' : `${Math.round(rest.smallestGapMs)} ms`}, ` +
      `${rest.overlaps} polls overlapped`
  ].join('\n')

const start = async (
  load: World['loadEmulator'],
  given: EmulateGiven
): Promise<{ readonly emulator: Emulator; readonly key: string }> => {
  const options = {
    port: optional(port, '--port', given.port),
    readyAfterMs: optional(range, '--ready-after-ms', given.readyAfterMs),
    seed: optional(seed, '--seed', given.seed),
    basePath: given.basePath,
    faults: given.fault
  }
  const { EMULATOR_KEY, startEmulator } = await load()
  const emulator = await startEmulator(options).catch((error: unknown) => {
    throw new WrongUsage(`the emulator does not start: ${messageOf(error)}`)
  })
  return { emulator, key: EMULATOR_KEY }
}

/** Serves until a signal comes. */
export const emulate = async (world: World, given: EmulateGiven): Promise<number> => {
  const { stdout, stderr } = world
  const { heard, stop } = hear(world.signals)
  try {
    const { emulator, key } = await start(world.loadEmulator, given)
    await deliver(stdout, `CAPTCHA_BASE_URL=${emulator.url}\nCAPTCHA_CLIENT_KEY=${key}\n`)
    tell(stderr, `The emulator runs with --seed ${emulator.seed}. Ctrl-C stops it.`)
    await firstValueFrom(heard)
    await emulator.close()
    await deliver(stdout, `${counted(emulator.counters())}\n`)
    return EXIT.solved
  } finally {
    stop()
  }
}
