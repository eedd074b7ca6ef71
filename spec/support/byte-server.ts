import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** A request, read from its bytes. */
export interface SeenRequest {
  readonly line: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The number of its connection; the first accepted one is 1. */
  readonly connection: number
}

/** What the server does to a connection. */
export type Act = (socket: Socket) => void

/** A server that sends bytes, whether they are HTTP or not. */
export interface ByteServer {
  readonly origin: string
  /** How many connections were accepted. */
  readonly accepted: () => number
  /** How many connections are open now. */
  readonly open: () => number
  readonly requests: () => ReadonlyArray<SeenRequest>
}

export interface ByteServerOptions {
  /** Done to every connection as soon as it is accepted; requests are not read then. */
  readonly onAccept?: Act
  readonly tls?: TlsOptions
}

/**
 * Starts servers that reply to the nth request with the nth act, and to all further ones with the last; closes them after each test,
 * or after all.
 */
export const byteServers = (over = afterEach) => {
  const open: (() => Promise<unknown>)[] = []
  over(() => Promise.all(open.splice(0).map((close) => close())))
  return async (acts: Act | ReadonlyArray<Act>, options: ByteServerOptions = {}): Promise<ByteServer> => {
    const { server, close } = await start(typeof acts === 'function' ? [acts] : acts, options)
    open.push(close)
    return server
  }
}

export const resets: Act = (socket) => void socket.resetAndDestroy()
export const closes: Act = (socket) => void socket.end()
export const staysSilent: Act = () => {}
/** Sends these bytes, as they are, and leaves the connection open. */
export const sends =
  (bytes: string | Buffer): Act =>
  (socket) =>
    void socket.write(bytes)
export const sendsAndCloses =
  (bytes: string | Buffer): Act =>
  (socket) =>
    void socket.end(bytes)
/** Sends the head at once and then a byte at a time, without end. */
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
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Scripted\r\n${head}\r\n`), Buffer.from(body)])
}

const start = async (acts: ReadonlyArray<Act>, { onAccept, tls }: ByteServerOptions) => {
  const sockets = new Set<Socket>()
  const requests: SeenRequest[] = []
  let accepted = 0
  const serve = (socket: Socket) => {
    accepted += 1
    const nth = accepted
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    // An idle connection of the server must not keep the process alive, or it would hide one of the client that does.
    socket.unref()
    if (onAccept) {
      onAccept(socket.resume())
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
  const listener = tls ? createTlsServer(tls, serve).on('tlsClientError', () => {}) : createServer(serve)
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  listener.unref()
  const address = listener.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const close = () => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => listener.close(resolve))
  }
  const server: ByteServer = {
    origin: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    accepted: () => accepted,
    open: () => sockets.size,
    requests: () => requests
  }
  return { server, close }
}

/** The first request in the bytes, once they hold all of it, and the bytes behind it. */
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
