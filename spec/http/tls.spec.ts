import * as E from 'fp-ts/lib/Either.js'
import { Agent } from 'undici'
import type { SolverOptions } from 'rx-captcha'
import { byteServers, reply, says, silent } from '../support/byte-server.js'
import { certificate, signedByNobodyKnown, type Certificate } from '../support/certificates.js'
import { aSpec, outcome, solvers } from '../support/solvers.js'

const serve = byteServers()
const solverOf = solvers()

const agents: Agent[] = []
afterEach(() => Promise.all(agents.splice(0).map((agent) => agent.destroy())))

/** The way of a caller to trust a certificate: a dispatcher each for creates and polls. */
const trusting = (ca: string): Pick<SolverOptions, 'dispatcher'> => {
  const [create, poll] = [new Agent({ connect: { ca } }), new Agent({ connect: { ca } })]
  agents.push(create, poll)
  return { dispatcher: { create, poll } }
}

const service = ({ cert, private: key }: Certificate) =>
  serve(
    [
      says(reply('{"errorId":0,"errorCode":"","errorDescription":"","taskId":"id-1"}')),
      says(reply('{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"token-1"}}'))
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

describe('a certificate', () => {
  it('that the caller trusts serves a whole solve', async () => {
    const made = await certificate()
    const server = await service(made)
    const result = await outcome(solverOf({ baseUrl: server.origin, ...trusting(made.cert) }).solve(aSpec))
    expect(result).toMatchObject({ right: { ref: { taskId: 'id-1' }, solution: { gRecaptchaResponse: 'token-1' } } })
    expect(server.requests().map(({ line }) => line)).toStrictEqual([
      'POST /createTask HTTP/1.1',
      'POST /getTaskResult HTTP/1.1'
    ])
  })

  it('that nobody signed ends createTask at once, unpaid', async () => {
    const server = await service(await certificate())
    expect(await outcome(solverOf({ baseUrl: server.origin }).solve(aSpec))).toStrictEqual(
      notTrusted('DEPTH_ZERO_SELF_SIGNED_CERT')
    )
    expect(server.requests()).toStrictEqual([])
  })

  it('that somebody unknown signed ends createTask at once, unpaid', async () => {
    const server = await service(await signedByNobodyKnown())
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

  it('that is not accepted costs a poll, and nothing but that', async () => {
    const server = await service(await certificate())
    const solver = solverOf({ baseUrl: server.origin })
    const state = await outcome(solver.getTaskResult(aSpec, { taskId: 'id-1', createdAt: Date.now() }))
    expect(state).toMatchObject({ right: { _tag: 'Unanswered', cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } } })
  })
})

describe('an https address', () => {
  it('where no TLS is spoken ends createTask at once, unpaid', async () => {
    const server = await serve(silent, { atAccept: says('HTTP/1.1 400 Bad Request\r\n\r\n') })
    const solver = solverOf({ baseUrl: server.origin.replace('http:', 'https:') })
    expect(await outcome(solver.solve(aSpec))).toStrictEqual(notTrusted('ERR_SSL_WRONG_VERSION_NUMBER'))
    expect(server.accepted()).toBe(1)
  })

  it('where nothing is said ends as not created, unpaid, when the limit of the call has passed', async () => {
    const server = await serve(silent, { atAccept: silent })
    const baseUrl = server.origin.replace('http:', 'https:')
    const solver = solverOf({ baseUrl, createTimeoutMs: 20, giveUpAfterMs: 60 })
    expect(await outcome(solver.solve(aSpec))).toMatchObject({
      left: { _tag: 'NotCreated', paid: 'no', reason: 'deadline', attempts: 1, cause: { code: 'TIMED_OUT' } }
    })
  })
})
