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
  /** Names a script. */
  readonly defineCommand: (name: string, definition: { numberOfKeys: number; lua: string }) => void
  /** Runs a named script. */
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
  /** Its prefix and its name, as its jobs have them. */
  readonly qualifiedName?: string | undefined
  /** The key in Redis of a part of the queue. */
  readonly toKey: (type: string) => string
  /** What holds the connection. */
  readonly getBackend: () => { readonly client: Promise<RedisClientLike> }
  /** Adds a job, unless there is one with this id. */
  readonly add: (name: string, data: never, options: { jobId: string }) => Promise<unknown>
  /** Reads a job. */
  readonly getJob: (jobId: string) => Promise<{ readonly failedReason?: string } | undefined>
  /** The state of a job; `unknown` if there is none with this id. */
  readonly getJobState: (jobId: string) => Promise<string>
  /** Lets no worker begin a job until `resume`. */
  readonly pause: () => Promise<void>
}

/**
 * A BullMQ `Job`, as a processor gets it.
 *
 * @since 0.1.0
 */
export interface JobLike<D> {
  readonly id?: string | undefined
  readonly data: D
  /** The prefix and the name of its queue. */
  readonly queueQualifiedName?: string | undefined
  /** Puts the job back to the head of the queue. */
  readonly moveToWait: (token?: string) => Promise<unknown>
  /** Replaces the progress of the job. */
  readonly updateProgress: (progress: object) => Promise<void>
}

/**
 * A BullMQ `Worker`.
 *
 * @since 0.1.0
 */
export interface WorkerLike {
  /** Starts no more jobs; resolves when no job is active. */
  readonly close: () => Promise<void>
  /** Subscribes to the ids of the jobs whose lock could not be renewed. */
  readonly on: (event: 'lockRenewalFailed', listener: (jobIds: string[]) => void) => unknown
}

/**
 * A BullMQ `QueueEvents`.
 *
 * @since 0.1.0
 */
export interface QueueEventsLike {
  /** Subscribes to the ends of jobs. */
  readonly on: (event: 'completed' | 'failed', listener: (args: { jobId: string }) => void) => unknown
  /** Unsubscribes. */
  readonly off: (event: 'completed' | 'failed', listener: (args: { jobId: string }) => void) => unknown
}

/**
 * The signal that BullMQ passes to a processor, which `worker.cancelJob` aborts.
 *
 * @since 0.1.0
 */
export interface AbortSignalLike {
  readonly aborted: boolean
  /** Subscribes to the abort. */
  readonly addEventListener: (type: 'abort', listener: () => void) => void
  /** Unsubscribes. */
  readonly removeEventListener: (type: 'abort', listener: () => void) => void
}
