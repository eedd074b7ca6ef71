import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { aTask, create, createBody, createdId, emulators, poll, post } from '../support/raw-http.js'

const start = emulators()

describe('a request', () => {
  it('is refused with 404 on an unknown path', async () => {
    const { url } = await start()
    const reply = await post(`${url}/getBalance`, createBody)
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([404, 'text/html; charset=utf-8'])
    expect(reply.body.toString()).toContain('only /createTask and /getTaskResult are known')
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
