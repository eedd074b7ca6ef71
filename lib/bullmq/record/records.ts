import {
  asyncScheduler,
  defer,
  lastValueFrom,
  retry,
  throwError,
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
    return asFields(await this.#run(script, key, args))
  }

  /** Runs a script that returns a number. */
  async number(script: keyof typeof SCRIPTS, key: string, ...args: ReadonlyArray<string | number>): Promise<number> {
    return Number(await this.#run(script, key, args))
  }

  /**
   * Claims the token of a key. The command is not sent once the token is not wanted any more, so an error does not say whether an earlier
   * attempt has claimed it.
   */
  async claim(key: string, claimant: string, heldMs: number, isWanted: () => boolean): Promise<ScriptFields> {
    return asFields(await this.#run('claim', key, [claimant, heldMs], isWanted))
  }

  /**
   * Deletes a claimed token, or gives it back. Not tried again on a connection that was closed, so that a process that has closed its
   * queue can end.
   */
  async endClaim(script: 'claimed' | 'unclaim', key: string, claimant: string): Promise<void> {
    await this.#run(script, key, [claimant], isOpen)
  }

  /** Lets no worker begin a job for some milliseconds. BullMQ's `rateLimit` would also shorten a longer wait. */
  async hold(waitMs: number): Promise<void> {
    await this.#command('holdQueue', [this.#queue.toKey('limiter')], [Math.ceil(waitMs), Number.MAX_SAFE_INTEGER])
  }

  #run(
    script: string,
    key: string,
    args: ReadonlyArray<string | number>,
    maySend?: (error?: unknown) => boolean
  ): Promise<unknown> {
    // Below the keys of the queue, so that they are in one slot of a cluster.
    const record = this.#queue.toKey(`rx-captcha:${key}`)
    return this.#command(script, [record, `${record}:token`, `${this.#queue.toKey(key)}:lock`], args, maySend)
  }

  async #command(
    script: string,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>,
    maySend: (error?: unknown) => boolean = () => true
  ): Promise<unknown> {
    try {
      const client = await (this.#client ??= this.#connect())
      const command = defer(() => {
        if (!maySend()) throw new Error('the command is not wanted any more')
        return client.runCommand(commandOf(script), [...keys, ...args])
      })
      return await lastValueFrom(command.pipe(retryRedis(this.#scheduler, maySend)))
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

/**
 * Tries a command again for a minute, because Redis may be restarting. Only for commands that may run twice. An error for which `mayRetry`
 * is false ends it at once.
 */
export const retryRedis = <A>(
  scheduler?: SchedulerLike,
  mayRetry: (error: unknown) => boolean = () => true
): MonoTypeOperatorFunction<A> =>
  retry({
    count: 10,
    delay: (error: unknown, count) => (mayRetry(error) ? timer(againMs(count - 1), scheduler) : throwError(() => error))
  })

/** ioredis rejects commands with this text once its connection was closed by the program. */
const isOpen = (error?: unknown): boolean => causeOf(error).message !== 'Connection is closed.'

const asFields = (reply: unknown): ScriptFields =>
  (reply as ReadonlyArray<string | number | null>).map((field) => (field === null ? undefined : String(field)))

/** A queue of BullMQ on Redis; its other backends have no `client`. */
export const Queue = refined(
  'a Queue of BullMQ 6 on Redis',
  (value): value is QueueLike =>
    isRecord(value) && isFunction.is(value.getBackend) && 'client' in (value as unknown as QueueLike).getBackend()
)
