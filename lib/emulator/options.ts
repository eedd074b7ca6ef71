import { randomInt } from 'node:crypto'
import * as t from 'io-ts'
import { checkOptions, type OptionCodecs } from '../core/model/check-options.js'
import { isRecord, optional, refined } from '../core/model/problems.js'
import { MAX_TIMER_MS } from './response.js'
import type { FaultRule } from './rules.js'

/**
 * The client key that an emulator accepts unless it is given another one. It belongs to no account.
 *
 * @since 0.1.0
 */
export const EMULATOR_KEY = 'emulator-client-key'

/**
 * How an emulator behaves. Durations are in milliseconds.
 *
 * @since 0.1.0
 */
export interface EmulatorOptions {
  /** Port on 127.0.0.1. @defaultValue `0`, any free one */
  readonly port?: number | undefined
  /** The prefix of the paths of the calls, such as `/v1`. @defaultValue `''` */
  readonly basePath?: string | undefined
  /** The only client key that is accepted. @defaultValue {@link EMULATOR_KEY} */
  readonly clientKey?: string | undefined
  /** The time from createTask to the solution; each task draws its own from a range. @defaultValue `[5_000, 15_000]` */
  readonly readyAfterMs?: number | readonly [min: number, max: number] | undefined
  /** The time from createTask until the task is unknown to the emulator. @defaultValue `Infinity` */
  readonly forgetAfterMs?: number | undefined
  /** The same seed gives each task the same id, token, duration and faults. @defaultValue a random one */
  readonly seed?: number | undefined
  /** What goes wrong, as rules or in the form of the command line (`createTask:1:reset`). @defaultValue nothing */
  readonly faults?: ReadonlyArray<FaultRule | string> | undefined
  /** How long an idle connection stays open before it is closed without notice; `0` keeps it open. @defaultValue `5_000` */
  readonly idleMs?: number | undefined
  /** The delay of every reply. @defaultValue `0` */
  readonly latencyMs?: number | undefined
  /**
   * Makes task ids JSON numbers beyond 2^53, which JavaScript's `JSON.parse` rounds. A poll must send its id as a number with
   * every digit; a string gets ERROR_TASKID_INVALID. @defaultValue `false`
   */
  readonly numericIds?: boolean | undefined
  /** More types of tasks, each with a function that returns the solution of a task as it was sent. @defaultValue none */
  readonly solutions?: Readonly<Record<string, (task: Readonly<Record<string, unknown>>) => unknown>> | undefined
}

/** The options with every default filled in. */
export interface ResolvedOptions {
  readonly port: number
  readonly basePath: string
  readonly clientKey: string
  readonly readyAfterMs: readonly [min: number, max: number]
  readonly forgetAfterMs: number
  readonly seed: number
  readonly faults: ReadonlyArray<FaultRule | string>
  readonly idleMs: number
  readonly latencyMs: number
  readonly numericIds: boolean
  readonly solutions: NonNullable<EmulatorOptions['solutions']>
}

/** Fills in the defaults; throws `InvalidOptions`, which names every bad option. */
export const resolveEmulatorOptions = (options: EmulatorOptions): ResolvedOptions => {
  const checked = checkOptions(emulatorOptionCodecs, options)
  const { port = 0, basePath = '', clientKey = EMULATOR_KEY, forgetAfterMs = Infinity, idleMs = 5_000 } = checked
  const {
    readyAfterMs = [5_000, 15_000],
    latencyMs = 0,
    numericIds = false,
    seed = randomInt(2 ** 32),
    faults = [],
    solutions = {}
  } = checked
  const [min, max] = typeof readyAfterMs === 'number' ? [readyAfterMs, readyAfterMs] : readyAfterMs
  return {
    port,
    basePath,
    clientKey,
    readyAfterMs: [min, max],
    forgetAfterMs,
    seed,
    faults,
    idleMs,
    latencyMs,
    numericIds,
    solutions
  }
}

const numberFrom0 = (max: number, name: string): t.Type<number> =>
  refined(name, (value): value is number => typeof value === 'number' && value >= 0 && value <= max)

const Port = numberFrom0(65_535, 'a port from 0 to 65535')
const DelayMs = numberFrom0(MAX_TIMER_MS, `a number of milliseconds from 0 to ${MAX_TIMER_MS}`)

const BasePath = refined(
  "'' or a path like '/v1'",
  (value): value is string => typeof value === 'string' && /^(\/[^/?#]+)*$/.test(value)
)

const ReadyAfter = refined(
  'a number from 0, or [min, max] of such numbers',
  (value): value is NonNullable<EmulatorOptions['readyAfterMs']> => {
    const [min, max] = Array.isArray(value) ? (value as ReadonlyArray<unknown>) : [value, value]
    return typeof min === 'number' && typeof max === 'number' && min >= 0 && min <= max
  }
)

const emulatorOptionCodecs: OptionCodecs<EmulatorOptions> = {
  port: optional(Port),
  basePath: optional(BasePath),
  clientKey: optional(t.string),
  readyAfterMs: optional(ReadyAfter),
  forgetAfterMs: optional(numberFrom0(Infinity, 'a number of milliseconds from 0')),
  numericIds: optional(t.boolean),
  seed: optional(t.number),
  faults: optional(refined('an array of rules', (value): value is EmulatorOptions['faults'] => Array.isArray(value))),
  idleMs: optional(DelayMs),
  latencyMs: optional(DelayMs),
  solutions: optional(refined('an object of functions', isRecord))
}
