import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { countersOf, taskRecordsOf } from './ledger.js'
import type { Emulator, EmulatorOptions } from './model.js'
import { resolveEmulatorOptions } from './options.js'
import { EmulatedService } from './service.js'

export type { Fault, FaultName, FaultReply, FaultRule, VerifyErrorCode, When } from './faults/fault.js'
export { EMULATOR_KEY, type Counters, type Emulator, type EmulatorOptions, type TaskRecord } from './model.js'

/**
 * Starts the emulator on 127.0.0.1: a real HTTP server that validates requests strictly, counts every call, and injects the
 * faults that you configure. Nothing leaves the machine and nothing is paid for.
 *
 * @param options - all optional; durations in milliseconds
 * @returns the emulator; rejects with `InvalidOptions` for a bad or unknown option, with an `Error` that names a bad fault rule,
 *  or with Node's own error if the port is in use (`EADDRINUSE`)
 *
 * @example
 * ```ts
 * import { firstValueFrom } from 'rxjs'
 * import { createSolver, recaptchaV2 } from 'rx-captcha'
 * import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'
 *
 * const loseTheReply = async () => {
 *   const emulator = await startEmulator({ faults: ['createTask:1:billed+reset'] })
 *   const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url })
 *   const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
 *
 *   const result = await firstValueFrom(solver.solve(task))
 *   const { accepted } = emulator.counters()
 *   console.log(result._tag === 'Left' && result.left._tag, accepted) // prints CreateUnknown 1
 *
 *   await solver.close()
 *   await emulator.close()
 * }
 *
 * void loseTheReply()
 * ```
 *
 * @see docs/protocol.md for the documented shapes
 * @since 0.1.0
 */
export const startEmulator = async (options: EmulatorOptions = {}): Promise<Emulator> => {
  const resolved = resolveEmulatorOptions(options)
  const { port, basePath, idleMs, seed } = resolved
  const service = new EmulatedService(resolved)
  const closeOnceIdle = idleCloser(idleMs)
  const server = createServer({ keepAliveTimeout: 0 }, (req, res) => {
    closeOnceIdle(res)
    service.handle(req, res)
  })
  server.on('connection', (socket) => service.connect(socket))
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`
  let closed: Promise<unknown> | undefined
  const close = async () => {
    closed ??= once(server.close(), 'close')
    server.closeAllConnections()
    await closed
  }
  const { ledger } = service
  return { url, seed, counters: () => countersOf(ledger), tasks: () => taskRecordsOf(ledger), close }
}

// Node announces its own keepAliveTimeout in a header and waits a second longer than that; not every version of Node has an option
// to change this.
const idleCloser = (idleMs: number) => {
  const lastResponses = new WeakMap<Socket, ServerResponse>()
  return (res: ServerResponse): void => {
    const { socket } = res.req
    lastResponses.set(socket, res)
    socket.setTimeout(0)
    // A client that pipelines may have sent another request.
    res.once('close', () => lastResponses.get(socket) === res && socket.setTimeout(idleMs))
  }
}
