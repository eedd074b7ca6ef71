/*
 * The parts of BullMQ 6 that this folder uses, by structure: so its declarations compile where BullMQ is not installed, and a
 * second copy of BullMQ fits too.
 */

/**
 * The connection of a BullMQ `Queue` on Redis.
 *
 * @since 0.1.0
 */
export interface RedisClientLike {
  readonly defineCommand: (name: string, definition: { numberOfKeys: number; lua: string }) => void
  // `any[]`, as BullMQ declares it: with `unknown[]` its client would not be assignable.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly runCommand: (name: string, args: any[]) => Promise<unknown>
}

/**
 * A BullMQ `Queue` on Redis.
 *
 * @since 0.1.0
 */
export interface QueueLike {
  readonly name: string
  /** The key in Redis of a part of the queue. */
  readonly toKey: (type: string) => string
  readonly getBackend: () => { readonly client: Promise<RedisClientLike> }
  readonly add: (name: string, data: never, options: { jobId: string }) => Promise<unknown>
  readonly getJob: (jobId: string) => Promise<{ readonly failedReason?: string } | undefined>
  readonly getJobState: (jobId: string) => Promise<string>
  readonly pause: () => Promise<void>
  readonly rateLimit: (expireTimeMs: number) => Promise<void>
}

/**
 * A BullMQ `Job`, as a processor gets it.
 *
 * @since 0.1.0
 */
export interface JobLike<D> {
  readonly id?: string | undefined
  readonly data: D
  readonly moveToWait: (token?: string) => Promise<unknown>
  readonly updateProgress: (progress: object) => Promise<void>
}

/**
 * A BullMQ `Worker`.
 *
 * @since 0.1.0
 */
export interface WorkerLike {
  readonly close: () => Promise<void>
  readonly on: (event: 'lockRenewalFailed', listener: (jobIds: string[]) => void) => unknown
}

/**
 * A BullMQ `QueueEvents`.
 *
 * @since 0.1.0
 */
export interface QueueEventsLike {
  readonly on: (event: 'completed' | 'failed', listener: (args: { jobId: string }) => void) => unknown
  readonly off: (event: 'completed' | 'failed', listener: (args: { jobId: string }) => void) => unknown
}

/**
 * The signal that BullMQ passes to a processor, which `worker.cancelJob` aborts.
 *
 * @since 0.1.0
 */
export interface AbortSignalLike {
  readonly aborted: boolean
  readonly addEventListener: (type: 'abort', listener: () => void) => void
  readonly removeEventListener: (type: 'abort', listener: () => void) => void
}
