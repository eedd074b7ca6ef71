import { Socket } from 'node:net'
import { Agent, buildConnector } from 'undici'

// For each of the two calls. 10,000 waiting tasks need 900 of them if a reply takes 300 ms. Without a bound, a process that
// falls behind opens thousands, searches all of them for each poll, and never catches up.
const MAX_CONNECTIONS = 1_024

// Node's 16 KB would refuse the reply to a paid task because of a proxy's cookies.
const MAX_HEADER_BYTES = 262_144

/** The limits of every dispatcher that this library opens. */
export const AGENT_LIMITS = { connections: MAX_CONNECTIONS, maxHeaderSize: MAX_HEADER_BYTES }

/**
 * Two Agents, because a createTask must never use an idle connection:
 * docs/decisions/0003-createtask-has-its-own-dispatcher.md.
 */
export const openAgents = () => {
  const pending = new PendingConnections()
  const options = { connect: pending.connect, ...AGENT_LIMITS }
  const [create, poll] = [new Agent(options), new Agent(options)]
  const close = async (): Promise<void> => {
    await Promise.all([create.destroy(), poll.destroy()])
    pending.destroy()
  }
  return { create, poll, close }
}

/** Connections that are being opened. Otherwise they would outlive `destroy` by ten seconds and keep the process alive. */
class PendingConnections {
  readonly #sockets = new Set<Socket>()
  // It returns the socket, although its type does not say so. One AbortSignal for all would keep a listener for each socket.
  readonly #open: (...args: Parameters<buildConnector.connector>) => unknown = buildConnector({})

  readonly connect: buildConnector.connector = (options, callback) => {
    const socket = this.#open(options, callback)
    if (!(socket instanceof Socket)) return
    this.#sockets.add(socket)
    const settled = (): void => void this.#sockets.delete(socket)
    socket.once(options.protocol === 'https:' ? 'secureConnect' : 'connect', settled).once('close', settled)
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
