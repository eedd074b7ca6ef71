import { gunzipSync } from 'node:zlib'
import { EMULATOR_KEY, type Emulator, type FaultReply } from 'rx-captcha/emulator'
import { aTask, create, createBody, createdId, emulators, poll, post } from '../support/raw-http.js'

const start = emulators()

describe('a request', () => {
  it('is refused with 404 on an unknown path', async () => {
    const { url } = await start()
    const reply = await post(`${url}/getSpendings`, createBody)
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([404, 'text/html; charset=utf-8'])
    expect(reply.body.toString()).toContain('only /createTask, /getTaskResult, /getBalance and /siteverify are known')
  })

  it.each(['GET', 'PUT', 'DELETE'])('is refused with 405 for %s', async (method) => {
    const { url } = await start()
    expect((await post(`${url}/createTask`, createBody, { method })).status).toBe(405)
  })

  it.each(['text/plain', 'application/jsonp', 'application/x-www-form-urlencoded', ''])(
    'is refused with 415 for the content type "%s"',
    async (type) => {
      const { url } = await start()
      expect((await post(`${url}/createTask`, createBody, { headers: { 'content-type': type } })).status).toBe(415)
    }
  )

  it('is refused with 415 without a content type', async () => {
    const { url } = await start()
    const body = Buffer.from(JSON.stringify(createBody))
    expect((await fetch(`${url}/createTask`, { method: 'POST', body })).status).toBe(415)
  })

  it('may name a charset after the content type', async () => {
    const { url } = await start()
    const headers = { 'content-type': 'Application/JSON ; charset=utf-8' }
    expect((await post(`${url}/createTask`, createBody, { headers })).status).toBe(200)
  })

  it('counts as refused if it is a createTask that HTTP refuses', async () => {
    const emulator = await start()
    await post(`${emulator.url}/createTask`, createBody, { method: 'GET' })
    expect(emulator.counters()).toMatchObject({ requests: { createTask: 1 }, accepted: 0, refused: 1 })
  })
})

describe('the body of a request', () => {
  it.each(['', '{"clientKey":', '[]', 'null', '"text"', '7', '{"a":1}x'])(
    'is refused with 400 if it is %j',
    async (body) => {
      const { url } = await start()
      expect((await post(`${url}/createTask`, body)).status).toBe(400)
    }
  )

  it('is refused with 400 if it is not UTF-8', async () => {
    const { url } = await start()
    const latin1 = Buffer.from(JSON.stringify({ ...createBody, note: 'é' }), 'latin1')
    expect((await post(`${url}/createTask`, latin1)).status).toBe(400)
  })

  it('is refused with 413 if it is larger than 64 KiB', async () => {
    const { url } = await start()
    const sized = (size: number) => JSON.stringify({ ...createBody, note: '' }).padEnd(size)
    expect((await post(`${url}/createTask`, sized(65_537))).status).toBe(413)
    expect((await post(`${url}/createTask`, sized(65_536))).status).toBe(200)
  })
})

describe('a createTask', () => {
  it.each([
    ['a wrong key', { clientKey: 'wrong', task: aTask }, 'ERROR_KEY_DOES_NOT_EXIST'],
    ['no key', { task: aTask }, 'ERROR_KEY_DOES_NOT_EXIST'],
    ['a wrong key and no task', { clientKey: 'wrong' }, 'ERROR_KEY_DOES_NOT_EXIST'],
    ['no task', { clientKey: EMULATOR_KEY }, 'ERROR_TASK_ABSENT'],
    ['an array as its task', { clientKey: EMULATOR_KEY, task: [] }, 'ERROR_TASK_ABSENT'],
    ['null as its task', { clientKey: EMULATOR_KEY, task: null }, 'ERROR_TASK_ABSENT']
  ])('is refused if it has %s', async (_what, body, errorCode) => {
    const { url } = await start()
    const reply = await post(`${url}/createTask`, body)
    expect(reply.status).toBe(200)
    expect(reply.json()).toStrictEqual({
      errorId: 1,
      errorCode,
      errorDescription: expect.stringMatching(/./) as string
    })
  })

  it.each([
    [{ type: undefined }, 'ERROR_TASK_NOT_SUPPORTED'],
    [{ type: 'HCaptchaTask' }, 'ERROR_TASK_NOT_SUPPORTED'],
    [{ type: 'constructor' }, 'ERROR_TASK_NOT_SUPPORTED'],
    [{ websiteURL: undefined }, 'ERROR_REQUIRED_FIELDS'],
    [{ websiteURL: '' }, 'ERROR_REQUIRED_FIELDS'],
    [{ websiteKey: 5 }, 'ERROR_REQUIRED_FIELDS'],
    [{ isInvisible: 'true' }, 'ERROR_BAD_PARAMETERS'],
    [{ isInvisible: null }, 'ERROR_BAD_PARAMETERS']
  ])('is refused if its task has %p, with %s', async (fields, errorCode) => {
    const emulator = await start()
    expect((await create(emulator, { ...aTask, ...fields })).json()).toMatchObject({ errorId: 1, errorCode })
    expect(emulator.counters()).toMatchObject({ accepted: 0, refused: 1 })
  })

  it.each([{ isInvisible: true }, { isInvisible: false }, { recaptchaDataSValue: 'x', extra: [1] }])(
    'is accepted if its task has %j, and the task is recorded as it was sent',
    async (fields) => {
      const emulator = await start()
      expect((await create(emulator, { ...aTask, ...fields })).json()).toMatchObject({ errorId: 0 })
      expect(emulator.tasks()[0]?.task).toStrictEqual({ ...aTask, ...fields })
    }
  )

  it('may have further fields besides its task', async () => {
    const { url } = await start()
    const reply = await post(`${url}/createTask`, { ...createBody, languagePool: 'en', softId: 1 })
    expect(reply.json()).toMatchObject({ errorId: 0 })
  })

  it('is accepted with any fields if its task is of another type', async () => {
    const emulator = await start({ solutions: { Other: () => null } })
    expect((await create(emulator, { type: 'Other', isInvisible: 1 })).json()).toMatchObject({ errorId: 0 })
  })
})

describe('a task with a numeric id', () => {
  const BEYOND_DOUBLES = /"taskId":(\d{18})\}$/

  /** Creates a task; returns the digits of its id, as they were sent. */
  const digitsOf = async (emulator: Emulator) => {
    const [, digits = ''] = BEYOND_DOUBLES.exec((await create(emulator)).body.toString()) ?? []
    return digits
  }
  const pollWith = async (emulator: Emulator, taskId: string, rest = '') =>
    (await post(`${emulator.url}/getTaskResult`, `{"clientKey":"${EMULATOR_KEY}", "taskId" : ${taskId}${rest}}`)).json()

  it('has one that JavaScript cannot hold', async () => {
    const emulator = await start({ numericIds: true })
    for (let i = 0; i < 8; i += 1) {
      const digits = await digitsOf(emulator)
      expect([digits, Number(digits) % 2]).toStrictEqual([expect.stringMatching(/^\d{17}[13579]$/), 0])
    }
  })

  it('has another one than the next task, and the same with the same seed', async () => {
    const emulator = await start({ numericIds: true })
    const ids = [await digitsOf(emulator), await digitsOf(emulator)]
    expect(new Set(ids).size).toBe(2)
    expect(emulator.tasks().map(({ taskId }) => taskId)).toStrictEqual(ids)
    expect(await digitsOf(await start({ numericIds: true }))).toBe(ids[0])
  })

  it.each(['', ' ', ',"softId":1'])('is found by every digit of its number, before %j', async (rest) => {
    const emulator = await start({ numericIds: true })
    expect(await pollWith(emulator, await digitsOf(emulator), rest)).toMatchObject({ errorId: 0, status: 'ready' })
  })

  it.each<[string, (digits: string) => string]>([
    ['as a string', (digits) => `"${digits}"`],
    ['rounded', (digits) => String(Number(digits))],
    ['with an exponent', (digits) => Number(digits).toExponential()],
    ['as a fraction', (digits) => `${digits}.0`],
    ['in an array', (digits) => `[${digits}]`],
    ['without the last digit', (digits) => digits.slice(0, -1)]
  ])('is refused if its id is sent %s', async (_, write) => {
    const emulator = await start({ numericIds: true })
    expect(await pollWith(emulator, write(await digitsOf(emulator)))).toMatchObject({
      errorCode: 'ERROR_TASKID_INVALID'
    })
    expect(emulator.counters()).toMatchObject({ polls: { [emulator.tasks()[0]!.taskId]: 0 } })
  })

  it.each(['numeric-id', 'text-before', 'gzip', 'slow=0', 'right@202', 'drip=0'])(
    'is sent with every digit under the fault %s',
    async (fault) => {
      const emulator = await start({ numericIds: true, faults: [`createTask:1:${fault}`] })
      const { headers, body } = await create(emulator)
      const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
      expect(text).toContain(`"taskId":${emulator.tasks()[0]?.taskId}}`)
    }
  )

  it('is ready at once with every digit, too', async () => {
    const emulator = await start({ numericIds: true, faults: ['createTask:1:ready-at-once'] })
    const { body } = await create(emulator)
    expect(body.toString()).toContain(`"taskId":${emulator.tasks()[0]?.taskId},"status":"ready","solution":{`)
  })

  it('is given to a fault function as JSON text and as a bigint', async () => {
    const seen: FaultReply[] = []
    const fault = (reply: FaultReply) => {
      seen.push(reply)
      reply.res.end(reply.correctJson)
    }
    const rules = [{ on: 'createTask', when: 'always', fault, billed: true } as const]
    const emulator = await start({ numericIds: true, faults: rules })
    expect(await digitsOf(emulator)).toBe(emulator.tasks()[0]?.taskId)
    expect(seen[0]?.correctReply.taskId).toBe(BigInt(emulator.tasks()[0]!.taskId))
  })

  it('has an id of no task if none was created', async () => {
    const fault = ({ res, correctJson }: FaultReply) => res.end(correctJson)
    const emulator = await start({ numericIds: true, faults: [{ on: 'createTask', when: 'always', fault }] })
    expect(await pollWith(emulator, await digitsOf(emulator))).toMatchObject({ errorCode: 'ERROR_TASKID_INVALID' })
  })
})

describe('a getTaskResult', () => {
  it('is refused with a wrong key, and does not count as a poll of its task', async () => {
    const emulator = await start()
    const taskId = await createdId(emulator)
    const reply = await post(`${emulator.url}/getTaskResult`, { clientKey: 'wrong', taskId })
    expect(reply.json()).toMatchObject({ errorId: 1, errorCode: 'ERROR_KEY_DOES_NOT_EXIST' })
    expect(emulator.tasks()[0]?.polls).toBe(0)
  })

  it.each([['no-such-task'], [undefined], [null], [{}], [17]])('is refused for the unknown task %j', async (taskId) => {
    const reply = await poll(await start(), taskId)
    expect(reply.json()).toMatchObject({ errorId: 1, errorCode: 'ERROR_TASKID_INVALID' })
  })
})
