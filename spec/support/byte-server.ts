import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** One request, as its bytes came in. */
export interface SeenRequest {
  readonly line: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Which of the accepted connections it came on, from 1. */
  readonly connection: number
}

/** What the server does to a connection. */
export type Act = (socket: Socket) => void

export interface ByteServer {
  readonly origin: string
  /** Connections accepted so far. */
  readonly accepted: () => number
  /** Connections that are open now. */
  readonly open: () => number
  readonly requests: () => ReadonlyArray<SeenRequest>
}

export interface ByteServerOptions {
  /** Done at once to every connection. */
  readonly atAccept?: Act
  readonly tls?: TlsOptions
}

export const resets: Act = (socket) => void socket.resetAndDestroy()
export const closes: Act = (socket) => void socket.end()
export const silent: Act = () => {}
/** Sends these bytes, as they are, and leaves the connection open. */
export const says =
  (bytes: string | Buffer): Act =>
  (socket) =>
    void socket.write(bytes)
export const saysAndCloses =
  (bytes: string | Buffer): Act =>
  (socket) =>
    void socket.end(bytes)
/** One byte at a time, for ever from the beginning. */
export const drips =
  (head: string, everyMs: number): Act =>
  (socket) => {
    socket.write(head)
    const timer = setInterval(() => socket.write('.'), everyMs)
    socket.once('close', () => clearInterval(timer))
  }

/** The bytes of an HTTP reply. */
export const reply = (body: string | Buffer, headers: Readonly<Record<string, string>> = {}, status = 200): Buffer => {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} As Told\r\n${head}\r\n`), Buffer.from(body)])
}

const readRequest = (bytes: Buffer, connection: number) => {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const [line = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const headers = Object.fromEntries(
    lines.map((each) => [each.slice(0, each.indexOf(':')).toLowerCase(), each.slice(each.indexOf(':') + 1).trim()])
  )
  const size = end + 4 + Number(headers['content-length'] ?? 0)
  if (bytes.length < size) return undefined
  const request: SeenRequest = { line, headers, body: bytes.subarray(end + 4, size).toString(), connection }
  return { request, rest: bytes.subarray(size) }
}

const start = async (acts: ReadonlyArray<Act>, { atAccept, tls }: ByteServerOptions) => {
  const sockets = new Set<Socket>()
  const requests: SeenRequest[] = []
  let accepted = 0
  const serve = (socket: Socket) => {
    accepted += 1
    const nth = accepted
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    // A connection that is only kept must not keep a process alive, or a test could not see who does.
    socket.unref()
    if (atAccept) {
      atAccept(socket.resume())
      return
    }
    let bytes = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk])
      for (let read = readRequest(bytes, nth); read; read = readRequest(bytes, nth)) {
        bytes = Buffer.from(read.rest)
        requests.push(read.request)
        acts[Math.min(requests.length, acts.length) - 1]?.(socket)
      }
    })
  }
  const server = tls ? createTlsServer(tls, serve).on('tlsClientError', () => {}) : createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const close = () => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  }
  const seen: ByteServer = {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    accepted: () => accepted,
    open: () => sockets.size,
    requests: () => requests
  }
  return { seen, close }
}

/**
 * Starts servers that do with the nth request what the nth act says, the last one again and again, and closes them after
 * each test, or after all.
 */
export const byteServers = (over = afterEach) => {
  const open: (() => Promise<unknown>)[] = []
  over(() => Promise.all(open.splice(0).map((close) => close())))
  return async (acts: Act | ReadonlyArray<Act>, options: ByteServerOptions = {}): Promise<ByteServer> => {
    const { seen, close } = await start(typeof acts === 'function' ? [acts] : acts, options)
    open.push(close)
    return seen
  }
}
