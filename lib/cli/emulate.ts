import { firstValueFrom } from 'rxjs'
import { InvalidOptions } from '../core/model/options.js'
import type { Counters } from '../emulator/index.js'
import { WrongUsage, printLine, signalStream, write, type CliContext } from './shared/context.js'
import { EXIT } from './shared/exit-code.js'
import { messageOf } from './shared/text.js'

/** The options of `emulate`. */
export interface EmulateFlags {
  readonly port?: number
  readonly readyAfterMs?: number | readonly [min: number, max: number]
  readonly seed?: number
  readonly basePath?: string
  readonly siteSecret?: string
  readonly numericIds?: true
  readonly fault: ReadonlyArray<string>
}

/** Serves the emulator until a signal arrives, and prints what it counted. */
export const emulate = async (context: CliContext, { fault, ...options }: EmulateFlags): Promise<number> => {
  const { stdout, stderr } = context
  const { signals, stop } = signalStream(context)
  try {
    const { EMULATOR_KEY, startEmulator } = await context.loadEmulator()
    const emulator = await startEmulator({ ...options, faults: fault }).catch((error: unknown) => {
      const why = error instanceof InvalidOptions ? error.problems.map(asEmulateFlag).join('; ') : messageOf(error)
      throw new WrongUsage(`the emulator does not start: ${why}`)
    })
    await write(stdout, `CAPTCHA_BASE_URL=${emulator.url}\nCAPTCHA_CLIENT_KEY=${EMULATOR_KEY}\n`)
    printLine(stderr, `Status page: ${emulator.url}/`)
    printLine(stderr, `The emulator is running with --seed ${emulator.seed}. Press Ctrl-C to stop it.`)
    await firstValueFrom(signals)
    await emulator.close()
    await write(stdout, `${countersText(emulator.counters())}\n`)
    return EXIT.solved
  } finally {
    stop()
  }
}

/** A problem of the emulator's options, with the name that the user knows. */
const asEmulateFlag = (problem: string): string =>
  problem.replace(/^basePath:/, '--base-path:').replace(/^siteSecret:/, '--site-secret:')

// Comment lines, so that a shell can source the whole output.
const countersText = ({ requests, accepted, refused, lostCreates, delivered, ...rest }: Counters): string =>
  [
    `# createTask: ${requests.createTask} (created ${accepted}, refused ${refused}, reply lost ${lostCreates})`,
    `# getTaskResult: ${requests.getTaskResult} (delivered ${delivered}, never fetched ${rest.neverFetched})`,
    `# siteverify: ${requests.siteverify} (accepted ${rest.verified}, not accepted ${rest.unverified})`,
    `# getBalance: ${requests.getBalance}`,
    `# other requests: ${requests.other}`,
    `# shortest delay before a poll: ${rest.smallestGapMs === undefined ? 'none' : `${Math.round(rest.smallestGapMs)} ms`}`,
    `# overlapping polls: ${rest.overlaps}`
  ].join('\n')
