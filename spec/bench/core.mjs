// The library without a network: what its own code costs. `node --expose-gc spec/bench/core.mjs` runs it alone, for profiles.
import { once } from 'node:events'
import { fork } from 'node:child_process'
import { writeHeapSnapshot } from 'node:v8'
import { Observable } from 'rxjs'
import { createSolver, recaptchaV2 } from '../../dist/index.js'

const TASKS = 10_000
const QUESTIONS = 20
const LIMIT_MS = 120_000

const SENT = { _tag: 'Sent' }
const PROCESSING = { _tag: 'Reply', status: 200, body: '{"errorId":0,"status":"processing"}' }
const READY = {
  _tag: 'Reply',
  status: 200,
  body: '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"a"}}'
}

/** A network in memory: answers in the next turn of the event loop, all calls of a turn together. */
const memory = (readyAfter) => {
  const asked = new Map()
  let waiting = []
  let lastId = 0
  const counted = { questions: 0 }
  const answerTo = (path, { taskId }) => {
    if (path === '/createTask') return { _tag: 'Reply', status: 200, body: `{"errorId":0,"taskId":"${(lastId += 1)}"}` }
    counted.questions += 1
    const times = (asked.get(taskId) ?? 0) + 1
    asked.set(taskId, times)
    return times < readyAfter ? PROCESSING : READY
  }
  const answerAll = () => {
    const calls = waiting
    waiting = []
    for (const { path, body, subscriber } of calls) {
      subscriber.next(answerTo(path, body))
      subscriber.complete()
    }
  }
  const post = (path, body) =>
    new Observable((subscriber) => {
      subscriber.next(SENT)
      if (waiting.push({ path, body, subscriber }) === 1) setImmediate(answerAll)
    })
  return { post, counted }
}

const solveMany = (solver, tasks) =>
  new Promise((resolve) => {
    let left = tasks
    for (let at = 0; at < tasks; at += 1)
      solver
        .solve(recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' }))
        .subscribe((result) => {
          if (result._tag === 'Left') throw new Error(JSON.stringify(result.left))
          if ((left -= 1) === 0) resolve()
        })
  })

/** CPU of one question, waits included, as fast as it goes. */
const timeQuestions = async (tasks, questions) => {
  const { post, counted } = memory(questions)
  const solver = createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 100 })
  const before = process.cpuUsage()
  await solveMany(solver, tasks)
  const { user, system } = process.cpuUsage(before)
  await solver.close()
  return (user + system) / counted.questions
}

/** Heap of a task that waits for its first question. */
const heapOfWaiting = async (tasks) => {
  const { post } = memory(2)
  const solver = createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 600_000, giveUpAfterMs: 1_200_000 })
  const heapUsed = () => (global.gc(), global.gc(), process.memoryUsage().heapUsed)
  const before = heapUsed()
  void solveMany(solver, tasks)
  await new Promise((resolve) => setTimeout(resolve, 500))
  const heapPerTask = (heapUsed() - before) / tasks
  const [, , snapshot] = process.argv
  if (snapshot !== undefined) writeHeapSnapshot(snapshot)
  return heapPerTask
}

/** Measures in a process of its own, so that nothing else is on its heap. */
export const measureCore = async () => {
  const child = fork(new URL(import.meta.url), [], { execArgv: ['--expose-gc'], timeout: LIMIT_MS })
  const [core] = await once(child, 'message')
  return core
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  await timeQuestions(1_000, 5)
  const core = { perQuestionUs: await timeQuestions(TASKS, QUESTIONS), heapPerTask: await heapOfWaiting(TASKS) }
  if (process.send) process.send(core)
  else console.log(core)
  process.exit() // the tasks of the heap would wait on
}
