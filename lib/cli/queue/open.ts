import type { Queue, QueueEvents } from 'bullmq'
import { firstValueFrom, map, race, timer } from 'rxjs'
import { causeOf } from '../../core/model/network.js'
import { WrongUsage, type CliContext, type QueueModules } from '../shared/context.js'
import { messageOf } from '../shared/text.js'
import { QueueNotices } from './notices.js'
import { connectionTo, redisUrlOf, timeOfRedis } from './redis.js'

/** The options that name a queue. */
export interface QueueFlags {
  readonly redis?: string
  readonly queue: string
}

/** A queue that is connected. */
export interface OpenedQueue {
  readonly name: string
  readonly modules: QueueModules
  readonly connection: ReturnType<typeof connectionTo>
  readonly queue: Queue
  readonly events: QueueEvents
  readonly notices: QueueNotices
  readonly close: () => Promise<void>
}

/** Connects to a queue; throws {@link WrongUsage} if that cannot succeed. */
export const openQueue = async (context: CliContext, { redis, queue: name }: QueueFlags): Promise<OpenedQueue> => {
  const url = redisUrlOf(context.env, redis)
  const modules = await loadModules(context)
  // So that no event is missed that happens before BullMQ reads the first one.
  const lastEventId = `${await timeOfRedis(modules.ioredis, url)}-0`
  const connection = connectionTo(url)
  const { Queue, QueueEvents } = modules.bullmq
  const queue = new Queue(name, { connection, defaultJobOptions: modules.adapter.taskJobOptions })
  const events = new QueueEvents(name, { connection, lastEventId })
  const notices = new QueueNotices(name)
  for (const emitter of [queue, events]) notices.watch(emitter)
  queue.getBackend().on('error', notices.onLost).on('ready', notices.onReady)
  events.on('paused', notices.onPaused).on('resumed', notices.onResumed)
  const close = () => closeAll([events, queue])
  try {
    await Promise.all([queue.waitUntilReady(), events.waitUntilReady()])
    return { name, modules, connection, queue, events, notices, close }
  } catch (error) {
    await close()
    throw new WrongUsage(`Redis cannot be used: ${messageOf(error)}`)
  }
}

const loadModules = ({ loadQueue }: CliContext): Promise<QueueModules> =>
  loadQueue().catch((error: unknown) => {
    if (!/^(ERR_)?MODULE_NOT_FOUND$/.test(causeOf(error).code)) throw error
    throw new WrongUsage('--queue needs two packages that are not installed: npm install bullmq ioredis')
  })

interface Closable {
  readonly close: () => Promise<void>
  readonly disconnect: () => Promise<void>
}

const CLOSE_MS = 1_000

/** Closes connections; after a second, because Redis may be gone, it drops them. */
const closeAll = async (connections: ReadonlyArray<Closable>): Promise<void> => {
  const closed = Promise.allSettled(connections.map((one) => one.close())).then(() => true)
  const isClosed = await firstValueFrom(race(closed, timer(CLOSE_MS).pipe(map(() => false))))
  if (!isClosed) for (const one of connections) one.disconnect().catch(() => undefined)
}
