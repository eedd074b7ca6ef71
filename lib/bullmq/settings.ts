import { checkOptions, MAX_TASKS, Rate, integerBetween } from '../core/model/options.js'
import { optional } from '../core/validation/problems.js'

/**
 * What {@link taskWorkerOptions} needs to know.
 *
 * @since 0.1.0
 */
export interface TaskWorkerSettings {
  /** How many tasks one worker holds at a time, from 1 to 1,000,000. @defaultValue 100 */
  readonly concurrency?: number | undefined
  /** How many jobs all workers of the queue together begin in a second, and so how many tasks they create. @defaultValue no limit */
  readonly createsPerSecond?: number | undefined
}

/**
 * The options of a BullMQ `Worker` for paid tasks: `new Worker(name, processor, { connection, ...taskWorkerOptions() })`.
 *
 * - A dead worker is noticed within `lockDuration` plus twice `stalledInterval`, 25 s. Then its jobs are at the head of the
 *   queue. With BullMQ's defaults it takes up to 90 s, three quarters of the life of a token.
 * - `maxStalledCount` is how many deaths of workers a job survives. With BullMQ's default, 1, the second one fails a paid task.
 * - `limiter` admits jobs at a fixed interval, a tenth slower than `createsPerSecond`: the service gets no more in a second, even
 *   if one job takes up to 100 ms longer than another to reach its createTask. With `max: 10` in a second, BullMQ would admit ten
 *   at the end of one second and ten at the beginning of the next. A worker without a limiter would not be held back when the
 *   service tells another one to wait.
 * - `maximumRateLimitDelay` bounds how long a worker that closes waits for the end of a limit: BullMQ's default is 30 s.
 *
 * @throws InvalidOptions
 * @since 0.1.0
 */
export const taskWorkerOptions = (settings: TaskWorkerSettings = {}) => {
  const { concurrency = 100, createsPerSecond } = checkOptions<TaskWorkerSettings>(settingCodecs, settings)
  return {
    concurrency,
    lockDuration: 15_000,
    stalledInterval: 5_000,
    maxStalledCount: 10,
    maximumRateLimitDelay: 1_000,
    limiter:
      createsPerSecond === undefined
        ? { max: MAX_TASKS, duration: 1_000 }
        : { max: 1, duration: Math.ceil(SLOWED_SECOND_MS / createsPerSecond) }
  }
}

const SLOWED_SECOND_MS = 1_100

const settingCodecs = {
  concurrency: optional(integerBetween(1, MAX_TASKS, 'tasks')),
  createsPerSecond: optional(Rate)
}

/**
 * The options of a job with a paid task, for `defaultJobOptions` of a BullMQ `Queue`.
 *
 * `attempts` are for failures after which nothing was paid, such as a service that cannot be reached: five tries, with waits of
 * 10 to 80 s between them. A completed job is removed once it is an hour old and another one completes, because its key is
 * remembered apart from it. Failed jobs stay, for a person.
 *
 * @since 0.1.0
 */
export const taskJobOptions = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 10_000, jitter: 0.25 },
  removeOnComplete: { age: 3_600 }
} as const
