import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { ndjson, task } from '../../support/batch.js'
import { built } from '../../support/built.js'
import { QueueCommands } from '../../support/queue-command.js'
import { until } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

describeWithRedis('the processes of a queue', () => {
  const folder = built()
  const rig = new QueueCommands()

  /** A command as a process of its own; killed at the end of the test if it runs then. */
  const spawned = (argv: ReadonlyArray<string>, emulator?: Emulator) => {
    const service = emulator && { CAPTCHA_BASE_URL: emulator.url, CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
    const env = { PATH: process.env.PATH, CAPTCHA_POLL_EVERY_MS: '20', RX_CAPTCHA_REDIS_URL: rig.redis.url, ...service }
    const main = join(folder(), 'dist/cli/main.js')
    const child = spawn(process.execPath, [main, ...argv, '--queue', rig.name], { env })
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk) => (out += String(chunk)))
    child.stderr.on('data', (chunk) => (err += String(chunk)))
    let hasEnded = false
    const code = new Promise<number | null>((resolve) => child.once('close', resolve))
    void code.then(() => (hasEnded = true))
    rig.onEnd(async () => {
      child.kill('SIGKILL')
      await code
    })
    return {
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      prints: async (text: string) => {
        await until(() => hasEnded || (out + err).includes(text))
        expect(out + err).toContain(text)
      },
      ended: async () => ({ code: await code, out, err })
    }
  }

  it('let another worker resume the task of one that was killed, and pay for it once', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 300 })
    const limits = ['--lock-ms', '400', '--stalled-check-ms', '100']
    const killed = spawned(['worker', ...limits], emulator)
    const batch = spawned(['batch', rig.file('.ndjson', ndjson(task(1)))])
    await until(() => emulator.counters().requests.getTaskResult > 0)
    killed.kill('SIGKILL')
    const other = spawned(['worker', ...limits], emulator)
    const { code, out } = await batch.ended()
    expect([code, out]).toStrictEqual([0, expect.stringContaining(emulator.tasks()[0]!.taskId)])
    other.kill('SIGTERM')
    const end = await other.ended()
    expect([end.code, emulator.counters().accepted]).toStrictEqual([0, 1])
    expect(end.err).toContain('Paid for: 0 new tasks. Resumed: 1 paid task.\n')
  })

  it('end on the third signal, although Redis is gone', async () => {
    const emulator = await rig.unfinished()
    await rig.taskQueue().add('solve', task(1), { jobId: 'a' })
    const worker = spawned(['worker'], emulator)
    // Without an active job, a worker may close without Redis.
    await until(() => emulator.counters().requests.getTaskResult > 0)
    await rig.redis.stop()
    rig.onEnd(() => rig.redis.start())
    await worker.prints('The connection to Redis was lost')
    for (const text of ['Stopping', 'Handing over', 'Not all jobs']) {
      worker.kill('SIGINT')
      await worker.prints(text)
    }
    const { code, err } = await worker.ended()
    expect([code, err]).toStrictEqual([130, expect.stringContaining('Not all jobs were handed over')])
  })

  it('end on the third signal, although a createTask is in flight', async () => {
    const emulator = await rig.emulator({ faults: ['createTask:1:billed+silent'] })
    await rig.taskQueue().add('solve', task(1), { jobId: 'a' })
    const worker = spawned(['worker', '--lock-ms', '9000', '--stalled-check-ms', '2000'], emulator)
    await until(() => emulator.counters().requests.createTask > 0)
    for (const text of ['Stopping', 'Handing over', 'Not all jobs']) {
      worker.kill('SIGTERM')
      await worker.prints(text)
    }
    const { code, err } = await worker.ended()
    expect([code, err]).toStrictEqual([143, expect.stringContaining('takes over the rest within 13.0 s.')])
  })
})
