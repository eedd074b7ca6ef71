/** The modules that only the commands for a queue need. */
export interface QueueModules {
  readonly bullmq: Pick<typeof import('bullmq'), 'Queue' | 'QueueEvents' | 'Worker'>
  readonly ioredis: Pick<typeof import('ioredis'), 'Redis'>
  readonly adapter: typeof import('../../bullmq/index.js')
}
