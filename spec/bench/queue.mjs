// What a task costs on a queue: `npm run build && node spec/bench/queue.mjs [tasks] [workers]`. Starts a redis-server, an emulator,
// workers in processes of their own, and a producer in this one.
import { fork, spawn, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Queue, QueueEvents } from 'bullmq'
import IORedis from 'ioredis'
import { recaptchaV2 } from '../../dist/index.js'
import { submitAll, taskJobOptions } from '../../dist/bullmq/index.js'
import { EMULATOR_KEY, startEmulator } from '../../dist/emulator/index.js'

const [tasks = 1_000, workers = 1] = process.argv.slice(2).map(Number)
const PORT = 20_000 + (process.pid % 10_000)
const TICK_MS = 1_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-queue-'))
const redis = spawn('redis-server', ['--port', String(PORT), '--save', '', '--dir', folder], { stdio: 'ignore' })
await sleep(500)
const connection = { host: '127.0.0.1', port: PORT, maxRetriesPerRequest: null }
const client = new IORedis(connection)
const emulator = await startEmulator({ readyAfterMs: [10_000, 20_000], seed: 1 })

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const settings = {
  queueName: 'bench',
  connection,
  solverOptions: { clientKey: EMULATOR_KEY, baseUrl: emulator.url },
  taskOptions: { concurrency: tasks }
}
const children = Array.from({ length: workers }, () =>
  fork(here('../support/queue-worker.cjs'), [here('../..'), JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
)
await Promise.all(children.map((child) => once(child.stdout, 'data')))
for (const child of children) child.stdout.resume()

/** The CPU time of a process, in milliseconds. */
const cpuMsOf = ({ pid }) => {
  const [utime, stime] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ').slice(11, 13)
  return (Number(utime) + Number(stime)) * TICK_MS
}
const commandsOf = async () => {
  const info = await client.info('commandstats')
  const calls = (name) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(info)?.[1] ?? 0)
  return ['evalsha', 'bzpopmin', 'xread'].reduce((sum, name) => sum + calls(name), 0)
}
const sumOf = (numbers) => numbers.reduce((sum, one) => sum + one, 0)
const quantile = (numbers, share) =>
  numbers.toSorted((one, other) => one - other)[Math.floor((numbers.length - 1) * share)]

const queue = new Queue('bench', { connection, defaultJobOptions: taskJobOptions })
const events = new QueueEvents('bench', { connection })
await events.waitUntilReady()
const before = {
  redis: cpuMsOf(redis),
  workers: sumOf(children.map(cpuMsOf)),
  own: process.cpuUsage(),
  commands: await commandsOf()
}
const pages = Array.from({ length: tasks }, (_, index) => `https://example.com/${index}`)
const claimedAt = new Map()
let memory = 0
const sampling = setInterval(async () => {
  memory = Math.max(memory, Number(/used_memory:(\d+)/.exec(await client.info('memory'))[1]))
}, 200)
await submitAll(pages, {
  queue,
  events,
  kind: recaptchaV2,
  keyOf: (page) => page,
  toData: (page) => page,
  concurrency: tasks
}).forEach(({ key, result }) => {
  if (result._tag === 'Left') throw new Error(result.left._tag)
  claimedAt.set(key, Date.now())
})
clearInterval(sampling)
const records = emulator.tasks()
const polls = sumOf(records.map((record) => record.polls))
const lateness = records.map(({ task, readyAt }) => claimedAt.get(task.websiteURL) - readyAt)
const handing = records.map(({ task, deliveredAt }) => claimedAt.get(task.websiteURL) - deliveredAt)
const perTask = (ms) => `${Math.round((ms * 1_000) / tasks)} us`
console.log(
  `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} x ${cpus()[0].model}`
)
console.log({
  tasks,
  workers,
  pollsPerTask: polls / tasks,
  redisCommandsPerTask: ((await commandsOf()) - before.commands) / tasks,
  redisCpuPerTask: perTask(cpuMsOf(redis) - before.redis),
  redisMemoryPerTaskKb: memory / tasks / 1_024,
  workerCpuPerTask: perTask(sumOf(children.map(cpuMsOf)) - before.workers),
  readyToClaimedMs: { half: quantile(lateness, 0.5), p99: quantile(lateness, 0.99) },
  deliveredToClaimedMs: { half: quantile(handing, 0.5), p99: quantile(handing, 0.99) }
})
for (const child of children) child.kill('SIGKILL')
await events.close()
await queue.close()
client.disconnect()
await emulator.close()
redis.kill('SIGKILL')
rmSync(folder, { recursive: true, force: true })
process.exit()
