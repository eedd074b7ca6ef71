import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jobIdOf } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { ownBuild } from '../support/built.js'
import { blocksOf } from '../support/doc-pages.js'
import { asCommonJs, programs, replaced, type Program } from '../support/nest-programs.js'
import { QueueRig, until } from '../support/queue.js'
import { emulators } from '../support/raw-http.js'
import { describeWithRedis } from '../support/redis.js'

// Four processes load NestJS.
jest.setTimeout(60_000)

const programOf = (name: string): string =>
  blocksOf('docs/recipes/nestjs-bullmq.md').find(({ code }) => code.startsWith(`// ${name}`))!.code

/** The worker of the recipe, without a grace and with a faster pace. */
const workerOfRecipe = (): string => {
  const options = 'createSolver({'
  const code = replaced(programOf('worker.ts'), 'graceMs: 5_000', 'graceMs: 0')
  return replaced(code, options, `${options} pollEveryMs: 20,`)
}

/** On SIGUSR2 the worker cancels its jobs: a part of an application that the recipe leaves out. */
const CANCEL = `
const { onApplicationBootstrap } = CaptchaWorker.prototype
CaptchaWorker.prototype.onApplicationBootstrap = function () {
  onApplicationBootstrap.call(this)
  process.on('SIGUSR2', () => this.worker.cancelAllJobs())
}`

// A server that closes waits for some seconds for a client that keeps its connection.
const headers = { connection: 'close' }

/** A request for an order, and the answer to it. */
const post = async (order: string, signal: AbortSignal | null = null) => {
  const response = await fetch(order, { method: 'POST', headers, signal })
  return { status: response.status, body: await response.json() }
}

/** The progress of an order: each message is read once. */
const progressOf = async (order: string) => {
  const { body } = await fetch(`${order}/events`, { headers })
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader()
  const messages: string[] = []
  const read = async (isLast: (message: string) => boolean): Promise<ReadonlyArray<string>> => {
    const { value = '', done } = await reader.read()
    messages.push(...Array.from(value.matchAll(/^data: (.*)$/gm), ([, data = '']) => data))
    return done || messages.some(isLast) ? messages : read(isLast)
  }
  return { until: (last: string) => read((message) => message === last), toTheEnd: () => read(() => false) }
}

const TOKEN = {
  status: 201,
  body: { token: expect.stringMatching(/^03A/) as string, useBefore: expect.any(Number) as number }
}

const failure = (status: number, message: string) => ({
  status,
  body: { paid: 'yes', message: expect.stringContaining(message) as string }
})

const READY_AFTER_MS = 600_000

describeWithRedis('the NestJS recipe with BullMQ', () => {
  const folder = ownBuild()
  const rig = new QueueRig()
  const start = emulators(afterAll)
  const run = programs(afterAll)
  let skippedMs = 0
  // The tests share them, because it takes most of a second to load NestJS.
  let emulator: Emulator
  let worker: Program
  let web: Program & { readonly orders: string }

  const startWorker = (): Program => {
    const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_BASE_URL: emulator.url, REDIS_URL: rig.redis.url }
    return run([join(folder(), 'worker.js')], env)
  }

  const startWeb = async () => {
    const started = run([join(folder(), 'web.js')], { PORT: '0', REDIS_URL: rig.redis.url })
    return { ...started, orders: `http://127.0.0.1:${await started.port()}/orders` }
  }

  beforeAll(async () => {
    const sources = { 'worker.ts': workerOfRecipe() + CANCEL, 'web.ts': programOf('web.ts') }
    for (const [name, code] of Object.entries(asCommonJs(sources)))
      writeFileSync(join(folder(), name.replace(/ts$/, 'js')), code)
    emulator = await start({ readyAfterMs: READY_AFTER_MS, now: () => Date.now() + skippedMs })
    worker = startWorker()
    web = await startWeb()
  })

  beforeEach(() => {
    rig.name = 'captchas'
  })

  /** Watches the tasks that are created from now on. */
  const newTasks = () => {
    const before = emulator.tasks().length
    const tasks = () => emulator.tasks().slice(before)
    return {
      count: () => tasks().length,
      arePolled: () => until(() => tasks().some(({ polls }) => polls > 0))
    }
  }
  const finishTasks = () => {
    skippedMs += READY_AFTER_MS
  }

  it('answers with the token, once, and streams the progress', async () => {
    const tasks = newTasks()
    const order = `${web.orders}/a`
    const progress = await progressOf(order)
    const first = post(order)
    await tasks.arePolled()
    finishTasks()

    expect(await first).toEqual(TOKEN)
    const messages = await progress.toTheEnd()
    expect([messages[0], messages.at(-1)]).toEqual(['unknown', 'completed'])
    expect(messages).toContain('Created')
    expect(await post(order)).toEqual(failure(410, 'its token is gone'))
    expect(tasks.count()).toBe(1)
  })

  it('finishes an order whose worker and web service were stopped, for one payment', async () => {
    const tasks = newTasks()
    const order = `${web.orders}/b`
    const interrupted = post(order)
    await tasks.arePolled()
    const progress = await progressOf(order)
    expect(await progress.until('Polled')).toContain('active')

    worker.child.kill('SIGTERM')
    web.child.kill('SIGTERM')
    expect(await interrupted).toMatchObject({ status: 503 })
    expect(await progress.toTheEnd()).not.toContain('completed')
    expect(await Promise.all([worker.ended, web.ended])).toEqual(['SIGTERM', 'SIGTERM'])
    expect(await rig.queue().getJobState(jobIdOf('b'))).toBe('waiting')
    const polls = emulator.counters().requests.getTaskResult

    worker = startWorker()
    web = await startWeb()
    const answer = post(`${web.orders}/b`)
    await until(() => emulator.counters().requests.getTaskResult > polls)
    finishTasks()
    expect(await answer).toEqual(TOKEN)
    expect(tasks.count()).toBe(1)
  })

  it('keeps the token of an order whose client has left', async () => {
    const tasks = newTasks()
    const order = `${web.orders}/c`
    const leaving = new AbortController()
    const left = post(order, leaving.signal)
    await tasks.arePolled()
    leaving.abort()
    await expect(left).rejects.toThrow('aborted')
    // When it streams to the next client, the web service has noticed that the first one left.
    await (await progressOf(order)).until('active')

    const answer = post(order)
    finishTasks()
    expect(await answer).toEqual(TOKEN)
  })

  it('answers that a cancelled order is paid for, whoever asks again, and logs it', async () => {
    const tasks = newTasks()
    const order = `${web.orders}/d`
    const answer = post(order)
    await tasks.arePolled()
    worker.child.kill('SIGUSR2')

    const failed = failure(502, 'The job was cancelled.')
    expect(await answer).toEqual(failed)
    expect(await post(order)).toEqual(failed)
    await until(() => worker.lines().some((line) => line.includes('task-d: The job was cancelled.')))
  })
})
