import { interpretCreate } from '../../../lib/core/protocol/interpret.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import type { ErrorCause } from '../../../lib/core/model/network.js'

const createFailed = (code: string) => {
  const cause: ErrorCause = { name: 'Error', code, message: 'it failed' }
  const options = { meaningOf: () => undefined, scrub: (text: string) => text }
  return interpretCreate(options, recaptchaV2.solution, { _tag: 'Failed', cause }, false)
}

// All names of "X509 certificate error codes" in the documentation of Node, except OUT_OF_MEM.
const CERTIFICATE_CODES = [
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_CRL', 'UNABLE_TO_DECRYPT_CERT_SIGNATURE'],
  ...['UNABLE_TO_DECRYPT_CRL_SIGNATURE', 'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY', 'CERT_SIGNATURE_FAILURE'],
  ...['CRL_SIGNATURE_FAILURE', 'CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED', 'CRL_NOT_YET_VALID', 'CRL_HAS_EXPIRED'],
  ...['ERROR_IN_CERT_NOT_BEFORE_FIELD', 'ERROR_IN_CERT_NOT_AFTER_FIELD', 'ERROR_IN_CRL_LAST_UPDATE_FIELD'],
  ...['ERROR_IN_CRL_NEXT_UPDATE_FIELD', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ...['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_CHAIN_TOO_LONG', 'CERT_REVOKED'],
  ...['INVALID_CA', 'PATH_LENGTH_EXCEEDED', 'INVALID_PURPOSE', 'CERT_UNTRUSTED', 'CERT_REJECTED', 'HOSTNAME_MISMATCH'],
  'UNSPECIFIED' // any other error of OpenSSL
]

describe('a createTask that was not sent', () => {
  it.each(CERTIFICATE_CODES)('failed because of tls with the code %s', (code) => {
    expect(createFailed(code)).toMatchObject({ _tag: 'NotSent', reason: 'tls' })
  })

  it.each([
    ['dns', ['ENOTFOUND', 'ENODATA', 'EAI_AGAIN', 'EAI_FAIL']],
    ['connect', ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'ECONNRESET', '']],
    ['connect', ['OUT_OF_MEM', 'ERROR', 'INVALID', 'UNSPECIFIED_ERROR', 'PATH_LENGTH']],
    ['tls', ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_OSSL_PEM_NO_START_LINE', 'EPROTO']]
  ])('failed because of %s with the codes %j', (reason, codes) => {
    const results = codes.map((code) => [code, createFailed(code)])
    expect(results).toMatchObject(codes.map((code) => [code, { _tag: 'NotSent', reason }]))
  })

  it('keeps its cause', () => {
    const cause: ErrorCause = { name: 'Error', code: 'ENOTFOUND', message: 'it failed' }
    expect(createFailed('ENOTFOUND')).toMatchObject({ problem: { cause } })
  })
})
