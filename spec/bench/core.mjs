// The library without a network: what its own code costs. `node --expose-gc spec/bench/core.mjs` runs it alone, for profiles.
import { once } from 'node:events'
import { fork } from 'node:child_process'
import { writeHeapSnapshot } from 'node:v8'
import { createSolver, recaptchaV2 } from '../../dist/index.js'
import { PROCESSING, READY, heapUsed, inMemory, reply } from './memory.mjs'

const TASKS = 10_000
const QUESTIONS = 20
const LIMIT_MS = 120_000

/** A service whose tasks are ready at the nth poll. */
const serviceOf = (readyAt) => {
  const asked = new Map()
  const counted = { polls: 0 }
  let lastId = 0
  const post = inMemory((path, { taskId }) => {
    if (path === '/createTask') return reply({ errorId: 0, taskId: String((lastId += 1)) })
    counted.polls += 1
    const times = (asked.get(taskId) ?? 0) + 1
    asked.set(taskId, times)
    return times < readyAt ? PROCESSING : READY
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

/** CPU of one poll, waits included, as fast as it goes. */
const timeQuestions = async (tasks, polls) => {
  const { post, counted } = serviceOf(polls)
  const solver = createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 100 })
  const before = process.cpuUsage()
  await solveMany(solver, tasks)
  const { user, system } = process.cpuUsage(before)
  await solver.close()
  return (user + system) / counted.polls
}

/** Heap of a task that waits for its first poll. */
const heapOfWaiting = async (tasks) => {
  const { post } = serviceOf(2)
  const solver = createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 600_000, giveUpAfterMs: 1_200_000 })
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
