// What each client makes of a fault of the service: the table of docs/comparison.md. Run as
//   npm ci --prefix spec/bench && npm run build && node spec/bench/faults.mjs
import { inspect } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmulator } from '../../dist/emulator/index.js'
import { openOurs } from './ours.mjs'
import { openAnticaptcha, openNodeCapmonster, openZennolab } from './peers.mjs'

const CLIENTS = {
  'rx-captcha': openOurs,
  '@zennolab_com/capmonstercloud-client': openZennolab,
  anticaptcha: openAnticaptcha,
  'node-capmonster': openNodeCapmonster
}

const CASES = [
  [],
  ['getTaskResult:1:reset'],
  ['getTaskResult:1:500'],
  ['getTaskResult:1:503'],
  ['getTaskResult:1:429;retry-after=1'],
  ['getTaskResult:1:ERROR_TOO_MUCH_REQUESTS'],
  ['getTaskResult:1:not-json'],
  ['getTaskResult:1:silent'],
  ['getTaskResult:always:unknown-status'],
  ['getTaskResult:always:no-solution'],
  ['task:always:ERROR_CAPTCHA_UNSOLVABLE'],
  ['createTask:1:reset-unread'],
  ['createTask:1:billed+reset'],
  ['createTask:1:500'],
  ['createTask:1:503'],
  ['createTask:1:429;retry-after=1'],
  ['createTask:1:ERROR_NO_SLOT_AVAILABLE'],
  ['createTask:1:ERROR_ZERO_BALANCE'],
  ['createTask:1:no-id'],
  ['createTask:1:text-before'],
  ['createTask:1:echo-key'],
  ['createTask:1:silent'],
  'numeric ids'
]

const CLIENT_KEY = 'a-client-key'
const LIMIT_MS = 40_000
const NOTHING = Symbol('nothing')

// What the clients call a reCAPTCHA v2 task without a proxy.
const types = ['NoCaptchaTaskProxyless', 'NoCaptchaTask', 'RecaptchaV2Task']
const solutions = Object.fromEntries(types.map((type) => [type, () => ({ gRecaptchaResponse: '03A-a-token' })]))

const show = (outcome) => {
  if (outcome === NOTHING) return `nothing in ${LIMIT_MS / 1_000} s`
  if (typeof outcome === 'string') return 'token'
  if (outcome instanceof Error) return `${outcome.constructor.name}: ${outcome.message}`
  return outcome?._tag ?? `resolves with ${JSON.stringify(outcome.solved)}`
}

const run = async (open, given) => {
  const numericIds = given === 'numeric ids'
  const faults = numericIds ? [] : given
  const options = { clientKey: CLIENT_KEY, readyAfterMs: 400, faults, numericIds, solutions, seed: 1 }
  const emulator = await startEmulator(options)
  const client = open({ baseUrl: emulator.url, pollEveryMs: 100 })
  const settled = new Promise((resolve) => {
    client.start('https://example.com/login', 'your-site-key', resolve)
  })
  const outcome = await Promise.race([settled, sleep(LIMIT_MS, NOTHING)])
  const { accepted, requests } = emulator.counters()
  const [task] = emulator.tasks()
  await client.close()
  await emulator.close()
  return { outcome, accepted, requests, task }
}

const describe = ({ outcome, accepted, requests, task }) => {
  const notes = [`createTask ${requests.createTask}`, `polls ${requests.getTaskResult}`, `paid ${accepted}`]
  if (typeof outcome !== 'string' && outcome !== NOTHING) {
    const text = `${inspect(outcome)} ${JSON.stringify(outcome)}` // what console.error and a JSON logger write
    if (text.includes(CLIENT_KEY)) notes.push('KEY IN THE ERROR')
    if (accepted > 0) notes.push(text.includes(task.taskId) ? 'id in the error' : 'no id in the error')
  }
  return `${show(outcome)} (${notes.join(', ')})`
}

const rows = new Map(CASES.map((given) => [given, []]))
for (const open of Object.values(CLIENTS)) {
  const ends = await Promise.all(CASES.map((given) => run(open, given)))
  // At the end, because it takes long, and blocks, to print an error that holds sockets.
  CASES.forEach((given, i) => rows.get(given).push(describe(ends[i])))
}

for (const [given, cells] of rows) {
  console.log(`\n${String(given) || 'no fault'}`)
  Object.keys(CLIENTS).forEach((name, i) => console.log(`  ${name}: ${cells[i]}`))
}
process.exit() // some clients leave timers and sockets open
