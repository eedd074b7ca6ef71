import { firstValueFrom, forkJoin } from 'rxjs'
import { createSolver, orThrow, recaptchaV2 } from 'rx-captcha'
import { EMULATOR_KEY, type Emulator, type EmulatorOptions } from 'rx-captcha/emulator'
import { aTask, create, createdId, emulators, poll, post, rawPost, until, type Reply } from '../support/raw-http.js'

const start = emulators()

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

const verifyWith = (emulator: Emulator, fields: Readonly<Record<string, string>>, headers = FORM): Promise<Reply> =>
  post(`${emulator.url}/siteverify`, new URLSearchParams(fields).toString(), { headers })

const verify = async (emulator: Emulator, response: string): Promise<unknown> =>
  (await verifyWith(emulator, { secret: 'any', response })).json()

const refusal = (...errorCodes: ReadonlyArray<string>) => ({ success: false, 'error-codes': errorCodes })

/** The token of a task. */
const tokenOf = async (emulator: Emulator, taskId: string): Promise<string> => {
  const { solution } = (await poll(emulator, taskId)).json() as { solution: { gRecaptchaResponse: string } }
  return solution.gRecaptchaResponse
}

/** An emulator with a token that it gave out. */
const withToken = async (options: EmulatorOptions = {}) => {
  const emulator = await start(options)
  return { emulator, token: await tokenOf(emulator, await createdId(emulator)) }
}

describe('siteverify', () => {
  it('accepts a token, with the time of its making and the host of its page', async () => {
    const { emulator, token } = await withToken()
    const reply = await verifyWith(emulator, { secret: 'any', response: token, remoteip: '203.0.113.7' })
    const { readyAt } = emulator.tasks()[0]!
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([200, 'application/json'])
    expect(reply.json()).toStrictEqual({
      success: true,
      challenge_ts: `${new Date(readyAt).toISOString().slice(0, 19)}Z`,
      hostname: 'example.com'
    })
  })

  it('accepts a token once', async () => {
    const { emulator, token } = await withToken()
    expect(await verify(emulator, token)).toMatchObject({ success: true })
    expect(await verify(emulator, token)).toStrictEqual(refusal('timeout-or-duplicate'))
  })

  it('accepts no used token that was polled once more', async () => {
    const { emulator, token } = await withToken()
    await verify(emulator, token)
    expect(await tokenOf(emulator, emulator.tasks()[0]!.taskId)).toBe(token)
    expect(await verify(emulator, token)).toStrictEqual(refusal('timeout-or-duplicate'))
  })

  it('accepts no token that the emulator did not give out, even one that it will give out', async () => {
    const [{ token }, emulator] = [await withToken({ seed: 7 }), await start({ seed: 7 })]
    expect(await verify(emulator, token)).toStrictEqual(refusal('invalid-input-response'))
    const taskId = await createdId(emulator)
    expect(await verify(emulator, token)).toStrictEqual(refusal('invalid-input-response'))
    expect(await tokenOf(emulator, taskId)).toBe(token)
    expect(await verify(emulator, token)).toMatchObject({ success: true })
  })

  it('accepts no token of a reply that a fault hides, until another reply shows it', async () => {
    const token = (await withToken({ seed: 7 })).token
    const emulator = await start({ seed: 7, faults: ['getTaskResult:1:cut-json'] })
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    expect(await verify(emulator, token)).toStrictEqual(refusal('invalid-input-response'))
    expect(await tokenOf(emulator, taskId)).toBe(token)
    expect(await verify(emulator, token)).toMatchObject({ success: true })
  })

  it('accepts a token from the reply to createTask', async () => {
    const emulator = await start({ faults: ['createTask:1:ready-at-once'] })
    const { solution } = (await create(emulator)).json() as { solution: { gRecaptchaResponse: string } }
    expect(await verify(emulator, solution.gRecaptchaResponse)).toMatchObject({ success: true })
  })

  it('accepts a token of another type of task, whose page may have no address', async () => {
    const solutions = { RecaptchaV3Task: () => ({ gRecaptchaResponse: 'a-token-of-v3' }), Other: () => null }
    const emulator = await start({ solutions })
    for (const type of Object.keys(solutions)) {
      await create(emulator, { type })
      await poll(emulator, emulator.tasks().at(-1)!.taskId)
    }
    expect(await verify(emulator, 'a-token-of-v3')).toMatchObject({ success: true, hostname: '' })
  })

  it('accepts a token that several tasks have once for each task', async () => {
    const solutions = { [aTask.type]: () => ({ gRecaptchaResponse: 'always-the-same' }) }
    const { emulator, token } = await withToken({ solutions })
    expect(await verify(emulator, token)).toMatchObject({ success: true })
    await tokenOf(emulator, await createdId(emulator))
    expect(await verify(emulator, token)).toMatchObject({ success: true })
    expect(await verify(emulator, token)).toStrictEqual(refusal('timeout-or-duplicate'))
  })

  it.each([
    [{ response: 'x' }, ['missing-input-secret']],
    [{ secret: '', response: 'x' }, ['missing-input-secret']],
    [{ secret: 'any' }, ['missing-input-response']],
    [{ secret: 'any', response: '' }, ['missing-input-response']],
    [{}, ['missing-input-secret', 'missing-input-response']]
  ])('refuses the fields %j with %j', async (fields: Readonly<Record<string, string>>, codes) => {
    expect((await verifyWith(await start(), fields)).json()).toStrictEqual(refusal(...codes))
  })

  it('accepts only the given secret, and leaves the token of a refused request usable', async () => {
    const { emulator, token } = await withToken({ siteSecret: 'the-secret' })
    expect(await verify(emulator, token)).toStrictEqual(refusal('invalid-input-secret'))
    expect((await verifyWith(emulator, { secret: 'the-secret', response: token })).json()).toMatchObject({
      success: true
    })
  })

  it('refuses a body that is not a form of at most 64 KiB in UTF-8 as bad-request', async () => {
    const { emulator, token } = await withToken()
    const fields = { secret: 'any', response: token }
    const bodies: ReadonlyArray<readonly [string | Buffer, string]> = [
      [JSON.stringify(fields), 'application/json'],
      [new URLSearchParams(fields).toString(), 'application/x-www-form-urlencoded-not'],
      [new URLSearchParams({ ...fields, note: 'x'.repeat(65_536) }).toString(), FORM['content-type']],
      [Buffer.from(`${new URLSearchParams(fields).toString()}&note=é`, 'latin1'), FORM['content-type']]
    ]
    for (const [body, type] of bodies) {
      const reply = await post(`${emulator.url}/siteverify`, body, { headers: { 'content-type': type } })
      expect([reply.status, reply.json()]).toStrictEqual([200, refusal('bad-request')])
    }
    const withCharset = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }
    expect((await verifyWith(emulator, fields, withCharset)).json()).toMatchObject({ success: true })
  })

  it('is refused with 405 for GET', async () => {
    const emulator = await start()
    expect((await post(`${emulator.url}/siteverify`, '', { method: 'GET' })).status).toBe(405)
    expect(emulator.counters()).toMatchObject({ requests: { siteverify: 1 }, unverified: 1 })
  })

  it('is counted, and recorded in its task', async () => {
    const { emulator, token } = await withToken()
    await verify(emulator, 'no-token')
    expect(emulator.tasks()[0]).not.toHaveProperty('verifiedAt')
    await verify(emulator, token)
    await verify(emulator, token)
    const { requests, verified, unverified } = emulator.counters()
    expect([requests.siteverify, verified, unverified]).toStrictEqual([3, 1, 2])
    const { deliveredAt = Infinity, verifiedAt } = emulator.tasks()[0]!
    expect(verifiedAt).toBeGreaterThanOrEqual(deliveredAt)
    expect(JSON.stringify(emulator.tasks())).not.toContain(token)
  })
})

describe('a fault on siteverify', () => {
  it.each(['timeout-or-duplicate', 'bad-request', 'invalid-input-secret'])(
    'sends the error code %s, and uses up no token',
    async (code) => {
      const { emulator, token } = await withToken({ faults: [`siteverify:1:${code}`] })
      expect(await verify(emulator, token)).toStrictEqual(refusal(code))
      expect(emulator.counters()).toMatchObject({ verified: 0, unverified: 1 })
      expect(await verify(emulator, token)).toMatchObject({ success: true })
    }
  )

  it('replaces the reply, and uses up no token if the reply cannot be read', async () => {
    const { emulator, token } = await withToken({ faults: ['siteverify:1:503', 'siteverify:2:right@202'] })
    const fields = { secret: 'any', response: token }
    const replies = [await verifyWith(emulator, fields), await verifyWith(emulator, fields)]
    expect(replies.map(({ status }) => status)).toStrictEqual([503, 202])
    expect(replies[1]?.json()).toMatchObject({ success: true })
    expect(emulator.counters()).toMatchObject({ verified: 1, unverified: 1 })
  })

  it('is no outage of the service, whose faults leave siteverify alone', async () => {
    const { emulator, token } = await withToken({ faults: ['outage:60s:right@202', 'createTask:1:gzip'] })
    expect(await verify(emulator, token)).toMatchObject({ success: true })
  })

  it('delays the reply, and the token is used when the request arrives', async () => {
    const { emulator, token } = await withToken({ faults: ['siteverify:1:slow=60000'] })
    const body = new URLSearchParams({ secret: 'any', response: token }).toString()
    const waiting = post(`${emulator.url}/siteverify`, body, { headers: FORM }).catch(() => 'closed')
    await until(() => emulator.counters().verified === 1)
    expect(await verify(emulator, token)).toStrictEqual(refusal('timeout-or-duplicate'))
    await emulator.close()
    expect(await waiting).toBe('closed')
  })

  it('may reset the connection', async () => {
    const emulator = await start({ faults: ['siteverify:1:reset'] })
    expect(await rawPost(emulator.url, ['/siteverify'], {}).over).toMatchObject({ end: 'reset' })
  })
})

describe('the two minutes of a token', () => {
  it('begin when it is made, and not when it is fetched', async () => {
    let now = 1_000_000
    const emulator = await start({ readyAfterMs: 500, now: () => now })
    const [one, two] = [await createdId(emulator), await createdId(emulator)]
    now = 1_060_000
    const tokens = [await tokenOf(emulator, one), await tokenOf(emulator, two)] as const
    now = 1_120_499.9
    expect(await verify(emulator, tokens[0])).toMatchObject({ success: true, challenge_ts: '1970-01-01T00:16:40Z' })
    now = 1_120_500
    expect(await verify(emulator, tokens[1])).toStrictEqual(refusal('timeout-or-duplicate'))
  })

  it('begin after the last poll of which a fault said that the task is processing', async () => {
    let now = 1_000_000
    const emulator = await start({ now: () => now, faults: ['getTaskResult:1:never'] })
    const taskId = await createdId(emulator)
    now = 1_003_000
    await poll(emulator, taskId)
    now = 1_006_000
    const token = await tokenOf(emulator, taskId)
    now = 1_122_999
    expect(await verify(emulator, token)).toMatchObject({ success: true, challenge_ts: '1970-01-01T00:16:43Z' })
  })
})

describe('what a solver claims about a token', () => {
  it('is true: it is accepted just before expiresAt, and was made at most two minutes before', async () => {
    let stoppedAt: number | undefined
    const emulator = await start({
      ...{ readyAfterMs: [0, 60], latencyMs: 8, seed: undefined },
      now: () => stoppedAt ?? Date.now()
    })
    const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 4 })
    const task = recaptchaV2({ websiteURL: aTask.websiteURL, websiteKey: aTask.websiteKey })
    const solved = await firstValueFrom(forkJoin(Array.from({ length: 24 }, () => solver.solve(task).pipe(orThrow()))))
    await solver.close()
    const recordOf = new Map(emulator.tasks().map((record) => [record.taskId, record]))

    for (const { ref, solution, useBefore = NaN, expiresAt = NaN } of solved) {
      const { readyAt } = recordOf.get(ref.taskId)!
      expect(useBefore).toBe(expiresAt - 60_000)
      expect(expiresAt).toBeLessThanOrEqual(readyAt + 120_000)
      // The token was not made before createTask was sent. On a busy machine a moment passes between the readings of two clocks.
      expect(expiresAt).toBeGreaterThan(ref.createdAt + 110_000)
      stoppedAt = expiresAt - 1
      expect(await verify(emulator, solution.gRecaptchaResponse)).toMatchObject({ success: true })
    }
  })
})
