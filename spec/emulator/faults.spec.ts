import { gunzipSync } from 'node:zlib'
import { EMULATOR_KEY, faultNames, type Emulator } from 'rx-captcha/emulator'
import {
  poll,
  askBody,
  create,
  createBody,
  createdId,
  emulators,
  post,
  rawPost,
  until,
  type Reply
} from '../support/raw-http.js'

const start = emulators()

type Call = 'createTask' | 'getTaskResult'
const both: ReadonlyArray<Call> = ['createTask', 'getTaskResult']

/** Lets a fault strike the first time, and has what its call would say without it: billed, a create says its id. */
const struck = async (call: Call, fault: string) => {
  const emulator = await start({ faults: [`${call}:1:${call === 'createTask' ? 'billed+' : ''}${fault}`] })
  const reference = await start()
  const taskId = call === 'getTaskResult' ? await createdId(emulator) : ''
  const path = `/${call}`
  const body = call === 'createTask' ? createBody : askBody(taskId)
  const right = call === 'createTask' ? await create(reference) : await poll(reference, await createdId(reference))
  return { emulator, path, body, right: right.json() as Readonly<Record<string, unknown>> }
}

const wire = async (call: Call, fault: string) => {
  const { emulator, path, body, right } = await struck(call, fault)
  const { bytes, end } = await rawPost(emulator.url, [path], body).over
  const [head = '', ...rest] = bytes.toString('latin1').split('\r\n\r\n')
  return { end, bytes, head, text: rest.join('\r\n\r\n'), right }
}

/** Faults that are no whole HTTP message: the bytes on the wire, and how the connection ends. */
const onTheWire: Readonly<Record<string, (seen: Awaited<ReturnType<typeof wire>>) => void>> = {
  reset: ({ end, bytes }) => expect([end, bytes.length]).toStrictEqual(['reset', 0]),
  'reset-unread': ({ end, bytes }) => expect([end, bytes.length]).toStrictEqual(['reset', 0]),
  close: ({ end, bytes }) => expect([end, bytes.length]).toStrictEqual(['closed', 0]),
  'close-headers': ({ end, bytes }) =>
    expect([end, bytes.toString()]).toStrictEqual(['closed', 'HTTP/1.1 200 OK\r\ncontent-type: applica']),
  cut: ({ end, head, text, right }) => {
    const whole = JSON.stringify(right)
    expect([end, head]).toStrictEqual(['closed', `HTTP/1.1 200 OK\r\ncontent-length: ${whole.length}`])
    expect(text.length).toBeLessThan(whole.length)
    expect(text.length).toBeGreaterThan(20)
  },
  'not-http': ({ end, bytes }) => expect([end, bytes.toString()]).toStrictEqual(['closed', 'SSH-2.0-OpenSSH_9.6\r\n']),
  'bad-chunk': ({ end, head, text, right }) =>
    expect([end, head, text.startsWith('ZZ\r\n'), text.length]).toStrictEqual([
      'closed',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked',
      true,
      JSON.stringify(right).length + 6
    ]),
  'huge-headers': ({ head }) => expect(head.length).toBeGreaterThan(262_144)
}

const jsonOf = (change: (right: Readonly<Record<string, unknown>>) => unknown) => (reply: Reply, right: object) =>
  expect(reply.json()).toStrictEqual(change({ ...right }))
const bodyOf = (change: (json: string) => string) => (reply: Reply, right: object) =>
  expect(reply.body.toString()).toBe(change(JSON.stringify(right)))
const sameDocument = jsonOf((right) => right)
const noError = { errorId: 0, errorCode: null, errorDescription: null }
const readyWith = (gRecaptchaResponse: unknown) =>
  jsonOf(() => ({ ...noError, solution: { gRecaptchaResponse }, status: 'ready' }))
const anError = (errorCode: unknown) =>
  jsonOf(() => ({ errorId: 1, errorCode, errorDescription: expect.any(String) as string }))
const inGzip = (reply: Reply) => reply.headers['content-encoding'] === 'gzip'

/** Faults in a whole HTTP message with the status 200. */
const inTheMessage: Readonly<Record<string, (reply: Reply, right: object) => void>> = {
  'cut-gzip': (reply) => {
    expect(inGzip(reply)).toBe(true)
    expect(() => gunzipSync(reply.body)).toThrow('unexpected end of file')
  },
  'bad-gzip': (reply, right) => {
    expect(inGzip(reply)).toBe(true)
    sameDocument(reply, right)
  },
  'odd-encoding': (reply, right) => {
    expect(reply.headers['content-encoding']).toBe('zstd')
    sameDocument(reply, right)
  },
  gzip: (reply, right) => {
    expect(inGzip(reply)).toBe(true)
    expect(JSON.parse(gunzipSync(reply.body).toString())).toStrictEqual(right)
  },
  'drip=0': sameDocument,
  'slow=0': sameDocument,
  'slow=5': sameDocument,
  'large=200000': (reply) => {
    expect(reply.body).toHaveLength(200_000 + 26)
    expect(reply.json()).toMatchObject({ errorId: 0, padding: ' '.repeat(200_000) })
  },
  'gzip-bomb=3000000': (reply) => {
    expect(inGzip(reply)).toBe(true)
    expect(reply.body.length).toBeLessThan(10_000)
    expect(gunzipSync(reply.body)).toHaveLength(3_000_000 + 26)
  },
  html: (reply) => {
    expect(reply.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(reply.body.toString()).toMatch(/^<html>.*200 OK/)
  },
  empty: bodyOf(() => ''),
  'cut-json': bodyOf((json) => json.slice(0, json.length / 2)),
  'not-json': bodyOf(() => 'OK'),
  array: jsonOf((right) => [right]),
  null: jsonOf(() => null),
  'no-id': jsonOf(() => ({ errorId: 0, errorCode: '', errorDescription: '' })),
  'null-id': jsonOf((right) => ({ ...right, taskId: null })),
  'empty-id': jsonOf((right) => ({ ...right, taskId: '' })),
  'numeric-id': jsonOf((right) => ({ ...right, taskId: 7_000_000_001 })),
  'error-with-id': jsonOf((right) => ({
    ...right,
    errorId: 1,
    errorCode: 'ERROR_UNKNOWN',
    errorDescription: expect.any(String) as string
  })),
  'no-solution': jsonOf(() => ({ ...noError, status: 'ready' })),
  'empty-token': readyWith(''),
  'number-token': readyWith(3),
  'null-token': readyWith(null),
  'unknown-status': jsonOf(() => ({ ...noError, status: 'waiting' })),
  'idle-status': jsonOf(() => ({ ...noError, status: 'idle' })),
  'failed-status': jsonOf(() => ({ ...noError, status: 'failed' })),
  never: jsonOf(() => ({ ...noError, status: 'processing' })),
  bom: bodyOf((json) => `\uFEFF${json}`),
  utf16: (reply, right) => {
    expect(reply.body.subarray(0, 2).toString('hex')).toBe('fffe')
    expect(reply.body.toString('utf16le')).toBe(`\uFEFF${JSON.stringify(right)}`)
  },
  deep: bodyOf(() => '['.repeat(100_000) + ']'.repeat(100_000)),
  'duplicate-keys': (reply, right) => {
    expect(reply.body.toString().split('"errorId"')).toHaveLength(3)
    expect(reply.json()).toMatchObject(right)
  },
  proto: (reply, right) => {
    expect(reply.body.toString()).toMatch(/^\{"__proto__":\{/)
    expect(reply.json()).toMatchObject(right)
  },
  'echo-key': (reply) => {
    expect(reply.body.toString().split(EMULATOR_KEY)).toHaveLength(4)
    expect(reply.json()).toMatchObject({ errorId: 1, errorCode: `ERROR_KEY_${EMULATOR_KEY}_REJECTED` })
  },
  'null-code': anError(null),
  'empty-code': anError(''),
  'string-error-id': jsonOf((right) => ({ ...right, errorId: '0' }))
}

const onlyCreate = ['no-id', 'null-id', 'empty-id', 'numeric-id', 'error-with-id']
const onlyResult = ['no-solution', ...['empty', 'number', 'null'].map((what) => `${what}-token`)].concat(
  ['unknown', 'idle', 'failed'].map((what) => `${what}-status`),
  'never'
)
const callsOf = (name: string) =>
  onlyCreate.includes(name) ? both.slice(0, 1) : onlyResult.includes(name) ? both.slice(1) : both
const onItsCalls = (names: ReadonlyArray<string>) => names.flatMap((name) => callsOf(name).map((call) => [name, call]))

describe('the fault', () => {
  it.each(onItsCalls(Object.keys(onTheWire)) as [string, Call][])('%s on %s', async (name, call) => {
    onTheWire[name]?.(await wire(call, name))
  })

  it.each(onItsCalls(Object.keys(inTheMessage)) as [string, Call][])('%s on %s', async (name, call) => {
    const { emulator, path, body, right } = await struck(call, name)
    const reply = await post(`${emulator.url}${path}`, body)
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([
      200,
      name === 'html' ? expect.anything() : 'application/json'
    ])
    inTheMessage[name]?.(reply, right)
  })

  it.each(both)('silent on %s reads, and says nothing', async (call) => {
    const { emulator, path, body } = await struck(call, 'silent')
    const client = rawPost(emulator.url, [path], body)
    await until(() => emulator.counters().requests[call] === 1)
    await poll(emulator, 'unknown')
    expect(client.bytes()).toHaveLength(0)
    client.leave()
  })

  it.each(both)('drip-headers on %s never comes to the end of the head', async (call) => {
    const { emulator, path, body } = await struck(call, 'drip-headers=1')
    const client = rawPost(emulator.url, [path], body)
    await until(() => client.bytes().length > 70)
    expect(client.bytes().toString()).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: application\/json\r\nx-drip: \.+$/)
    client.leave()
  })

  it.each(both)('drip on %s sends the right head at once, and the body byte by byte', async (call) => {
    const { emulator, path, body } = await struck(call, 'drip=60000')
    const client = rawPost(emulator.url, [path], body)
    await until(() => client.bytes().length > 0)
    expect(client.bytes().toString()).toMatch(
      /^HTTP\/1\.1 200 OK\r\ncontent-type: application\/json\r\ncontent-length: \d+/
    )
    expect(client.bytes().toString()).toMatch(/\r\n\r\n$/)
    client.leave()
  })

  it('each has a test above', () => {
    const tested = [...Object.keys(onTheWire), ...Object.keys(inTheMessage), 'silent', 'drip-headers', 'drip']
    expect(new Set(tested.map((name) => name.replace(/=\d+$/, '')))).toStrictEqual(new Set(faultNames))
  })

  it.each(['large=50000000', 'gzip-bomb=50000000'])(
    '%s is streamed, and stops when the client leaves',
    async (fault) => {
      const before = process.memoryUsage().rss
      const { emulator, path, body } = await struck('createTask', fault)
      const client = rawPost(emulator.url, [path], body)
      await until(() => client.bytes().length > 100)
      client.leave()
      await client.over
      await create(emulator)
      expect(process.memoryUsage().rss - before).toBeLessThan(40_000_000)
    }
  )

  it('proto pollutes nobody in its way', async () => {
    const { emulator } = await struck('createTask', 'proto')
    await create(emulator)
    expect(Object.prototype).not.toHaveProperty('polluted')
  })
})

describe('a fault on createTask', () => {
  const short = (name: string) => (name === 'drip' || name === 'slow' ? `${name}=0` : name)
  const names = faultNames.filter((name) => callsOf(name).includes('createTask')).map(short)
  const readable = ['gzip', 'drip=0', 'slow=0', 'numeric-id', 'error-with-id', 'bom', 'duplicate-keys', 'proto'].concat(
    'string-error-id'
  )

  /** Has the first create struck; where no answer comes, leaves. */
  const strike = async (fault: string): Promise<Emulator> => {
    const emulator = await start({ faults: [`createTask:1:${fault}`] })
    const client = rawPost(emulator.url, ['/createTask'], createBody)
    await until(() => emulator.counters().accepted + emulator.counters().refused === 1)
    if (/silent|drip-headers|large|bomb/.test(fault)) client.leave()
    await client.over
    await poll(emulator, 'unknown')
    return emulator
  }

  it.each(names)('%s is billed only if the right answer can be read in it', async (name) => {
    const { accepted, refused, lostCreates } = (await strike(name)).counters()
    const isReadable = readable.includes(name)
    expect({ accepted, refused, lostCreates }).toStrictEqual({
      accepted: isReadable ? 1 : 0,
      refused: isReadable ? 0 : 1,
      lostCreates: 0
    })
  })

  it.each(names)('%s is billed when told so, and then its answer is lost unless it can be read', async (name) => {
    const { accepted, refused, lostCreates } = (await strike(`billed+${name}`)).counters()
    expect({ accepted, refused, lostCreates }).toStrictEqual({
      accepted: 1,
      refused: 0,
      lostCreates: readable.includes(name) ? 0 : 1
    })
  })

  it.each([7_000_000_001, '7000000001'])('numeric-id names a task that is known as %p', async (taskId) => {
    const emulator = await start({ faults: ['createTask:1:numeric-id'] })
    await create(emulator)
    expect((await poll(emulator, taskId)).json()).toMatchObject({ status: 'ready' })
  })
})

describe('a fault on getTaskResult', () => {
  it.each(['gzip', 'bom', 'drip=0', 'slow=0', 'right@500', 'string-error-id'])(
    '%s delivers the token',
    async (fault) => {
      const emulator = await start({ faults: [`getTaskResult:1:${fault}`] })
      await poll(emulator, await createdId(emulator))
      expect(emulator.counters().delivered).toBe(1)
    }
  )

  it.each(['html', 'array', 'utf16', 'bad-gzip', 'empty-token', 'never', 'ERROR_FOO'])(
    '%s does not deliver the token',
    async (fault) => {
      const emulator = await start({ faults: [`getTaskResult:1:${fault}`] })
      const taskId = await createdId(emulator)
      await poll(emulator, taskId)
      expect(emulator.counters().delivered).toBe(0)
      expect((await poll(emulator, taskId)).json()).toMatchObject({ status: 'ready' })
    }
  )

  it('strikes before the time has come as well', async () => {
    const emulator = await start({
      readyAfterMs: 60_000,
      faults: ['getTaskResult:1:gzip', 'getTaskResult:2:no-solution']
    })
    const taskId = await createdId(emulator)
    expect(gunzipSync((await poll(emulator, taskId)).body).toString()).toContain('processing')
    expect((await poll(emulator, taskId)).json()).toMatchObject({ status: 'ready' })
    expect(emulator.counters().delivered).toBe(0)
  })
})
