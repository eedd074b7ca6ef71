import { gunzipSync } from 'node:zlib'
import { EMULATOR_KEY, type Emulator, type FaultReply } from 'rx-captcha/emulator'
import { faultNames } from '../../../lib/emulator/faults/rules.js'
import { ruleOf } from '../../support/matrix/odd-replies.js'
import {
  create,
  createBody,
  createdId,
  emulators,
  poll,
  pollBody,
  post,
  rawPost,
  until,
  type Reply
} from '../../support/raw-http.js'

const start = emulators()

type CallName = 'createTask' | 'getTaskResult'
const both: ReadonlyArray<CallName> = ['createTask', 'getTaskResult']

/** A request that the fault affects, and the correct reply to it. A createTask is billed, so its correct reply has an id. */
const affected = async (call: CallName, fault: string) => {
  const emulator = await start({ faults: [ruleOf(`${call}:1:${call === 'createTask' ? 'billed+' : ''}${fault}`)] })
  const reference = await start()
  const taskId = call === 'getTaskResult' ? await createdId(emulator) : ''
  const path = `/${call}`
  const body = call === 'createTask' ? createBody : pollBody(taskId)
  const correct = call === 'createTask' ? await create(reference) : await poll(reference, await createdId(reference))
  return { emulator, path, body, correct: correct.json() as Readonly<Record<string, unknown>> }
}

const rawReply = async (call: CallName, fault: string) => {
  const { emulator, path, body, correct } = await affected(call, fault)
  const { bytes, end } = await rawPost(emulator.url, [path], body).over
  const [head = '', ...rest] = bytes.toString('latin1').split('\r\n\r\n')
  return { end, bytes, head, text: rest.join('\r\n\r\n'), correct }
}

/** The first chunk, and what follows it. */
const chunksOf = (bytes: Buffer) => bytes.toString().split('\r\n\r\n')[1]?.split('\r\n').slice(1)

interface Bytes {
  readonly does: string
  readonly check: (seen: Awaited<ReturnType<typeof rawReply>>) => void
}

/** Faults that are not a whole HTTP message: the bytes, and how the connection ends. */
const BYTES: Readonly<Record<string, Bytes>> = {
  reset: {
    does: 'resets the connection',
    check: ({ end, bytes }) => expect([end, bytes.length]).toStrictEqual(['reset', 0])
  },
  'reset-unread': {
    does: 'resets the connection',
    check: ({ end, bytes }) => expect([end, bytes.length]).toStrictEqual(['reset', 0])
  },
  close: {
    does: 'closes the connection',
    check: ({ end, bytes }) => expect([end, bytes.length]).toStrictEqual(['closed', 0])
  },
  'close-headers': {
    does: 'closes the connection within the head',
    check: ({ end, bytes }) =>
      expect([end, bytes.toString()]).toStrictEqual(['closed', 'HTTP/1.1 200 OK\r\ncontent-type: applica'])
  },
  cut: {
    does: 'closes the connection within the body',
    check: ({ end, head, text, correct }) => {
      const whole = JSON.stringify(correct)
      expect([end, head]).toStrictEqual(['closed', `HTTP/1.1 200 OK\r\ncontent-length: ${whole.length}`])
      expect(text.length).toBeLessThan(whole.length)
      expect(text.length).toBeGreaterThan(20)
    }
  },
  'not-http': {
    does: 'sends another protocol',
    check: ({ end, bytes }) => expect([end, bytes.toString()]).toStrictEqual(['closed', 'SSH-2.0-OpenSSH_9.6\r\n'])
  },
  'bad-chunk': {
    does: 'sends a chunk without a size',
    check: ({ end, head, text, correct }) =>
      expect([end, head, text.startsWith('ZZ\r\n'), text.length]).toStrictEqual([
        'closed',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked',
        true,
        JSON.stringify(correct).length + 6
      ])
  },
  'huge-headers': {
    does: 'sends a head of 256 KiB',
    check: ({ head }) => expect(head.length).toBeGreaterThan(262_144)
  }
}

const jsonOf = (change: (correct: Readonly<Record<string, unknown>>) => unknown) => (reply: Reply, correct: object) =>
  expect(reply.json()).toStrictEqual(change({ ...correct }))
const bodyOf = (change: (json: string) => string) => (reply: Reply, correct: object) =>
  expect(reply.body.toString()).toBe(change(JSON.stringify(correct)))
const sameObject = jsonOf((correct) => correct)
const noError = { errorId: 0, errorCode: null, errorDescription: null }
const readyWith = (gRecaptchaResponse: unknown) =>
  jsonOf(() => ({ ...noError, solution: { gRecaptchaResponse }, status: 'ready' }))
const anError = (errorCode: unknown) =>
  jsonOf(() => ({ errorId: 1, errorCode, errorDescription: expect.any(String) as string }))
const isGzip = (reply: Reply) => reply.headers['content-encoding'] === 'gzip'

/** Faults in a whole HTTP message with the status 200, each with a check of the message. */
const MESSAGES: Readonly<Record<string, (reply: Reply, correct: object) => void>> = {
  'cut-gzip': (reply) => {
    expect(isGzip(reply)).toBe(true)
    expect(() => gunzipSync(reply.body)).toThrow('unexpected end of file')
  },
  'bad-gzip': (reply, correct) => {
    expect(isGzip(reply)).toBe(true)
    sameObject(reply, correct)
  },
  'odd-encoding': (reply, correct) => {
    expect(reply.headers['content-encoding']).toBe('zstd')
    sameObject(reply, correct)
  },
  gzip: (reply, correct) => {
    expect(isGzip(reply)).toBe(true)
    expect(JSON.parse(gunzipSync(reply.body).toString())).toStrictEqual(correct)
  },
  'drip=0': sameObject,
  'slow=0': sameObject,
  'slow=5': sameObject,
  'large=200000': (reply) => {
    expect(reply.body).toHaveLength(200_000 + 26)
    expect(reply.json()).toMatchObject({ errorId: 0, padding: ' '.repeat(200_000) })
  },
  'gzip-bomb=3000000': (reply) => {
    expect(isGzip(reply)).toBe(true)
    expect(reply.body.length).toBeLessThan(10_000)
    expect(gunzipSync(reply.body)).toHaveLength(3_000_000 + 26)
  },
  html: (reply) => {
    expect(reply.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(reply.body.toString()).toMatch(/^<html>.*200 OK/)
  },
  'text-before': (reply, correct) => {
    const [warning, json] = reply.body.toString().split('<br />\n{')
    expect(reply.headers['content-type']).toBe('text/html; charset=UTF-8')
    expect(warning).toMatch(/^<br \/>\n<b>Warning<\/b>: {2}[^{}]*$/)
    expect(`{${json}`).toBe(JSON.stringify(correct))
  },
  empty: bodyOf(() => ''),
  'cut-json': bodyOf((json) => json.slice(0, json.length / 2)),
  'not-json': bodyOf(() => 'OK'),
  array: jsonOf((correct) => [correct]),
  null: jsonOf(() => null),
  'no-id': jsonOf(() => ({ errorId: 0, errorCode: '', errorDescription: '' })),
  'null-id': jsonOf((correct) => ({ ...correct, taskId: null })),
  'empty-id': jsonOf((correct) => ({ ...correct, taskId: '' })),
  'numeric-id': jsonOf((correct) => ({ ...correct, taskId: 7_000_000_001 })),
  'ready-at-once': jsonOf((correct) => ({
    ...correct,
    status: 'ready',
    solution: { gRecaptchaResponse: expect.stringMatching(/^03A/) as string }
  })),
  'error-with-id': jsonOf((correct) => ({
    ...correct,
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
  'retry-after': (reply, correct) => {
    expect(reply.headers['retry-after']).toBe('5')
    sameObject(reply, correct)
  },
  'retry-after=90': (reply) => expect(reply.headers['retry-after']).toBe('90'),
  bom: bodyOf((json) => `\uFEFF${json}`),
  utf16: (reply, correct) => {
    expect(reply.body.subarray(0, 2).toString('hex')).toBe('fffe')
    expect(reply.body.toString('utf16le')).toBe(`\uFEFF${JSON.stringify(correct)}`)
  },
  deep: bodyOf(() => '['.repeat(100_000) + ']'.repeat(100_000)),
  'duplicate-keys': (reply, correct) => {
    expect(reply.body.toString().split('"errorId"')).toHaveLength(3)
    expect(reply.json()).toMatchObject(correct)
  },
  proto: (reply, correct) => {
    expect(reply.body.toString()).toMatch(/^\{"__proto__":\{/)
    expect(reply.json()).toMatchObject(correct)
  },
  'echo-key': (reply) => {
    expect(reply.body.toString().split(EMULATOR_KEY)).toHaveLength(4)
    expect(reply.json()).toMatchObject({ errorId: 1, errorCode: `ERROR_KEY_${EMULATOR_KEY}_REJECTED` })
  },
  'null-code': anError(null),
  'empty-code': anError(''),
  'string-error-id': jsonOf((correct) => ({ ...correct, errorId: '0' }))
}

const ON_CREATE = ['no-id', 'null-id', 'empty-id', 'numeric-id', 'ready-at-once', 'error-with-id']
const ON_POLL = ['no-solution', ...['empty', 'number', 'null'].map((what) => `${what}-token`)].concat(
  ['unknown', 'idle', 'failed'].map((what) => `${what}-status`),
  'never',
  'retry-after',
  'retry-after=90'
)
const callsOf = (name: string) =>
  ON_CREATE.includes(name) ? both.slice(0, 1) : ON_POLL.includes(name) ? both.slice(1) : both
const withCalls = (names: ReadonlyArray<string>) =>
  names.flatMap((name) => callsOf(name).map((call) => [name, call] as const))

/** Every name, without a number. Some of the odd replies of the matrix are among them, as faults that are functions. */
const NAMES: ReadonlyArray<string> = [...Object.keys(BYTES), ...Object.keys(MESSAGES), 'silent', 'drip-headers', 'drip']
  .concat('reply-unfinished')
  .map((name) => name.replace(/=\d+$/, ''))

describe('the fault', () => {
  it.each(withCalls(Object.keys(BYTES)).map(([name, call]) => [name, BYTES[name]!.does, call] as const))(
    '%s %s on %s',
    async (name, _does, call) => {
      BYTES[name]!.check(await rawReply(call, name))
    }
  )

  it.each(withCalls(Object.keys(MESSAGES)))('%s replies to %s with the expected body', async (name, call) => {
    const { emulator, path, body, correct } = await affected(call, name)
    const reply = await post(`${emulator.url}${path}`, body)
    expect([reply.status, reply.headers['content-type']]).toStrictEqual([
      200,
      name === 'html' || name === 'text-before' ? expect.stringMatching(/^text\/html/) : 'application/json'
    ])
    MESSAGES[name]!(reply, correct)
  })

  it.each(both)('silent reads %s and sends nothing', async (call) => {
    const { emulator, path, body } = await affected(call, 'silent')
    const client = rawPost(emulator.url, [path], body)
    await until(() => emulator.counters().requests[call] === 1)
    await poll(emulator, 'unknown')
    expect(client.bytes()).toHaveLength(0)
    client.disconnect()
  })

  it.each(both)('drip-headers never ends the head on %s', async (call) => {
    const { emulator, path, body } = await affected(call, 'drip-headers=1')
    const client = rawPost(emulator.url, [path], body)
    await until(() => client.bytes().length > 70)
    expect(client.bytes().toString()).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: application\/json\r\nx-drip: \.+$/)
    client.disconnect()
  })

  it.each(both)('drip sends the correct head at once on %s, and the body byte by byte', async (call) => {
    const { emulator, path, body } = await affected(call, 'drip=60000')
    const client = rawPost(emulator.url, [path], body)
    await until(() => client.bytes().length > 0)
    expect(client.bytes().toString()).toMatch(
      /^HTTP\/1\.1 200 OK\r\ncontent-type: application\/json\r\ncontent-length: \d+/
    )
    expect(client.bytes().toString()).toMatch(/\r\n\r\n$/)
    client.disconnect()
  })

  it.each(both)('reply-unfinished sends the whole body of %s, and leaves the connection open', async (call) => {
    const { emulator, path, body, correct } = await affected(call, 'reply-unfinished')
    const client = rawPost(emulator.url, [path], body)
    await until(() => client.bytes().includes('}\r\n'))
    const stillOpen = new Promise((resolve) => setTimeout(resolve, 5, 'open'))
    expect(await Promise.race([client.over, stillOpen])).toBe('open')
    expect(chunksOf(client.bytes())).toStrictEqual([JSON.stringify(correct), ''])
    client.disconnect()
  })

  it.each(both)('reply-unfinished=5 sends the whole body of %s, and closes the connection', async (call) => {
    const { end, bytes, correct } = await rawReply(call, 'reply-unfinished=5')
    expect([end, chunksOf(bytes)]).toStrictEqual(['closed', [JSON.stringify(correct), '']])
  })

  it.each(['large=50000000', 'gzip-bomb=50000000'])(
    '%s is streamed, and stops when the client disconnects',
    async (fault) => {
      const before = process.memoryUsage().rss
      const { emulator, path, body } = await affected('createTask', fault)
      const client = rawPost(emulator.url, [path], body)
      await until(() => client.bytes().length > 100)
      client.disconnect()
      await client.over
      await create(emulator)
      expect(process.memoryUsage().rss - before).toBeLessThan(40_000_000)
    }
  )

  it('proto does not pollute Object.prototype of the emulator', async () => {
    const { emulator } = await affected('createTask', 'proto')
    await create(emulator)
    expect(Object.prototype).not.toHaveProperty('polluted')
  })
})

describe('the tests of the faults', () => {
  it('cover every name', () => {
    expect(NAMES).toStrictEqual(expect.arrayContaining(faultNames))
  })
})

describe('a fault on createTask', () => {
  const withShortWait = (name: string) => (/^(drip|slow|reply-unfinished)$/.test(name) ? `${name}=0` : name)
  const names = [...new Set(NAMES)].filter((name) => callsOf(name).includes('createTask')).map(withShortWait)
  const readable = ['gzip', 'drip=0', 'slow=0', 'numeric-id', 'error-with-id', 'bom', 'duplicate-keys', 'proto'].concat(
    ['string-error-id', 'text-before', 'ready-at-once', 'reply-unfinished=0', 'bad-gzip', 'odd-encoding', 'utf16']
  )

  /** Sends a createTask that the fault affects, and disconnects if no complete reply comes. */
  const createWith = async (fault: string): Promise<Emulator> => {
    const emulator = await start({ faults: [ruleOf(`createTask:1:${fault}`)] })
    const client = rawPost(emulator.url, ['/createTask'], createBody)
    await until(() => emulator.counters().accepted + emulator.counters().refused === 1)
    if (/silent|drip-headers|large|bomb/.test(fault)) client.disconnect()
    await client.over
    await poll(emulator, 'unknown')
    return emulator
  }

  it.each(names)('creates a task only if the client can read its id: %s', async (name) => {
    const { accepted, refused, lostCreates } = (await createWith(name)).counters()
    const isReadable = readable.includes(name)
    expect({ accepted, refused, lostCreates }).toStrictEqual({
      accepted: isReadable ? 1 : 0,
      refused: isReadable ? 0 : 1,
      lostCreates: 0
    })
  })

  it.each(names)('creates a task if it is billed, and counts a reply that cannot be read as lost: %s', async (name) => {
    const { accepted, refused, lostCreates } = (await createWith(`billed+${name}`)).counters()
    expect({ accepted, refused, lostCreates }).toStrictEqual({
      accepted: 1,
      refused: 0,
      lostCreates: readable.includes(name) ? 0 : 1
    })
  })

  it.each([7_000_000_001, '7000000001'])('creates a task that is found as %p if it is numeric-id', async (taskId) => {
    const emulator = await start({ faults: ['createTask:1:numeric-id'] })
    await create(emulator)
    expect((await poll(emulator, taskId)).json()).toMatchObject({ status: 'ready' })
  })
})

describe('a fault on getTaskResult', () => {
  const readable = ['gzip', 'bom', 'drip=0', 'slow=0', 'right@500', 'string-error-id', 'text-before', 'retry-after']

  it.each([...readable, 'reply-unfinished=0'])('delivers the solution if the client can read it: %s', async (fault) => {
    const emulator = await start({ faults: [ruleOf(`getTaskResult:1:${fault}`)] })
    await rawPost(emulator.url, ['/getTaskResult'], pollBody(await createdId(emulator))).over
    expect(emulator.counters().delivered).toBe(1)
  })

  it.each(['html', 'array', 'cut-gzip', 'cut-json', 'empty-token', 'never', 'ERROR_FOO'])(
    'does not deliver the solution if the client cannot read it: %s',
    async (fault) => {
      const emulator = await start({ faults: [ruleOf(`getTaskResult:1:${fault}`)] })
      const taskId = await createdId(emulator)
      await poll(emulator, taskId)
      expect(emulator.counters().delivered).toBe(0)
      expect((await poll(emulator, taskId)).json()).toMatchObject({ status: 'ready' })
    }
  )

  it('is injected before the task is ready, too', async () => {
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

describe('a fault that is a function', () => {
  /** Remembers the replies that it gets, and sends the correct one with the status 418. */
  const remembering = () => {
    const replies: FaultReply[] = []
    const fault = (reply: FaultReply): void => {
      replies.push(reply)
      reply.res.writeHead(418).end(JSON.stringify(reply.correctReply))
    }
    return { replies, fault }
  }

  it('gets the correct reply and the accepted key, and writes the response', async () => {
    const { replies, fault } = remembering()
    const emulator = await start({ faults: [{ on: 'getTaskResult', when: { nth: 2 }, fault }] })
    const taskId = await createdId(emulator)
    const first = await poll(emulator, taskId)
    const second = await poll(emulator, taskId)
    expect([first.status, second.status]).toStrictEqual([200, 418])
    expect(second.json()).toStrictEqual(first.json())
    expect(replies).toMatchObject([{ correctReply: first.json(), clientKey: EMULATOR_KEY }])
  })

  it('is called after the latency of the emulator', async () => {
    const { fault } = remembering()
    const emulator = await start({ latencyMs: 15, faults: [{ on: 'createTask', when: 'always', fault }] })
    const startedAt = performance.now()
    expect((await create(emulator)).status).toBe(418)
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(14)
  })

  it('creates no task on createTask, and gets an id of none', async () => {
    const { replies, fault } = remembering()
    const emulator = await start({ faults: [{ on: 'createTask', when: 'always', fault }] })
    await create(emulator)
    expect(emulator.counters()).toMatchObject({ accepted: 0, refused: 1 })
    const { json } = await poll(emulator, replies[0]?.correctReply.taskId)
    expect(json()).toMatchObject({ errorCode: 'ERROR_TASKID_INVALID' })
  })

  it('creates a task whose reply counts as lost if it is billed', async () => {
    const { replies, fault } = remembering()
    const emulator = await start({ faults: [{ on: 'createTask', when: 'always', fault, billed: true }] })
    await create(emulator)
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 1 })
    expect(replies[0]?.correctReply.taskId).toBe(emulator.tasks()[0]?.taskId)
  })

  it('creates a task on createTask if it is readable', async () => {
    const { fault } = remembering()
    const emulator = await start({ faults: [{ on: 'createTask', when: 'always', fault, isReadable: true }] })
    await create(emulator)
    expect(emulator.counters()).toMatchObject({ accepted: 1, lostCreates: 0 })
    expect(emulator.tasks()).toMatchObject([{ replySent: true }])
  })

  it.each([true, false, undefined])('delivers the solution only if it is readable: %p', async (isReadable) => {
    const { fault } = remembering()
    const emulator = await start({ faults: [{ on: 'getTaskResult', when: 'always', fault, isReadable }] })
    await poll(emulator, await createdId(emulator))
    expect(emulator.counters().delivered).toBe(isReadable ? 1 : 0)
  })

  it('replaces the solution of a task, and is named in its record', async () => {
    const explode = ({ res }: FaultReply): void => void res.writeHead(500).end('boom')
    const faults = [explode, ({ res }: FaultReply) => res.end()].map((fault, i) => {
      return { on: 'task', when: { nth: i + 1 }, fault } as const
    })
    const emulator = await start({ faults })
    const reply = await poll(emulator, await createdId(emulator))
    await createdId(emulator)
    expect([reply.status, reply.body.toString()]).toStrictEqual([500, 'boom'])
    expect(emulator.tasks().map(({ fault }) => fault)).toStrictEqual(['function explode', 'a function'])
    expect(emulator.counters()).toMatchObject({ delivered: 0, neverFetched: 0 })
  })

  it('may write to the socket, or nothing at all', async () => {
    const faults = [({ res }: FaultReply) => res.req.socket.end('no HTTP'), () => undefined].map((fault, i) => {
      return { on: 'createTask', when: { nth: i + 1 }, fault } as const
    })
    const emulator = await start({ faults })
    const { bytes } = await rawPost(emulator.url, ['/createTask'], createBody).over
    expect(bytes.toString()).toBe('no HTTP')
    const client = rawPost(emulator.url, ['/createTask'], createBody)
    await until(() => emulator.counters().refused === 2)
    await emulator.close()
    expect((await client.over).bytes).toHaveLength(0)
  })
})
