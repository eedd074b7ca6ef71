import { inspect } from 'node:util'
import { runInThisContext } from 'node:vm'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { lastValueFrom, map, toArray } from 'rxjs'
import { Agent, Dispatcher } from 'undici'
import type { ErrorCause, CallPath, NetworkEvent, PartialReply, Post, RequestBody } from 'rx-captcha'
import { Connections } from '../../lib/http/connections.js'
import { parseRetryAfter, undiciPost, type Endpoint } from '../../lib/http/undici-post.js'
import {
  byteServers,
  closes,
  drips,
  reply,
  resets,
  sends,
  sendsAndCloses,
  staysSilent,
  type Act,
  type ByteServer
} from '../support/byte-server.js'
import { until } from '../support/raw-http.js'

const KEY = 'canary-key-9f8e7d6c5b4a'
const LIMIT = 1_000

const serve = byteServers()

const agents: Agent[] = []
afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.destroy())))
const agentOf = (options: Agent.Options = {}): Agent => {
  const agent = new Agent(options)
  agents.push(agent)
  return agent
}

const postTo = (origin: string, service: Partial<Endpoint> = {}): Post =>
  undiciPost({
    origin,
    basePath: '',
    create: agentOf(),
    poll: agentOf(),
    isForeign: true,
    maxReplyBytes: LIMIT,
    ...service
  })

const taskBody: RequestBody = { clientKey: KEY, task: { type: 'T', websiteURL: 'https://example.com/ü' } }

/** All events of one call; what has arrived is not asked of `Sent`. */
const eventsOf = (
  post: Post,
  path: CallPath = '/createTask',
  body: RequestBody = taskBody
): Promise<ReadonlyArray<NetworkEvent>> =>
  lastValueFrom(
    post(path, body).pipe(
      map((event) => (event._tag === 'Sent' ? sent : event)),
      toArray()
    )
  )

/** All events of one createTask to a server that acts like this. */
const eventsWith = async (act: Act, service: Partial<Endpoint> = {}) =>
  eventsOf(postTo((await serve(act)).origin, service))

const sent: NetworkEvent = { _tag: 'Sent' }
const failed = (name: string, code: string, message: string): NetworkEvent => ({
  _tag: 'Failed',
  cause: { name, code, message }
})
const replied = (body: string, status = 200): NetworkEvent => ({ _tag: 'Reply', status, body })
const otherSideClosed = failed('SocketError', 'UND_ERR_SOCKET', 'other side closed')
const tooLarge = failed('ReplyTooLarge', 'TOO_LARGE', 'the reply is larger than maxReplyBytes, 1000 bytes')
const notHttp = (why: string) => failed('HTTPParserError', '', `Response does not match the HTTP/1.1 protocol (${why})`)

describe('a request', () => {
  it('is a POST of JSON that has the client key in its body and nowhere else', async () => {
    const server = await serve(sends(reply('{}')))
    await eventsOf(postTo(server.origin), '/getTaskResult', { clientKey: KEY, taskId: 'ü' })
    const body = `{"clientKey":"${KEY}","taskId":"ü"}`
    expect(server.requests()).toStrictEqual([
      {
        line: 'POST /getTaskResult HTTP/1.1',
        headers: {
          host: new URL(server.origin).host,
          connection: 'keep-alive',
          'content-type': 'application/json',
          'content-length': String(Buffer.byteLength(body)),
          accept: 'application/json',
          'accept-encoding': 'gzip',
          'user-agent': 'rx-captcha'
        },
        body,
        connection: 1
      }
    ])
  })

  it.each(['/createTask', '/getTaskResult'] as const)('has the path of the base URL before %s', async (path) => {
    const server = await serve(sends(reply('{}')))
    await eventsOf(postTo(server.origin, { basePath: '/v1/captcha' }), path)
    expect(server.requests()[0]?.line).toBe(`POST /v1/captcha${path} HTTP/1.1`)
  })

  it('is sent once for every subscription, and not before', async () => {
    const server = await serve(sends(reply('{}')))
    const call = postTo(server.origin)('/getTaskResult', taskBody)
    expect(server.accepted()).toBe(0)
    await lastValueFrom(call)
    await lastValueFrom(call)
    expect(server.requests()).toHaveLength(2)
  })
})

describe('a reply', () => {
  it.each([200, 201, 204, 400, 401, 404, 429, 500, 503, 599])('is emitted with its status %i', async (status) => {
    const body = status === 204 ? '' : '{"a":1}'
    expect(await eventsWith(sends(reply(body, {}, status)))).toStrictEqual([sent, replied(body, status)])
  })

  it('keeps a byte order mark, which the core skips', async () => {
    expect(await eventsWith(sends(reply('\uFEFF{}')))).toStrictEqual([sent, replied('\uFEFF{}')])
  })

  it('is decoded as UTF-8 even if a chunk cuts a character', async () => {
    const bytes = Buffer.from('ü')
    const act: Act = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n')
      socket.write(bytes.subarray(0, 1))
      setImmediate(() => socket.write(bytes.subarray(1)))
    }
    expect(await eventsWith(act)).toStrictEqual([sent, replied('ü')])
  })

  it('is read in the chunked encoding, or up to the end of the connection', async () => {
    const chunked = sends('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n')
    expect(await eventsWith(chunked)).toStrictEqual([sent, replied('{}')])
    expect(await eventsWith(sendsAndCloses('HTTP/1.1 200 OK\r\n\r\n{}'))).toStrictEqual([sent, replied('{}')])
  })

  it('is the final response, after an informational one', async () => {
    const act = sends(Buffer.concat([Buffer.from('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'), reply('{}')]))
    expect(await eventsWith(act)).toStrictEqual([sent, replied('{}')])
  })

  it.each([
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    [' GZIP ', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
    ['identity', Buffer.from],
    ['', Buffer.from]
  ])('is decoded from the content-encoding "%s"', async (encoding, compress) => {
    const act = sends(reply(compress(Buffer.from('{"a":"ü"}')), { 'content-encoding': encoding }))
    expect(await eventsWith(act)).toStrictEqual([sent, replied('{"a":"ü"}')])
  })

  it.each([302, 307, 308])('with a redirect (%i) is emitted and not followed', async (status) => {
    const elsewhere = await serve(sends(reply('{}')))
    const server = await serve(sends(reply('moved', { location: `${elsewhere.origin}/createTask` }, status)))
    expect(await eventsOf(postTo(server.origin))).toStrictEqual([sent, replied('moved', status)])
    expect([server.requests().length, elsewhere.accepted()]).toStrictEqual([1, 0])
  })

  it('has the wait of Retry-After in milliseconds', async () => {
    const act = sends(reply('{}', { 'retry-after': '7' }, 429))
    expect(await eventsWith(act)).toStrictEqual([sent, { ...replied('{}', 429), retryAfterMs: 7_000 }])
  })

  it.each([true, false])(
    'has its headers read, whatever their case; for a dispatcher of the caller: %p',
    async (isForeign) => {
      const act = sends(reply(gzipSync('{}'), { 'Retry-After': '7', 'Content-Encoding': 'gzip' }, 429))
      expect(await eventsWith(act, { isForeign })).toStrictEqual([sent, { ...replied('{}', 429), retryAfterMs: 7_000 }])
    }
  )

  it('has no wait if Retry-After is malformed', async () => {
    expect(await eventsWith(sends(reply('{}', { 'retry-after': 'soon' }, 429)))).toStrictEqual([
      sent,
      replied('{}', 429)
    ])
  })
})

describe('parseRetryAfter', () => {
  const DATE = 'Fri, 01 Jan 2100 00:00:00 GMT'

  it.each([
    ['0', 0],
    ['7', 7_000],
    [' 120 ', 120_000],
    ['2147484', 2_147_484_000]
  ])('reads "%s" as seconds', (given, ms) => {
    expect(parseRetryAfter({ 'retry-after': given })).toBe(ms)
  })

  it.each([
    ['Fri, 01 Jan 2100 00:00:42 GMT', 42_000],
    ['Friday, 01-Jan-2100 00:00:42 GMT', 42_000],
    ['Thu, 31 Dec 2099 23:59:59 GMT', 0]
  ])('counts the date "%s" from the date of the reply', (given, ms) => {
    expect(parseRetryAfter({ 'retry-after': given, date: DATE })).toBe(ms)
  })

  describe.each(['UTC', 'America/New_York', 'Asia/Kolkata'])('in the time zone %s', (zone) => {
    // The `process.env` of a test is a copy, and the time zone is that of the real one.
    const setZone = (name: string | undefined): void => {
      runInThisContext(name === undefined ? 'delete process.env.TZ' : `process.env.TZ = '${name}'`)
    }
    beforeAll(() => {
      setZone(zone)
    })
    afterAll(() => {
      setZone(process.env.TZ)
    })

    const DATES = ['Fri, 01 Jan 2100 00:00:00 GMT', 'Friday, 01-Jan-2100 00:00:00 GMT', 'Fri Jan  1 00:00:00 2100']
    it.each(DATES)('reads the date "%s" as UTC', (date) => {
      expect(new Date(2100, 0).toISOString() === '2100-01-01T00:00:00.000Z').toBe(zone === 'UTC')
      expect(parseRetryAfter({ 'retry-after': 'Fri Jan  1 00:00:42 2100', date })).toBe(42_000)
      expect(parseRetryAfter({ 'retry-after': 'Fri, 01 Jan 2100 00:00:42', date })).toBe(42_000)
      expect(parseRetryAfter({ 'retry-after': 'Fri, 01 Jan 2100 05:30:42 +0530', date })).toBe(42_000)
    })
  })

  it.each([undefined, 'yesterday'])('counts a date from now if the date of the reply is %p', (date) => {
    const inAMinute = new Date(Date.now() + 60_000).toUTCString()
    expect(parseRetryAfter({ 'retry-after': inAMinute, date })).toBeGreaterThan(55_000)
    expect(parseRetryAfter({ 'retry-after': inAMinute, date })).toBeLessThanOrEqual(60_000)
  })

  it('reads the first of several headers', () => {
    expect(parseRetryAfter({ 'retry-after': ['3', '9'] })).toBe(3_000)
  })

  it('reads names and values in turn, the first of several', () => {
    const raw = ['Date', DATE, 'X-Retry-After', '1', 'Retry-After', '3', 'retry-after', '9'].map((text) =>
      Buffer.from(text)
    )
    expect(parseRetryAfter(raw)).toBe(3_000)
    expect(parseRetryAfter(raw.slice(0, 4))).toBeUndefined()
  })

  it.each(['', 'soon', 'soon 5', '-5', '+7', '1.5', '5,6', '5s', '1e3', '0x10', 'NaN', 'Infinity', '٣', undefined])(
    'reads no wait from %p',
    (given) => {
      expect(parseRetryAfter({ 'retry-after': given, date: DATE })).toBeUndefined()
    }
  )
})

describe('a call that was not sent', () => {
  it('emits only Failed for a refused connection', async () => {
    expect(await eventsOf(postTo('http://127.0.0.1:1'))).toStrictEqual([
      failed('Error', 'ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:1')
    ])
  })

  it('emits only Failed for a reset on accept', async () => {
    const server = await serve(staysSilent, { onAccept: resets })
    // Over TLS, because over plain HTTP the first bytes may have been sent before the reset arrives.
    const events = await eventsOf(postTo(server.origin.replace('http:', 'https:')))
    expect(events).toStrictEqual([failed('Error', 'ECONNRESET', expect.any(String) as string)])
  })

  it('emits only Failed for a name that cannot be resolved', async () => {
    const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.invalid'), { code: 'ENOTFOUND' })
    const create = agentOf({ connect: { lookup: (_host, _options, found) => found(unknown, '') } })
    expect(await eventsOf(postTo('http://nowhere.invalid', { create }))).toStrictEqual([
      failed('Error', 'ENOTFOUND', 'getaddrinfo ENOTFOUND nowhere.invalid')
    ])
  })

  it('emits only Failed for a handshake that is not TLS', async () => {
    const server = await serve(staysSilent, { onAccept: sendsAndCloses('SSH-2.0-OpenSSH_9.6\r\n') })
    const events = await eventsOf(postTo(server.origin.replace('http:', 'https:')))
    expect(events).toStrictEqual([failed('Error', 'ERR_SSL_WRONG_VERSION_NUMBER', expect.any(String) as string)])
  })

  it('emits only Failed for a reset within the TLS handshake', async () => {
    const server = await serve(staysSilent, { onAccept: (socket) => socket.once('data', () => resets(socket)) })
    const events = await eventsOf(postTo(server.origin.replace('http:', 'https:')))
    expect(events).toStrictEqual([failed('Error', 'ECONNRESET', expect.any(String) as string)])
  })

  it.each([
    ['closed', 'ClientClosedError', 'UND_ERR_CLOSED', 'The client is closed'],
    ['destroyed', 'ClientDestroyedError', 'UND_ERR_DESTROYED', 'The client is destroyed']
  ] as const)('emits only Failed for a dispatcher that is %s', async (state, name, code, message) => {
    const create = agentOf()
    if (state === 'closed') void create.close()
    else await create.destroy()
    expect(await eventsOf(postTo('http://127.0.0.1:1', { create }))).toStrictEqual([failed(name, code, message)])
  })

  it('emits only Failed for a dispatcher that throws, and never errors', async () => {
    class Broken extends Dispatcher {
      override dispatch(): boolean {
        throw new TypeError('no such dispatcher')
      }
    }
    expect(await eventsOf(postTo('http://127.0.0.1:1', { create: new Broken() }))).toStrictEqual([
      failed('TypeError', '', 'no such dispatcher')
    ])
  })
})

describe('a call that was sent', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'
  const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'
  const compressed = (bytes: string | Buffer, encoding: string) => sends(reply(bytes, { 'content-encoding': encoding }))

  it('emits an empty reply if the compressed body is empty', async () => {
    expect(await eventsWith(compressed('', 'gzip'))).toStrictEqual([sent, replied('')])
  })

  it.each<[string, Act, NetworkEvent]>([
    ['a reset', resets, failed('Error', 'ECONNRESET', 'read ECONNRESET')],
    ['a close without a reply', closes, otherSideClosed],
    ['a close within the head', sendsAndCloses('HTTP/1.1 200 OK\r\ncontent-ty'), otherSideClosed],
    ['another protocol', sendsAndCloses('SSH-2.0-OpenSSH_9.6\r\n'), notHttp('Expected HTTP/, RTSP/ or ICE/')],
    [
      'headers of more than 256 KB',
      sends(reply('{}', { 'x-padding': 'x'.repeat(300_000) })),
      failed('HeadersOverflowError', 'UND_ERR_HEADERS_OVERFLOW', 'Headers Overflow Error')
    ]
  ])('emits Sent and Failed for %s', async (_, act, last) => {
    const { origin } = await serve(act)
    const connections = new Connections(origin)
    const events = await eventsOf(postTo(origin, { create: connections.create }))
    await connections.close()
    expect(events).toStrictEqual([sent, last])
  })

  it.each<[string, Act, NetworkEvent, received: string]>([
    ['a body that is cut', sendsAndCloses(`${HEAD}{"a":1`), otherSideClosed, '{"a":1'],
    ['a head without its body', sendsAndCloses(HEAD), otherSideClosed, ''],
    ['a chunk that is cut', sendsAndCloses(`${CHUNKED}5\r\n{"a`), otherSideClosed, '{"a'],
    ['a last chunk that never comes', sendsAndCloses(`${CHUNKED}7\r\n{"a":1}\r\n`), otherSideClosed, '{"a":1}'],
    [
      'a bad chunk',
      sendsAndCloses(`${CHUNKED}4\r\n{"a"\r\nZZ\r\n{}\r\n`),
      notHttp('Invalid character in chunk size'),
      '{"a"'
    ],
    ['a body that is too large', sends(reply('a'.repeat(LIMIT + 1))), tooLarge, 'a'.repeat(LIMIT)],
    [
      'gzip that is cut',
      sendsAndCloses(
        Buffer.concat([
          Buffer.from('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 99\r\n\r\n'),
          gzipSync('{"a":1}').subarray(0, 19)
        ])
      ),
      otherSideClosed,
      '{"a":1}'
    ]
  ])('emits Sent and Failed, with what arrived, for %s', async (_, act, last, body) => {
    expect(await eventsWith(act)).toStrictEqual([sent, { ...last, received: { status: 200, body } }])
  })

  it('emits Failed, with the beginning, for a body that is too large once inflated', async () => {
    const [, last] = await eventsWith(compressed(gzipSync(`{"taskId":"id-1"${' '.repeat(LIMIT)}}`), 'gzip'))
    expect(last).toMatchObject(tooLarge)
    expect(last).toMatchObject({ received: { status: 200, body: expect.stringMatching(/^\{"task/) as string } })
  })

  it.each([
    ['a body that is not gzip', '{"a":1}', 'gzip'],
    ['a body that is not deflate', '{"a":1}', 'deflate'],
    ['an encoding that was not accepted', '{"a":1}', 'zstd'],
    ['gzip without its end', gzipSync('{"a":1}').subarray(0, 19), 'gzip']
  ])('emits what can be read of %s', async (_, bytes, encoding) => {
    expect(await eventsWith(compressed(bytes, encoding))).toStrictEqual([sent, replied('{"a":1}')])
  })

  it('gives Sent a function that returns what has arrived so far', async () => {
    const post = postTo((await serve(sends(`${CHUNKED}7\r\n{"a":1}\r\n`))).origin)
    const events: NetworkEvent[] = []
    const call = post('/createTask', taskBody).subscribe((event) => events.push(event))
    const received = (): PartialReply | undefined => (events[0]?._tag === 'Sent' ? events[0].received?.() : undefined)
    await until(() => received()?.body === '{"a":1}')
    expect(received()).toStrictEqual({ status: 200, body: '{"a":1}' })
    call.unsubscribe()
  })

  it('gives Sent a function that returns nothing before anything has arrived', async () => {
    const server = await serve(staysSilent)
    const events: NetworkEvent[] = []
    const call = postTo(server.origin)('/createTask', taskBody).subscribe((event) => events.push(event))
    await until(() => server.requests().length === 1)
    expect(events[0]?._tag === 'Sent' && events[0].received?.()).toBeUndefined()
    call.unsubscribe()
  })

  it.each([
    ['uncompressed', Buffer.from],
    ['in gzip', gzipSync],
    ['in br', brotliCompressSync]
  ])('reads a body of exactly maxReplyBytes, %s', async (encoding, compress) => {
    const body = 'a'.repeat(LIMIT)
    const act = compressed(compress(Buffer.from(body)), encoding.replace(/in |uncompressed/, ''))
    expect(await eventsWith(act)).toStrictEqual([sent, replied(body)])
  })

  it('emits Failed for a gzip bomb of 50 kB that inflates to 50 MB', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    expect(bomb.length).toBeLessThan(60_000)
    const [, last] = await eventsWith(compressed(bomb, 'gzip'), { maxReplyBytes: 262_144 })
    expect(last).toMatchObject(
      failed('ReplyTooLarge', 'TOO_LARGE', 'the reply is larger than maxReplyBytes, 262144 bytes')
    )
    expect(last?._tag === 'Failed' && (last.received?.body.length ?? 0)).toBeLessThanOrEqual(262_144)
  })

  it('closes the socket of a reply of 50 MB after a small part', async () => {
    const chunk = Buffer.alloc(65_536, 'a')
    let pushed = 0
    const pour: Act = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n')
      const push = () => {
        while (pushed < 50_000_000) {
          pushed += chunk.length
          if (!socket.write(chunk)) return void socket.once('drain', push)
        }
      }
      push()
    }
    const server = await serve(pour)
    const events = await eventsOf(postTo(server.origin, { maxReplyBytes: 262_144 }))
    expect(events.at(-1)).toMatchObject({ cause: { code: 'TOO_LARGE' } })
    await until(() => server.open() === 0)
    // At most what the two buffers of a loopback socket hold.
    expect(pushed).toBeLessThan(15_000_000)
  })
})

describe('the cause of a failure', () => {
  it('is three strings that hold no client key', async () => {
    const acts = [resets, closes, sendsAndCloses('not http'), sendsAndCloses(`HTTP/1.1 200 OK\r\n${KEY}`)]
    for (const act of acts) {
      const last = (await eventsWith(act)).at(-1)
      const { cause }: { cause?: ErrorCause } = last?._tag === 'Failed' ? last : {}
      expect(Object.entries(cause ?? {}).map(([name, value]) => [name, typeof value])).toStrictEqual([
        ['name', 'string'],
        ['code', 'string'],
        ['message', 'string']
      ])
      expect(inspect(last, { depth: 10, showHidden: true })).not.toContain(KEY)
    }
  })
})

describe('unsubscribing', () => {
  const requested = (server: ByteServer) => until(() => server.requests().length > 0)

  it.each<[string, Act]>([
    ['silent', staysSilent],
    ['dripping a body', drips('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n', 1)],
    ['dripping a head', drips('HTTP/1.1 200 OK\r\nx-drip: ', 1)]
  ])('closes the socket of a server that is %s', async (_, act) => {
    const server = await serve(act)
    const events: NetworkEvent[] = []
    const call = postTo(server.origin)('/createTask', taskBody).subscribe((event) => events.push(event))
    await requested(server)
    await new Promise((resolve) => setTimeout(resolve, 5))
    call.unsubscribe()
    await until(() => server.open() === 0)
    expect(events.map(({ _tag }) => _tag)).toStrictEqual(['Sent'])
  })

  it.each([true, false])(
    'while the call connects sends nothing (a dispatcher of the caller: %s)',
    async (isForeign) => {
      const server = await serve(sends(reply('{}')))
      const own = new Connections(server.origin, { max: 1 })
      const create = isForeign ? agentOf({ connections: 1 }) : own.create
      const post = postTo(server.origin, { create, isForeign })
      const events: NetworkEvent[] = []
      post('/createTask', { clientKey: KEY, taskId: 1 })
        .subscribe((event) => events.push(event))
        .unsubscribe()
      await eventsOf(post, '/createTask', { clientKey: KEY, taskId: 2 })
      expect(server.requests().map(({ body }) => body)).toStrictEqual([`{"clientKey":"${KEY}","taskId":2}`])
      expect(events).toStrictEqual([])
      await own.close()
    }
  )

  it('while the call waits for a connection sends nothing', async () => {
    let sendReply = () => {}
    const held: Act = (socket) => (sendReply = () => socket.write(reply('{}')))
    const server = await serve([held, sends(reply('{}'))])
    const post = postTo(server.origin, { poll: agentOf({ connections: 1 }) })
    const first = eventsOf(post, '/getTaskResult', { clientKey: KEY, taskId: 1 })
    const queued = post('/getTaskResult', { clientKey: KEY, taskId: 2 }).subscribe()
    await requested(server)
    queued.unsubscribe()
    const third = eventsOf(post, '/getTaskResult', { clientKey: KEY, taskId: 3 })
    sendReply()
    await Promise.all([first, third])
    expect(server.requests().map(({ body }) => body)).toStrictEqual(
      [1, 3].map((taskId) => JSON.stringify({ clientKey: KEY, taskId }))
    )
  })

  it('synchronously from Sent sends nothing', async () => {
    const server = await serve(sends(reply('{}')))
    const post = postTo(server.origin, { create: agentOf({ connections: 1 }) })
    const events: NetworkEvent[] = []
    const call = post('/createTask', { clientKey: KEY, taskId: 1 }).subscribe((event) => {
      events.push(event)
      call.unsubscribe()
    })
    await eventsOf(post, '/createTask', { clientKey: KEY, taskId: 2 })
    expect(server.requests().map(({ body }) => body)).toStrictEqual([JSON.stringify({ clientKey: KEY, taskId: 2 })])
    expect(events.map(({ _tag }) => _tag)).toStrictEqual(['Sent'])
  })
})

describe('the connections', () => {
  // undici frees a connection just after it has reported the end of the reply.
  const aTurn = () => new Promise((resolve) => setImmediate(resolve))

  const connectionsOf = async (path: CallPath, service: Partial<Endpoint> = {}) => {
    const server = await serve(sends(reply('{}')))
    const post = postTo(server.origin, service)
    for (let i = 0; i < 3; i += 1) {
      await eventsOf(post, path)
      await aTurn()
    }
    return { server, used: server.requests().map(({ connection, headers }) => [connection, headers.connection]) }
  }

  it('of createTask are one per request, closed after the reply', async () => {
    const { server, used } = await connectionsOf('/createTask')
    expect(used).toStrictEqual([
      [1, 'close'],
      [2, 'close'],
      [3, 'close']
    ])
    await until(() => server.open() === 0)
  })

  it('of getTaskResult are one, which is kept alive', async () => {
    const { server, used } = await connectionsOf('/getTaskResult')
    expect(used).toStrictEqual([
      [1, 'keep-alive'],
      [1, 'keep-alive'],
      [1, 'keep-alive']
    ])
    expect(server.open()).toBe(1)
  })

  it('of createTask are never idle ones of getTaskResult', async () => {
    const server = await serve(sends(reply('{}')))
    const post = postTo(server.origin)
    for (const path of ['/getTaskResult', '/createTask', '/getTaskResult'] as const) {
      await eventsOf(post, path)
      await aTurn()
    }
    expect(server.requests().map(({ connection }) => connection)).toStrictEqual([1, 2, 1])
  })
})
