import { isDeepStrictEqual } from 'node:util'
import type { Dispatcher } from 'undici'
import { createSolver } from 'rx-captcha'
import { Connections } from '../../lib/http/connections.js'
import { byteServers, reply, sends, staysSilent, type ByteServer } from '../support/byte-server.js'
import { certificate } from '../support/certificates.js'
import { KEY, aTask } from '../support/simulate.js'

const serve = byteServers()

const aTurn = () => new Promise((resolve) => setImmediate(resolve))
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await aTurn()
}

// Those of the library and undici alone: jest has timers of its own.
const timers = new Set<NodeJS.Timeout>()
beforeEach(() => {
  const [set, clear] = [setTimeout, clearTimeout]
  const track = (work: (...args: unknown[]) => void, ms: number, ...args: unknown[]): NodeJS.Timeout => {
    const timer = set(() => {
      timers.delete(timer)
      work(...args)
    }, ms)
    timers.add(timer)
    return timer
  }
  jest.spyOn(globalThis, 'setTimeout').mockImplementation(track as typeof setTimeout)
  jest.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
    timers.delete(timer as NodeJS.Timeout)
    clear(timer)
  })
})
afterEach(() => {
  jest.restoreAllMocks()
  timers.clear()
})

/** How many sockets and other resources keep this process running, how many timers do, and how many listeners the process has. */
const held = (): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = { timers: [...timers].filter((timer) => timer.hasRef()).length }
  for (const type of process.getActiveResourcesInfo()) if (type !== 'Timeout') counts[type] = (counts[type] ?? 0) + 1
  for (const name of process.eventNames()) counts[`on ${String(name)}`] = process.listenerCount(name)
  return counts
}

/** What is held before the first connection; what an earlier test began to close is not counted. */
const heldBefore = async () => {
  await aTurn()
  while (held().Immediate) await aTurn()
  return held()
}

/** What is held, and open at the server, once closed sockets are gone; at the latest after a thousand turns. */
const left = async (server: ByteServer, before: ReturnType<typeof held>) => {
  const isLeft = () => server.open() > 0 || !isDeepStrictEqual(held(), before)
  for (let turn = 0; turn < 1_000 && isLeft(); turn += 1) await aTurn()
  return { held: held(), open: server.open() }
}

// More than are opened at once, so that some wait for a connection.
const REQUESTS = 20

/** Sends createTask as often; what is given to a connection must end. */
const sendAll = (connections: Connections, origin: string) => {
  const ended = { requests: 0 }
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => {},
    onResponseStart: () => {},
    onResponseData: () => {},
    onResponseEnd: () => (ended.requests += 1),
    onResponseError: () => (ended.requests += 1)
  }
  for (let nth = 0; nth < REQUESTS; nth += 1)
    connections.create.dispatch({ origin, path: '/', method: 'POST', body: '{}', headersTimeout: 0 }, handler)
  return ended
}

/** From before the first connection to after the last reply. */
const MOMENTS = [0, 1, 3, 9, 27]

describe('closing while connections are being opened leaves no socket, timer or listener', () => {
  it.each(['http', 'https'])('of Connections, over %s, at any moment', async (protocol) => {
    const { cert, private: key } = await certificate()
    const server = await serve(sends(reply('{}')), protocol === 'https' ? { tls: { cert, key } } : {})
    const before = await heldBefore()
    const openAtClose: number[] = []
    for (const moment of MOMENTS) {
      const connections = new Connections(server.origin, { ca: cert })
      const ended = sendAll(connections, server.origin)
      await turns(moment)
      openAtClose.push(server.open())
      await connections.close()
      expect([moment, await left(server, before)]).toStrictEqual([moment, { held: before, open: 0 }])
      expect(ended.requests).toBeGreaterThanOrEqual(16)
    }
    expect(openAtClose[0]).toBe(0)
    expect(openAtClose.at(-1)).toBeGreaterThan(0)
  })

  it('of Connections, within a TLS handshake that the server does not answer', async () => {
    const server = await serve(staysSilent)
    const before = await heldBefore()
    const origin = server.origin.replace('http:', 'https:')
    const connections = new Connections(origin)
    const ended = sendAll(connections, origin)
    while (server.accepted() < 16) await aTurn()
    await connections.close()
    expect(await left(server, before)).toStrictEqual({ held: before, open: 0 })
    expect(ended.requests).toBe(16)
  })

  it.each([
    ['http', 'a server that replies', sends(reply('{"errorId":0,"taskId":"id-1"}'))],
    ['https', 'a server that does not answer the TLS handshake', staysSilent]
  ])('of a solver, over %s to %s, at any moment', async (protocol, _, act) => {
    const server = await serve(act)
    const before = await heldBefore()
    for (const moment of MOMENTS) {
      const solver = createSolver({ clientKey: KEY, baseUrl: server.origin.replace('http:', `${protocol}:`) })
      const outcomes: string[] = []
      for (let nth = 0; nth < REQUESTS; nth += 1) solver.solve(aTask).subscribe((result) => outcomes.push(result._tag))
      await turns(moment)
      await solver.close()
      expect([moment, await left(server, before)]).toStrictEqual([moment, { held: before, open: 0 }])
      expect(outcomes).toStrictEqual(Array(REQUESTS).fill('Left'))
    }
  })
})

describe('a solve that ends while its connection is being opened leaves no socket, timer or listener', () => {
  it.each(['unsubscribes', 'reaches the limit'])('if its subscriber %s', async (how) => {
    const server = await serve(staysSilent)
    const before = await heldBefore()
    const baseUrl = server.origin.replace('http:', 'https:')
    const solver = createSolver({ clientKey: KEY, baseUrl, createTimeoutMs: 20, giveUpAfterMs: 60 })
    const outcomes: string[] = []
    const solves = Array.from({ length: REQUESTS }, () =>
      solver.solve(aTask).subscribe((result) => outcomes.push(result._tag))
    )
    while (server.accepted() < 16) await aTurn()
    if (how === 'unsubscribes') for (const solve of solves) solve.unsubscribe()
    else while (outcomes.length < REQUESTS) await aTurn()
    expect(await left(server, before)).toStrictEqual({ held: before, open: 0 })
    await solver.close()
  })
})
