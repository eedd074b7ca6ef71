import { firstValueFrom, map, type Observable } from 'rxjs'
import { createSolver, recaptchaV2, type Solver } from 'rx-captcha'
import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'
import { marbles, outcomes, replies, scriptedSolver, stubSolver } from 'rx-captcha/testing'

// The code under test, usually a file of its own: a token for a page within 10 s, or the tag of the error.
const tokenFor = (solver: Solver, websiteURL: string): Observable<string> =>
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

  expect(await firstValueFrom(tokenFor(stub, page))).toBe('Refused')
  expect(stub.calls).toMatchObject([{ member: 'solve', payload: { websiteURL: page } }])
})

test(
  'the token is there after the second poll, in virtual time',
  marbles(({ scriptedSolver, expectObservable }) => {
    const { solver } = scriptedSolver(script)
    expectObservable(tokenFor(solver, page)).toBe('6s (t|)', { t: 'a-token' })
  })
)

test('polling stops after 10 s, with fake timers', () => {
  jest.useFakeTimers()
  const { solver, counts } = scriptedSolver({ ...script, '/getTaskResult': [replies.processing()] })
  const tokens: string[] = []
  tokenFor(solver, page).subscribe((token) => tokens.push(token))

  jest.advanceTimersByTime(60_000)
  jest.useRealTimers()
  expect(tokens).toEqual(['TimedOut'])
  expect(counts()['/getTaskResult']).toEqual({ calls: 3, unsubscribed: 0 })
})

test('the token comes from the emulator, over HTTP', async () => {
  const emulator = await startEmulator({ readyAfterMs: 0 })
  const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 5 })
  try {
    expect(await firstValueFrom(tokenFor(solver, page))).toMatch(/^03A/)
    expect(emulator.counters().accepted).toBe(1)
  } finally {
    await solver.close()
    await emulator.close()
  }
})
