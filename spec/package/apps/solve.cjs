// A program of a user: solves tasks, and meets the errors of the network.
const assert = require('node:assert/strict')
const { lastValueFrom, firstValueFrom, toArray } = require('rxjs')
const { createSolver, orThrow, recaptchaV2, SolveFailure } = require('rx-captcha')
const { EMULATOR_KEY, startEmulator } = require('rx-captcha/emulator')
const { jobVerdict } = require('rx-captcha/bullmq')
const { fileJournal } = require('rx-captcha/journal')
const testing = require('rx-captcha/testing')

const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' })

const main = async () => {
  const emulator = await startEmulator({ readyAfterMs: 20, faults: ['createTask:1:reset'] })
  const solverAt = (baseUrl) => createSolver({ clientKey: EMULATOR_KEY, baseUrl, pollEveryMs: 10, random: () => 0 })
  const solver = solverAt(emulator.url)

  const reset = await firstValueFrom(solver.solve(task))
  assert.equal(reset.left?._tag, 'CreateUnknown')

  const outcomes = await lastValueFrom(solver.solveAll(Array.from({ length: 20 }), () => task).pipe(toArray()))
  assert.deepEqual(new Set(outcomes.map(({ result }) => result._tag)), new Set(['Right']))

  const unreachable = solverAt('http://127.0.0.1:1')
  const failure = await firstValueFrom(unreachable.solve(task).pipe(orThrow())).catch((error) => error)
  assert(failure instanceof SolveFailure)
  assert.equal(failure.error.reason, 'connect')

  assert.equal(typeof testing.stubSolver, 'function')
  assert.equal(typeof fileJournal, 'function')
  assert.equal(jobVerdict({ _tag: 'InvalidTask', paid: 'no', problems: [] }), 'fail')
  await solver.close()
  await unreachable.close()
  await emulator.close()
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
