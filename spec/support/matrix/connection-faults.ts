import { buildConnector } from 'undici'
import { byteServers, resets, says, silent } from '../byte-server.js'
import { certificate, signedByNobodyKnown, type Certificate } from '../certificates.js'
import { emulators } from '../raw-http.js'

type Connector = buildConnector.connector

const failsWith =
  (code: string, message: string): Connector =>
  (_, callback) => {
    setImmediate(() => callback(Object.assign(new Error(message), { code }), null))
  }

/** Connects to another server than the one it was asked for. */
const to = (origin: string, options: buildConnector.BuildOptions = {}): Connector => {
  const connect = buildConnector(options)
  const { protocol, hostname, port, host } = new URL(origin)
  return (asked, callback) => connect({ ...asked, protocol, hostname, port, host }, callback)
}

const secure = (origin: string) => origin.replace('http:', 'https:')

/** Where a connection leads to instead of the service, by the fault's name; the servers are closed after all tests. */
export const detours = () => {
  const serve = byteServers(afterAll)
  const start = emulators(afterAll)

  const withCertificate = async ({ cert, private: key }: Certificate, trusted: boolean): Promise<Connector> =>
    to((await serve(silent, { tls: { cert, key } })).origin, trusted ? { ca: cert } : {})

  return async (): Promise<Readonly<Record<string, Connector>>> => ({
    refused: to('http://127.0.0.1:1'),
    unresolvable: to('http://nowhere.invalid:80', {
      lookup: (_host, _options, found) =>
        found(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.invalid'), { code: 'ENOTFOUND' }), '')
    }),
    unreachable: failsWith('EHOSTUNREACH', 'connect EHOSTUNREACH 192.0.2.1:443'),
    'no connection in time': to(secure((await serve(silent)).origin), { timeout: 20 }),
    // Over plain HTTP the first bytes may have gone out by then: nobody can tell.
    'reset at accept': to(secure((await start({ faults: ['connection:always:reset'] })).url)),
    'reset in the handshake': to(
      secure((await serve(silent, { atAccept: (socket) => socket.once('data', () => resets(socket)) })).origin)
    ),
    'not TLS': to(secure((await serve(silent, { atAccept: says('HTTP/1.1 400 Bad Request\r\n\r\n') })).origin)),
    'signed by itself': await withCertificate(await certificate(), false),
    'signed by nobody known': await withCertificate(await signedByNobodyKnown(), false),
    expired: await withCertificate(await certificate({ fromDay: -3, toDay: -2 }), true),
    'not valid yet': await withCertificate(await certificate({ fromDay: 2, toDay: 3 }), true),
    'for another name': await withCertificate(await certificate({ ip: '127.0.0.2' }), true)
  })
}
