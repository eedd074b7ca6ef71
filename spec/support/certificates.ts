import { generate } from 'selfsigned'

const DAY_MS = 86_400_000

/** A self-signed certificate; by default for 127.0.0.1 and service.test, and valid today. */
export const certificate = ({ ip = '127.0.0.1', fromDay = -1, toDay = 1 } = {}) =>
  generate([{ name: 'commonName', value: 'the service' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() + fromDay * DAY_MS),
    notAfterDate: new Date(Date.now() + toDay * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 7, ip },
          { type: 2, value: 'service.test' }
        ]
      }
    ]
  })

export type Certificate = Awaited<ReturnType<typeof certificate>>

/** A certificate for 127.0.0.1, signed by an authority that no client trusts. */
export const signedByUnknownAuthority = async (): Promise<Certificate> => {
  const { private: key, cert } = await certificate()
  return generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ca: { key, cert }
  })
}
