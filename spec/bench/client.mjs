// One contender under the workload, in a process of its own, forked by run.mjs.
import { setTimeout as sleep } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'

/**
 * What a contender is to the bench.
 * @typedef {(token: string | Error | object) => void} Done
 * @typedef {{ start: (websiteURL: string, websiteKey: string, done: Done) => void, close: () => Promise<unknown> }} Contender
 * @typedef {(options: { baseUrl: string, pollEveryMs: number }) => Contender} Open
 */

const CONTENDERS = {
  floor: async () => (await import('./floor.mjs')).openFloor,
  'rx-captcha': async () => (await import('./ours.mjs')).openOurs,
  'capmonstercloud-client': async () => (await import('./peers.mjs')).openZennolab,
  'node-capmonster': async () => (await import('./peers.mjs')).openNodeCapmonster,
  anticaptcha: async () => (await import('./peers.mjs')).openAnticaptcha
}

const PAGE = 'https://example.com/login'
const WARM_UP_TASKS = 300

const { name, baseUrl, tasks, spreadMs, pollEveryMs, measure, snapshot } = JSON.parse(process.argv[2])

const now = () => performance.timeOrigin + performance.now()

const heapUsed = () => {
  global.gc()
  global.gc()
  return getHeapStatistics().used_heap_size
}

/** Starts `count` tasks evenly over a time. */
const startEvenly = async (contender, count, overMs, websiteKey, done) => {
  const begin = performance.now()
  for (let started = 0; started < count; await sleep(5)) {
    const due = Math.min(count, Math.ceil(((performance.now() - begin) / overMs) * count))
    for (; started < due; started += 1) contender.start(PAGE, websiteKey, done)
  }
}

/** Solves tasks to their end, and tells how each came out. */
const solveAll = (contender, count, overMs, websiteKey) =>
  new Promise((resolve, reject) => {
    const delays = new Float64Array(count)
    let ended = 0
    let failed = 0
    let reason
    const done = (token) => {
      if (typeof token === 'string') delays[ended] = now() - parseFloat(token)
      else {
        failed += 1
        reason ??= String(token?.stack ?? JSON.stringify(token))
      }
      if ((ended += 1) === count) resolve({ delays, failed, reason })
    }
    startEvenly(contender, count, overMs, websiteKey, done).catch(reject)
  })

/** Everything is compiled, and every module loaded, before anything is measured. */
const warmUp = async (open) => {
  const contender = open({ baseUrl, pollEveryMs: 20 })
  const { failed, reason } = await solveAll(contender, WARM_UP_TASKS, 500, 'warm-up')
  if (failed > 0) throw new Error(`${name} cannot solve: ${reason}`)
  await contender.close()
}

/** CPU of this process, and how long ready tasks stayed unnoticed, from the first create to the last outcome. */
const measureTime = async (contender) => {
  const before = process.cpuUsage()
  const { delays, failed, reason } = await solveAll(contender, tasks, spreadMs, 'a-site-key')
  const { user, system } = process.cpuUsage(before)
  const sum = delays.reduce((a, b) => a + b, 0)
  const readyToAnswerMs = { mean: sum / (tasks - failed), max: delays.reduce((a, b) => Math.max(a, b), 0) }
  return { cpuMs: (user + system) / 1_000, readyToAnswerMs, failed, reason }
}

const SAMPLE_MS = 20

/** Heap of a task that waits for its next poll: all are created, each has asked twice, none is ready; and the most until then. */
const measureHeap = async (contender) => {
  const before = heapUsed()
  let peak = before
  const sampling = setInterval(() => (peak = Math.max(peak, getHeapStatistics().used_heap_size)), SAMPLE_MS)
  await startEvenly(contender, tasks, spreadMs, 'a-site-key', () => {})
  await sleep(2.5 * pollEveryMs)
  clearInterval(sampling)
  const heapPerTask = (heapUsed() - before) / tasks
  const peakPerTask = (peak - before) / tasks
  if (snapshot) (await import('node:v8')).writeHeapSnapshot(snapshot)
  return { heapPerTask, peakPerTask }
}

const open = await CONTENDERS[name]()
await warmUp(open)
await sleep(200)
const contender = open({ baseUrl, pollEveryMs })
process.send('warm')
process.once('message', async () => {
  process.send({ result: await (measure === 'heap' ? measureHeap : measureTime)(contender) })
  // Not killed but ended, a process writes its CPU profile.
  process.once('message', () => process.exit())
})
process.on('disconnect', () => process.exit())
