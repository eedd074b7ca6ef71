// Bytes allocated for an exchange, garbage included, and where: `npm run build && node spec/bench/allocation.mjs [NAME] [TASKS]`.
// NAME is `rx-captcha` (by default) or `floor`. The server runs in a process of its own; it speaks plain HTTP.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Session } from 'node:inspector/promises'
import { basename } from 'node:path'

const [, , name = 'rx-captcha', tasks = '2000'] = process.argv
const POLL_EVERY_MS = 300
const SPREAD_MS = 1_000
const WARM_UP_TASKS = 300
const SAMPLING_BYTES = 8_192
const MAX_LINES = 30

const OPEN = {
  floor: async () => (await import('./floor.mjs')).openFloor,
  'rx-captcha': async () => (await import('./ours.mjs')).openOurs
}

const settings = { pollEveryMs: POLL_EVERY_MS, readyFromMs: 0, readyToMs: 0, readyAtPoll: 10, seed: 1 }
const server = fork(new URL('./server.mjs', import.meta.url), [JSON.stringify(settings)])
const message = async (field) => {
  for (;;) {
    const [sent] = await once(server, 'message')
    if (sent === field) return sent
    if (sent[field] !== undefined) return sent[field]
  }
}

/** Solves tasks that begin evenly over a time. */
const solveMany = (contender, count, overMs, websiteKey) =>
  new Promise((resolve, reject) => {
    let left = count
    const done = (token) => {
      if (typeof token !== 'string') reject(token)
      else if ((left -= 1) === 0) resolve()
    }
    for (let nth = 0; nth < count; nth += 1)
      setTimeout(() => contender.start('https://example.com/login', websiteKey, done), (overMs * nth) / count)
  })

/** Bytes by function; a built-in one is listed with its caller. */
const bySite = ({ head }) => {
  const sites = new Map()
  const visit = ({ callFrame: { functionName, url, lineNumber }, selfSize, children }, caller) => {
    const place = url === '' ? `of ${caller}` : `${basename(url)}:${lineNumber + 1}`
    const site = `${functionName || '(anonymous)'} ${place}`
    sites.set(site, (sites.get(site) ?? 0) + selfSize)
    for (const child of children) visit(child, site)
  }
  visit(head, 'nothing')
  return [...sites].sort(([, a], [, b]) => b - a)
}

const contender = (await OPEN[name]())({
  baseUrl: `http://127.0.0.1:${await message('port')}`,
  pollEveryMs: POLL_EVERY_MS
})
await solveMany(contender, WARM_UP_TASKS, 500, 'warm-up')
server.send('begin')
await message('done')

const session = new Session()
session.connect()
await session.post('HeapProfiler.startSampling', {
  samplingInterval: SAMPLING_BYTES,
  includeObjectsCollectedByMajorGC: true,
  includeObjectsCollectedByMinorGC: true
})
const before = process.cpuUsage()
await solveMany(contender, Number(tasks), SPREAD_MS, 'a-site-key')
const { user, system } = process.cpuUsage(before)
const { profile } = await session.post('HeapProfiler.stopSampling')
server.send('report')
const { exchanges } = await message('report')
await contender.close()
server.kill()

const sites = bySite(profile)
const bytes = sites.reduce((sum, [, size]) => sum + size, 0)
const cpuUs = (user + system) / exchanges
console.log(
  `${name}: ${exchanges} exchanges, ${(bytes / exchanges / 1_024).toFixed(2)} KB each, ${cpuUs.toFixed(1)} us (profiled)`
)
for (const [site, size] of sites.slice(0, MAX_LINES))
  console.log(`${String(Math.round(size / exchanges)).padStart(6)} B  ${site}`)
