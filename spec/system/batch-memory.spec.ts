import { execFileSync } from 'node:child_process'
import { built } from '../support/built.js'

const library = built()

/** Solves many items over a network in memory, and prints the heap in use after a tenth of them and at the end. */
const SCRIPT = `
  const { Observable } = require('rxjs')
  const { createSolver, recaptchaV2 } = require('./dist/index.js')
  const reply = (document) => ({ _tag: 'Reply', status: 200, body: JSON.stringify(document) })
  const READY = reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'a' } })
  let lastId = 0
  const post = (path) => new Observable((subscriber) => {
    subscriber.next({ _tag: 'Sent' })
    setImmediate(() => {
      subscriber.next(path === '/createTask' ? reply({ errorId: 0, taskId: 'id-' + (lastId += 1) }) : READY)
      subscriber.complete()
    })
  })
  const ITEMS = 8_000
  const items = function* () { for (let nth = 0; nth < ITEMS; nth += 1) yield nth }
  const heapUsed = () => { gc(); gc(); return process.memoryUsage().heapUsed }
  const seen = { outcomes: 0, early: 0 }
  createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 1 })
    .solveAll(items(), (nth) => recaptchaV2({ websiteURL: 'https://example.com/' + nth, websiteKey: 'k' }), { concurrency: 100 })
    .subscribe({
      next: () => { if ((seen.outcomes += 1) === ITEMS / 10) seen.early = heapUsed() },
      complete: () => console.log(JSON.stringify({ ...seen, end: heapUsed() }))
    })`

describe('a long batch', () => {
  it('uses no more memory at its end than after a tenth of its items', () => {
    const printed = execFileSync(process.execPath, ['--expose-gc', '-e', SCRIPT], { cwd: library(), encoding: 'utf8' })
    const { outcomes, early, end } = JSON.parse(printed) as Record<string, number>
    expect(outcomes).toBe(8_000)
    // No task is active at the end, so anything that is kept of each item shows.
    expect(end! - early!).toBeLessThan(0)
  })
})
