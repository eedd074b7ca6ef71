import type { EmulatorOptions } from 'rx-captcha/emulator'
import { create, createdId, emulators, poll } from '../support/raw-http.js'

const start = emulators()

const circular: { self?: unknown } = {}
circular.self = circular

const throws = (thrown: unknown) => () => {
  throw thrown
}

const FAILING: ReadonlyArray<readonly [string, () => unknown, reason: RegExp]> = [
  ['that throws', throws(new Error('no <image>')), /^solutions\.Own failed: no <image>\n$/],
  [
    'that throws something else',
    throws(Object.create(null)),
    /^solutions\.Own failed: \[Object: null prototype\] \{\}\n$/
  ],
  ['that returns a bigint', () => ({ cost: 1n }), /^solutions\.Own failed: .*BigInt.*\n$/],
  ['that returns an object that holds itself', () => circular, /^solutions\.Own failed: .*circular/],
  [
    'whose result has a toJSON that throws',
    () => ({ toJSON: throws(new Error('no')) }),
    /^solutions\.Own failed: no\n$/
  ],
  ['that returns a function', () => () => 1, /^solutions\.Own returned no JSON value\n$/],
  ['that returns a symbol', () => Symbol('a'), /^solutions\.Own returned no JSON value\n$/]
]

const startWith = (solve: () => unknown, options: EmulatorOptions = {}) =>
  start({ ...options, solutions: { Own: solve, Other: () => ({ text: 'ok' }) } })

describe('a function of the option solutions', () => {
  it.each(FAILING)('%s is reported with HTTP 500 to the poll, and the emulator serves on', async (_, solve, reason) => {
    const emulator = await startWith(solve)
    await create(emulator, { type: 'Own' })
    const reply = await poll(emulator, emulator.tasks()[0]?.taskId)

    expect([reply.status, reply.headers['content-type']]).toStrictEqual([500, 'text/plain; charset=utf-8'])
    expect(String(reply.body)).toMatch(reason)
    expect(emulator.counters()).toMatchObject({ accepted: 1, delivered: 0, neverFetched: 1, overlaps: 0 })
    await create(emulator, { type: 'Other' })
    const other = await poll(emulator, emulator.tasks()[1]?.taskId)
    expect(other.json()).toMatchObject({ status: 'ready', solution: { text: 'ok' } })
  })

  it.each(FAILING)('%s is reported with HTTP 500 to a createTask that is ready at once', async (_, solve, reason) => {
    const emulator = await startWith(solve, { faults: ['createTask:1:ready-at-once'] })
    const reply = await create(emulator, { type: 'Own' })

    expect(reply.status).toBe(500)
    expect(String(reply.body)).toMatch(reason)
    expect(emulator.counters()).toMatchObject({ accepted: 1, delivered: 0, lostCreates: 1 })
  })

  it('that throws once solves the task at the next poll', async () => {
    const solve = jest
      .fn()
      .mockImplementationOnce(throws(new Error('later')))
      .mockReturnValue({ text: 'ok' })
    const emulator = await startWith(solve)
    await create(emulator, { type: 'Own' })
    const taskId = emulator.tasks()[0]?.taskId

    expect((await poll(emulator, taskId)).status).toBe(500)
    expect((await poll(emulator, taskId)).json()).toMatchObject({ solution: { text: 'ok' } })
    expect(emulator.counters()).toMatchObject({ delivered: 1, overlaps: 0 })
  })

  it('that returns nothing leaves the token of the emulator', async () => {
    const emulator = await start({ solutions: { RecaptchaV2TaskProxyless: () => undefined } })
    const reply = await poll(emulator, await createdId(emulator))
    expect(reply.json()).toMatchObject({ solution: { gRecaptchaResponse: expect.any(String) as string } })
  })

  it('that throws is reported after the delay of every reply', async () => {
    const emulator = await startWith(throws(new Error('no')), { latencyMs: 30 })
    await create(emulator, { type: 'Own' })
    const startedAt = performance.now()
    expect((await poll(emulator, emulator.tasks()[0]?.taskId)).status).toBe(500)
    expect(performance.now() - startedAt).toBeGreaterThan(25)
  })
})
