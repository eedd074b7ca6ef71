import type { Emulator } from 'rx-captcha/emulator'
import { create, createBody, createdId, emulators, poll, pollBody, post, rawPost, until } from '../support/raw-http.js'

const start = emulators()

/** Sends one request, and disconnects once it was read, before the reply. */
const sendAndDisconnect = async (emulator: Emulator, path: string, body: unknown) => {
  const read = () => Object.values(emulator.counters().requests).reduce((sum, count) => sum + count)
  const before = read()
  const client = rawPost(emulator.url, [path], body)
  await until(() => read() > before)
  client.disconnect()
  await client.over
}

describe('the counters', () => {
  it('start at zero, without a gap', async () => {
    expect((await start()).counters()).toStrictEqual({
      requests: { createTask: 0, getTaskResult: 0, getBalance: 0, siteverify: 0, other: 0 },
      accepted: 0,
      refused: 0,
      lostCreates: 0,
      polls: {},
      smallestGapMs: undefined,
      overlaps: 0,
      delivered: 0,
      neverFetched: 0,
      verified: 0,
      unverified: 0
    })
  })

  it('count requests by call', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    await poll(emulator, 'unknown')
    await post(`${emulator.url}/elsewhere`, {})
    expect(emulator.counters().requests).toStrictEqual({
      createTask: 1,
      getTaskResult: 2,
      getBalance: 0,
      siteverify: 0,
      other: 1
    })
  })

  it('separate accepted createTask requests from refused ones', async () => {
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

  it('count a delivered solution once, however often it is polled', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    const { deliveredAt } = emulator.tasks()[0]!
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ delivered: 1, neverFetched: 0 })
    expect(emulator.tasks()[0]?.deliveredAt).toBe(deliveredAt)
  })

  it('count solutions that no client fetched, without tasks that a fault rule fails', async () => {
    const emulator = await start({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE', 'task:2:gzip'] })
    const [failing] = [await createdId(emulator), await createdId(emulator), await createdId(emulator)]
    await poll(emulator, failing)
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 2 })
  })

  it('do not count a solution that a fault hid as delivered', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:503', 'getTaskResult:2:gzip'] })
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 1 })
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ delivered: 1, neverFetched: 0 })
  })

  it('do not count a solution as delivered if the client disconnects before the reply', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:slow=60000'] })
    await sendAndDisconnect(emulator, '/getTaskResult', pollBody(await createdId(emulator)))
    await poll(emulator, 'unknown')
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 1 })
  })

  it('count a billed createTask as lost if a fault hides its reply', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+503'] })
    await create(emulator)
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 1 })
    expect(emulator.tasks()[0]?.replySent).toBe(false)
  })

  it('count a billed createTask as lost if the client disconnects before the reply', async () => {
    const emulator = await start({ faults: ['createTask:1:slow=60000'] })
    await sendAndDisconnect(emulator, '/createTask', createBody)
    await until(() => emulator.counters().lostCreates === 1)
    expect(emulator.counters()).toMatchObject({ accepted: 1, refused: 0 })
  })

  it('count the solution of a task that is ready at once as delivered, and not again when it is polled', async () => {
    const emulator = await start({ faults: ['createTask:1:ready-at-once'], readyAfterMs: 60_000 })
    const reply = (await create(emulator)).json() as { readonly taskId: string; readonly solution: unknown }
    const [{ acceptedAt, readyAt, deliveredAt } = {}] = emulator.tasks()
    expect([readyAt, deliveredAt]).toStrictEqual([acceptedAt, expect.any(Number)])
    expect((await poll(emulator, reply.taskId)).json()).toMatchObject({ status: 'ready', solution: reply.solution })
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 0, delivered: 1, neverFetched: 0 })
  })

  it('do not count the solution of a task that is ready at once if the client disconnects before the reply', async () => {
    const emulator = await start({ latencyMs: 60_000, faults: ['createTask:1:ready-at-once'] })
    await sendAndDisconnect(emulator, '/createTask', createBody)
    await until(() => emulator.counters().lostCreates === 1)
    expect(emulator.counters()).toMatchObject({ accepted: 1, delivered: 0, neverFetched: 1 })
  })

  it('count an unfinished reply as sent if its body was, and as lost if the client disconnects before', async () => {
    const faults = ['createTask:always:reply-unfinished', 'getTaskResult:1:reply-unfinished=0']
    const emulator = await start({ faults })
    const client = rawPost(emulator.url, ['/createTask'], createBody)
    await until(() => client.bytes().includes('taskId'))
    client.disconnect()
    await until(() => emulator.tasks()[0]?.replySent === true)
    await rawPost(emulator.url, ['/getTaskResult'], pollBody(emulator.tasks()[0]?.taskId)).over
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 0, delivered: 1 })
    const late = await start({ faults, latencyMs: 60_000 })
    await sendAndDisconnect(late, '/createTask', createBody)
    await until(() => late.counters().lostCreates === 1)
    expect(late.counters()).toMatchObject({ accepted: 1 })
  })

  it('count the createTask requests of an outage as refused, or as accepted and lost if they are billed', async () => {
    const emulator = await start({ faults: ['outage:60s:502'] })
    const billing = await start({ faults: ['createTask:60s:billed+502'] })
    await Promise.all([emulator, billing].flatMap((each) => [create(each), create(each)]))
    expect(emulator.counters()).toMatchObject({ accepted: 0, refused: 2, lostCreates: 0 })
    expect(billing.counters()).toMatchObject({ accepted: 2, refused: 0, lostCreates: 2 })
  })

  it('do not count a createTask as lost if its reply was sent slowly', async () => {
    const emulator = await start({ faults: ['createTask:1:drip=0'] })
    await create(emulator)
    expect(emulator.counters().lostCreates).toBe(0)
    expect(emulator.tasks()[0]?.replySent).toBe(true)
  })
})

describe('the smallest gap', () => {
  it('is measured from the reply to createTask', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    const repliedAt = performance.now()
    await until(() => performance.now() - repliedAt > 5)
    await poll(emulator, taskId)
    expect(emulator.counters().smallestGapMs).toBeGreaterThan(5)
    expect(emulator.counters().smallestGapMs).toBeLessThan(1_000)
  })

  it('is measured from the end of a reply, not from the arrival of its poll', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:slow=40'] })
    const taskId = await createdId(emulator)
    await poll(emulator, taskId)
    await poll(emulator, taskId)
    expect(emulator.counters().smallestGapMs).toBeLessThan(40)
  })

  it('is measured within one task, whatever other tasks do in between', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    const repliedAt = performance.now()
    await until(() => performance.now() - repliedAt > 5)
    await createdId(emulator)
    await poll(emulator, taskId)
    expect(emulator.counters().smallestGapMs).toBeGreaterThan(5)
  })

  it('is measured from the disconnection of a client that got no reply', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const taskId = await createdId(emulator)
    await sendAndDisconnect(emulator, '/getTaskResult', pollBody(taskId))
    await poll(emulator, taskId)
    expect(emulator.counters()).toMatchObject({ overlaps: 0, smallestGapMs: expect.any(Number) as number })
  })

  it('is not measured from a reply that was lost', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+503'] })
    await poll(emulator, await createdId(emulator))
    expect(emulator.counters().smallestGapMs).toBeUndefined()
  })
})

describe('the overlaps', () => {
  it('count a poll that arrives while another one of its task has no reply', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const taskId = await createdId(emulator)
    const client = rawPost(emulator.url, ['/getTaskResult'], pollBody(taskId))
    await until(() => emulator.counters().requests.getTaskResult === 1)
    await poll(emulator, taskId)
    expect(emulator.counters().overlaps).toBe(1)
    client.disconnect()
  })

  it('do not count concurrent polls of two tasks', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const [one, two] = [await createdId(emulator), await createdId(emulator)]
    const clients = [one, two].map((taskId) => rawPost(emulator.url, ['/getTaskResult'], pollBody(taskId)))
    await until(() => emulator.counters().requests.getTaskResult === 2)
    expect(emulator.counters().overlaps).toBe(0)
    clients.forEach(({ disconnect }) => disconnect())
  })

  it('count a poll whose head arrived before the last reply ended, and its body after that', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const taskId = await createdId(emulator)
    const first = rawPost(emulator.url, ['/getTaskResult'], pollBody(taskId))
    await until(() => emulator.tasks()[0]?.polls === 1)
    const second = rawPost(emulator.url, ['/getTaskResult'], pollBody(taskId), 'close', 5)
    await until(() => emulator.counters().requests.getTaskResult === 2)
    first.disconnect()
    await first.over
    await poll(emulator, 'unknown')
    second.finish()
    await second.over
    expect(emulator.counters()).toMatchObject({ overlaps: 1 })
    expect(emulator.counters().smallestGapMs).toBeGreaterThan(0)
  })

  it('do not count polls that were pipelined on a connection that has ended', async () => {
    const emulator = await start({ faults: ['getTaskResult:first3:silent'] })
    const taskId = await createdId(emulator)
    const client = rawPost(emulator.url, Array(3).fill('/getTaskResult'), pollBody(taskId), 'keep-alive')
    await until(() => emulator.tasks()[0]?.polls === 3)
    client.disconnect()
    await client.over
    await poll(emulator, 'unknown')
    const { overlaps } = emulator.counters()
    await poll(emulator, taskId)
    expect([overlaps, emulator.counters().overlaps]).toStrictEqual([2, 2])
  })
})
