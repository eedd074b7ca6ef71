import {
  asyncScheduler,
  defer,
  lastValueFrom,
  retry,
  timer,
  type MonoTypeOperatorFunction,
  type SchedulerLike
} from 'rxjs'
import { causeOf, type ErrorCause } from '../../core/model/network.js'
import { checkOptions, isFunction } from '../../core/model/options.js'
import { isRecord, refined } from '../../core/validation/problems.js'
import { exponential } from '../../core/rx/backoff.js'
import type { QueueLike, RedisClientLike } from '../ports.js'
import { HOLD_QUEUE, SCRIPTS } from './scripts.js'

/** The fields that a script returns; nothing for those that the record does not have. */
export type ScriptFields = ReadonlyArray<string | undefined>

/** The records of the keys of one queue, in the Redis of the queue. */
export class Records {
  readonly #queue: QueueLike
  readonly #scheduler: SchedulerLike
  #client: Promise<RedisClientLike> | undefined

  /** The scheduler runs the waits before a command is tried again. */
  constructor(queue: QueueLike, scheduler: SchedulerLike = asyncScheduler) {
    checkOptions({ queue: Queue }, { queue })
    this.#queue = queue
    this.#scheduler = scheduler
  }

  /** Runs a script that returns fields. */
  async fields(
    script: keyof typeof SCRIPTS,
    key: string,
    ...args: ReadonlyArray<string | number>
  ): Promise<ScriptFields> {
    const reply = (await this.#run(script, key, args)) as ReadonlyArray<string | number | null>
    return reply.map((field) => (field === null ? undefined : String(field)))
  }

  /** Runs a script that returns a number. */
  async number(script: keyof typeof SCRIPTS, key: string, ...args: ReadonlyArray<string | number>): Promise<number> {
    return Number(await this.#run(script, key, args))
  }

  /** Lets no worker begin a job for some milliseconds. BullMQ's `rateLimit` would also shorten a longer wait. */
  async hold(waitMs: number): Promise<void> {
    await this.#command('holdQueue', [this.#queue.toKey('limiter')], [Math.ceil(waitMs), Number.MAX_SAFE_INTEGER])
  }

  #run(script: string, key: string, args: ReadonlyArray<string | number>): Promise<unknown> {
    // Below the keys of the queue, so that they are in one slot of a cluster.
    const record = this.#queue.toKey(`rx-captcha:${key}`)
    return this.#command(script, [record, `${record}:token`, `${this.#queue.toKey(key)}:lock`], args)
  }

  async #command(script: string, keys: ReadonlyArray<string>, args: ReadonlyArray<string | number>): Promise<unknown> {
    try {
      const client = await (this.#client ??= this.#connect())
      const command = defer(() => client.runCommand(commandOf(script), [...keys, ...args]))
      return await lastValueFrom(command.pipe(retryRedis(this.#scheduler)))
    } catch (error) {
      throw new RecordError(causeOf(error))
    }
  }

  async #connect(): Promise<RedisClientLike> {
    const client = await this.#queue.getBackend().client
    client.defineCommand(commandOf('holdQueue'), { numberOfKeys: 1, lua: HOLD_QUEUE })
    for (const [name, lua] of Object.entries(SCRIPTS)) client.defineCommand(commandOf(name), { numberOfKeys: 3, lua })
    return client
  }
}

/** A command about a record failed. The error of ioredis holds the arguments of its command, and so a token, and is not kept. */
export class RecordError extends Error {
  override readonly name = 'RecordError'

  constructor(override readonly cause: ErrorCause) {
    const reason = cause.message || cause.code || cause.name
    super(`The records in Redis cannot be read or written: ${reason.replace(/\.$/, '')}.`)
  }
}

const commandOf = (script: string): string => `rxCaptcha_${script}`

const againMs = exponential({ firstMs: 500, maxMs: 10_000 })

/** Tries a command again for a minute, because Redis may be restarting. Only for commands that may run twice. */
export const retryRedis = <A>(scheduler?: SchedulerLike): MonoTypeOperatorFunction<A> =>
  retry({ count: 10, delay: (_error, count) => timer(againMs(count - 1), scheduler) })

/** A queue of BullMQ on Redis; its other backends have no `client`. */
export const Queue = refined(
  'a Queue of BullMQ 6 on Redis',
  (value): value is QueueLike =>
    isRecord(value) && isFunction.is(value.getBackend) && 'client' in (value as unknown as QueueLike).getBackend()
)
