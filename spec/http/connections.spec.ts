import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Dispatcher } from 'undici'
import { Connections } from '../../lib/http/connections.js'
import {
  byteServers,
  reply,
  resets,
  sends,
  sendsAndCloses,
  staysSilent,
  type Act,
  type ByteServer
} from '../support/byte-server.js'
import { certificate } from '../support/certificates.js'
import { until } from '../support/raw-http.js'

const serve = byteServers()
const open: Connections[] = []
afterEach(() => Promise.all(open.splice(0).map((connections) => connections.close())))

const connectionsTo = (origin: string, options?: ConstructorParameters<typeof Connections>[1]): Connections => {
  const connections = new Connections(origin, options)
  open.push(connections)
  return connections
}

type CallName = 'create' | 'poll'

/** Sends one request; resolves with its status, or with the code of its failure. */
const send = (connections: Connections, origin: string, call: CallName): Promise<number | string> =>
  new Promise((resolve) => {
    let status = 0
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => {},
      onResponseStart: (_, code) => (status = code),
      onResponseData: () => {},
      onResponseEnd: () => resolve(status),
      onResponseError: (_, error) => resolve('code' in error ? String(error.code) : error.message)
    }
    connections[call].dispatch(requestOf(origin, call), handler)
  })

const requestOf = (origin: string, call: CallName): Dispatcher.DispatchOptions => {
  const limits = { reset: false, headersTimeout: 0, bodyTimeout: 0 }
  return { origin, path: `/${call}`, method: 'POST', body: '{}', ...limits }
}

/** Sends one request, and returns what aborts it before it starts. */
const sendAbortable = (connections: Connections, origin: string, call: CallName) => {
  const handler = {
    isAborted: false,
    onAborted: undefined as (() => void) | undefined,
    onRequestStart: () => {
      throw new Error('an aborted request was started')
    },
    onResponseError: () => {}
  }
  connections[call].dispatch(requestOf(origin, call), handler)
  return () => {
    handler.isAborted = true
    handler.onAborted?.()
  }
}

const toEnd: (() => void)[] = []
afterEach(() => {
  for (const end of toEnd.splice(0)) end()
})

/** A server that never answers the first connections, and passes the further ones on. */
const silentFirst = async (count: number, origin: string) => {
  const accepted: Socket[] = []
  const server = createServer((socket) => {
    accepted.push(socket.on('error', () => {}))
    if (accepted.length <= count) return void socket.resume()
    const service = connect(Number(new URL(origin).port), '127.0.0.1').on('error', () => {})
    socket.pipe(service).pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  toEnd.push(() => {
    server.close()
    for (const socket of accepted) socket.destroy()
  })
  return { accepted, origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The connection of each request, in the order of their arrival. */
const used = (server: ByteServer): ReadonlyArray<number> => server.requests().map(({ connection }) => connection)

/** Waits by turns of the event loop alone, because a test may have set the time. */
const untilClosed = async (server: ByteServer, socket?: Socket): Promise<void> => {
  socket?.end()
  while (server.open() > 0) await aTurn()
}

const OK = sends(reply('{}'))

/** undici frees a connection just after it has reported the end of the reply. */
const aTurn = () => new Promise((resolve) => setImmediate(resolve))

const inTurn = async (connections: Connections, origin: string, calls: ReadonlyArray<CallName>) => {
  const results: (number | string)[] = []
  for (const call of calls) {
    results.push(await send(connections, origin, call))
    await aTurn()
  }
  return results
}

/** Stops both clocks; returns what sets them to a time since then. */
const settableTime = () => {
  const [now, today] = [Math.floor(performance.now()), Date.now()]
  const setTime = (ms: number): void => {
    jest.spyOn(performance, 'now').mockReturnValue(now + ms)
    jest.spyOn(Date, 'now').mockReturnValue(today + ms)
  }
  setTime(0)
  return setTime
}

/** Sends calls, each so many milliseconds after the last; or has the server close its newest connection. */
const timeline = async (steps: ReadonlyArray<[afterMs: number, CallName | 'close']>) => {
  const sockets: Socket[] = []
  const server = await serve((socket) => {
    sockets.push(socket)
    socket.write(reply('{}'))
  })
  const connections = connectionsTo(server.origin)
  const setTime = settableTime()
  let time = 0
  for (const [afterMs, step] of steps) {
    setTime((time += afterMs))
    if (step !== 'close') await inTurn(connections, server.origin, [step])
    else await untilClosed(server, sockets.at(-1))
  }
  return used(server)
}

describe('the connections of a solver', () => {
  afterEach(() => {
    jest.restoreAllMocks()
  })

  it('are used again, for both calls', async () => {
    const server = await serve(OK)
    await inTurn(connectionsTo(server.origin), server.origin, ['create', 'poll', 'create', 'create', 'poll'])
    expect(used(server)).toStrictEqual([1, 1, 1, 1, 1])
  })

  it.each<[string, monotonic: number, wall: number, connection: number]>([
    ['500 ms after its last reply', 500, 500, 1],
    ['500 ms after, if the wall clock was set back meanwhile', 500, -3_600_000, 1],
    ['501 ms after', 501, 501, 2],
    ['501 ms after by the monotonic clock alone', 501, 0, 2],
    ['501 ms after by the wall clock alone, which runs on while the machine is suspended', 0, 501, 2]
  ])('carry a createTask only if they are warm: %s', async (_, monotonic, wall, connection) => {
    const server = await serve(OK)
    const connections = connectionsTo(server.origin)
    const [now, today] = [Math.floor(performance.now()), Date.now()]
    jest.spyOn(performance, 'now').mockReturnValue(now)
    jest.spyOn(Date, 'now').mockReturnValue(today)
    await inTurn(connections, server.origin, ['create'])
    jest.spyOn(performance, 'now').mockReturnValue(now + monotonic)
    jest.spyOn(Date, 'now').mockReturnValue(today + wall)
    await inTurn(connections, server.origin, ['create'])
    expect(used(server)).toStrictEqual([1, connection])
  })

  it('carry polls when they are no longer warm', async () => {
    const server = await serve(OK)
    const connections = connectionsTo(server.origin)
    await inTurn(connections, server.origin, ['create'])
    const now = Math.floor(performance.now())
    jest.spyOn(performance, 'now').mockReturnValue(now + 3_000)
    await inTurn(connections, server.origin, ['poll'])
    expect(used(server)).toStrictEqual([1, 1])
  })

  it('are warm for half as long as the server has kept an idle one, if that is less', async () => {
    let closeIdle = (): void => {}
    const closesLater: Act = (socket) => {
      socket.write(reply('{}'))
      closeIdle = () => socket.end()
    }
    const server = await serve([closesLater, OK])
    const connections = connectionsTo(server.origin)
    const setTime = settableTime()
    await inTurn(connections, server.origin, ['create'])
    setTime(200)
    closeIdle()
    await untilClosed(server)
    await inTurn(connections, server.origin, ['create'])
    setTime(300)
    await inTurn(connections, server.origin, ['create'])
    setTime(401)
    await inTurn(connections, server.origin, ['create'])
    expect(used(server)).toStrictEqual([1, 2, 2, 3])
  })

  const closedAfter = (ms: number): [number, CallName | 'close'][] => [
    [0, 'create'],
    [ms, 'close']
  ]
  const soon = closedAfter(39)
  const twice: [number, CallName][] = [
    [0, 'create'],
    [15, 'create']
  ]

  it.each<[string, [number, CallName | 'close'][], number[]]>([
    ['if the server closed two of them soon', [...soon, ...soon, ...twice], [1, 2, 3, 3]],
    ['unless the server closed three of them soon', [...soon, ...soon, ...soon, ...twice], [1, 2, 3, 4, 5]],
    ['if it closed the third less soon', [...soon, ...soon, ...closedAfter(40), ...twice], [1, 2, 3, 4, 4]],
    [
      'if the first of three was ten seconds ago',
      [...soon, ...soon, ...soon, [9_922, 'create'], [15, 'create']],
      [1, 2, 3, 4, 4]
    ],
    ['unless it was less long ago', [...soon, ...soon, ...soon, [9_900, 'create'], [15, 'create']], [1, 2, 3, 4, 5]]
  ])('carry a createTask just after a reply %s', async (_, steps, connectionsUsed) => {
    expect(await timeline(steps)).toStrictEqual(connectionsUsed)
  })

  it('are taken by their last use, the latest first', async () => {
    const server = await serve(OK)
    const connections = connectionsTo(server.origin)
    await Promise.all([1, 2, 3].map(() => send(connections, server.origin, 'poll')))
    await aTurn()
    const last = used(server).at(-1)
    await inTurn(connections, server.origin, ['poll', 'poll'])
    expect(used(server).slice(3)).toStrictEqual([last, last])
  })

  it('are opened at most 16 at once', async () => {
    const connections = connectionsTo('http://127.0.0.1:1')
    let opening = 0
    let most = 0
    const connect = jest.spyOn(jest.requireActual<typeof import('node:net')>('node:net'), 'connect')
    connect.mockImplementation((...args: Parameters<typeof import('node:net').connect>) => {
      const socket = new (jest.requireActual<typeof import('node:net')>('node:net').Socket)()
      opening += 1
      most = Math.max(most, opening)
      setImmediate(() => {
        opening -= 1
        socket.destroy(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
      })
      return args.length > 0 ? socket : socket
    })
    const results = Array.from({ length: 40 }, () => send(connections, 'http://127.0.0.1:1', 'create'))
    expect(new Set(await Promise.all(results))).toStrictEqual(new Set(['ECONNREFUSED']))
    expect([connect.mock.calls.length, most]).toStrictEqual([40, 16])
  })

  it('are no more than the bound, and the rest waits, first in, first out', async () => {
    const server = await serve(OK)
    const connections = connectionsTo(server.origin, { max: 2 })
    const calls = Array.from({ length: 10 }, (_, nth): CallName => (nth % 3 === 0 ? 'create' : 'poll'))
    await Promise.all(calls.map((call) => send(connections, server.origin, call)))
    expect(server.accepted()).toBe(2)
    expect(server.requests().map(({ line }) => line.split(' ')[1])).toStrictEqual(calls.map((call) => `/${call}`))
  })

  it('make room for a createTask if all of them are idle and too old', async () => {
    const server = await serve(OK)
    const connections = connectionsTo(server.origin, { max: 1 })
    await inTurn(connections, server.origin, ['poll'])
    const now = Math.floor(performance.now())
    jest.spyOn(performance, 'now').mockReturnValue(now + 1_000)
    await inTurn(connections, server.origin, ['create'])
    expect(used(server)).toStrictEqual([1, 2])
    jest.restoreAllMocks()
    await until(() => server.open() === 1)
  })

  it('send no request that was aborted while it waited', async () => {
    const server = await serve(OK)
    const connections = connectionsTo(server.origin, { max: 1 })
    const first = send(connections, server.origin, 'poll')
    const abort = sendAbortable(connections, server.origin, 'poll')
    const third = send(connections, server.origin, 'poll')
    abort()
    await Promise.all([first, third])
    expect(server.requests()).toHaveLength(2)
  })

  it('that are being opened for requests that are aborted are closed at once, and make room', async () => {
    const { cert, private: key } = await certificate()
    const service = await serve(OK, { tls: { cert, key } })
    const server = await silentFirst(16, service.origin)
    const connections = connectionsTo(server.origin, { ca: cert })
    const aborts = Array.from({ length: 20 }, () => sendAbortable(connections, server.origin, 'create'))
    await until(() => server.accepted.length === 16)
    const calls: ReadonlyArray<CallName> = ['create', 'poll']
    const results = calls.map((call) => send(connections, server.origin, call))
    for (const abort of aborts) abort()
    expect(await Promise.all(results)).toStrictEqual([200, 200])
    await until(() => server.accepted.slice(0, 16).every(({ destroyed }) => destroyed))
    expect([server.accepted.length, service.requests().length]).toStrictEqual([18, 2])
  }, 5_000) // undici gives up after ten seconds

  it('that the server closes after each reply are opened again', async () => {
    const server = await serve(sendsAndCloses(reply('{}', { connection: 'close' })))
    const connections = connectionsTo(server.origin)
    expect(await inTurn(connections, server.origin, ['create', 'create', 'poll'])).toStrictEqual([200, 200, 200])
    const burst = Array.from({ length: 40 }, () => send(connections, server.origin, 'create'))
    expect(new Set(await Promise.all(burst))).toStrictEqual(new Set([200]))
    expect(new Set(used(server)).size).toBe(43)
  })

  it('that break fail the request that was sent, and no other', async () => {
    const server = await serve([resets, OK])
    const connections = connectionsTo(server.origin, { max: 1 })
    const calls: ReadonlyArray<CallName> = ['create', 'poll', 'poll']
    const results = calls.map((call) => send(connections, server.origin, call))
    expect(await Promise.all(results)).toStrictEqual(['ECONNRESET', 200, 200])
  })

  it('whose request is aborted are closed, and not opened again', async () => {
    const server = await serve(staysSilent)
    const connections = connectionsTo(server.origin)
    let abort = (): void => {}
    const handler: Dispatcher.DispatchHandler & { isAborted: boolean } = {
      isAborted: false,
      onRequestStart: (controller) => {
        abort = () => {
          handler.isAborted = true
          controller.abort(new Error('aborted'))
        }
      },
      onResponseError: () => {}
    }
    connections.poll.dispatch(requestOf(server.origin, 'poll'), handler)
    await until(() => server.requests().length === 1)
    abort()
    await until(() => server.open() === 0)
    await aTurn()
    expect(server.accepted()).toBe(1)
  })

  it('are closed half a second before the server would', async () => {
    const server = await serve(sends(reply('{}', { connection: 'keep-alive', 'keep-alive': 'timeout=1' })))
    const connections = connectionsTo(server.origin)
    await inTurn(connections, server.origin, ['poll', 'poll'])
    expect(used(server)).toStrictEqual([1, 1])
    await until(() => server.open() === 0)
  })

  it('are closed by close, and what waits is not sent', async () => {
    const server = await serve(staysSilent)
    const connections = connectionsTo(server.origin, { max: 1 })
    const silent = send(connections, server.origin, 'poll')
    void send(connections, server.origin, 'poll')
    await until(() => server.requests().length === 1)
    await connections.close()
    expect(await silent).toBe('UND_ERR_DESTROYED')
    await until(() => server.open() === 0)
    expect(server.requests()).toHaveLength(1)
  })

  it('that are being opened are closed by close', async () => {
    const server = await serve(staysSilent)
    const connections = connectionsTo(server.origin.replace('http:', 'https:'))
    const opening = send(connections, server.origin, 'create')
    await until(() => server.accepted() === 1)
    await connections.close()
    expect(typeof (await opening)).toBe('string')
    await until(() => server.open() === 0)
  })
})

describe('connections over TLS', () => {
  it('resume the session of the first', async () => {
    const { cert, private: key } = await certificate()
    const resumed: boolean[] = []
    const serveOnce: Act = (socket) => socket.end(reply('{}', { connection: 'close' }))
    const server = createTlsServer({ cert, key }, (socket: TLSSocket) => {
      resumed.push(socket.isSessionReused())
      socket.on('error', () => {}).on('data', () => serveOnce(socket))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const results = await inTurn(connectionsTo(origin, { ca: cert }), origin, ['create', 'create', 'poll'])
    server.close()
    expect(results).toStrictEqual([200, 200, 200])
    expect(resumed).toStrictEqual([false, true, true])
  })
})
