import { Queue, QueueEvents, Worker } from 'bullmq'
import { lastValueFrom, toArray } from 'rxjs'
import { createSolver, recaptchaV2 } from 'rx-captcha'
import { submitAll, superviseWorker, taskJobOptions, taskProcessor, taskWorkerOptions } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'
import { describeWithRedis, startRedis, type RedisServer } from '../support/redis.js'

describeWithRedis('taskProcessor', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.remove())

  it('solves the items of a producer', async () => {
    const { connection } = redis
    const emulator = await startEmulator({ readyAfterMs: [0, 100] })
    const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 20 })
    const queue = new Queue('first', { connection, defaultJobOptions: taskJobOptions })
    const events = new QueueEvents('first', { connection })
    await events.waitUntilReady()
    const processor = taskProcessor(solver, {
      queue,
      toTask: (websiteURL: string) => recaptchaV2({ websiteURL, websiteKey: 'site-key' })
    })
    const worker = new Worker('first', processor, { connection, ...taskWorkerOptions() })
    const supervised = superviseWorker(worker, solver)
    const pages = Array.from({ length: 50 }, (_, index) => `https://example.com/${index}`)
    const started = Date.now()
    const outcomes = await lastValueFrom(
      submitAll(pages, { queue, events, kind: recaptchaV2, keyOf: (page) => page, toData: (page) => page }).pipe(
        toArray()
      )
    )
    console.log(Date.now() - started, outcomes[0], emulator.counters())
    await supervised.close()
    await events.close()
    await queue.close()
    await emulator.close()
  })
})
