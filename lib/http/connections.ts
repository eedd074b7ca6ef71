import { Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { Client, buildConnector, type Dispatcher } from 'undici/index.js'
import type { UndiciDispatcher } from '../core/model/options.js'
import { WarmTime } from './warm-time.js'

// 10,000 waiting tasks need 900 connections if a reply takes 300 ms. Without a bound, a process that falls behind opens
// thousands, and never catches up.
const MAX_CONNECTIONS = 1_024

// A handshake takes twenty times the CPU of a request, so a process that opens one for each waiting request falls behind.
const MAX_OPENING = 16

// A connection is not used in the last half second of the time for which the server says that it keeps it.
const KEEP_ALIVE_THRESHOLD_MS = 500

// Node's 16 KB would refuse the reply to a paid task because of a proxy's cookies.
const MAX_REPLY_HEADER_BYTES = 262_144

/** The limits of a dispatcher that is used in place of {@link Connections}, for a proxy. */
export const AGENT_LIMITS = { connections: MAX_CONNECTIONS, maxHeaderSize: MAX_REPLY_HEADER_BYTES }

/** The handler of a request. */
type Handler = Dispatcher.DispatchHandler & {
  /** Its subscriber has unsubscribed. */
  readonly isAborted?: boolean
  /** Set here, and called by the handler if it is aborted before the request starts. */
  onAborted?: (() => void) | undefined
}

interface Waiting {
  readonly isCreate: boolean
  readonly request: Dispatcher.DispatchOptions
  readonly handler: Handler
}

/**
 * The connections of a solver to its service. A createTask gets a new one, or one whose last reply has just ended; a poll gets
 * any open one. The most recently used one is taken first, so that the others grow old and close.
 *
 * docs/decisions/0003-connections.md
 */
export class Connections {
  readonly create: UndiciDispatcher
  readonly poll: UndiciDispatcher
  readonly #origin: string
  readonly #max: number
  readonly #opener: Opener
  readonly #all = new Set<Connection>()
  /** The most recently used one is the last. */
  readonly #idle: Connection[] = []
  readonly #waiting = new Set<Waiting>()
  readonly #warmTime = new WarmTime()

  /** `ca`: the authorities that are trusted, in place of those of Node. */
  constructor(origin: string, { max = MAX_CONNECTIONS, ca }: { readonly max?: number; readonly ca?: string } = {}) {
    this.#origin = origin
    this.#max = max
    this.#opener = new Opener(ca, () => {
      this.#serveWaiting()
    })
    this.create = {
      dispatch: (request: Dispatcher.DispatchOptions, handler: Handler) =>
        this.#dispatch({ isCreate: true, request, handler })
    }
    this.poll = {
      dispatch: (request: Dispatcher.DispatchOptions, handler: Handler) =>
        this.#dispatch({ isCreate: false, request, handler })
    }
  }

  /** Closes every connection; requests that are in flight fail. */
  async close(): Promise<void> {
    this.#waiting.clear()
    await Promise.all([...this.#all].map((connection) => connection.destroy()))
  }

  #dispatch(waiting: Waiting): boolean {
    const connection = this.#connectionFor(waiting)
    if (connection) connection.send(waiting)
    else this.#wait(waiting)
    return true
  }

  #wait(waiting: Waiting): void {
    this.#waiting.add(waiting)
    waiting.handler.onAborted = () => void this.#waiting.delete(waiting)
  }

  #connectionFor({ isCreate }: Waiting): Connection | undefined {
    return this.#takeIdle(isCreate) ?? this.#open(isCreate)
  }

  #takeIdle(isCreate: boolean): Connection | undefined {
    const last = this.#idle[this.#idle.length - 1]
    return isCreate && !(last && this.#warmTime.isWarm(last.idleMs)) ? undefined : this.#idle.pop()
  }

  #open(isCreate: boolean): Connection | undefined {
    if (this.#opener.isBusy) return undefined
    if (this.#all.size >= this.#max) {
      // All are in use, unless this is a createTask, for which the idle ones are too old.
      const oldest = isCreate ? this.#idle[0] : undefined
      if (!oldest) return undefined
      this.#drop(oldest)
    }
    const connection = new Connection(this.#origin, this.#opener, {
      onIdle: () => {
        this.#idle.push(connection)
        this.#serveWaiting()
      },
      onClosed: (byServer) => {
        if (byServer) this.#warmTime.onClosed(connection.idleMs)
        this.#drop(connection)
        this.#serveWaiting()
      }
    })
    this.#all.add(connection)
    return connection
  }

  #drop(connection: Connection): void {
    this.#all.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    void connection.destroy()
  }

  /** First in, first out. */
  #serveWaiting(): void {
    for (const waiting of this.#waiting) {
      const connection = this.#connectionFor(waiting)
      if (!connection) return
      this.#waiting.delete(waiting)
      connection.send(waiting)
    }
  }
}

interface ConnectionEvents {
  /** Its request has ended. */
  readonly onIdle: () => void
  readonly onClosed: (byServer: boolean) => void
}

/** One connection: a Client of undici, which sends one request at a time. */
class Connection {
  readonly #client: Client
  readonly #onAborted: () => void
  #socket: Socket | undefined
  #isOpen = false
  /** The handler of the request that was sent last, until the request ends. */
  #handler: Handler | undefined
  // When its last reply ended, by two clocks.
  #usedAt = 0
  #usedAtWall = 0

  constructor(origin: string, opener: Opener, { onIdle, onClosed }: ConnectionEvents) {
    // undici opens a connection to its end, although it has no other request for it, and closes it then.
    this.#onAborted = () => {
      if (!this.#isOpen) onClosed(false)
    }
    this.#client = new Client(origin, {
      connect: (...args) => (this.#socket = opener.open(...args)),
      pipelining: 1,
      maxHeaderSize: MAX_REPLY_HEADER_BYTES,
      keepAliveTimeoutThreshold: KEEP_ALIVE_THRESHOLD_MS
    })
      .on('connect', () => {
        this.#isOpen = true
      })
      .on('disconnect', (_origin, _clients, error) => {
        this.#isOpen = false
        const isIdle = this.#handler === undefined
        // undici reconnects to send a request that was given to it just before; it would do the same for an aborted one.
        if (isIdle || this.#handler?.isAborted === true) onClosed(isIdle && !isOwnEnd(error))
      })
      .on('drain', () => {
        this.#handler = undefined
        this.#usedAt = performance.now()
        this.#usedAtWall = Date.now()
        if (this.#isOpen) onIdle()
        else onClosed(false)
      })
  }

  send({ request, handler }: Waiting): void {
    this.#handler = handler
    handler.onAborted = this.#onAborted
    this.#client.dispatch(request, handler)
  }

  /** undici leaves a socket alone that is being opened; it would keep the process alive for ten seconds. */
  async destroy(): Promise<void> {
    if (!this.#isOpen) this.#socket?.destroy(new Error('nothing waits for this connection any more'))
    await this.#client.destroy()
  }

  /** The longer time of two clocks: the monotonic one stops while the machine is suspended, and the wall clock may be set back. */
  get idleMs(): number {
    return Math.max(performance.now() - this.#usedAt, Date.now() - this.#usedAtWall)
  }
}

/** undici closed the connection itself, because it was too old. */
const isOwnEnd = (error: Error): boolean => 'code' in error && error.code === 'UND_ERR_INFO'

/** Opens connections that share one TLS context and one TLS session; a new one of either costs as much CPU as five requests. */
class Opener {
  readonly #ca: string | undefined
  readonly #onOpened: () => void
  // It returns the socket, although its type does not say so.
  #connector: ((...args: Parameters<buildConnector.connector>) => unknown) | undefined
  /** undici has only a weak reference to the last session. */
  readonly #kept: { session?: Buffer } = {}
  #opening = 0

  constructor(ca: string | undefined, onOpened: () => void) {
    this.#ca = ca
    this.#onOpened = onOpened
  }

  get isBusy(): boolean {
    return this.#opening >= MAX_OPENING
  }

  open(...[options, callback]: Parameters<buildConnector.connector>): Socket | undefined {
    const isTls = options.protocol === 'https:'
    this.#connector ??= buildConnector(isTls ? { secureContext: createSecureContext({ ca: this.#ca }) } : {})
    this.#opening += 1
    const socket = this.#connector(options, (...result: Parameters<typeof callback>) => {
      this.#opening -= 1
      callback(...result)
      this.#onOpened()
    })
    if (!(socket instanceof Socket)) return undefined
    return socket.on('session', (session: Buffer) => (this.#kept.session = session))
  }
}
