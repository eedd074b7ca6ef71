// @ts-check
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { firstValueFrom, map } from 'rxjs'
import { createSolver, recaptchaV2 } from 'rx-captcha'
import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'
import { marbles, outcomes, replies, scriptedSolver, stubSolver } from 'rx-captcha/testing'

// The code under test, usually a file of its own: a token for a page within 10 s, or the tag of the error.
/**
 * @param {import('rx-captcha').Solver} solver
 * @param {string} websiteURL
 */
const tokenFor = (solver, websiteURL) =>
  solver
    .withOptions({ giveUpAfterMs: 10_000 })
    .solve(recaptchaV2({ websiteURL, websiteKey: 'your-site-key' }))
    .pipe(map((result) => (result._tag === 'Right' ? result.right.solution.gRecaptchaResponse : result.left._tag)))

const page = 'https://example.com/login'
const script = {
  '/createTask': [replies.created()],
  '/getTaskResult': [replies.processing(), replies.ready('a-token')]
}

test('a refusal is named, with a stub', async () => {
  const stub = stubSolver({ solve: () => [outcomes.Refused({ kind: 'account' })] })
  const payload = { type: 'RecaptchaV2TaskProxyless', websiteURL: page, websiteKey: 'your-site-key' }

  assert.equal(await firstValueFrom(tokenFor(stub, page)), 'Refused')
  assert.deepEqual(stub.calls, [{ member: 'solve', payload, options: { giveUpAfterMs: 10_000 } }])
})

test(
  'the token is there after the second poll, in virtual time',
  marbles(({ scriptedSolver, expectObservable }) => {
    const { solver } = scriptedSolver(script)
    expectObservable(tokenFor(solver, page)).toBe('6s (t|)', { t: 'a-token' })
  })
)

test('polling stops after 10 s, with fake timers', () => {
  mock.timers.enable() // Date too: the clock of a scripted solver goes by it
  const { solver, counts } = scriptedSolver({ ...script, '/getTaskResult': [replies.processing()] })
  /** @type {string[]} */
  const tokens = []
  tokenFor(solver, page).subscribe((token) => tokens.push(token))

  mock.timers.tick(60_000)
  mock.timers.reset()
  assert.deepEqual(tokens, ['TimedOut'])
  assert.deepEqual(counts()['/getTaskResult'], { calls: 3, unsubscribed: 0 })
})

test('the token comes from the emulator, over HTTP', async () => {
  const emulator = await startEmulator({ readyAfterMs: 0 })
  const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 5 })
  try {
    assert.match(await firstValueFrom(tokenFor(solver, page)), /^03A/)
    assert.equal(emulator.counters().accepted, 1)
  } finally {
    await solver.close()
    await emulator.close()
  }
})
