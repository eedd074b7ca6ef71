import {
  EMULATOR_KEY,
  startEmulator,
  type Emulator,
  type Fault,
  type FaultReply,
  type FaultRule
} from 'rx-captcha/emulator'
import { VERIFY_ERROR_CODES } from '../../../lib/emulator/protocol.js'
import { faultNames } from '../../../lib/emulator/faults/rules.js'
import { textOf } from '../../support/doc-pages.js'
import { aTask, create, createBody, createdId, emulators, poll, post, rawPost, until } from '../../support/raw-http.js'
import { ruleOf } from '../../support/matrix/odd-replies.js'

const start = emulators()

/** The HTTP statuses of the replies to `count` createTask requests. */
const statuses = async (faults: ReadonlyArray<FaultRule | string>, count: number, seed = 1) => {
  const emulator = await start({ faults, seed })
  const seen: number[] = []
  for (let i = 0; i < count; i += 1) seen.push((await create(emulator)).status)
  return seen
}

describe('a fault rule', () => {
  it.each<[string, FaultRule['when'], number[]]>([
    ['createTask:always:503', 'always', [503, 503, 503, 503]],
    ['createTask:2:503', { nth: 2 }, [200, 503, 200, 200]],
    ['createTask:first3:503', { first: 3 }, [503, 503, 503, 200]],
    ['createTask:0%:503', { share: 0 }, [200, 200, 200, 200]],
    ['createTask:100%:503', { share: 1 }, [503, 503, 503, 503]]
  ])('applies as %s says, as text and as an object', async (text, when, expected) => {
    expect(await statuses([text], 4)).toStrictEqual(expected)
    expect(await statuses([{ on: 'createTask', when, fault: '503' }], 4)).toStrictEqual(expected)
  })

  it('applies to about its share of the requests', async () => {
    const affected = (await statuses(['createTask:12.5%:503'], 400)).filter((status) => status === 503).length
    expect(affected).toBeGreaterThan(25)
    expect(affected).toBeLessThan(80)
  })

  it('applies to other requests with another seed, and to other requests than another rule', async () => {
    const affected = await statuses(['createTask:50%:503'], 30)
    expect(await statuses(['createTask:50%:503'], 30)).toStrictEqual(affected)
    expect(await statuses(['createTask:50%:503'], 30, 2)).not.toStrictEqual(affected)
    expect(await statuses(['getTaskResult:1:503', 'createTask:50%:503'], 30)).not.toStrictEqual(affected)
  })

  it('applies to other polls of one task than of another', async () => {
    const emulator = await start({ faults: ['getTaskResult:50%:503'] })
    const ids = await Promise.all(Array.from({ length: 12 }, () => create(emulator)))
    const first = await Promise.all(emulator.tasks().map(({ taskId }) => poll(emulator, taskId)))
    expect([ids.length, new Set(first.map(({ status }) => status))]).toStrictEqual([12, new Set([200, 503])])
  })

  it.each<[string, FaultRule['when']]>([
    ['createTask:8s:503', { forMs: 8_000 }],
    ['createTask:8000.5ms:503', { forMs: 8_000.5 }]
  ])('applies for a time as %s says, as text and as an object', async (text, when) => {
    for (const rule of [text, { on: 'createTask', when, fault: '503' } as const]) {
      const emulator = await start({ faults: [rule] })
      expect((await create(emulator)).status).toBe(503)
      const repliedAt = performance.now()
      await until(() => performance.now() - repliedAt > 9)
      expect((await create(emulator)).status).toBe(503)
    }
  })

  it('applies for a time from the first request on, and not from the start of the emulator', async () => {
    let ms = 0
    const emulator = await start({ faults: ['createTask:50ms:503'], now: () => ms })
    ms = 60
    expect((await create(emulator)).status).toBe(503)
    ms = 109
    expect((await create(emulator)).status).toBe(503)
    ms = 110
    expect((await create(emulator)).status).toBe(200)
  })

  it('applies for a time to the polls of all tasks together', async () => {
    let ms = 0
    const emulator = await start({ faults: ['getTaskResult:20ms:503'], now: () => ms })
    const [one, two] = [await createdId(emulator), await createdId(emulator)]
    expect((await poll(emulator, one)).status).toBe(503)
    ms = 20
    expect((await poll(emulator, two)).status).toBe(200)
  })

  it('is ignored if an earlier rule applies', async () => {
    expect(await statuses(['createTask:2:429', 'createTask:first3:503', 'createTask:always:500'], 4)).toStrictEqual([
      503, 429, 503, 500
    ])
  })

  it('counts the polls of each task separately', async () => {
    const emulator = await start({ faults: ['getTaskResult:2:503'] })
    const [one, two] = [await createdId(emulator), await createdId(emulator)]
    const seen = [
      await poll(emulator, one),
      await poll(emulator, two),
      await poll(emulator, two),
      await poll(emulator, one)
    ]
    expect(seen.map(({ status }) => status)).toStrictEqual([200, 200, 503, 503])
  })

  it('does not apply to polls that the service refuses', async () => {
    const emulator = await start({ faults: ['getTaskResult:always:503'] })
    expect((await poll(emulator, 'unknown')).status).toBe(200)
  })

  it('applies to a createTask that the service refuses, and a readable fault sends the refusal', async () => {
    const emulator = await start({
      faults: ['createTask:1:503', ruleOf('createTask:2:bom'), 'createTask:3:numeric-id']
    })
    expect((await create(emulator, null)).status).toBe(503)
    expect((await create(emulator, null)).body.toString()).toMatch(/^\uFEFF.*ERROR_TASK_ABSENT/)
    expect((await create(emulator, null)).json()).toMatchObject({ errorCode: 'ERROR_TASK_ABSENT' })
  })

  it('on a task replaces the solution once the task would be ready, and not before', async () => {
    const faults = ['task:2:ERROR_CAPTCHA_UNSOLVABLE']
    const early = await start({ faults, readyAfterMs: 60_000 })
    await createdId(early)
    expect((await poll(early, await createdId(early))).json()).toMatchObject({ errorId: 0, status: 'processing' })
    const late = await start({ faults })
    const [one, two] = [await createdId(late), await createdId(late)]
    expect((await poll(late, one)).json()).toMatchObject({ status: 'ready' })
    expect((await poll(late, two)).json()).toMatchObject({ errorId: 1, errorCode: 'ERROR_CAPTCHA_UNSOLVABLE' })
    expect(late.tasks().map(({ fault }) => fault)).toStrictEqual([undefined, 'ERROR_CAPTCHA_UNSOLVABLE'])
  })

  it('on a task keeps it processing if the fault is never', async () => {
    const emulator = await start({ faults: ['task:1:never'] })
    expect((await poll(emulator, await createdId(emulator))).json()).toMatchObject({ errorId: 0, status: 'processing' })
  })

  it('on a poll wins over one on its task', async () => {
    const emulator = await start({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE', 'getTaskResult:1:503'] })
    expect((await poll(emulator, await createdId(emulator))).status).toBe(503)
  })

  it.each(['reset', 'close'] as const)('on a connection ends it with a %s before a request is read', async (fault) => {
    const emulator = await start({ faults: [{ on: 'connection', when: { nth: 2 }, fault }] })
    expect((await create(emulator)).status).toBe(200)
    const { bytes } = await rawPost(emulator.url, ['/createTask'], createBody).over
    expect(bytes).toHaveLength(0)
    expect(emulator.counters().requests.createTask).toBe(1)
    expect((await create(emulator)).status).toBe(200)
  })
})

describe('a rule on getBalance', () => {
  const balance = ({ url }: Emulator) => post(`${url}/getBalance`, { clientKey: EMULATOR_KEY })

  it('counts the getBalance requests alone', async () => {
    const emulator = await start({ faults: ['getBalance:2:ERROR_ZERO_BALANCE@402'] })
    await create(emulator)
    const replies = [await balance(emulator), await balance(emulator), await balance(emulator)]
    expect(replies.map(({ status }) => status)).toStrictEqual([200, 402, 200])
    expect(replies[1]!.json()).toMatchObject({ errorId: 1, errorCode: 'ERROR_ZERO_BALANCE' })
  })

  it('applies after an outage', async () => {
    const emulator = await start({ faults: ['getBalance:always:500', 'outage:60s:502'] })
    expect((await balance(emulator)).status).toBe(502)
  })
})

describe('an outage', () => {
  it.each([
    ['outage:60s:502', 502],
    ['outage:60s:521;retry-after=2', 521],
    ['outage:60s:html', 200]
  ])('replies to every call: %s', async (rule, status) => {
    const emulator = await start({ faults: [rule] })
    const replies = [await create(emulator), await create(emulator, null), await poll(emulator, 'unknown')]
    expect(replies.map((reply) => [reply.status, reply.headers['content-type']])).toStrictEqual(
      Array(3).fill([status, 'text/html; charset=utf-8'])
    )
    expect((await post(`${emulator.url}/elsewhere`, {})).status).toBe(404)
  })

  it('begins with the first call of any kind, ends after its time, and is an object, too', async () => {
    let now = 1_000_000
    const emulator = await start({ faults: [{ on: 'outage', when: { forMs: 50 }, fault: '502' }], now: () => now })
    expect((await poll(emulator, 'unknown')).status).toBe(502)
    now += 49
    expect((await create(emulator)).status).toBe(502)
    now += 2
    expect((await create(emulator)).status).toBe(200)
    expect((await poll(emulator, emulator.tasks()[0]?.taskId)).json()).toMatchObject({ status: 'ready' })
  })

  it('comes before every other rule, and its polls count', async () => {
    const faults = ['createTask:always:billed+500', 'getTaskResult:always:500', 'task:1:never', 'outage:60s:right@202']
    const emulator = await start({ faults })
    const taskId = await createdId(emulator)
    expect((await poll(emulator, taskId)).status).toBe(202)
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 0, delivered: 1, polls: { [taskId]: 1 } })
  })
})

describe('a billed fault', () => {
  it.each(['createTask:1:billed+503', { on: 'createTask', when: 'always', fault: '503', billed: true } as const])(
    'creates the task and hides its reply: %j',
    async (rule) => {
      const emulator = await start({ faults: [rule] })
      expect((await create(emulator)).status).toBe(503)
      expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 1 })
      expect((await poll(emulator, emulator.tasks()[0]?.taskId)).json()).toMatchObject({ status: 'ready' })
    }
  )

  it('creates no task from a request that the service refuses', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+503'] })
    await create(emulator, { ...aTask, type: 'Other' })
    expect(emulator.counters()).toMatchObject({ accepted: 0, refused: 1 })
  })

  it('gets the correct reply with the id of its task, and an unbilled one with the id of none', async () => {
    const emulator = await start({ faults: [ruleOf('createTask:1:array'), ruleOf('createTask:2:billed+array')] })
    const [{ taskId }] = (await create(emulator)).json() as [{ taskId: string }]
    expect((await create(emulator)).json()).toMatchObject([{ taskId: emulator.tasks()[0]?.taskId }])
    expect(taskId).toMatch(/^[0-9a-f-]{36}$/)
    expect((await poll(emulator, taskId)).json()).toMatchObject({ errorCode: 'ERROR_TASKID_INVALID' })
  })

  it('reads the request before a reset-unread', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+reset-unread'] })
    await expect(create(emulator)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 1 })
  })
})

describe('a bad fault rule', () => {
  const ON_CREATES: ReadonlyArray<string> = ['no-id', 'numeric-id', 'ready-at-once']
  const ON_POLLS: ReadonlyArray<string> = ['never', 'retry-after', 'no-solution', 'empty-token', 'unknown-status']
  const VERIFY_ERRORS =
    'missing-input-secret, invalid-input-secret, missing-input-response, invalid-input-response, bad-request, timeout-or-duplicate'
  const badOn =
    'on: expected createTask, getTaskResult, task, getBalance, siteverify, connection or outage, as in createTask:1:reset'
  const badForm = 'expected CALL:WHEN:FAULT, as in createTask:1:reset'
  const badWhen =
    'when: expected always, N (the Nth time), firstN (the first N times), N%, or a duration such as 2s or 500ms'
  const badOutage = 'when: an outage needs a duration, as in outage:2s:502'

  it.each([
    ['', badForm],
    ['reset', badForm],
    ['createTask', badForm],
    ['createTask:reset', badForm],
    ['create:1:reset', badOn],
    ['toString:1:reset', badOn],
    ['createTask:0:reset', badWhen],
    ['createTask:1.5:reset', badWhen],
    ['createTask:sometimes:reset', badWhen],
    ['createTask:first0:reset', badWhen],
    ['createTask:first:reset', badWhen],
    ['createTask:first5%:reset', badWhen],
    ['createTask:101%:reset', badWhen],
    ['createTask:0s:reset', badWhen],
    ['createTask:2m:reset', badWhen],
    ['createTask:first2s:reset', badWhen],
    ['outage:502', badForm],
    ['outage:always:502', badOutage],
    ['outage:2:502', badOutage],
    ['outage:2s:billed+502', 'billed: only a createTask can be billed'],
    ['siteverify:1:billed+reset', 'billed: only a createTask can be billed'],
    ['getTaskResult:1:billed+reset', 'billed: only a createTask can be billed']
  ])('is refused with what is expected: "%s"', async (rule, reason) => {
    await expect(startEmulator({ faults: [rule] })).rejects.toThrow(`fault rule "${rule}": ${reason}`)
  })

  it.each([
    'createTask:1:',
    'createTask:1:explode',
    'createTask:1:toString',
    'createTask:1:reset=5',
    'createTask:1:slow=soon',
    'createTask:1:slow=2147483648',
    'createTask:1:reply-unfinished=2147483648',
    'createTask:1:reply-unfinished=Infinity',
    'createTask:1:right@202;x=1',
    'createTask:1:retry-after',
    'getTaskResult:1:ready-at-once',
    'outage:2s:no-id',
    'outage:2s:never',
    'createTask:1:no-solution',
    'createTask:1:99',
    'createTask:1:199',
    'createTask:1:503;x=1',
    'createTask:1:302;location=http://ü',
    'createTask:1:ERROR_FOO@99',
    'createTask:1:ERROR',
    'getTaskResult:1:no-id',
    'createTask:1:utf16',
    'task:1:numeric-id',
    'connection:1:503',
    'siteverify:1:ERROR_FOO',
    'siteverify:1:echo-key',
    'siteverify:1:retry-after',
    'siteverify:1:numeric-id',
    'getBalance:1:never',
    'getBalance:1:no-id',
    'getBalance:1:bad-request',
    'createTask:1:bad-request',
    'outage:2s:bad-request'
  ])('is refused with the faults that are allowed: "%s"', async (rule) => {
    const [call = ''] = rule.split(':')
    await expect(startEmulator({ faults: [rule] })).rejects.toThrow(
      `fault rule "${rule}": no such fault for ${call}; expected one of reset, `
    )
  })

  it('is refused with only the faults that fit the call', async () => {
    const allowed = async (on: string) => {
      const error: unknown = await startEmulator({ faults: [`${on}:1s:?`] }).catch((reason: unknown) => reason)
      const [names = '', forms = ''] = String(error).split('expected one of ')[1]!.split(', NAME=NUMBER for ')
      return { names: names.split(', '), forms }
    }
    const [connection, create, task, outage, siteverify, balance] = await Promise.all(
      ['connection', 'createTask', 'task', 'outage', 'siteverify', 'getBalance'].map(allowed)
    )
    expect(connection).toStrictEqual({ names: ['reset', 'close'], forms: '' })
    expect(create?.names).toStrictEqual(faultNames.filter((name) => !ON_POLLS.includes(name)))
    expect(task?.names).toStrictEqual(faultNames.filter((name) => !ON_CREATES.includes(name)))
    expect(outage?.names).toStrictEqual(faultNames.filter((name) => ![...ON_CREATES, ...ON_POLLS].includes(name)))
    expect(create?.forms).toContain('right@STATUS')
    expect(create?.forms).toMatch(/, an error code such as ERROR_FOO or ERROR_FOO@400$/)
    expect(balance).toStrictEqual(outage)
    expect(siteverify?.names).toStrictEqual(outage?.names.filter((name) => name !== 'echo-key'))
    expect(siteverify?.forms.endsWith(`302;location=URL, ${VERIFY_ERRORS}`)).toBe(true)
  })

  it('is refused as an object, too', async () => {
    const rule = { on: 'createTask', when: { share: 2 }, fault: 'reset' } as const
    await expect(startEmulator({ faults: [rule] })).rejects.toThrow(
      `${JSON.stringify(JSON.stringify(rule))}: ${badWhen}`
    )
  })

  it.each<[string, FaultRule, string]>([
    [
      'a function on a connection',
      { on: 'connection', when: 'always', fault: function reset() {} },
      'no such fault for connection; expected one of reset, close'
    ],
    [
      'isReadable with a named fault',
      { on: 'createTask', when: 'always', fault: 'reset', isReadable: true },
      'isReadable: only for a fault that is a function'
    ],
    [
      'a function on a poll that is billed',
      { on: 'getTaskResult', when: 'always', fault: ({ res }: FaultReply) => res.end(), billed: true },
      'billed: only a createTask can be billed'
    ],
    [
      'a misspelt field',
      { on: 'createTask', when: 'always', fault: 'reset', biled: true } as FaultRule,
      '"biled" is not a field of a rule; expected one of on, when, fault, isReadable, billed'
    ]
  ])('is refused: %s', async (_, rule, reason) => {
    await expect(startEmulator({ faults: [rule] })).rejects.toThrow(reason)
  })

  it('shows the name of its function', async () => {
    const rule: FaultRule = { on: 'createTask', when: { nth: 0 }, fault: function explode() {} }
    await expect(startEmulator({ faults: [rule] })).rejects.toThrow('\\"fault\\":\\"function explode\\"')
  })

  it('is found after good ones', async () => {
    await expect(startEmulator({ faults: ['createTask:1:reset', 'task:1:?'] })).rejects.toThrow('"task:1:?"')
  })

  it('does not compile as an object', () => {
    const good: ReadonlyArray<Fault> = [
      ...(['reset', 'slow=5', 'reply-unfinished=5', 'retry-after=2', '503', '429;retry-after=7'] as const),
      ...(['ERROR_FOO@400', 'right@500', 'right@202;retry-after=7', 'timeout-or-duplicate'] as const)
    ]
    const bad: ReadonlyArray<Fault> = [
      // @ts-expect-error no such fault
      'explode',
      // @ts-expect-error reset takes no number
      'reset=5'
    ]
    expect([good.length, bad.length]).toStrictEqual([10, 2])
  })
})

describe('docs/emulator.md', () => {
  const code = Array.from(textOf('docs/emulator.md').matchAll(/`([^`\n]+)`/g), ([, span = '']) => span)

  it('names every fault and every error code of siteverify', () => {
    expect(code).toStrictEqual(expect.arrayContaining([...faultNames, ...VERIFY_ERROR_CODES]))
  })

  it('gives rules that the emulator accepts as examples', async () => {
    const rules = code.filter((span) => /^[a-zA-Z]+:(?!when)\w+%?:/.test(span))
    expect(rules.length).toBeGreaterThan(30)
    await expect(start({ faults: rules })).resolves.toBeDefined()
  })
})

describe('an injected reply', () => {
  const first = async (fault: string) => create(await start({ faults: [`createTask:1:${fault}`] }))

  it.each([400, 401, 404, 408, 429, 500, 503, 599])('is an HTML page with the status %d', async (status) => {
    const reply = await first(String(status))
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([status, 'text/html; charset=utf-8'])
    expect(reply.body.toString()).toContain(`<h1>${status} `)
  })

  it.each(['7', 'Wed, 21 Oct 2026 07:28:00 GMT'])('has the header retry-after: %s', async (retryAfter) => {
    expect((await first(`429;retry-after=${retryAfter}`)).headers['retry-after']).toBe(retryAfter)
    const reply = await first(`ERROR_NO_SLOT_AVAILABLE@429;retry-after=${retryAfter}`)
    expect([reply.status, reply.headers['retry-after']]).toStrictEqual([429, retryAfter])
    expect((await first(`right@202;retry-after=${retryAfter}`)).headers['retry-after']).toBe(retryAfter)
  })

  it('redirects to an address that does not exist, or to the given one', async () => {
    expect((await first('302')).headers.location).toBe('https://elsewhere.invalid/')
    expect((await first('503')).headers.location).toBeUndefined()
    const reply = await first('307;location=http://127.0.0.1:9/?a=b;retry-after=1')
    expect(reply).toMatchObject({
      status: 307,
      headers: { location: 'http://127.0.0.1:9/?a=b', 'retry-after': '1' }
    })
  })

  it.each([
    ['ERROR_FOO', 200],
    ['CAPTCHA_NOT_READY', 200],
    ['ERROR_FOO@400', 400]
  ])('is a JSON document with an error code: %s', async (fault, status) => {
    const reply = await first(fault)
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([status, 'application/json'])
    const [errorCode = ''] = fault.split('@')
    expect(reply.json()).toStrictEqual({
      errorId: 1,
      errorCode,
      errorDescription: expect.stringContaining(errorCode) as string
    })
  })

  it('is the correct one with another status, and is billed', async () => {
    const emulator = await start({ faults: ['createTask:1:right@500'] })
    const reply = await post(`${emulator.url}/createTask`, createBody)
    expect([reply.status, reply.json()]).toMatchObject([500, { errorId: 0, taskId: emulator.tasks()[0]?.taskId }])
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 0 })
  })
})
