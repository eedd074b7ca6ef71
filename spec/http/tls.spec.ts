import * as E from 'fp-ts/lib/Either.js'
import { Agent } from 'undici'
import type { SolverOptions } from 'rx-captcha'
import { byteServers, reply, sends, staysSilent } from '../support/byte-server.js'
import { certificate, signedByUnknownAuthority, type Certificate } from '../support/certificates.js'
import { aSpec, outcome, solvers } from '../support/solvers.js'

const serve = byteServers()
const solverOf = solvers()

const agents: Agent[] = []
afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.destroy())))

/** Dispatchers that trust a certificate, one for createTask and one for getTaskResult. */
const trusting = (ca: string): Pick<SolverOptions, 'dispatcher'> => {
  const [create, poll] = [new Agent({ connect: { ca } }), new Agent({ connect: { ca } })]
  agents.push(create, poll)
  return { dispatcher: { create, poll } }
}

const service = ({ cert, private: key }: Certificate) =>
  serve(
    [
      sends(reply('{"errorId":0,"errorCode":"","errorDescription":"","taskId":"id-1"}')),
      sends(reply('{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"token-1"}}'))
    ],
    { tls: { cert, key } }
  )

const notTrusted = (code: string) =>
  E.left({
    _tag: 'NotCreated',
    paid: 'no',
    reason: 'tls',
    attempts: 1,
    cause: { name: 'Error', code, message: expect.any(String) as string }
  })

describe('a server certificate', () => {
  it('that the caller trusts is accepted for a whole solve', async () => {
    const made = await certificate()
    const server = await service(made)
    const result = await outcome(solverOf({ baseUrl: server.origin, ...trusting(made.cert) }).solve(aSpec))
    expect(result).toMatchObject({ right: { ref: { taskId: 'id-1' }, solution: { gRecaptchaResponse: 'token-1' } } })
    expect(server.requests().map(({ line }) => line)).toStrictEqual([
      'POST /createTask HTTP/1.1',
      'POST /getTaskResult HTTP/1.1'
    ])
  })

  it('that is self-signed ends createTask at once, unpaid', async () => {
    const server = await service(await certificate())
    expect(await outcome(solverOf({ baseUrl: server.origin }).solve(aSpec))).toStrictEqual(
      notTrusted('DEPTH_ZERO_SELF_SIGNED_CERT')
    )
    expect(server.requests()).toStrictEqual([])
  })

  it('that an unknown authority signed ends createTask at once, unpaid', async () => {
    const server = await service(await signedByUnknownAuthority())
    expect(await outcome(solverOf({ baseUrl: server.origin }).solve(aSpec))).toStrictEqual(
      notTrusted('UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    )
    expect(server.requests()).toStrictEqual([])
  })

  it.each([
    ['has expired', 'CERT_HAS_EXPIRED', { fromDay: -3, toDay: -2 }],
    ['is not valid yet', 'CERT_NOT_YET_VALID', { fromDay: 2, toDay: 3 }],
    ['is for another name', 'ERR_TLS_CERT_ALTNAME_INVALID', { ip: '127.0.0.2' }]
  ])('that %s ends createTask at once, unpaid', async (_, code, how) => {
    const made = await certificate(how)
    const server = await service(made)
    const solver = solverOf({ baseUrl: server.origin, ...trusting(made.cert) })
    expect(await outcome(solver.solve(aSpec))).toStrictEqual(notTrusted(code))
    expect(server.requests()).toStrictEqual([])
  })

  it('that is not accepted makes a poll Unanswered', async () => {
    const server = await service(await certificate())
    const solver = solverOf({ baseUrl: server.origin })
    const state = await outcome(solver.getTaskResult(aSpec, { taskId: 'id-1', createdAt: Date.now() }))
    expect(state).toMatchObject({ right: { _tag: 'Unanswered', cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } } })
  })
})

describe('an https address', () => {
  it('of a server without TLS ends createTask at once, unpaid', async () => {
    const server = await serve(staysSilent, { onAccept: sends('HTTP/1.1 400 Bad Request\r\n\r\n') })
    const solver = solverOf({ baseUrl: server.origin.replace('http:', 'https:') })
    expect(await outcome(solver.solve(aSpec))).toStrictEqual(notTrusted('ERR_SSL_WRONG_VERSION_NUMBER'))
    expect(server.accepted()).toBe(1)
  })

  it('of a silent server ends createTask as NotCreated after the limit of the call, unpaid', async () => {
    const server = await serve(staysSilent, { onAccept: staysSilent })
    const baseUrl = server.origin.replace('http:', 'https:')
    const solver = solverOf({ baseUrl, createTimeoutMs: 20, giveUpAfterMs: 60 })
    expect(await outcome(solver.solve(aSpec))).toMatchObject({
      left: { _tag: 'NotCreated', paid: 'no', reason: 'deadline', attempts: 1, cause: { code: 'TIMED_OUT' } }
    })
  })
})
