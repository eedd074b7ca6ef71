// Runs every contender under the same workload, one after the other: `npm run bench -- --help`.
import { execSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { generate } from 'selfsigned'
import { measureCore } from './core.mjs'
import { plot } from './plot.mjs'
import { table } from './table.mjs'

const HELP = `Usage: npm run bench -- [options]
  --protocol P      https or http (first https, then http)
  --tasks N         tasks waiting at once (5000 over https, 10000 over http)
  --peers-tasks N   the same for the peers (as many over https, 1000 over http)
  --burst           begin all tasks at once
  --only A,B        some of: floor, rx-captcha, core, capmonstercloud-client, node-capmonster, anticaptcha
  --no-peers        without the peers
  --seed N          of the instants at which tasks are ready (1)
  --json FILE       write all figures
  --svg FILE        draw them
  --profile FOLDER  write a CPU profile and a heap snapshot of every contender, for profile.mjs`

const { values: given } = parseArgs({
  options: {
    protocol: { type: 'string' },
    tasks: { type: 'string' },
    'peers-tasks': { type: 'string' },
    burst: { type: 'boolean', default: false },
    only: { type: 'string' },
    'no-peers': { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    svg: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false }
  }
})

const POLL_EVERY_MS = 3_000
const READY_FROM_MS = 24_000
const READY_TO_MS = 36_000
// A machine that is too slow stretches the pace; one that hangs is not waited for.
const MAX_RUN_MS = 180_000

/** Everything is created before the first task is ready, and over whole rounds, so that polls come evenly. */
const spreadOf = (tasks) => (given.burst ? 1 : POLL_EVERY_MS * Math.min(6, Math.max(2, Math.ceil(tasks / 5_000))))

const here = (file) => new URL(file, import.meta.url)

/** The next message of a process that has `field`; fails when the process ends first. */
const messageWith = async (child, field) => {
  for (;;) {
    const stop = new AbortController()
    const [message] = await Promise.race([
      once(child, 'message', { signal: stop.signal }),
      once(child, 'exit', { signal: stop.signal }).then(([code, signal]) => {
        throw new Error(`${child.spawnargs[2]} ended early: ${code ?? signal}`)
      })
    ]).finally(() => stop.abort())
    if (message === field) return message
    if (message[field] !== undefined) return message[field]
  }
}

const start = (file, settings, execArgv = [], env = {}) => {
  const child = fork(here(file), [JSON.stringify(settings)], { execArgv, env: { ...process.env, ...env } })
  child.limit = setTimeout(() => child.kill('SIGKILL'), MAX_RUN_MS)
  return child
}

const stop = (child) => {
  clearTimeout(child.limit)
  child.kill('SIGKILL')
}

const profiling = (name, measure) => {
  if (given.profile === undefined) return { execArgv: [] }
  const snapshot = `${given.profile}/${name}.heapsnapshot`
  return measure === 'heap'
    ? { execArgv: [], snapshot }
    : { execArgv: ['--cpu-prof', `--cpu-prof-dir=${given.profile}`, `--cpu-prof-name=${name}.cpuprofile`] }
}

/** One contender and a server of its own. */
const measureOnce = async (name, tasks, measure, tls) => {
  const pace = { pollEveryMs: POLL_EVERY_MS, readyFromMs: READY_FROM_MS, readyToMs: READY_TO_MS }
  const server = start('server.mjs', { ...pace, seed: Number(given.seed), tls })
  let client
  try {
    const baseUrl = `${tls ? 'https' : 'http'}://127.0.0.1:${await messageWith(server, 'port')}`
    const { execArgv, snapshot } = profiling(name, measure)
    const workload = { name, baseUrl, tasks, spreadMs: spreadOf(tasks), pollEveryMs: POLL_EVERY_MS, measure, snapshot }
    const env = tls ? { NODE_EXTRA_CA_CERTS: tls.file } : {}
    client = start('client.mjs', workload, ['--expose-gc', ...execArgv], env)
    await messageWith(client, 'warm')
    server.send('begin')
    await messageWith(server, 'done')
    const began = performance.now()
    client.send('go')
    const result = await messageWith(client, 'result')
    const tookMs = performance.now() - began
    server.send('report')
    const report = await messageWith(server, 'report')
    if (given.profile !== undefined && measure === 'time') {
      client.send('end')
      await once(client, 'exit')
    }
    return { ...result, ...report, tookMs }
  } finally {
    stop(server)
    if (client) stop(client)
  }
}

const measureContender = async (name, tasks, tls) => {
  process.stderr.write(`${name}, ${tasks} tasks over ${tls ? 'https' : 'http'}: time`)
  const time = await measureOnce(name, tasks, 'time', tls)
  process.stderr.write(', heap')
  const { heapPerTask, peakPerTask } = await measureOnce(name, tasks, 'heap', tls)
  process.stderr.write('\n')
  const [cpuPerSolveUs, cpuPerExchangeUs] = [tasks, time.exchanges].map((count) => (1_000 * time.cpuMs) / count)
  return { name, tasks, heapPerTask, peakPerTask, cpuPerSolveUs, cpuPerExchangeUs, ...time }
}

/** A certificate made on the spot. The clients trust it through NODE_EXTRA_CA_CERTS. */
const makeCertificate = async () => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }]
  })
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'cert.pem')
  writeFileSync(file, cert)
  return { cert, key, file }
}

const TASKS = { https: { ours: 5_000, peers: 5_000 }, http: { ours: 10_000, peers: 1_000 } }

const PEERS = ['capmonstercloud-client', 'node-capmonster', 'anticaptcha']

/** The peers are no dependencies of the package: they are installed here, once. */
const installPeers = () => {
  if (existsSync(here('node_modules'))) return
  process.stderr.write('installing the peers\n')
  execSync('npm ci --no-audit --no-fund', { cwd: here('.'), stdio: ['ignore', 'ignore', 'inherit'] })
}

const main = async () => {
  const all = ['floor', 'rx-captcha', 'core', ...(given['no-peers'] ? [] : PEERS)]
  const names = given.only?.split(',') ?? all
  if (names.some((name) => PEERS.includes(name))) installPeers()
  if (given.profile !== undefined) mkdirSync(given.profile, { recursive: true })
  const workloads = []
  for (const protocol of given.protocol === undefined ? ['https', 'http'] : [given.protocol]) {
    const tls = protocol === 'https' ? await makeCertificate() : undefined
    const { ours, peers } = TASKS[protocol]
    const contenders = []
    for (const name of names.filter((one) => one !== 'core')) {
      const tasks = PEERS.includes(name) ? (given['peers-tasks'] ?? peers) : (given.tasks ?? ours)
      // A peer that cannot do the workload at all is left out, and says why.
      const measured = await measureContender(name, Number(tasks), tls).catch((error) => {
        if (!PEERS.includes(name)) throw error
        process.stderr.write(`\n${name} is left out: ${error.message}\n`)
      })
      if (measured) contenders.push(measured)
    }
    workloads.push({ protocol, burst: given.burst, contenders })
  }
  const core = names.includes('core') ? await measureCore() : undefined
  const machine = `Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model ?? process.arch}`
  const figures = { date: new Date().toISOString().slice(0, 10), machine, workloads, core }
  console.log(table(figures))
  if (given.svg !== undefined) writeFileSync(given.svg, plot(figures))
  if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify(figures, undefined, 2)}\n`)
}

if (given.help) console.log(HELP)
else await main()
