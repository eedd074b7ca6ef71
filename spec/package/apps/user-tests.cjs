// The tests of a user, which jest.test.cjs and vitest.test.mjs run.
module.exports = ({ it, expect }, { TestScheduler, firstValueFrom, rxCaptcha, emulator, testing }) => {
  const task = rxCaptcha.recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' })

  it('solves a task in virtual time', () => {
    const { created, processing, ready } = testing.replies
    const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected))
    scheduler.run(({ expectObservable }) => {
      const script = { '/createTask': [created()], '/getTaskResult': [processing(), ready()] }
      const { post } = testing.scriptedPost(script, scheduler)
      const solver = rxCaptcha.createSolver({ clientKey: 'a-client-key', post, scheduler })
      expectObservable(solver.solve(task).pipe(tagOf)).toBe('6s (r|)', { r: 'Right' })
    })
  })

  it('solves a task over a socket', async () => {
    const service = await emulator.startEmulator({ readyAfterMs: 20 })
    const solver = rxCaptcha.createSolver({
      clientKey: emulator.EMULATOR_KEY,
      baseUrl: service.url,
      pollEveryMs: 10
    })
    expect(await firstValueFrom(solver.solve(task).pipe(tagOf))).toBe('Right')
    await solver.close()
    await service.close()
  })

  it('throws errors that are instances of their class', async () => {
    const { post } = testing.scriptedPost(
      { '/createTask': [testing.replies.refused('ERROR_ZERO_BALANCE')], '/getTaskResult': [] },
      new TestScheduler(() => {})
    )
    const solver = rxCaptcha.createSolver({ clientKey: 'a-client-key', post })
    const solving = firstValueFrom(solver.solve(task).pipe(rxCaptcha.orThrow()))
    await expect(solving).rejects.toBeInstanceOf(rxCaptcha.SolveFailure)
  })
}

const { map } = require('rxjs')
const tagOf = map((result) => result._tag)
