import type { Redis } from 'ioredis'
import { firstValueFrom, from, throwError, timeout } from 'rxjs'
import { parseUrl } from '../../core/validation/problems.js'
import { WrongUsage, type CliContext, type QueueModules } from '../shared/context.js'
import { trimmed } from '../shared/decode.js'
import { REDIS_VARIABLE } from '../shared/service.js'
import { reasonOf } from '../shared/text.js'

/** The address of Redis. It may hold a password, so no message repeats it. */
export const redisUrlOf = (env: CliContext['env'], option: string | undefined): string => {
  const text = option ?? trimmed(env[REDIS_VARIABLE] ?? '')
  if (text === '' && option === undefined)
    throw new WrongUsage(`no Redis URL: set ${REDIS_VARIABLE}, or use --redis, for example --redis ${EXAMPLE}`)
  const url = parseUrl(text)
  const source = option === undefined ? REDIS_VARIABLE : '--redis'
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new WrongUsage(
      `${source}: expected a URL such as ${EXAMPLE} or ` +
        'rediss://USER:PASSWORD@HOST:6380, with the special characters of a password percent-encoded'
    )
  if (/^\/?\d*$/.test(url.pathname)) return text
  throw new WrongUsage(
    `${source}: expected nothing or the number of a database after the host, for example ${EXAMPLE}/1`
  )
}

const EXAMPLE = 'redis://127.0.0.1:6379'

/** How BullMQ connects: a command waits for Redis for as long as it takes. */
export const connectionTo = (url: string) => ({
  url,
  maxRetriesPerRequest: null,
  retryStrategy: (attempt: number) => Math.min(50 * 2 ** attempt, MAX_RECONNECT_MS)
})

const MAX_RECONNECT_MS = 2_000

const REACH_MS = 5_000

/**
 * Returns the time of the Redis at the address, in epoch milliseconds; throws if none replies there. BullMQ alone would try to
 * connect forever.
 */
export const timeOfRedis = async ({ Redis }: QueueModules['ioredis'], url: string): Promise<number> => {
  const client = new Redis(url, {
    ...{ lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 },
    ...{ connectTimeout: REACH_MS, disconnectTimeout: 100 }
  })
  // `connect` rejects as "Connection is closed", whatever happened.
  let problem: unknown
  client.on('error', (error: unknown) => {
    problem ??= error
  })
  const tooLate = () => throwError(() => new Error(`no reply within ${REACH_MS / 1_000} s`))
  try {
    const replied = from(client.connect().then(() => timeIn(client)))
    const time = await firstValueFrom(replied.pipe(timeout({ first: REACH_MS, with: tooLate })))
    // Seconds and microseconds.
    return Number(time[0]) * 1_000 + Math.floor(Number(time[1]) / 1_000)
  } catch (error) {
    throw new WrongUsage(`Redis cannot be reached (${reasonOf(problem ?? error)}); nothing was sent`)
  } finally {
    client.disconnect()
  }
}

const timeIn = async (client: Redis): Promise<readonly [seconds: string | number, microseconds: string | number]> => {
  // Again: an error of the first time is only emitted, and ioredis then works in database 0. The user may lack the right for 0.
  const { db = 0 } = client.options
  if (db > 0) await client.select(db)
  const [seconds = 0, microseconds = 0] = await client.time()
  return [seconds, microseconds]
}

/** What the help of every command with `--redis` says. */
export const REDIS_PASSWORD_HELP = `Put a URL with a password into RX_CAPTCHA_REDIS_URL: other users of the machine
can see command-line arguments. Needs: npm install bullmq ioredis`
