import { Pool, ProxyAgent, type Dispatcher } from 'undici/index.js'
import { causeOf } from '../core/model/network.js'
import { parseUrl } from '../core/validation/problems.js'
import { AGENT_LIMITS } from './connections.js'
import { proxyVariable, type Environment } from './proxy-hint.js'

/** Dispatchers for the option `dispatcher`; `close` closes their connections. */
export interface ProxyDispatchers {
  readonly create: ProxyAgent
  readonly poll: ProxyAgent
  readonly close: () => Promise<void>
}

/**
 * Opens dispatchers that use the proxy that the environment names for an address. Returns nothing if there is no proxy, or if the
 * address needs none: it is on this machine, or `NO_PROXY` names its host. If the proxy fails, the error names it.
 *
 * @throws an Error that names the variable whose value is not an address; never the value, which may hold a password
 */
export const openProxyDispatchers = (address: string, env: Environment): ProxyDispatchers | undefined => {
  const url = parseUrl(address)
  const variable = url && proxyVariable(url, env)
  if (variable === undefined) return undefined
  const proxy = proxyAddress(variable, String(env[variable]).trim())
  const options = { ...AGENT_LIMITS, uri: proxy.href, clientFactory: poolOf(`the proxy of ${variable}, ${proxy.host}`) }
  const [create, poll] = [new ProxyAgent(options), new ProxyAgent(options)]
  const close = async (): Promise<void> => {
    await Promise.all([create.destroy(), poll.destroy()])
  }
  return { create, poll, close }
}

const proxyAddress = (variable: string, given: string): URL => {
  const url = parseUrl(/^[a-z][\w+.-]*:\/\//i.test(given) ? given : `http://${given}`)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new Error(`${variable}: expected the address of a proxy, such as http://proxy.example:8080`)
  if (isDecodable(url.username) && isDecodable(url.password)) return url
  throw new Error(`${variable}: expected %25 for each percent sign in the user name and the password`)
}

const isDecodable = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

/** The connections to a proxy. Without this, their errors would look like errors of the service. */
const poolOf =
  (proxy: string) =>
  (origin: URL, options: object): Dispatcher => {
    const pool = new Pool(origin, options)
    const connect = pool.connect.bind(pool)
    return Object.assign(pool, {
      connect: (request: Dispatcher.ConnectOptions) =>
        connect(request).catch((error: unknown) => {
          const { name, code, message } = causeOf(error)
          throw Object.assign(new Error(`${proxy}: ${message}`), { name, code: code.replace(OWN_CODE, 'PROXY_$&') })
        })
    })
  }

/** Codes that would be taken for those of the service; after a closed connection undici would even retry forever. */
const OWN_CODE = /^(ENOT|EAI_|UND_ERR_)/
