import type { QueueLike, RedisClientLike } from '../../../bullmq/index.js'

/**
 * A queue that can be stopped between two commands of the adapter. A token is claimed by one command, and is lost if its
 * reply is not read, so open replies are awaited before the process exits.
 */
export class ClaimGate {
  readonly queue: QueueLike
  readonly #running = new Set<Promise<unknown>>()
  readonly #unconfirmed = new Set<unknown>()
  #isStopped = false

  constructor(queue: QueueLike) {
    this.queue = {
      toKey: (type) => queue.toKey(type),
      add: (...job) => this.#added(queue, job),
      getJob: (jobId) => queue.getJob(jobId),
      getJobState: (jobId) => queue.getJobState(jobId),
      pause: () => queue.pause(),
      getBackend: () => ({ client: queue.getBackend().client.then((client) => this.#guarded(client)) })
    }
  }

  /** How many jobs may not be in the queue: Redis refused them, or has not replied. */
  get unconfirmed(): number {
    return this.#unconfirmed.size
  }

  async #added(queue: QueueLike, job: Parameters<QueueLike['add']>): Promise<unknown> {
    const [, , { jobId }] = job
    this.#unconfirmed.add(jobId)
    const added = await queue.add(...job)
    this.#unconfirmed.delete(jobId)
    return added
  }

  /** Sends no more commands; resolves when those that were sent have ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.allSettled(this.#running)
  }

  #guarded(client: RedisClientLike): RedisClientLike {
    return {
      defineCommand: (...command) => {
        client.defineCommand(...command)
      },
      runCommand: (name, args) => {
        // Never settles: its subscriber has unsubscribed.
        if (this.#isStopped) return new Promise(() => undefined)
        const running = client.runCommand(name, args)
        this.#running.add(running)
        const forget = () => this.#running.delete(running)
        running.then(forget, forget)
        return running
      }
    }
  }
}
