// A long batch over a network in memory: `node --expose-gc spec/bench/batch.mjs [items]`.
import { createSolver, recaptchaV2 } from '../../dist/index.js'
import { READY, heapUsed, inMemory, reply } from './memory.mjs'

const ITEMS = Number(process.argv[2] ?? 1_000_000)
const LOOK_AT = ITEMS / 10

const items = function* () {
  for (let nth = 0; nth < ITEMS; nth += 1) yield nth
}
const toTask = (nth) => recaptchaV2({ websiteURL: `https://example.com/${nth}`, websiteKey: 'a-site-key' })

let lastId = 0
const post = inMemory((path) => (path === '/createTask' ? reply({ errorId: 0, taskId: `id-${(lastId += 1)}` }) : READY))
const solver = createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 1 })

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
let outcomes = 0
let heapBefore = 0
let lookedMs = 0
const cpuBefore = process.cpuUsage()
const began = performance.now()
solver.solveAll(items(), toTask, { concurrency: 1_000 }).subscribe({
  next: ({ result }) => {
    if (result._tag === 'Left') throw new Error(JSON.stringify(result.left))
    outcomes += 1
    if (outcomes !== LOOK_AT) return
    const looked = performance.now()
    heapBefore = heapUsed()
    lookedMs = performance.now() - looked
  },
  complete: () => {
    const seconds = (performance.now() - began - lookedMs) / 1_000
    const { user, system } = process.cpuUsage(cpuBefore)
    console.log(`${outcomes} items in ${seconds.toFixed(1)} s: ${Math.round(outcomes / seconds)} outcomes a second`)
    console.log(`${((user + system) / outcomes).toFixed(1)} us of CPU an item`)
    console.log(`heap after ${LOOK_AT}: ${megabytes(heapBefore)}, at the end: ${megabytes(heapUsed())}`)
  }
})
