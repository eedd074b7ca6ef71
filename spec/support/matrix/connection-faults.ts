import { buildConnector } from 'undici'
import { byteServers, resets, sends, staysSilent } from '../byte-server.js'
import { certificate, signedByUnknownAuthority, type Certificate } from '../certificates.js'
import { emulators } from '../raw-http.js'

type Connector = buildConnector.connector

/** Connectors that fail, or lead to a server that is not the service, by the name of the fault. */
export type ConnectionFaults = Readonly<Record<string, Connector>>

/** Opens the servers behind the connection faults, and closes them after all tests. */
export const connectionFaults = () => {
  const serve = byteServers(afterAll)
  const start = emulators(afterAll)

  const withCertificate = async ({ cert, private: key }: Certificate, isTrusted: boolean): Promise<Connector> =>
    connectsTo((await serve(staysSilent, { tls: { cert, key } })).origin, isTrusted ? { ca: cert } : {})

  return async (): Promise<ConnectionFaults> => ({
    refused: connectsTo('http://127.0.0.1:1'),
    unresolvable: connectsTo('http://nowhere.invalid:80', {
      lookup: (_host, _options, found) =>
        found(Object.assign(new Error('getaddrinfo ENOTFOUND nowhere.invalid'), { code: 'ENOTFOUND' }), '')
    }),
    unreachable: failsWith('EHOSTUNREACH', 'connect EHOSTUNREACH 192.0.2.1:443'),
    'connect timeout': connectsTo(asHttps((await serve(staysSilent)).origin), { timeout: 20 }),
    // Over TLS, because over plain HTTP the first bytes may have been sent before the reset arrives.
    'reset on accept': connectsTo(asHttps((await start({ faults: ['connection:always:reset'] })).url)),
    'reset in the handshake': connectsTo(
      asHttps((await serve(staysSilent, { onAccept: (socket) => socket.once('data', () => resets(socket)) })).origin)
    ),
    'not TLS': connectsTo(
      asHttps((await serve(staysSilent, { onAccept: sends('HTTP/1.1 400 Bad Request\r\n\r\n') })).origin)
    ),
    'self-signed certificate': await withCertificate(await certificate(), false),
    'unknown authority': await withCertificate(await signedByUnknownAuthority(), false),
    'expired certificate': await withCertificate(await certificate({ fromDay: -3, toDay: -2 }), true),
    'certificate not yet valid': await withCertificate(await certificate({ fromDay: 2, toDay: 3 }), true),
    'certificate for another name': await withCertificate(await certificate({ ip: '127.0.0.2' }), true)
  })
}

const failsWith =
  (code: string, message: string): Connector =>
  (_, callback) => {
    setImmediate(() => callback(Object.assign(new Error(message), { code }), null))
  }

/** Connects to this server instead of the requested one. */
const connectsTo = (origin: string, options: buildConnector.BuildOptions = {}): Connector => {
  const connect = buildConnector(options)
  const { protocol, hostname, port, host } = new URL(origin)
  return (requested, callback) => connect({ ...requested, protocol, hostname, port, host }, callback)
}

const asHttps = (origin: string) => origin.replace('http:', 'https:')
