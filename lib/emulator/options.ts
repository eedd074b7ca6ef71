import { randomInt } from 'node:crypto'
import * as t from 'io-ts'
import { checkOptions, type OptionCodecs } from '../core/validation/check-options.js'
import { NonEmptyString, isRecord, optional, refined } from '../core/validation/problems.js'
import { steadyNow } from './clock.js'
import type { FaultRule } from './faults/fault.js'
import { EMULATOR_KEY, type EmulatorOptions } from './model.js'
import { MAX_TIMER_MS } from './response.js'

/** The options with every default filled in. */
export interface ResolvedOptions {
  readonly port: number
  readonly basePath: string
  readonly clientKey: string
  readonly siteSecret: string | undefined
  readonly readyAfterMs: readonly [min: number, max: number]
  readonly forgetAfterMs: number
  readonly seed: number
  readonly faults: ReadonlyArray<FaultRule | string>
  readonly idleMs: number
  readonly latencyMs: number
  readonly numericIds: boolean
  readonly solutions: NonNullable<EmulatorOptions['solutions']>
  readonly now: () => number
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
    solutions = {},
    now = steadyNow
  } = checked
  const [min, max] = typeof readyAfterMs === 'number' ? [readyAfterMs, readyAfterMs] : readyAfterMs
  return {
    port,
    basePath,
    clientKey,
    siteSecret: checked.siteSecret,
    readyAfterMs: [min, max],
    forgetAfterMs,
    seed,
    faults,
    idleMs,
    latencyMs,
    numericIds,
    solutions,
    now
  }
}

const numberFrom0 = (max: number, name: string): t.Type<number> =>
  refined(name, (value): value is number => typeof value === 'number' && value >= 0 && value <= max)

const Port = refined(
  'a port from 0 to 65535',
  (value): value is number => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535
)
const DelayMs = numberFrom0(MAX_TIMER_MS, `a number of milliseconds from 0 to ${MAX_TIMER_MS}`)

const BasePath = refined(
  "'' or a path like '/v1'",
  (value): value is string => typeof value === 'string' && /^(\/[^/?#\s]+)*$/.test(value)
)

const ReadyAfter = refined(
  'a number from 0, or [min, max] of such numbers',
  (value): value is NonNullable<EmulatorOptions['readyAfterMs']> => {
    const [min, max, ...others] = Array.isArray(value) ? (value as ReadonlyArray<unknown>) : [value, value]
    return typeof min === 'number' && typeof max === 'number' && min >= 0 && min <= max && others.length === 0
  }
)

const Solutions = refined(
  'an object of functions',
  (value): value is NonNullable<EmulatorOptions['solutions']> =>
    isRecord(value) && Object.values(value).every((solutionOf) => typeof solutionOf === 'function')
)

const emulatorOptionCodecs: OptionCodecs<EmulatorOptions> = {
  port: optional(Port),
  basePath: optional(BasePath),
  clientKey: optional(t.string),
  siteSecret: optional(NonEmptyString),
  readyAfterMs: optional(ReadyAfter),
  forgetAfterMs: optional(numberFrom0(Infinity, 'a number of milliseconds from 0')),
  numericIds: optional(t.boolean),
  seed: optional(t.number),
  faults: optional(refined('an array of rules', (value): value is EmulatorOptions['faults'] => Array.isArray(value))),
  idleMs: optional(DelayMs),
  latencyMs: optional(DelayMs),
  solutions: optional(Solutions),
  now: optional(refined('a function', (value): value is () => number => typeof value === 'function'))
}
