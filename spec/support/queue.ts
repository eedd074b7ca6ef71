import { Queue, QueueEvents, Worker, type WorkerOptions } from 'bullmq'
import IORedis from 'ioredis'
import { asyncScheduler, type SchedulerAction, type SchedulerLike } from 'rxjs'
import { recaptchaV2, createSolver, type Solver, type SolverOptions } from 'rx-captcha'
import {
  superviseWorker,
  taskJobOptions,
  taskProcessor,
  taskWorkerOptions,
  type ProcessorOptions,
  type SupervisedWorker
} from 'rx-captcha/bullmq'
import { EMULATOR_KEY, startEmulator, type Emulator, type EmulatorOptions } from 'rx-captcha/emulator'
import { startRedis, type RedisServer } from './redis.js'

/** The data of a job in the specs: the page of its task. */
export type Page = string

export const toTask = (websiteURL: Page) => recaptchaV2({ websiteURL, websiteKey: 'site-key' })

export interface TestWorker {
  readonly worker: Worker<Page>
  readonly solver: Solver
  readonly supervised: SupervisedWorker
  readonly dropTakenOver: (jobIds: ReadonlyArray<string>) => void
}

/** A Redis that refuses writes or other commands, until it is told to accept them again. */
export interface WriteRefusal {
  readonly accept: () => Promise<unknown>
}

/** A queue on a redis-server of its own, with an emulator. Each test has a new queue; all that it opened is closed after it. */
export class QueueRig {
  #redis: RedisServer | undefined
  #closers: (() => Promise<unknown>)[] = []
  #queues = 0
  #queue: Queue<Page> | undefined
  #client: IORedis | undefined
  name = ''

  constructor(options?: Parameters<typeof startRedis>[0]) {
    beforeAll(async () => {
      this.#redis = await startRedis(options)
    })
    beforeEach(() => {
      this.name = `queue-${(this.#queues += 1)}`
    })
    afterEach(async () => {
      const closers = this.#closers.reverse()
      this.#closers = []
      this.#queue = undefined
      for (const close of closers) await close()
    })
    afterAll(async () => {
      this.#client?.disconnect()
      await this.#redis?.remove()
    })
  }

  get redis(): RedisServer {
    return this.#redis!
  }

  /** Closes something at the end of the test. */
  onEnd(close: () => Promise<unknown>): void {
    this.#closers.push(close)
  }

  async emulator(options: EmulatorOptions = {}): Promise<Emulator> {
    const emulator = await startEmulator({ readyAfterMs: 0, ...options })
    this.onEnd(() => emulator.close())
    return emulator
  }

  /** An emulator whose tasks are unfinished until `finish` is called. */
  async unfinished(options: EmulatorOptions = {}): Promise<Emulator & { readonly finish: () => void }> {
    let isFinished = false
    const now = () => Date.now() + (isFinished ? 3_600_000 : 0)
    const emulator = await this.emulator({ readyAfterMs: 3_000_000, now, ...options })
    const finish = () => {
      isFinished = true
    }
    return { ...emulator, finish }
  }

  /** The queue of the test: one for all calls, because each has a connection of its own. */
  queue(): Queue<Page> {
    return (this.#queue ??= this.#openQueue())
  }

  #openQueue(): Queue<Page> {
    const queue = new Queue<Page>(this.name, { connection: this.redis.connection, defaultJobOptions: taskJobOptions })
    queue.on('error', () => undefined)
    this.onEnd(() => queue.close())
    return queue
  }

  async events(): Promise<QueueEvents> {
    const events = new QueueEvents(this.name, { connection: this.redis.connection })
    events.on('error', () => undefined)
    await events.waitUntilReady()
    this.onEnd(() => events.close())
    return events
  }

  solver(emulator: Emulator, options: Partial<SolverOptions> = {}): Solver {
    const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 10, ...options })
    this.onEnd(() => solver.close())
    return solver
  }

  worker(
    solver: Solver,
    options: Partial<WorkerOptions> & {
      readonly processor?: Partial<ProcessorOptions<Page, ReturnType<typeof toTask>>>
    } = {}
  ): TestWorker {
    const { processor, ...workerOptions } = options
    const queue = this.queue()
    const process = taskProcessor<Page, ReturnType<typeof toTask>>(solver, { queue, toTask, ...processor })
    const worker = new Worker<Page>(this.name, process, {
      connection: this.redis.connection,
      ...taskWorkerOptions(),
      ...workerOptions
    })
    worker.on('error', () => undefined)
    const supervised = superviseWorker(worker, process)
    this.onEnd(() => supervised.close())
    return { worker, solver, supervised, dropTakenOver: process.dropTakenOver }
  }

  /** From now on, or until `accept` is called, Redis has no memory for a write and refuses it. */
  async refuseWrites(): Promise<WriteRefusal> {
    const limitMemory = (bytes: number) => this.client.config('SET', 'maxmemory', bytes)
    const accept = () => limitMemory(0)
    this.onEnd(accept)
    await limitMemory(1)
    return { accept }
  }

  /** From now on, or until `accept` is called, an ACL forbids a command, also in scripts. */
  async forbid(command: string): Promise<WriteRefusal> {
    const setUser = (rule: string) => this.client.call('ACL', 'SETUSER', 'default', rule)
    const accept = () => setUser('+@all')
    this.onEnd(accept)
    await setUser(`-${command}`)
    return { accept }
  }

  /** Removes all that Redis holds. */
  async flush(): Promise<void> {
    await this.client.flushall()
  }

  /** For how many milliseconds a key lives; -1 without an end. */
  ttlOf(key: string): Promise<number> {
    return this.client.pttl(key)
  }

  /** When jobs were begun, by the clock of Redis, in order. */
  async jobStarts(): Promise<ReadonlyArray<number>> {
    return [...(await this.jobStartsById()).values()].flat().sort((one, other) => one - other)
  }

  /** When each job was begun, by the clock of Redis. BullMQ keeps the newest 10,000 events. */
  async jobStartsById(): Promise<ReadonlyMap<string, ReadonlyArray<number>>> {
    const events = await this.client.xrange(`bull:${this.name}:events`, '-', '+')
    const starts = new Map<string, number[]>()
    for (const [id, [, event, , jobId = '']] of events)
      if (event === 'active') starts.set(jobId, [...(starts.get(jobId) ?? []), Number(id.split('-')[0])])
    return starts
  }

  /** What is recorded for a job; empty without a record. */
  recordOf(jobId: string): Promise<Readonly<Record<string, string>>> {
    return this.client.hgetall(`bull:${this.name}:rx-captcha:${jobId}`)
  }

  /** All that Redis holds: each key with its value, whatever its type. */
  async dump(): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const key of await this.client.keys('*'))
      found.set(key, JSON.stringify((await valueOf(this.client, key)) ?? null))
    return found
  }

  /** A connection for the checks of the tests. */
  get client(): IORedis {
    this.#client ??= new IORedis(this.redis.url).on('error', () => undefined)
    return this.#client
  }
}

const valueOf = async (client: IORedis, key: string): Promise<unknown> => {
  switch (await client.type(key)) {
    case 'string':
      return client.get(key)
    case 'hash':
      return client.hgetall(key)
    case 'list':
      return client.lrange(key, 0, -1)
    case 'set':
      return client.smembers(key)
    case 'zset':
      return client.zrange(key, 0, -1)
    case 'stream':
      return client.xrange(key, '-', '+')
    default:
      return undefined
  }
}

/** Runs everything at once, so that a command that fails for a minute fails within milliseconds. */
export const IMPATIENT: SchedulerLike = {
  now: () => asyncScheduler.now(),
  schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, _delayMs?: number, state?: T) =>
    asyncScheduler.schedule(work, 0, state)
}

/** How many tasks were polled, so that their ids are recorded. */
export const polledTasks = (emulator: Emulator): number => emulator.tasks().filter(({ polls }) => polls > 0).length

/** Resolves when `isTrue` holds, which is checked again and again; the limit of the test ends it otherwise. */
export const until = async (isTrue: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 5))
}
