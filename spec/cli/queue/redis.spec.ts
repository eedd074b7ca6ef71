import { EventEmitter, once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { jobIdOf } from 'rx-captcha/bullmq'
import { QueueNotices } from '../../../lib/cli/queue/notices.js'
import { timeOfRedis } from '../../../lib/cli/queue/redis.js'
import { messageOf } from '../../../lib/cli/shared/text.js'
import { ndjson, task } from '../../support/batch.js'
import { command, makeContext, type CommandOptions } from '../../support/command.js'
import { QueueCommands } from '../../support/queue-command.js'
import { until } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

describeWithRedis('Redis, to the commands for a queue,', () => {
  const rig = new QueueCommands({ appendOnly: true })

  /** `batch` with these arguments and variables, and its only line on stderr. */
  const refusal = async (argv: ReadonlyArray<string>, env = {}, options: CommandOptions = {}) => {
    const input = rig.file('.ndjson', ndjson(task(1)))
    const { code, out, err } = await command(['batch', input, '--queue', 'q', ...argv], { env, ...options }).ended()
    expect([code, out]).toStrictEqual([2, ''])
    return err
  }

  it.each([['http://127.0.0.1'], ['redis://'], ['127.0.0.1:6379'], ['']])('is not at %j', async (url) => {
    expect(await refusal(['--redis', url])).toMatch(
      /^error: --redis: expected a URL such as redis:\/\/127\.0\.0\.1:6379 /
    )
  })

  it.each([[{}], [{ RX_CAPTCHA_REDIS_URL: '' }]])(
    'is missed if neither the option nor the variable names it (%j)',
    async (env) => {
      expect(await refusal([], env)).toMatch(/^error: no Redis URL: set RX_CAPTCHA_REDIS_URL, or /)
    }
  )

  it.each([['abc'], ['1/2'], ['-1']])('has no database %j', async (database) => {
    const err = await refusal(['--redis', `redis://:secret@127.0.0.1:1/${database}`])
    expect(err).toBe(
      'error: --redis: expected nothing or the number of a database after the host, for example redis://127.0.0.1:6379/1\n'
    )
  })

  it('is refused if it does not have the database of the URL', async () => {
    expect(await refusal(['--redis', `${rig.redis.url}/99`])).toBe(
      'error: Redis cannot be reached (ERR DB index is out of range); nothing was sent\n'
    )
  })

  it('has the database of the URL', async () => {
    const emulator = await rig.emulator()
    const worker = rig.work(emulator, ['--redis', `${rig.redis.url}/3`, '--max-open', '2'])
    await worker.prints('Working on')
    const client = new Redis(rig.redis.url, { db: 3 })
    expect(await client.hget(`bull:${rig.name}:meta`, 'concurrency')).toBe('2')
    client.disconnect()
  })

  it('that refuses writes is a usage error of worker --max-open', async () => {
    const emulator = await rig.emulator()
    const { accept } = await rig.refuseWrites()
    const { code, err } = await rig.work(emulator, ['--max-open', '5']).ended()
    await accept()
    expect([code, err]).toStrictEqual([
      2,
      expect.stringMatching(/^error: Redis cannot be used \(OOM command not allowed .*\); nothing was sent\n$/)
    ])
  })

  it('that refuses a job has it in no queue, as the report of a batch says', async () => {
    const { accept } = await rig.refuseWrites()
    const add = jest.spyOn(Queue.prototype, 'add')
    const running = rig.batch([task(1)])
    await until(() => add.mock.calls.length > 0)
    running.signal('SIGTERM')
    const { err } = await running.ended()
    add.mockRestore()
    await accept()
    expect(err).toContain('\nNot confirmed by Redis, and perhaps not in the queue: 1 item.\n')
    expect(err).not.toContain('Still in the queue')
  })

  it('is named by the variable in an error about it', async () => {
    expect(await refusal([], { RX_CAPTCHA_REDIS_URL: 'localhost' })).toMatch(
      /^error: RX_CAPTCHA_REDIS_URL: expected a URL /
    )
  })

  it('is refused if nothing listens there, and its password is not printed', async () => {
    expect(await refusal(['--redis', 'redis://:secret@127.0.0.1:1'])).toBe(
      'error: Redis cannot be reached (ECONNREFUSED: connection refused); nothing was sent\n'
    )
  })

  it('is refused if another program listens there', async () => {
    const server = createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    rig.onEnd(() => once(server.close(), 'close'))
    const { port } = server.address() as AddressInfo
    expect(await refusal(['--redis', `redis://127.0.0.1:${port}`])).toMatch(
      /^error: Redis cannot be reached \(Protocol error, /
    )
  })

  it('is refused if it does not reply', async () => {
    rig.redis.freeze()
    rig.onEnd(() => {
      rig.redis.thaw()
      return Promise.resolve()
    })
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] })
    const reached = timeOfRedis({ Redis }, rig.redis.url).catch(messageOf)
    await jest.advanceTimersByTimeAsync(5_000)
    jest.useRealTimers()
    expect(await reached).toBe('Redis cannot be reached (no reply within 5 s); nothing was sent')
  })

  it.each([
    ['the old one', 'ERR_MODULE_NOT_FOUND'],
    ['require', 'MODULE_NOT_FOUND']
  ])('needs two packages (%s)', async (_, code) => {
    const loadQueue = () => Promise.reject(Object.assign(new Error("Cannot find package 'bullmq'"), { code }))
    expect(await refusal(['--redis', rig.redis.url], {}, { loadQueue })).toBe(
      'error: --queue needs two packages that are not installed: npm install bullmq ioredis\n'
    )
  })

  it('is not taken for the reason if a package is broken', async () => {
    const loadQueue = () => Promise.reject(new Error('a broken package'))
    const running = command(['worker', '--redis', rig.redis.url, '--queue', 'q', '--emulator'], { loadQueue })
    expect(await running.ended()).toMatchObject({ code: 4, err: expect.stringContaining('a broken package') as string })
  })

  it('is refused if BullMQ refuses it', async () => {
    class RefusedQueue extends Queue {
      override waitUntilReady() {
        return Promise.reject(new Error('Redis version needs to be greater or equal than 5.0.0'))
      }
    }
    const modules = await makeContext().loadQueue()
    const loadQueue = () => Promise.resolve({ ...modules, bullmq: { ...modules.bullmq, Queue: RefusedQueue } })
    expect(await refusal(['--redis', rig.redis.url], {}, { loadQueue })).toBe(
      'error: Redis cannot be used: Redis version needs to be greater or equal than 5.0.0\n'
    )
  })

  it('may stop and start again, which is printed once each, and the worker goes on', async () => {
    const emulator = await rig.emulator()
    const queue = rig.taskQueue()
    const worker = rig.work(emulator)
    await worker.prints('Working on')
    await rig.redis.stop()
    await worker.prints('The connection to Redis was lost \\(ECONNREFUSED\\); reconnecting')
    await rig.redis.start()
    await worker.prints('Reconnected to Redis')
    await queue.add('solve', task(1), { jobId: jobIdOf('order-1') })
    await until(async () => (await queue.getCompletedCount()) === 1)
    worker.signal('SIGTERM')
    const { code, err } = await worker.ended()
    expect(code).toBe(0)
    expect(err.match(/Redis/g)).toHaveLength(2)
    expect(err).not.toContain('BullMQ')
  })

  it('may stop and start again while a batch waits, which then gets its outcomes', async () => {
    const batch = rig.batch([task(1)])
    const queue = rig.taskQueue()
    await until(async () => (await queue.getWaitingCount()) === 1)
    await rig.redis.stop()
    await batch.prints('The connection to Redis was lost')
    await rig.redis.start()
    await batch.prints('Reconnected to Redis')
    rig.work(await rig.emulator())
    const { code, err } = await batch.ended()
    expect([code, await queue.getCompletedCount()]).toStrictEqual([0, 1])
    expect(err.match(/Redis was lost|Reconnected/g)).toHaveLength(2)
  })
})

describe('the notices about a queue', () => {
  it('name what happened to the connection by its message if there is no code', () => {
    const notices = new QueueNotices('q')
    const lines: string[] = []
    notices.lines.subscribe((line) => lines.push(line))
    notices.onLost(new Error('NOAUTH Authentication required.'))
    notices.onLost(new Error('again'))
    expect(lines).toStrictEqual(['The connection to Redis was lost (NOAUTH Authentication required.); reconnecting.'])
  })

  it('show an error of BullMQ once for all jobs', () => {
    const notices = new QueueNotices('q')
    const emitter = new EventEmitter()
    notices.watch(emitter)
    const lines: string[] = []
    notices.lines.subscribe((line) => lines.push(line))
    for (const job of ['task-1', 'task-2'])
      emitter.emit('error', new Error(`Missing lock for job ${job}. moveToFinished`))
    emitter.emit('error', new Error('OOM command not allowed'))
    expect(lines).toStrictEqual([
      'BullMQ: Missing lock for job task-1. moveToFinished',
      'BullMQ: OOM command not allowed'
    ])
  })
})
