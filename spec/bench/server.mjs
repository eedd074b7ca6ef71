// The service, as cheap as it can be: it must not be what limits a client. Runs in a process of its own, forked by run.mjs.
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'

// Tasks are ready after a time, or at the nth poll, which makes the number of exchanges independent of the machine's load.
const { pollEveryMs, readyFromMs, readyToMs, readyAtPoll, seed, tls } = JSON.parse(process.argv[2])

/** Instants that the client's process can compare with its own. */
const now = () => performance.timeOrigin + performance.now()

/** Small seeded generator (mulberry32): every contender meets the same draws. */
const draws = (state) => () => {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const WARM_UP_READY_MS = 60
// About as long as the tokens of the service.
const PADDING = 'x'.repeat(480)
const PROCESSING = Buffer.from('{"errorId":0,"status":"processing"}')

const GONE = Buffer.from('{"errorId":1,"errorCode":"ERROR_TASKID_INVALID"}')

const random = draws(seed)
const tasks = new Map()
const lateness = []
let lastId = 0
let creates = 0
let polls = 0
let cpuBefore = process.cpuUsage()

const create = (websiteKey) => {
  const isWarmUp = websiteKey === 'warm-up'
  const taskId = String((lastId += 1))
  const readyInMs = isWarmUp ? WARM_UP_READY_MS : readyFromMs + random() * (readyToMs - readyFromMs)
  tasks.set(taskId, { readyAt: now() + readyInMs, answeredAt: 0, polls: 0, isWarmUp })
  if (!isWarmUp) creates += 1
  return Buffer.from(JSON.stringify({ errorId: 0, taskId }))
}

const answer = (taskId, arrivedAt) => {
  const task = tasks.get(taskId)
  // Its token was sent, and the client was too slow to take it.
  if (!task) return GONE
  if (!task.isWarmUp) {
    polls += 1
    // Before the first poll a client may wait as it likes.
    if (task.answeredAt > 0) lateness.push(arrivedAt - task.answeredAt - pollEveryMs)
  }
  task.polls += 1
  if (readyAtPoll === undefined ? now() < task.readyAt : task.polls < readyAtPoll) {
    task.answeredAt = now()
    return PROCESSING
  }
  tasks.delete(taskId)
  // The token tells when it was ready: the client knows then how long it took to notice.
  const solution = { gRecaptchaResponse: `${task.readyAt.toFixed(3)}.${PADDING}` }
  return Buffer.from(JSON.stringify({ errorId: 0, status: 'ready', solution }))
}

let connections = 0

const onRequest = (request, response) => {
  const arrivedAt = now()
  let text = ''
  request.setEncoding('utf8')
  request.on('data', (chunk) => (text += chunk))
  request.on('end', () => {
    const body = JSON.parse(text)
    const reply = request.url === '/createTask' ? create(body.task.websiteKey) : answer(body.taskId, arrivedAt)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': reply.length })
    response.end(reply)
  })
}

const server = tls ? createHttpsServer(tls, onRequest) : createHttpServer(onRequest)
server.on(tls ? 'secureConnection' : 'connection', () => (connections += 1))
// No connection closes under a request: what that costs is not the poll here.
Object.assign(server, { keepAliveTimeout: 600_000, headersTimeout: 0, requestTimeout: 0 })

const report = () => {
  const { user, system } = process.cpuUsage(cpuBefore)
  lateness.sort((a, b) => a - b)
  const at = (share) => lateness[Math.min(lateness.length - 1, Math.floor(lateness.length * share))]
  return {
    creates,
    exchanges: creates + polls,
    connections,
    serverCpuMs: (user + system) / 1_000,
    early: lateness.filter((ms) => ms < 0).length,
    latenessMs: { min: at(0), p50: at(0.5), p99: at(0.99), max: at(1) }
  }
}

process.on('message', (message) => {
  if (message === 'begin') {
    cpuBefore = process.cpuUsage()
    connections = 0
  }
  process.send(message === 'report' ? { report: report() } : { done: message })
})
process.on('disconnect', () => process.exit())
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => process.send({ port: server.address().port }))
