import { inspect } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { NEVER, VirtualTimeScheduler } from 'rxjs'
import { Agent, Dispatcher, buildConnector } from 'undici'
import { InvalidOptions, createSolver, type Orphan, type SolverOptions } from 'rx-captcha'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { replies, scriptedPost } from 'rx-captcha/testing'
import { byteServers, drips, reply, sends, staysSilent, type Act } from '../support/byte-server.js'
import { ruleOf } from '../support/matrix/odd-replies.js'
import { emulators, until } from '../support/raw-http.js'
import { aSpec, handles, hurried, outcome, solvers } from '../support/solvers.js'

const start = emulators()
const serve = byteServers()
const solverOf = solvers()

const agents: Agent[] = []
afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.destroy())))
const agentOf = (options: Agent.Options = {}): Agent => {
  const agent = new Agent(options)
  agents.push(agent)
  return agent
}

const aToken: unknown = expect.stringMatching(/^03A[\w-]{512}$/)
const aNumber: unknown = expect.any(Number)
const solved = (taskId: unknown, token = aToken) => ({
  _tag: 'Right',
  right: {
    ref: { taskId, createdAt: aNumber },
    solution: { gRecaptchaResponse: token },
    readyAt: aNumber,
    useBefore: aNumber,
    expiresAt: aNumber
  }
})

const json = (document: object, headers: Readonly<Record<string, string>> = {}) =>
  sends(reply(JSON.stringify(document), headers))
const CREATED = json({ errorId: 0, errorCode: '', errorDescription: '', taskId: 'id-1' })
const PROCESSING = json({ errorId: 0, errorCode: null, errorDescription: null, status: 'processing' })
const READY = json({
  errorId: 0,
  errorCode: null,
  errorDescription: null,
  solution: { gRecaptchaResponse: 'token-1' },
  status: 'ready'
})

describe('a solve against the strict emulator', () => {
  it('creates one task, polls it every pollEveryMs until it is ready, and returns the token', async () => {
    const emulator = await start({ faults: ['getTaskResult:first2:never'] })
    const solver = solverOf({ baseUrl: emulator.url, pollEveryMs: 20 })
    const result = await outcome(solver.solve(aSpec))
    const [task] = emulator.tasks()
    expect(result).toStrictEqual(solved(task?.taskId))
    expect(task?.task).toStrictEqual({
      type: 'RecaptchaV2TaskProxyless',
      websiteURL: 'https://example.com/login',
      websiteKey: '6Le-wvkSAAAAAPBMRTvw0Q4'
    })
    const { requests, smallestGapMs, ...counters } = emulator.counters()
    expect(counters).toMatchObject({ accepted: 1, refused: 0, lostCreates: 0, overlaps: 0, delivered: 1 })
    expect(requests).toStrictEqual({ createTask: 1, getTaskResult: 3, getBalance: 0, siteverify: 0, other: 0 })
    expect(smallestGapMs).toBeGreaterThanOrEqual(20)
  })

  it('appends its paths to the path of the base URL, with or without a slash at the end', async () => {
    const emulator = await start({ basePath: '/v1/api' })
    for (const baseUrl of [emulator.url, `${emulator.url}/`]) {
      expect(await outcome(solverOf({ baseUrl }).solve(aSpec))).toMatchObject({ _tag: 'Right' })
    }
    expect(emulator.counters().requests).toStrictEqual({
      createTask: 2,
      getTaskResult: 2,
      getBalance: 0,
      siteverify: 0,
      other: 0
    })
  })

  it('returns a numeric task id as one', async () => {
    const emulator = await start({ faults: ['createTask:1:numeric-id'] })
    const result = await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
    expect(result).toMatchObject({ right: { ref: { taskId: '7000000001', numeric: true } } })
  })

  it.each(['string-error-id', 'bom', 'gzip', 'duplicate-keys', 'proto', 'right@500', 'drip=0'])(
    'reads correct replies sent as %s',
    async (fault) => {
      const emulator = await start({
        faults: ['createTask', 'getTaskResult'].map((call) => ruleOf(`${call}:always:${fault}`))
      })
      const result = await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
      expect(result).toStrictEqual(solved(emulator.tasks()[0]?.taskId))
      expect(emulator.counters()).toMatchObject({ accepted: 1, requests: { createTask: 1, getTaskResult: 1 } })
    }
  )

  it('creates a task for each of many concurrent solves', async () => {
    const emulator = await start({ readyAfterMs: [0, 20] })
    const solver = solverOf({ baseUrl: emulator.url, pollEveryMs: 5 })
    const results = await Promise.all(Array.from({ length: 50 }, () => outcome(solver.solve(aSpec))))
    expect(results.every(E.isRight)).toBe(true)
    expect(new Set(results.map((each) => JSON.stringify(each))).size).toBe(50)
    expect(emulator.counters()).toMatchObject({ accepted: 50, delivered: 50, overlaps: 0, neverFetched: 0 })
  })
})

describe('a fault on createTask', () => {
  const cause = {
    name: expect.any(String) as string,
    code: expect.any(String) as string,
    message: expect.any(String) as string
  }

  it.each(['reset', 'close', 'close-headers', 'not-http', 'huge-headers'])(
    'ends as CreateUnknown and is not repeated, after the request was read: %s',
    async (fault) => {
      const emulator = await start({ faults: [ruleOf(`createTask:1:billed+${fault}`)] })
      const result = await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
      expect(result).toStrictEqual(E.left({ _tag: 'CreateUnknown', paid: 'unknown', cause }))
      expect(emulator.counters()).toMatchObject({ accepted: 1, requests: { createTask: 1, getTaskResult: 0 } })
    }
  )

  it.each(['cut', 'bad-chunk', 'large'])(
    'ends as CreateUnknown, with the status and what arrived: %s',
    async (fault) => {
      const emulator = await start({ faults: [ruleOf(`createTask:1:billed+${fault}`)] })
      const result = await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
      expect(result).toMatchObject({ left: { _tag: 'CreateUnknown', status: 200, cause } })
      expect(emulator.counters()).toMatchObject({ accepted: 1, requests: { createTask: 1, getTaskResult: 0 } })
    }
  )

  it('is created if the id stands in what arrived of a reply that never ends', async () => {
    const whole = '{"errorId":0,"taskId":"id-1"}'
    const act = sends(
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${whole.length.toString(16)}\r\n${whole}\r\n`
    )
    const server = await serve(act)
    const result = await outcome(solverOf({ baseUrl: server.origin, createTimeoutMs: 300 }).createTask(aSpec))
    expect(result).toMatchObject({ right: { taskId: 'id-1' } })
    await until(() => server.open() === 0)
  })

  it.each<[string, Act]>([
    ['silence', staysSilent],
    ['a dripping body', drips('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n', 1)],
    ['a dripping head', drips('HTTP/1.1 200 OK\r\nx-drip: ', 1)]
  ])('ends as CreateUnknown after createTimeoutMs, and closes the socket: %s', async (_, act) => {
    const server = await serve(act)
    const result = await outcome(solverOf({ baseUrl: server.origin, createTimeoutMs: 200 }).solve(aSpec))
    const timedOut = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no reply within 200 ms' }
    expect(result).toMatchObject(E.left({ _tag: 'CreateUnknown', paid: 'unknown', cause: timedOut }))
    await until(() => server.open() === 0)
  })

  it('ends as NotCreated after four connections that fail', async () => {
    const emulator = await start({ faults: ['connection:always:reset'] })
    // Over TLS, because over plain HTTP the first bytes may have been sent before the reset arrives.
    const baseUrl = emulator.url.replace('http:', 'https:')
    const result = await outcome(solverOf({ baseUrl, ...hurried() }).solve(aSpec))
    const cause = { name: 'Error', code: 'ECONNRESET', message: expect.any(String) as string }
    expect(result).toStrictEqual(E.left({ _tag: 'NotCreated', paid: 'no', reason: 'connect', attempts: 4, cause }))
    expect(emulator.counters().requests.createTask).toBe(0)
  })

  it('is repeated after a first connection that fails, and paid for once', async () => {
    const emulator = await start()
    const connect = buildConnector({})
    const refusals = [Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })]
    const dispatcher = agentOf({
      connect: (options, callback) => {
        const refusal = refusals.pop()
        if (refusal) callback(refusal, null)
        else connect(options, callback)
      }
    })
    const result = await outcome(solverOf({ baseUrl: emulator.url, dispatcher, ...hurried() }).solve(aSpec))
    expect(refusals).toStrictEqual([])
    expect(result).toMatchObject({ _tag: 'Right' })
    expect(emulator.counters()).toMatchObject({ accepted: 1, requests: { createTask: 1 } })
  })

  it('ends as NotCreated if the name cannot be resolved', async () => {
    const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.invalid'), { code: 'ENOTFOUND' })
    const dispatcher = agentOf({ connect: { lookup: (_host, _options, found) => found(unknown, '') } })
    const solver = solverOf({ baseUrl: 'https://nowhere.invalid', dispatcher, ...hurried() })
    const cause = { name: 'Error', code: 'ENOTFOUND', message: unknown.message }
    expect(await outcome(solver.solve(aSpec))).toStrictEqual(
      E.left({ _tag: 'NotCreated', paid: 'no', reason: 'dns', attempts: 4, cause })
    )
  })

  it('ends as Refused for a redirect, and sends the key nowhere else', async () => {
    const elsewhere = await serve(CREATED)
    const server = await serve(sends(reply('', { location: `${elsewhere.origin}/createTask` }, 307)))
    expect(await outcome(solverOf({ baseUrl: server.origin }).solve(aSpec))).toStrictEqual(
      E.left({ _tag: 'Refused', paid: 'no', status: 307, kind: 'request' })
    )
    expect(elsewhere.accepted()).toBe(0)
  })

  it('delays createTask until the date of Retry-After', async () => {
    const date = 'Fri, 01 Jan 2100 00:00:00 GMT'
    const retryAfter = 'Fri, 01 Jan 2100 00:00:20 GMT'
    const server = await serve(sends(reply('', { date, 'retry-after': retryAfter }, 429)))
    const event = await outcome(solverOf({ baseUrl: server.origin }).solveWithProgress(aSpec))
    expect(event).toStrictEqual({
      at: aNumber,
      solveId: aNumber,
      _tag: 'Delayed',
      reason: 'unavailable',
      waitMs: aNumber
    })
    expect(event).toHaveProperty('waitMs', expect.closeTo(20_000, -3))
  })
})

describe('a fault on getTaskResult', () => {
  const faults = ['reset', 'close', 'close-headers', 'cut', 'cut-gzip', 'not-http', 'bad-chunk']
  it.each([...faults, 'large', 'gzip-bomb', '302', 'html', '503', '429;retry-after=0'])(
    'is followed by another poll: %s',
    async (fault) => {
      const emulator = await start({ faults: [ruleOf(`getTaskResult:1:${fault}`)] })
      const result = await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
      expect(result).toMatchObject({ _tag: 'Right' })
      expect(emulator.counters()).toMatchObject({ accepted: 1, requests: { getTaskResult: 2 } })
    }
  )

  it('is followed by another poll after resultTimeoutMs of silence', async () => {
    const emulator = await start({ faults: ['getTaskResult:1:silent'] })
    const result = await outcome(solverOf({ baseUrl: emulator.url, resultTimeoutMs: 20 }).solve(aSpec))
    expect(result).toMatchObject({ _tag: 'Right' })
    expect(emulator.counters().requests.getTaskResult).toBeGreaterThanOrEqual(2)
  })

  it('ends as TimedOut with the last causes if it lasts', async () => {
    const emulator = await start({ faults: ['getTaskResult:always:reset'] })
    const result = await outcome(solverOf({ baseUrl: emulator.url, giveUpAfterMs: 300 }).solve(aSpec))
    const cause = { name: 'Error', code: 'ECONNRESET', message: 'read ECONNRESET' }
    const ref = { taskId: emulator.tasks()[0]?.taskId, createdAt: aNumber }
    expect(result).toStrictEqual(
      E.left({
        _tag: 'TimedOut',
        paid: 'yes',
        ref,
        afterMs: 300,
        polls: aNumber,
        causes: expect.arrayContaining([{ cause }]) as unknown
      })
    )
  })

  it('does not arise when the service closes an idle connection', async () => {
    const emulator = await start({ idleMs: 1, faults: ['getTaskResult:first2:never'] })
    const solver = solverOf({ baseUrl: emulator.url, pollEveryMs: 20 })
    expect(await outcome(solver.solve(aSpec))).toMatchObject({ _tag: 'Right' })
  })
})

describe('the size limit of a reply', () => {
  const ofSize = (size: number) => {
    const text = JSON.stringify({ padding: '', taskId: 'id-1' })
    return sends(reply(text.replace('""', `"${'x'.repeat(size - text.length)}"`)))
  }
  it.each([
    [100, 'as maxReplyBytes says', { maxReplyBytes: 100 }],
    [262_144, 'by default', {}]
  ])('is %i bytes %s', async (limit, _, options) => {
    // The last four bytes are the end of the id.
    const server = await serve([ofSize(limit), ofSize(limit + 4)])
    const solver = solverOf({ baseUrl: server.origin, ...options })
    expect(await outcome(solver.createTask(aSpec))).toMatchObject({ right: { taskId: 'id-1' } })
    expect(await outcome(solver.createTask(aSpec))).toMatchObject({
      left: { _tag: 'CreateUnknown', cause: { code: 'TOO_LARGE' } }
    })
  })
})

describe('createSolver', () => {
  const problemsOf = (options: unknown): ReadonlyArray<string> => {
    try {
      createSolver(options as SolverOptions)
      return []
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidOptions)
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('canary')
      return error instanceof InvalidOptions ? error.problems : []
    }
  }
  const clientKey = 'canary-key-9f8e7d6c5b4a'
  const A_URL = 'baseUrl: expected an address such as https://api.1captcha.vip'
  const HTTPS = 'baseUrl: expected https (http on this machine only), because every request holds the client key'
  const MS = 'expected a whole number of milliseconds from 1 to 2147483647'
  const DISPATCHER = 'dispatcher: expected a dispatcher of undici, or { create, poll } with two of them'

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    [
      'no key',
      { clientKey: undefined },
      'clientKey: expected the key of the account, but there is none (is its environment variable set?)'
    ],
    [
      'a short key',
      { clientKey: 'canary7' },
      'clientKey: expected a string of at least 8 characters, without white space around it'
    ],
    [
      'a key that is a number',
      { clientKey: 12_345_678 },
      'clientKey: expected a string of at least 8 characters, without white space around it'
    ],
    [
      'a key with a line break',
      { clientKey: 'canary-key\n' },
      'clientKey: expected a string of at least 8 characters, without white space around it'
    ],
    ['an empty base URL', { baseUrl: '' }, A_URL],
    ['a base URL that is not an address', { baseUrl: 'canary' }, A_URL],
    ['a base URL that is a number', { baseUrl: 7 }, A_URL],
    ['a base URL that is an object', { baseUrl: new URL('https://example.com') }, A_URL],
    ['http to a public host', { baseUrl: 'http://canary.example' }, HTTPS],
    ['http to a host whose name begins with localhost', { baseUrl: 'http://localhost.canary.example' }, HTTPS],
    ['http to a host whose name begins with a loopback address', { baseUrl: 'http://127.0.0.1.canary.example' }, HTTPS],
    ['http to another IPv6 address', { baseUrl: 'http://[::2]' }, HTTPS],
    ['http to the unspecified address', { baseUrl: 'http://0.0.0.0' }, HTTPS],
    ['a base URL with another protocol', { baseUrl: 'ftp://localhost' }, HTTPS],
    [
      'a base URL with a user name',
      { baseUrl: 'https://canary@example.com' },
      'baseUrl: expected no user name or password in it'
    ],
    [
      'a base URL with a password',
      { baseUrl: 'https://:canary@example.com' },
      'baseUrl: expected no user name or password in it'
    ],
    [
      'a base URL with a query',
      { baseUrl: 'https://example.com/?key=canary' },
      'baseUrl: expected no query and no fragment'
    ],
    [
      'a base URL with a fragment',
      { baseUrl: 'https://example.com/#canary' },
      'baseUrl: expected no query and no fragment'
    ],
    [
      'a limit of no bytes',
      { maxReplyBytes: 0 },
      'maxReplyBytes: expected a whole number of bytes from 1 to 2147483647'
    ],
    ['null as dispatcher', { dispatcher: null }, DISPATCHER],
    ['a function as dispatcher', { dispatcher: () => {} }, DISPATCHER],
    ['a dispatcher for createTask alone', { dispatcher: { create: new Agent() } }, DISPATCHER],
    ['an object as dispatcher of polls', { dispatcher: { create: new Agent(), poll: {} } }, DISPATCHER],
    ['an object as dispatcher of createTask', { dispatcher: { create: {}, poll: new Agent() } }, DISPATCHER],
    ['a post that is not a function', { post: {} }, 'post: expected a function'],
    ['a scheduler that is a function', { scheduler: () => {} }, 'scheduler: expected a scheduler of RxJS'],
    ['a scheduler without a clock', { scheduler: {} }, 'scheduler: expected a scheduler of RxJS'],
    ['null as scheduler', { scheduler: null }, 'scheduler: expected a scheduler of RxJS'],
    [
      'a scheduler whose members are no functions',
      { scheduler: { schedule: true, now: 0 } },
      'scheduler: expected a scheduler of RxJS'
    ],
    ['a scheduler without `now`', { scheduler: { schedule: () => {} } }, 'scheduler: expected a scheduler of RxJS'],
    ['a misspelt option', { baseURL: 'https://canary.example' }, 'baseURL: unknown option (did you mean baseUrl?)'],
    ['an unknown option', { canari: 'canary' }, 'canari: unknown option'],
    ['an unknown option that is undefined', { apiKey: undefined }, 'apiKey: unknown option'],
    ['a number as random', { random: 0.5 }, 'random: expected a function'],
    ['a table as meaningOf', { meaningOf: { ERROR_X: 'unavailable' } }, 'meaningOf: expected a function'],
    ['a limit of no tasks', { maxOpenTasks: 0 }, 'maxOpenTasks: expected a whole number of tasks from 1 to 1000000'],
    ['a rate of zero', { createsPerSecond: 0 }, 'createsPerSecond: expected a number from 0.001 to 1000']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    expect(problemsOf({ clientKey, ...options })).toStrictEqual([problem])
  })

  it.each(['pollEveryMs', 'giveUpAfterMs', 'createTimeoutMs', 'resultTimeoutMs'])(
    'accepts %s as whole milliseconds that a timer can hold, and nothing else',
    (name) => {
      for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 31, '3000', null]) {
        expect(problemsOf({ clientKey, [name]: value })).toStrictEqual([`${name}: ${MS}`])
      }
      for (const value of [1, 2 ** 31 - 1, undefined])
        expect(problemsOf({ clientKey, [name]: value })).toStrictEqual([])
    }
  )

  it('throws InvalidOptions with every problem, and states that the call sent nothing', () => {
    const make = () =>
      createSolver({ clientKey: '', pollEveryMs: -1, baseUrl: 'http://a:b@c.example/?q', random: 1 as never })
    const problems = [
      'clientKey: expected the key of the account, but there is none (is its environment variable set?)',
      `pollEveryMs: ${MS}`,
      HTTPS,
      'baseUrl: expected no user name or password in it',
      'baseUrl: expected no query and no fragment',
      'random: expected a function'
    ]
    expect(make).toThrow(`Invalid options: ${problems.join('; ')}. This call sent nothing.`)
    expect(make).toThrow(expect.objectContaining({ name: 'InvalidOptions', problems }) as Error)
  })

  it('throws InvalidOptions for options that post replaces', () => {
    const replaced = { baseUrl: 'https://example.com', dispatcher: new Agent(), maxReplyBytes: 9 }
    expect(new Set(problemsOf({ clientKey, post: () => NEVER, ...replaced }))).toStrictEqual(
      new Set(Object.keys(replaced).map((name) => `${name}: expected nothing, because post brings its own network`))
    )
  })

  it.each([
    'https://api.1captcha.vip',
    'https://example.com:8443/v1',
    'http://localhost:8080',
    'http://127.0.0.1',
    'http://127.8.9.10/v1',
    'http://[::1]:80/'
  ])('accepts the base URL %s', (baseUrl) => {
    expect(problemsOf({ clientKey, baseUrl })).toStrictEqual([])
  })

  it('accepts undefined for every option with a default, as an environment gives it', async () => {
    const emulator = await start()
    const options: SolverOptions = {
      clientKey: EMULATOR_KEY,
      baseUrl: process.env.RX_CAPTCHA_NO_SUCH_URL ?? emulator.url,
      pollEveryMs: 1,
      giveUpAfterMs: undefined,
      createTimeoutMs: undefined,
      resultTimeoutMs: undefined,
      createsPerSecond: undefined,
      maxReplyBytes: undefined,
      meaningOf: undefined,
      dispatcher: undefined,
      post: undefined,
      scheduler: undefined,
      random: undefined
    }
    expect(problemsOf({ ...options, baseUrl: process.env.RX_CAPTCHA_NO_SUCH_URL })).toStrictEqual([])
    expect(await outcome(solverOf(options).solve(aSpec))).toMatchObject({ _tag: 'Right' })
  })

  it('calls the documented service by default', async () => {
    const origins: unknown[] = []
    class Recording extends Dispatcher {
      override dispatch({ origin, path }: Dispatcher.DispatchOptions): boolean {
        origins.push(`${String(origin)}${path}`)
        throw new Error('recorded')
      }
    }
    await outcome(solverOf({ dispatcher: new Recording(), giveUpAfterMs: 1 }).solve(aSpec))
    expect(origins[0]).toBe('https://api.1captcha.vip/createTask')
  })

  it('uses the given post instead of a network of its own', () => {
    const scheduler = new VirtualTimeScheduler()
    const { post, calls } = scriptedPost(
      { '/createTask': [replies.created()], '/getTaskResult': [replies.processing(), replies.ready()] },
      scheduler
    )
    const results: unknown[] = []
    createSolver({ clientKey, post, scheduler })
      .solve(aSpec)
      .subscribe((result) => results.push(result))
    scheduler.flush()
    expect(results).toMatchObject([{ right: { ref: { createdAt: 0 }, readyAt: 6_000 } }])
    expect(calls.map(({ path }) => path)).toStrictEqual(['/createTask', '/getTaskResult', '/getTaskResult'])
  })
})

describe('a dispatcher of the caller', () => {
  it.each(['two', 'one'])('serves both calls, and the solver does not close it (%s given)', async (count) => {
    const emulator = await start()
    const [create, poll] = [agentOf(), agentOf()]
    const dispatcher = count === 'two' ? { create, poll } : create
    const solver = createSolver({ clientKey: EMULATOR_KEY, pollEveryMs: 1, baseUrl: emulator.url, dispatcher })
    expect(await outcome(solver.solve(aSpec))).toMatchObject({ _tag: 'Right' })
    await solver.close()
    expect([create.destroyed, create.closed, poll.destroyed, poll.closed]).toStrictEqual([false, false, false, false])
    expect((await create.request({ origin: emulator.url, path: '/other', method: 'GET' })).statusCode).toBe(404)
  })

  it('gets createTask if it is the one for create, and polls if it is the one for poll', async () => {
    const emulator = await start()
    const seen: string[] = []
    const recording = (name: string) =>
      agentOf().compose((dispatch) => (options, handler) => {
        seen.push(`${name} ${options.path}`)
        return dispatch(options, handler)
      })
    const dispatcher = { create: recording('create'), poll: recording('poll') }
    expect(await outcome(solverOf({ baseUrl: emulator.url, dispatcher }).solve(aSpec))).toMatchObject({ _tag: 'Right' })
    expect(seen).toStrictEqual(['create /createTask', 'poll /getTaskResult'])
  })
})

describe('a solver', () => {
  const atMost = (count: number) => until(() => handles().length <= count)

  it('keeps an idle connection that does not keep the process alive, and no timer', async () => {
    const server = await serve([CREATED, PROCESSING, READY])
    const before = handles().length
    const solver = solverOf({ baseUrl: server.origin })
    expect(await outcome(solver.solve(aSpec))).toStrictEqual(solved('id-1', 'token-1'))
    await atMost(before)
    expect(handles().length).toBeLessThanOrEqual(before)
    expect(server.open()).toBe(1)
  })

  it('keeps nothing open after close', async () => {
    const server = await serve([CREATED, READY])
    const before = handles().length
    const solver = solverOf({ baseUrl: server.origin })
    await outcome(solver.solve(aSpec))
    expect(await solver.close()).toStrictEqual([])
    await until(() => server.open() === 0)
    await atMost(before)
    expect(handles().length).toBeLessThanOrEqual(before)
  })

  it('keeps nothing open after close, even if a handshake hangs', async () => {
    const server = await serve(staysSilent, { onAccept: staysSilent })
    const before = handles().length
    const solver = solverOf({ baseUrl: server.origin.replace('http:', 'https:') })
    const result = outcome(solver.solve(aSpec))
    await until(() => server.accepted() === 1)
    await solver.close()
    expect(await result).toStrictEqual(E.left({ _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 1 }))
    await until(() => server.open() === 0)
    await atMost(before)
    expect(handles().length).toBeLessThanOrEqual(before)
  })

  it('aborts a poll whose subscriber has unsubscribed, and emits the orphan', async () => {
    const server = await serve([CREATED, staysSilent])
    const before = handles().length
    const solver = solverOf({ baseUrl: server.origin })
    const orphans: Orphan[] = []
    solver.orphans.subscribe((orphan) => orphans.push(orphan))
    const solving = solver.solve(aSpec).subscribe()
    await until(() => server.requests().length === 2)
    solving.unsubscribe()
    await until(() => server.open() === 0)
    await atMost(before)
    expect(handles().length).toBeLessThanOrEqual(before)
    expect(orphans).toStrictEqual([{ ref: { taskId: 'id-1', createdAt: aNumber }, task: aSpec, type: aSpec.type }])
  })

  it('awaits a createTask whose subscriber has unsubscribed, and emits the orphan', async () => {
    let sendReply = () => {}
    const server = await serve((socket) => {
      sendReply = () => {
        CREATED(socket)
      }
    })
    const before = handles().length
    const solver = solverOf({ baseUrl: server.origin })
    const orphans: Orphan[] = []
    solver.orphans.subscribe((orphan) => orphans.push(orphan))
    const solving = solver.solve(aSpec).subscribe()
    await until(() => server.requests().length === 1)
    solving.unsubscribe()
    sendReply()
    await until(() => orphans.length === 1)
    expect(orphans).toMatchObject([{ ref: { taskId: 'id-1' } }])
    await atMost(before)
    expect(handles().length).toBeLessThanOrEqual(before)
  })

  it('sends nothing after close', async () => {
    const emulator = await start()
    const solver = solverOf({ baseUrl: emulator.url })
    await solver.close()
    expect(await outcome(solver.solve(aSpec))).toMatchObject({ left: { _tag: 'NotCreated', reason: 'closed' } })
    expect(emulator.counters().requests).toStrictEqual({
      createTask: 0,
      getTaskResult: 0,
      getBalance: 0,
      siteverify: 0,
      other: 0
    })
  })
})
