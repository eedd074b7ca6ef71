import { EnvHttpProxyAgent } from 'undici'
import { parseUrl } from '../core/model/problems.js'
import { AGENT_LIMITS } from './connections.js'
import { isLoopback } from './loopback.js'
import { noProxyOf, proxyVariable, type Environment } from './proxy-hint.js'

/** Dispatchers for the option `dispatcher`; `close` closes their connections. */
export interface ProxyDispatchers {
  readonly create: EnvHttpProxyAgent
  readonly poll: EnvHttpProxyAgent
  readonly close: () => Promise<void>
}

/**
 * Opens dispatchers that go through the proxies of the environment, except to the hosts that `NO_PROXY` names. Nothing for
 * an address on this machine, and if there is no proxy.
 *
 * @throws an Error that names the variable of a proxy that is no address; never its value, which may hold a password
 */
export const openProxyDispatchers = (address: string, env: Environment): ProxyDispatchers | undefined => {
  const url = parseUrl(address)
  if (!url || isLoopback(url.hostname) || proxyVariable(url.protocol, env) === undefined) return undefined
  const [httpProxy, httpsProxy] = [proxyAddress('http:', env), proxyAddress('https:', env)]
  const options = { ...AGENT_LIMITS, httpProxy, httpsProxy, noProxy: noProxyOf(env) }
  const [create, poll] = [new EnvHttpProxyAgent(options), new EnvHttpProxyAgent(options)]
  const close = async (): Promise<void> => {
    await Promise.all([create.destroy(), poll.destroy()])
  }
  return { create, poll, close }
}

/** Empty for no proxy: for `undefined` undici would read the environment of the process. */
const proxyAddress = (protocol: string, env: Environment): string => {
  const variable = proxyVariable(protocol, env)
  if (variable === undefined) return ''
  const given = String(env[variable]).trim()
  const url = parseUrl(/^[a-z][\w+.-]*:\/\//i.test(given) ? given : `http://${given}`)
  if (url && /^https?:$/.test(url.protocol)) return url.href
  throw new Error(`${variable}: expected the address of a proxy, such as http://proxy.example:8080`)
}
