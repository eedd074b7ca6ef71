// A program of a user, as an ES module.
import assert from 'node:assert/strict'
import { createSolver, InvalidOptions, recaptchaV2 } from 'rx-captcha'
import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'
import { jobVerdict } from 'rx-captcha/bullmq'
import { fileJournal } from 'rx-captcha/journal'
import { stubSolver } from 'rx-captcha/testing'
import { firstValueFrom } from 'rxjs'

const emulator = await startEmulator({ readyAfterMs: 20 })
const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 10 })
const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' })
assert.equal((await firstValueFrom(solver.solve(task)))._tag, 'Right')
assert.throws(() => createSolver({ clientKey: 'short' }), InvalidOptions)
assert.equal(typeof stubSolver, 'function')
assert.equal(typeof fileJournal, 'function')
assert.equal(jobVerdict({ _tag: 'InvalidTask', paid: 'no', problems: [] }), 'fail')
await solver.close()
await emulator.close()
