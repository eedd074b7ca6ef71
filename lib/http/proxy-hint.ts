import { map } from 'rxjs'
import type { ErrorCause, NetworkEvent, Post } from '../core/model/network.js'
import { isLoopback } from './loopback.js'

/** Environment variables, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * If no connection could be made, names in the cause the environment variable of a proxy that would serve the address. Where a
 * proxy is the only way out, nothing else would explain why the host name is unknown.
 */
export const withProxyHint = (post: Post, address: URL, env: Environment = process.env): Post => {
  const variable = proxyVariable(address, env, [...PROXY_VARIABLES, 'all_proxy', 'ALL_PROXY'])
  if (variable === undefined) return post
  const hint = PROXY_VARIABLES.includes(variable)
    ? `${variable} is set, but a proxy is used only through the option dispatcher`
    : `${variable} is set, but not used: the command uses HTTPS_PROXY, and a program the option dispatcher`
  const hinted = (event: NetworkEvent): NetworkEvent =>
    event._tag === 'Failed' && isUnreachable(event.cause)
      ? { ...event, cause: { ...event.cause, message: `${event.cause.message}; ${hint}` } }
      : event
  return (path, body) => post(path, body).pipe(map(hinted))
}

const isUnreachable = ({ code }: ErrorCause): boolean =>
  /^(ENOTFOUND|ENODATA|EAI_.*|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/.test(code)

const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY']

/**
 * The variable that names a proxy for the address, in the order in which undici reads them; an empty one counts as not set.
 * This machine, and what `NO_PROXY` names, need no proxy.
 */
export const proxyVariable = (
  { hostname, port }: URL,
  env: Environment,
  variables: ReadonlyArray<string> = PROXY_VARIABLES
): string | undefined => {
  const noProxy = [env.no_proxy, env.NO_PROXY].find(Boolean) ?? ''
  return isLoopback(hostname) || isExempt(hostname, port || '443', noProxy)
    ? undefined
    : variables.find((name) => env[name])
}

/** As undici reads `NO_PROXY`: names, including their subdomains, and ports; or a single asterisk. */
const isExempt = (hostname: string, port: string, noProxy: string): boolean =>
  noProxy === '*' ||
  noProxy.split(/[,\s]+/).some((entry) => {
    const [, name = '', ofPort = port] = /^\*?\.?(.+?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
    return ofPort === port && name !== '' && (hostname === name || hostname.endsWith(`.${name}`))
  })
