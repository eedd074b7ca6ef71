import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jobIdOf } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { ownBuild } from '../support/built.js'
import { blocksOf } from '../support/doc-pages.js'
import { asCommonJs, programs, type Program } from '../support/nest-programs.js'
import { QueueRig, until } from '../support/queue.js'
import { describeWithRedis } from '../support/redis.js'

// One test starts four processes, each of which loads NestJS.
jest.setTimeout(60_000)

const programOf = (name: string): string =>
  blocksOf('docs/recipes/nestjs-bullmq.md').find(({ code }) => code.startsWith(`// ${name}`))!.code

const replaced = (code: string, from: string, to: string): string => {
  if (!code.includes(from)) throw new Error(`The recipe does not contain ${from}`)
  return code.replace(from, to)
}

/** The worker of the recipe, without a grace and with a faster pace. */
const worker = (): string => {
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

describeWithRedis('the NestJS recipe with BullMQ', () => {
  const folder = ownBuild()
  const rig = new QueueRig()
  const run = programs()

  beforeEach(async () => {
    rig.name = 'captchas'
    await rig.flush()
  })

  const startWorker = (emulator: Emulator): Program => {
    const main = join(folder(), 'worker.js')
    writeFileSync(main, asCommonJs(worker() + CANCEL))
    const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_BASE_URL: emulator.url, REDIS_URL: rig.redis.url }
    return run([main], env)
  }

  const startWeb = async () => {
    const main = join(folder(), 'web.js')
    writeFileSync(main, asCommonJs(programOf('web.ts')))
    const web = run([main], { PORT: '0', REDIS_URL: rig.redis.url })
    return { ...web, order: `http://127.0.0.1:${await web.port()}/orders/a` }
  }

  it('answers with the token, once, and streams the progress', async () => {
    const emulator = await rig.emulator()
    const { order } = await startWeb()
    const progress = await progressOf(order)
    const first = post(order)
    startWorker(emulator)

    expect(await first).toEqual(TOKEN)
    const messages = await progress.toTheEnd()
    expect([messages[0], messages.at(-1)]).toEqual(['unknown', 'completed'])
    expect(messages).toContain('Created')
    expect(await post(order)).toEqual(failure(410, 'its token is gone'))
    expect(emulator.counters().requests.createTask).toBe(1)
  })

  it('finishes an order whose worker and web service were stopped, for one payment', async () => {
    let skippedMs = 0
    const emulator = await rig.emulator({ readyAfterMs: 600_000, now: () => Date.now() + skippedMs })
    const stopped = { worker: startWorker(emulator), web: await startWeb() }
    const interrupted = post(stopped.web.order)
    await until(() => emulator.counters().requests.getTaskResult > 0)
    const progress = await progressOf(stopped.web.order)
    expect(await progress.until('Polled')).toContain('active')

    stopped.worker.child.kill('SIGTERM')
    stopped.web.child.kill('SIGTERM')
    expect(await interrupted).toMatchObject({ status: 503 })
    expect(await progress.toTheEnd()).not.toContain('completed')
    expect(await Promise.all([stopped.worker.ended, stopped.web.ended])).toEqual(['SIGTERM', 'SIGTERM'])
    expect(await rig.queue().getJobState(jobIdOf('a'))).toBe('waiting')
    const polls = emulator.counters().requests.getTaskResult

    startWorker(emulator)
    const answer = post((await startWeb()).order)
    await until(() => emulator.counters().requests.getTaskResult > polls)
    skippedMs = 600_000
    expect(await answer).toEqual(TOKEN)
    expect(emulator.counters().requests.createTask).toBe(1)
  })

  it('keeps the token of an order whose client has left', async () => {
    const emulator = await rig.emulator()
    const { order } = await startWeb()
    const leaving = new AbortController()
    const left = post(order, leaving.signal)
    await until(async () => (await rig.queue().getJob(jobIdOf('a'))) !== undefined)
    leaving.abort()
    await expect(left).rejects.toThrow('aborted')

    const answer = post(order)
    startWorker(emulator)
    expect(await answer).toEqual(TOKEN)
  })

  it('answers that a cancelled order is paid for, whoever asks again, and logs it', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 600_000 })
    const running = startWorker(emulator)
    const { order } = await startWeb()
    const answer = post(order)
    await until(() => emulator.counters().requests.getTaskResult > 0)
    running.child.kill('SIGUSR2')

    const failed = failure(502, 'The job was cancelled.')
    expect(await answer).toEqual(failed)
    expect(await post(order)).toEqual(failed)
    await until(() => running.lines().some((line) => line.includes('task-a: The job was cancelled.')))
  })
})
