import { lastValueFrom, of } from 'rxjs'
import { Agent } from 'undici'
import type { NetworkEvent, SolverOptions } from 'rx-captcha'
import { withProxyHint, type Environment } from '../../lib/http/proxy-hint.js'
import { aSpec, hurried, outcome, solvers } from '../support/solvers.js'

const PROXY = 'http://user:canary-password@proxy.example:8080'

const failed = (code: string): NetworkEvent => ({ _tag: 'Failed', cause: { name: 'Error', code, message: 'failed' } })

const messageAfter = async (event: NetworkEvent, env: Environment, address = 'https://api.service.example') => {
  const post = withProxyHint(() => of(event), new URL(address), env)
  const result = await lastValueFrom(post('/createTask', { clientKey: 'a-client-key' }))
  return result._tag === 'Failed' ? result.cause.message : result._tag
}

const hintOf = (variable: string) =>
  `failed; ${variable} is set, but a proxy is used only through the option dispatcher`

describe('the cause of a connection that was not made', () => {
  it.each(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])(
    'names a proxy of the environment that is not used: %s',
    async (code) => {
      expect(await messageAfter(failed(code), { HTTPS_PROXY: PROXY })).toBe(hintOf('HTTPS_PROXY'))
    }
  )

  it.each<[string, Environment]>([
    ['https_proxy', { https_proxy: PROXY, HTTPS_PROXY: PROXY }],
    ['HTTPS_PROXY', { https_proxy: '', HTTPS_PROXY: PROXY, http_proxy: PROXY }],
    ['http_proxy', { http_proxy: PROXY }],
    ['HTTP_PROXY', { HTTP_PROXY: PROXY, NO_PROXY: 'other.example, service.example:8443,.example.com' }]
  ])('names the variable that counts, and not its value: %s', async (variable, env) => {
    expect(await messageAfter(failed('ENOTFOUND'), env)).toBe(hintOf(variable))
  })

  it.each(['all_proxy', 'ALL_PROXY'])('names %s, which nothing uses', async (variable) => {
    const hint = `failed; ${variable} is set, but not used: the command uses HTTPS_PROXY, and a program the option dispatcher`
    expect(await messageAfter(failed('ENOTFOUND'), { [variable]: PROXY })).toBe(hint)
    expect(await messageAfter(failed('ENOTFOUND'), { [variable]: PROXY, NO_PROXY: '*' })).toBe('failed')
  })

  it.each<[string, Environment]>([
    ['there is none', {}],
    ['its variable is empty', { HTTPS_PROXY: '' }],
    ['NO_PROXY names the host', { HTTPS_PROXY: PROXY, NO_PROXY: 'a.example, API.service.example' }],
    ['no_proxy names the domain', { HTTPS_PROXY: PROXY, no_proxy: '.service.example' }],
    ['NO_PROXY names the domain with an asterisk', { HTTPS_PROXY: PROXY, NO_PROXY: '*.service.example' }],
    ['NO_PROXY names the host and its port', { HTTPS_PROXY: PROXY, NO_PROXY: 'service.example:443' }],
    ['NO_PROXY is an asterisk', { HTTPS_PROXY: PROXY, NO_PROXY: '*' }]
  ])('names no proxy if %s', async (_, env) => {
    expect(await messageAfter(failed('ENOTFOUND'), env)).toBe('failed')
  })

  it.each(['http://127.0.0.1:8080', 'http://localhost', 'https://[::1]'])(
    'names no proxy for a service on this machine: %s',
    async (address) => {
      expect(await messageAfter(failed('ECONNREFUSED'), { HTTPS_PROXY: PROXY, HTTP_PROXY: PROXY }, address)).toBe(
        'failed'
      )
    }
  )

  it.each<[string, NetworkEvent, string]>([
    ['a certificate that is not accepted', failed('DEPTH_ZERO_SELF_SIGNED_CERT'), 'failed'],
    ['a reset', failed('ECONNRESET'), 'failed'],
    ['a reply', { _tag: 'Reply', status: 200, body: '' }, 'Reply']
  ])('is no matter of a proxy after %s', async (_, event, message) => {
    expect(await messageAfter(event, { HTTPS_PROXY: PROXY })).toBe(message)
  })
})

describe('the error of a solver', () => {
  const solverOf = solvers()
  const before = process.env.HTTPS_PROXY
  beforeEach(() => {
    process.env.HTTPS_PROXY = PROXY
  })
  afterEach(() => {
    if (before === undefined) delete process.env.HTTPS_PROXY
    else process.env.HTTPS_PROXY = before
  })
  // Nothing listens there, and it counts as another machine.
  const errorWith = (options: Partial<SolverOptions>) =>
    outcome(solverOf({ baseUrl: 'https://0.0.0.0:1', ...hurried(), ...options }).solve(aSpec))

  it('names the variable of the proxy, without its password', async () => {
    const error = JSON.stringify(await errorWith({}))
    expect(error).toContain('connect ECONNREFUSED 0.0.0.0:1; HTTPS_PROXY is set')
    expect(error).not.toContain('canary')
  })

  it('names no proxy if the solver has a dispatcher', async () => {
    const dispatcher = new Agent()
    expect(await errorWith({ dispatcher })).toMatchObject({
      left: { reason: 'connect', cause: { message: 'connect ECONNREFUSED 0.0.0.0:1' } }
    })
    await dispatcher.destroy()
  })
})
