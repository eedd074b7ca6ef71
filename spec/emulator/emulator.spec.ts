import { Agent } from 'node:http'
import { connect } from 'node:net'
import { InvalidOptions } from 'rx-captcha'
import { startEmulator, type EmulatorOptions } from 'rx-captcha/emulator'
import { aTask, create, createBody, createdId, emulators, poll, post, rawPost, until } from '../support/raw-http.js'

const start = emulators()

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/

describe('startEmulator', () => {
  it('replies to createTask as in the documented example, with empty strings and a uuid', async () => {
    const reply = await create(await start())
    expect(reply.status).toBe(200)
    expect(reply.headers['content-type']).toBe('application/json')
    expect(reply.json()).toStrictEqual({
      errorId: 0,
      errorCode: '',
      errorDescription: '',
      taskId: expect.stringMatching(UUID) as string
    })
  })

  it('replies to an early poll with nulls and processing', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const reply = await poll(emulator, await createdId(emulator))
    expect(reply.json()).toStrictEqual({ errorId: 0, errorCode: null, errorDescription: null, status: 'processing' })
  })

  it('replies to a later poll as in the documented example, with nulls and a long token', async () => {
    const emulator = await start()
    const reply = await poll(emulator, await createdId(emulator))
    expect(reply.json()).toStrictEqual({
      errorId: 0,
      errorCode: null,
      errorDescription: null,
      solution: { gRecaptchaResponse: expect.stringMatching(/^03A[\w-]{512}$/) as string },
      status: 'ready'
    })
  })

  it('needs no options', async () => {
    const emulator = await startEmulator()
    const reply = await create(emulator)
    await emulator.close()
    expect(reply.json()).toMatchObject({ errorId: 0 })
  })

  it('takes 5 to 15 seconds for a task by default', async () => {
    const emulator = await start({ readyAfterMs: undefined })
    await createdId(emulator)
    const { acceptedAt, readyAt } = emulator.tasks()[0]!
    expect(readyAt - acceptedAt).toBeGreaterThanOrEqual(5_000)
    expect(readyAt - acceptedAt).toBeLessThan(15_000)
  })

  it('draws the duration of each task from readyAfterMs', async () => {
    const emulator = await start({ readyAfterMs: [100, 110] })
    await Promise.all(Array.from({ length: 20 }, () => create(emulator)))
    const waits = emulator.tasks().map(({ acceptedAt, readyAt }) => readyAt - acceptedAt)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(100)
    expect(Math.max(...waits)).toBeLessThan(110)
    expect(new Set(waits).size).toBe(20)
  })

  it('accepts only the given client key', async () => {
    const emulator = await start({ clientKey: 'another-key' })
    expect((await create(emulator)).json()).toMatchObject({ errorCode: 'ERROR_KEY_DOES_NOT_EXIST' })
    const reply = await post(`${emulator.url}/createTask`, { clientKey: 'another-key', task: aTask })
    expect(reply.json()).toMatchObject({ errorId: 0 })
  })

  it('serves its base path and no other', async () => {
    const emulator = await start({ basePath: '/v1' })
    expect(new URL(emulator.url).pathname).toBe('/v1')
    expect((await create(emulator)).status).toBe(200)
    for (const path of ['/createTask', '/v2/createTask', '/v1/v1/createTask'])
      expect((await post(new URL(path, emulator.url).href, createBody)).status).toBe(404)
  })

  it('ignores a query in the URL', async () => {
    const { url } = await start()
    expect((await post(`${url}/createTask?from=here`, createBody)).status).toBe(200)
  })

  it('listens on the given port, and rejects if it is in use', async () => {
    const first = await start()
    const port = Number(new URL(first.url).port)
    await expect(startEmulator({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await first.close()
    expect((await start({ port })).url).toBe(first.url)
  })

  it('solves further types of tasks with the given functions', async () => {
    const emulator = await start({ solutions: { ImageToTextTask: ({ body }) => ({ text: `read ${String(body)}` }) } })
    const reply = await create(emulator, { type: 'ImageToTextTask', body: 'abc' })
    expect(reply.json()).toMatchObject({ errorId: 0 })
    const polled = await poll(emulator, emulator.tasks()[0]!.taskId)
    expect(polled.json()).toMatchObject({ status: 'ready', solution: { text: 'read abc' } })
  })

  it('forgets a task after forgetAfterMs', async () => {
    const emulator = await start({ forgetAfterMs: 0 })
    const reply = await poll(emulator, await createdId(emulator))
    expect(reply.json()).toMatchObject({ errorId: 1, errorCode: 'ERROR_TASKID_INVALID' })
  })

  it('delays every reply by latencyMs', async () => {
    const emulator = await start({ latencyMs: 15 })
    const startedAt = performance.now()
    await create(emulator)
    const repliedAt = performance.now()
    await post(`${emulator.url}/elsewhere`, {})
    expect(repliedAt - startedAt).toBeGreaterThanOrEqual(14)
    expect(performance.now() - repliedAt).toBeGreaterThanOrEqual(14)
  })

  it('closes an idle connection without announcing it', async () => {
    const emulator = await start({ idleMs: 5 })
    const startedAt = performance.now()
    const { bytes, end } = await rawPost(emulator.url, ['/createTask'], createBody, 'keep-alive').over
    expect(end).toBe('closed')
    // Node itself would add a second.
    expect(performance.now() - startedAt).toBeLessThan(900)
    expect(bytes.toString()).toMatch(/connection: keep-alive\r\n/i)
    expect(bytes.toString()).not.toMatch(/keep-alive: timeout/i)
  })

  it('keeps a connection while a client waits for a reply, or has pipelined another request', async () => {
    const emulator = await start({ idleMs: 5, faults: ['createTask:2:slow=40'] })
    const { bytes } = await rawPost(emulator.url, ['/createTask', '/createTask'], createBody, 'keep-alive').over
    expect(bytes.toString().match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
  })

  it('keeps a connection that was idle and is in use again', async () => {
    const emulator = await start({ idleMs: 300, faults: ['createTask:2:slow=320'] })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await post(`${emulator.url}/createTask`, createBody, { agent })
    expect((await post(`${emulator.url}/createTask`, createBody, { agent })).status).toBe(200)
    agent.destroy()
  })

  it.each([
    [{ basePath: 'v1' }, "basePath: expected '' or a path like '/v1'"],
    [{ basePath: '/v1/' }, "basePath: expected '' or a path like '/v1'"],
    [{ readyAfterMs: -1 }, 'readyAfterMs: expected a number from 0, or [min, max] of such numbers'],
    [{ readyAfterMs: [2, 1] as const }, 'readyAfterMs: expected a number from 0, or [min, max] of such numbers'],
    [{ readyAfterMs: [1] }, 'readyAfterMs: expected a number from 0, or [min, max] of such numbers'],
    [{ readyAfterMs: [1, 2, 3] }, 'readyAfterMs: expected a number from 0, or [min, max] of such numbers'],
    [{ readyAfterMs: null }, 'readyAfterMs: expected a number from 0, or [min, max] of such numbers'],
    [{ forgetAfterMs: -1 }, 'forgetAfterMs: expected a number of milliseconds from 0'],
    [{ idleMs: 2 ** 31 }, 'idleMs: expected a number of milliseconds from 0 to 2147483647'],
    [{ latencyMs: NaN }, 'latencyMs: expected a number of milliseconds from 0 to 2147483647'],
    [{ port: 65_536 }, 'port: expected a port from 0 to 65535'],
    [{ port: 80.5 }, 'port: expected a port from 0 to 65535'],
    [{ port: NaN }, 'port: expected a port from 0 to 65535'],
    [{ port: '80' }, 'port: expected a port from 0 to 65535'],
    [{ clientKey: 7 }, 'clientKey: expected string'],
    [{ siteSecret: '' }, 'siteSecret: expected a string that is not empty'],
    [{ now: 5 }, 'now: expected a function'],
    [{ seed: '7' }, 'seed: expected number'],
    [{ numericIds: 1 }, 'numericIds: expected boolean'],
    [{ faults: 'createTask:1:reset' }, 'faults: expected an array of rules'],
    [{ solutions: [] }, 'solutions: expected an object of functions'],
    [{ solutions: { A: () => ({}), B: { text: 'x' } } }, 'solutions: expected an object of functions'],
    [{ solutions: { A: undefined } }, 'solutions: expected an object of functions'],
    [{ fault: [] }, 'fault: unknown option (did you mean faults?)'],
    [{ readyAfter: 0 }, 'readyAfter: unknown option (did you mean readyAfterMs?)'],
    [{ keepAlive: undefined }, 'keepAlive: unknown option'],
    [null, 'the options: expected an object'],
    [8080, 'the options: expected an object']
  ])('rejects with InvalidOptions, which names a bad option and what it expects: %p', async (options, message) => {
    const started = startEmulator(options as EmulatorOptions)
    await expect(started).rejects.toBeInstanceOf(InvalidOptions)
    await expect(started).rejects.toThrow(message)
  })
})

describe('the seed', () => {
  /** Everything that an emulator draws for eight tasks. */
  const draws = async (seed: number | undefined) => {
    const emulator = await start({ seed, readyAfterMs: [0, 1], faults: ['task:50%:ERROR_CAPTCHA_UNSOLVABLE'] })
    for (let i = 0; i < 8; i += 1) await create(emulator)
    await until(() => emulator.tasks().every(({ readyAt }) => readyAt < performance.timeOrigin + performance.now()))
    const replies = await Promise.all(emulator.tasks().map(async ({ taskId }) => (await poll(emulator, taskId)).json()))
    const waits = emulator.tasks().map(({ acceptedAt, readyAt }) => (readyAt - acceptedAt).toFixed(2))
    return { seed: emulator.seed, ids: emulator.tasks().map(({ taskId }) => taskId), waits, replies }
  }

  it('gives the same ids, tokens, durations and shares again', async () => {
    expect(await draws(7)).toStrictEqual(await draws(7))
  })

  it('is random if none is given', async () => {
    const [one, two] = [await draws(7), await draws(undefined)]
    expect(one.ids).not.toStrictEqual(two.ids)
    expect(one.replies).not.toStrictEqual(two.replies)
    expect(one.waits).not.toStrictEqual(two.waits)
  })

  it('is returned, so that a run can be repeated', async () => {
    const first = await draws(undefined)
    expect(await draws(first.seed)).toStrictEqual(first)
  })

  it('gives every task a token and an id of its own', async () => {
    const { ids, replies } = await draws(7)
    expect(new Set(ids).size).toBe(8)
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBeGreaterThan(3)
  })
})

describe('close', () => {
  // Counts timers or sockets of this process; those of jest do not change.
  const open = (kind: string) => process.getActiveResourcesInfo().filter((name) => name === kind).length
  const faults = ['silent', 'drip-headers=60000', 'drip=60000', 'slow=60000', 'reply-unfinished=60000']

  it.each(faults)('ends a connection with a pending reply, and leaves no timer: %s', async (fault) => {
    const timers = open('Timeout')
    const emulator = await start({ faults: [`createTask:always:${fault}`] })
    const client = rawPost(emulator.url, ['/createTask', '/createTask'], createBody, 'keep-alive')
    await until(() => emulator.counters().accepted + emulator.counters().refused === 2)
    await emulator.close()
    await client.over
    // The server sees the end of a connection a moment later.
    await until(() => open('Timeout') <= timers)
  })

  it('is not needed to end the timer of a pipelined reply that is complete', async () => {
    const timers = open('Timeout')
    const emulator = await start({ idleMs: 0, faults: ['createTask:1:slow=5', 'createTask:2:drip=0'] })
    const client = rawPost(emulator.url, ['/createTask', '/createTask'], createBody, 'keep-alive')
    await until(() => emulator.tasks()[1]?.replySent === true)
    await until(() => open('Timeout') <= timers)
    expect(
      client
        .bytes()
        .toString()
        .match(/HTTP\/1\.1 200 OK/g)
    ).toHaveLength(2)
    client.disconnect()
  })

  it('ends idle connections and stops listening', async () => {
    const emulator = await start()
    const servers = open('TCPServerWrap')
    const idle = connect(Number(new URL(emulator.url).port), '127.0.0.1')
    const closed = new Promise((resolve) => idle.once('close', resolve))
    await until(() => !idle.connecting)
    idle.resume()
    await emulator.close()
    await closed
    await until(() => open('TCPServerWrap') < servers)
    await expect(post(emulator.url, {})).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('may be called again, even before it has resolved', async () => {
    const emulator = await start()
    await Promise.all([emulator.close(), emulator.close()])
    await expect(emulator.close()).resolves.toBeUndefined()
  })

  it('leaves the counters and the tasks readable', async () => {
    const emulator = await start()
    await createdId(emulator)
    await emulator.close()
    expect(emulator.counters().accepted).toBe(1)
    expect(emulator.tasks()).toHaveLength(1)
  })
})
