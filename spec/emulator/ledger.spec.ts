import type { Emulator } from 'rx-captcha/emulator'
import { poll, askBody, create, createBody, createdId, emulators, post, rawPost, until } from '../support/raw-http.js'

const start = emulators()

/** Sends one request, lets it be read, and leaves without an answer. */
const leaveEarly = async (emulator: Emulator, path: string, body: unknown) => {
  const read = () => Object.values(emulator.counters().requests).reduce((sum, count) => sum + count)
  const before = read()
  const client = rawPost(emulator.url, [path], body)
  await until(() => read() > before)
  client.leave()
  await client.over
}

describe('the counters', () => {
  it('start at zero, with no gap', async () => {
    expect((await start()).counters()).toStrictEqual({
      requests: { createTask: 0, getTaskResult: 0, other: 0 },
      accepted: 0,
      refused: 0,
      lostCreates: 0,
      polls: {},
      smallestGapMs: undefined,
      overlaps: 0,
      delivered: 0,
      neverFetched: 0
    })
  })

  it('count requests by call', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    await poll(emulator, 'unknown')
    await post(`${emulator.url}/elsewhere`, {})
    expect(emulator.counters().requests).toStrictEqual({ createTask: 1, getTaskResult: 2, other: 1 })
  })

  it('tell accepted creates from refused ones', async () => {
    const emulator = await start({ faults: ['createTask:2:503', 'createTask:3:reset', 'createTask:4:billed+503'] })
    await create(emulator)
    await create(emulator)
    await expect(create(emulator)).rejects.toThrow()
    await create(emulator)
    await create(emulator, null)
    expect(emulator.counters()).toMatchObject({ accepted: 2, refused: 3 })
  })

  it('count the polls of each task', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const [one, two] = [await createdId(emulator), await createdId(emulator)]
    await poll(emulator, one)
    await poll(emulator, one)
    expect(emulator.counters().polls).toStrictEqual({ [one]: 2, [two]: 0 })
  })

  it('count a delivered token once, however often it is asked for', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    const { deliveredAt } = emulator.tasks()[0]!
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ delivered: 1, neverFetched: 0 })
    expect(emulator.tasks()[0]?.deliveredAt).toBe(deliveredAt)
  })

  it('name the tokens nobody fetched, and not the tasks that a rule fails', async () => {
    const emulator = await start({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE', 'task:2:gzip'] })
    const [failing] = [await createdId(emulator), await createdId(emulator), await createdId(emulator)]
    await poll(emulator, failing)
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 2 })
  })

  it('count no token that was hidden by a fault', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:503', 'getTaskResult:2:gzip'] })
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 1 })
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ delivered: 1, neverFetched: 0 })
  })

  it('count no token when the client leaves before the answer', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:slow=60000'] })
    await leaveEarly(emulator, '/getTaskResult', askBody(await createdId(emulator)))
    await poll(emulator, 'unknown')
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 1 })
  })

  it('count a billed create as lost when a fault hides its answer', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+503'] })
    await create(emulator)
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 1 })
    expect(emulator.tasks()[0]?.answered).toBe(false)
  })

  it('count a billed create as lost when the client leaves before the answer', async () => {
    const emulator = await start({ faults: ['createTask:1:slow=60000'] })
    await leaveEarly(emulator, '/createTask', createBody)
    await until(() => emulator.counters().lostCreates === 1)
    expect(emulator.counters()).toMatchObject({ accepted: 1, refused: 0 })
  })

  it('count no create as lost when its answer went out, also slowly', async () => {
    const emulator = await start({ faults: ['createTask:1:drip=0'] })
    await create(emulator)
    expect(emulator.counters().lostCreates).toBe(0)
    expect(emulator.tasks()[0]?.answered).toBe(true)
  })
})

describe('the smallest gap', () => {
  it('counts from the answer to the create', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    const answeredAt = performance.now()
    await until(() => performance.now() - answeredAt > 5)
    await poll(emulator, taskId)
    expect(emulator.counters().smallestGapMs).toBeGreaterThan(5)
    expect(emulator.counters().smallestGapMs).toBeLessThan(1_000)
  })

  it('counts from the end of an answer, not from the arrival of its poll', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:slow=40'] })
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    await poll(emulator, taskId)
    expect(emulator.counters().smallestGapMs).toBeLessThan(40)
  })

  it('is that of one task, whatever the others do in between', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    const answeredAt = performance.now()
    await until(() => performance.now() - answeredAt > 5)
    await createdId(emulator)
    await poll(emulator, taskId)
    expect(emulator.counters().smallestGapMs).toBeGreaterThan(5)
  })

  it('takes the leaving of a client for the end of its poll', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const taskId = await createdId(emulator)
    await leaveEarly(emulator, '/getTaskResult', askBody(taskId))
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ overlaps: 0, smallestGapMs: expect.any(Number) as number })
  })

  it('does not start at an answer that was lost', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+503'] })
    await poll(emulator, await createdId(emulator))
    expect(emulator.counters().smallestGapMs).toBeUndefined()
  })
})

describe('an overlap', () => {
  it('is a poll that arrives while another one of its task is open', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const taskId = await createdId(emulator)
    const client = rawPost(emulator.url, ['/getTaskResult'], askBody(taskId))
    await until(() => emulator.counters().requests.getTaskResult === 1)
    await poll(emulator, taskId)
    expect(emulator.counters().overlaps).toBe(1)
    client.leave()
  })

  it('is not there between polls of two tasks', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const [one, two] = [await createdId(emulator), await createdId(emulator)]
    const clients = [one, two].map((taskId) => rawPost(emulator.url, ['/getTaskResult'], askBody(taskId)))
    await until(() => emulator.counters().requests.getTaskResult === 2)
    expect(emulator.counters().overlaps).toBe(0)
    clients.forEach(({ leave }) => leave())
  })

  it('is also a poll whose head came in before the answer that ended while its body was on the way', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const taskId = await createdId(emulator)
    const first = rawPost(emulator.url, ['/getTaskResult'], askBody(taskId))
    await until(() => emulator.tasks()[0]?.polls === 1)
    const second = rawPost(emulator.url, ['/getTaskResult'], askBody(taskId), 'close', 5)
    await until(() => emulator.counters().requests.getTaskResult === 2)
    first.leave()
    await first.over
    await poll(emulator, 'unknown')
    second.finish()
    await second.over
    expect(emulator.counters()).toMatchObject({ overlaps: 1 })
    expect(emulator.counters().smallestGapMs).toBeGreaterThan(0)
  })

  it('ends with the connection for every poll that was pipelined on it', async () => {
    const emulator = await start({ faults: ['getTaskResult:first3:silent'] })
    const taskId = await createdId(emulator)
    const client = rawPost(emulator.url, Array(3).fill('/getTaskResult'), askBody(taskId), 'keep-alive')
    await until(() => emulator.tasks()[0]?.polls === 3)
    client.leave()
    await client.over
    await poll(emulator, 'unknown')
    const { overlaps } = emulator.counters()
    await poll(emulator, taskId)
    expect([overlaps, emulator.counters().overlaps]).toStrictEqual([2, 2])
  })
})
