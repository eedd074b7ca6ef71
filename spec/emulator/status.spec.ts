import { EMULATOR_KEY, type Emulator, type EmulatorOptions, type FaultReply } from 'rx-captcha/emulator'
import { aTask, create, createdId, emulators, poll, post } from '../support/raw-http.js'

const start = emulators()

const get = (url: string) => post(url, '', { method: 'GET' })

interface Status {
  readonly faults: ReadonlyArray<{ readonly rule: string; readonly applied: number }>
  readonly tasks: ReadonlyArray<Readonly<Record<string, unknown>>>
}

const statusOf = async (emulator: Emulator) => (await get(`${emulator.url}/status`)).json() as Status

const verify = (emulator: Emulator, response: string) =>
  post(`${emulator.url}/siteverify`, new URLSearchParams({ secret: 'any', response }).toString(), {
    headers: { 'content-type': 'application/x-www-form-urlencoded' }
  })

describe('the status page', () => {
  it.each(['', '/v1'])('is served at the URL of the emulator, with and without a slash: "%s"', async (basePath) => {
    const { url } = await start({ basePath })
    for (const address of [url, `${url}/`, `${url}/?query`]) {
      const reply = await get(address)
      expect([reply.status, reply.headers['content-type']]).toStrictEqual([200, 'text/html; charset=utf-8'])
      expect(reply.body.toString()).toMatch(/^<!doctype html>\n.*<title>rx-captcha emulator<\/title>/s)
    }
    expect((await get(`${url}/status`)).headers['content-type']).toBe('application/json')
  })

  it('is served under its base path only, to GET only', async () => {
    const { url } = await start({ basePath: '/v1' })
    expect((await get(new URL('/', url).href)).status).toBe(404)
    expect((await get(`${url}/v1/status`)).status).toBe(404)
    expect((await post(`${url}/status`, {})).status).toBe(404)
    expect((await post(url, {})).status).toBe(404)
  })

  it('loads nothing from elsewhere', async () => {
    const { url } = await start()
    const page = (await get(url)).body.toString()
    expect(page).not.toMatch(/https?:|\/\/[a-z]|@import|url\(|src=/)
  })

  it('is counted as no request', async () => {
    const emulator = await start()
    const before = emulator.counters()
    await get(emulator.url)
    await statusOf(emulator)
    expect(emulator.counters()).toStrictEqual(before)
  })
})

describe('the status', () => {
  it('holds the seed and the counters without the polls of each task', async () => {
    const emulator = await start({ seed: 7 })
    await poll(emulator, await createdId(emulator))
    const { polls, ...counters } = emulator.counters()
    expect(Object.values(polls)).toStrictEqual([1])
    expect(await statusOf(emulator)).toMatchObject({ seed: 7, counters })
    expect(JSON.stringify(await statusOf(emulator))).not.toContain('polls":{')
  })

  it('holds each task with its state, the newest first', async () => {
    const faults = ['createTask:1:billed+503', 'task:2:ERROR_CAPTCHA_UNSOLVABLE']
    let now = 1_000_000
    const emulator = await start({ faults, now: () => now, readyAfterMs: 500 })
    const states = async () => (await statusOf(emulator)).tasks.map(({ state }) => state)
    for (let i = 0; i < 4; i += 1) await create(emulator)
    expect(await states()).toStrictEqual(['processing', 'processing', 'processing', 'lost'])
    now += 500
    expect(await states()).toStrictEqual(['ready', 'ready', 'failed', 'lost'])
    const [, , third, fourth] = emulator.tasks().map(({ taskId }) => taskId)
    await poll(emulator, third)
    const { solution } = (await poll(emulator, fourth)).json() as { solution: { gRecaptchaResponse: string } }
    await verify(emulator, solution.gRecaptchaResponse)
    expect(await states()).toStrictEqual(['verified', 'delivered', 'failed', 'lost'])
    expect((await statusOf(emulator)).tasks[0]).toStrictEqual({
      ...{ taskId: fourth, acceptedAt: 1_000_000, polls: 1, state: 'verified', site: 'example.com/login' },
      token: `${solution.gRecaptchaResponse.slice(0, 10)}…`
    })
    expect((await statusOf(emulator)).tasks[2]).toMatchObject({ fault: 'ERROR_CAPTCHA_UNSOLVABLE' })
  })

  it('holds the newest 50 tasks', async () => {
    const emulator = await start()
    await Promise.all(Array.from({ length: 52 }, () => create(emulator)))
    const ids = emulator.tasks().map(({ taskId }) => taskId)
    expect((await statusOf(emulator)).tasks.map(({ taskId }) => taskId)).toStrictEqual(ids.reverse().slice(0, 50))
  })

  it('counts to how many requests, tasks or connections each fault rule was applied', async () => {
    const fault = function explode({ res }: FaultReply): void {
      res.writeHead(500).end()
    }
    const emulator = await start({
      faults: [
        'createTask:first2:503',
        { on: 'createTask', when: { first: 3 }, fault, billed: true },
        { on: 'getTaskResult', when: { nth: 2 }, fault: 'never' },
        { on: 'task', when: { share: 0.07 }, fault: 'never' },
        { on: 'outage', when: { forMs: 1 }, fault: '502' },
        { on: 'siteverify', when: 'always', fault: 'timeout-or-duplicate' },
        { on: 'connection', when: { nth: 99 }, fault: 'reset' }
      ],
      now: () => 1_000_000
    })
    expect((await statusOf(emulator)).faults).toStrictEqual([
      { rule: 'createTask:first2:503', applied: 0 },
      { rule: 'createTask:first3:billed+function explode', applied: 0 },
      { rule: 'getTaskResult:2:never', applied: 0 },
      { rule: 'task:7%:never', applied: 0 },
      { rule: 'outage:1ms:502', applied: 0 },
      { rule: 'siteverify:always:timeout-or-duplicate', applied: 0 },
      { rule: 'connection:99:reset', applied: 0 }
    ])
    await verify(emulator, 'x')
    await verify(emulator, 'x')
    await create(emulator)
    const { faults } = await statusOf(emulator)
    expect(faults.map(({ applied }) => applied)).toStrictEqual([0, 0, 0, 0, 1, 2, 0])
  })

  it('holds no key, no secret, no whole token, and nothing secret of an address', async () => {
    const options: EmulatorOptions = {
      ...{ clientKey: 'canary-of-the-key', siteSecret: 'canary-of-the-secret', faults: ['getTaskResult:2:echo-key'] },
      solutions: { Short: () => ({ gRecaptchaResponse: 'a-short-token' }) }
    }
    const emulator = await start(options)
    const createAndPoll = async (task: object) => {
      await post(`${emulator.url}/createTask`, { clientKey: options.clientKey, task })
      const { taskId } = emulator.tasks().at(-1)!
      const reply = await post(`${emulator.url}/getTaskResult`, { clientKey: options.clientKey, taskId })
      return reply.json() as { solution: { gRecaptchaResponse: string } }
    }
    const websiteURL = 'https://canary-user:canary-word@example.com/login?canary-query#canary-hash'
    const { solution } = await createAndPoll({ ...aTask, websiteURL, websiteKey: 'canary-site-key' })
    expect(await createAndPoll({ type: 'Short' })).toMatchObject({ solution: { gRecaptchaResponse: 'a-short-token' } })
    const status = JSON.stringify(await statusOf(emulator))
    expect(status).toContain('example.com/login')
    expect(status).toContain(solution.gRecaptchaResponse.slice(0, 10))
    expect(status).not.toContain(solution.gRecaptchaResponse.slice(0, 12))
    expect(status).not.toMatch(/canary|a-short|Short/)
    expect((await get(emulator.url)).body.toString()).not.toMatch(new RegExp(`canary|${EMULATOR_KEY}`))
  })
})
