import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { built } from '../support/built.js'
import { testFiles } from '../support/batch.js'
import { certificate, type Certificate } from '../support/certificates.js'
import { SOLVE, command, envOf } from '../support/command.js'
import { emulators } from '../support/raw-http.js'

const start = emulators()
const folder = built()
const { file } = testFiles()

const open: Server[] = []
afterEach(() => {
  for (const server of open.splice(0)) server.close()
})
const listening = async (server: Server): Promise<number> => {
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const joined = (one: Socket, other: Socket) => {
  one.on('error', () => other.destroy())
  other.on('error', () => one.destroy())
  one.pipe(other).pipe(one)
}

/** An emulator behind TLS. */
const behindTls = ({ url }: Emulator, { cert, private: key }: Certificate) =>
  listening(createTlsServer({ cert, key }, (socket) => joined(socket, connect(Number(new URL(url).port), '127.0.0.1'))))

/** A proxy that leads every tunnel to one port, or replies with a status. */
const proxyTo = async (port: number, status = 200) => {
  const requests: IncomingMessage[] = []
  const server = createServer().on('connect', (request: IncomingMessage, socket: Socket) => {
    requests.push(request)
    socket.write(`HTTP/1.1 ${status} Scripted\r\n\r\n`)
    if (status === 200) joined(socket, connect(port, '127.0.0.1'))
    else socket.end()
  })
  return { address: `127.0.0.1:${await listening(server)}`, requests }
}

const ENV = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_POLL_EVERY_MS: '5' }
const SERVICE = { ...ENV, CAPTCHA_BASE_URL: 'https://service.test' }

/** The command as a process, because authorities to trust are read at its start. */
const solve = async (env: Record<string, string | undefined>) => {
  const child = spawn(process.execPath, [join(folder(), 'dist/cli/main.js'), ...SOLVE], { env: { ...SERVICE, ...env } })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  child.stderr.on('data', (chunk) => (err += String(chunk)))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, out, err }
}

const PROGRAM = `
  const { Readable, Writable } = require('node:stream')
  const { NEVER } = require('rxjs')
  const { run } = require('./dist/cli/run.js')
  process.on('message', async ({ argv, env }) => {
    const printed = { out: '', err: '' }
    const stream = (name) =>
      new Writable({ write: (chunk, _encoding, done) => ((printed[name] += String(chunk)), done()) })
    const streams = { stdin: Readable.from([]), stdout: stream('out'), stderr: stream('err') }
    process.send({ code: await run(argv, { env, ...streams, signals: NEVER }), ...printed })
  })
`

/** Runs the command again and again in one process that trusts an authority, because each start takes half a second. */
const trustingProcess = (ca: string) => {
  const child = spawn(process.execPath, ['-e', PROGRAM], {
    cwd: folder(),
    env: { NODE_EXTRA_CA_CERTS: ca },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  return {
    solve: async (env: Record<string, string>) => {
      child.send({ argv: SOLVE, env: { ...SERVICE, ...env } })
      const [end] = (await once(child, 'message')) as [{ code: number; out: string; err: string }]
      return end
    },
    kill: () => child.kill('SIGKILL')
  }
}

describe('the command behind a proxy', () => {
  const ca = file('.pem')
  let made: Certificate
  let trusting: ReturnType<typeof trustingProcess>
  beforeAll(async () => {
    made = await certificate()
    writeFileSync(ca, made.cert)
    trusting = trustingProcess(ca)
  })
  afterAll(() => trusting.kill())

  const setup = async () => {
    const emulator = await start()
    return { emulator, proxy: await proxyTo(await behindTls(emulator, made)) }
  }

  it.each(['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY'])('goes through that of %s', async (variable) => {
    const { emulator, proxy } = await setup()
    const { code, out, err } = await trusting.solve({ [variable]: `http://user:pass@${proxy.address}` })
    expect([code, err]).toStrictEqual([0, ''])
    expect(out).toMatch(/^03A/)
    expect(proxy.requests.map(({ url, headers }) => [url, headers['proxy-authorization']])).toStrictEqual([
      ['service.test:443', 'Basic dXNlcjpwYXNz'],
      ['service.test:443', 'Basic dXNlcjpwYXNz']
    ])
    expect(emulator.counters().delivered).toBe(1)
  })

  it('goes through a proxy that is named without http://', async () => {
    const { proxy } = await setup()
    expect((await solve({ NODE_EXTRA_CA_CERTS: ca, HTTPS_PROXY: proxy.address })).code).toBe(0)
  })

  it('still checks the certificate of the service', async () => {
    const { emulator, proxy } = await setup()
    const env = { ...SERVICE, HTTPS_PROXY: `http://${proxy.address}` }
    const { code, err } = await command(SOLVE, { env }).ended()
    expect(code).toBe(1)
    expect(err).toContain('The certificate of the service was not accepted')
    expect([proxy.requests.length, emulator.counters().requests.createTask]).toStrictEqual([1, 0])
  })
})

describe('a proxy of the environment', () => {
  const PASSWORD = 'canary-password'
  // createTask is tried again after 250 ms at the earliest, so the deadline leaves time for one try.
  const run = (env: Record<string, string>, ...more: string[]) =>
    command([...SOLVE, '--give-up-after-ms', '240', ...more], { env }).ended()

  it('that refuses is reported with its status and without its password, and nothing is paid', async () => {
    const proxy = await proxyTo(0, 407)
    const { code, out, err } = await run(
      { ...SERVICE, HTTPS_PROXY: `http://user:${PASSWORD}@${proxy.address}` },
      '--json'
    )
    expect([code, proxy.requests.length]).toStrictEqual([1, 1])
    expect(out).toContain('Proxy response (407)')
    expect(out + err).not.toContain(PASSWORD)
  })

  it.each(['NO_PROXY', 'no_proxy'])('is not used for a host that %s names', async (variable) => {
    const proxy = await proxyTo(0)
    const env = { ...ENV, CAPTCHA_BASE_URL: 'https://0.0.0.0:1', HTTPS_PROXY: proxy.address, [variable]: '0.0.0.0' }
    expect((await run(env, '--json')).out).toContain('ECONNREFUSED 0.0.0.0:1')
    expect(proxy.requests).toStrictEqual([])
  })

  it('is not used for a service on this machine', async () => {
    const proxy = await proxyTo(0)
    const env = { ...envOf(await start()), HTTPS_PROXY: proxy.address, HTTP_PROXY: proxy.address }
    expect((await command(SOLVE, { env }).ended()).code).toBe(0)
    expect(
      (await command([...SOLVE, '--emulator', '--poll-every-ms', '5'], { env: { HTTP_PROXY: proxy.address } }).ended())
        .code
    ).toBe(0)
    expect(proxy.requests).toStrictEqual([])
  })

  const REFUSED = 'https_proxy: expected the address of a proxy, such as http://proxy.example:8080'
  const NOT_ENCODED = 'https_proxy: expected %25 for each percent sign in the user name and the password'

  it.each([
    ['no address', 'http://user:canary-password@:x', REFUSED],
    ['another protocol', 'socks5://user:canary-password@proxy.example', REFUSED],
    ['a percent sign in a password', 'http://user:canary%password@proxy.example', NOT_ENCODED],
    ['a percent sign in a user name', 'http://canary%zz@proxy.example', NOT_ENCODED]
  ])('is refused as %s, by its variable and not by its value', async (_, value, why) => {
    const { code, err } = await run({ ...SERVICE, https_proxy: value })
    expect([code, err]).toStrictEqual([2, `error: ${why}\n`])
  })

  it.each<[string, Record<string, string>]>([
    ['HTTPS_PROXY counts', { HTTP_PROXY: 'socks5://x', HTTPS_PROXY: '127.0.0.1:1' }],
    ['NO_PROXY names the service', { HTTPS_PROXY: 'socks5://x', NO_PROXY: 'service.test' }],
    ['no command reads it', { ALL_PROXY: 'socks5://x' }]
  ])('is not looked at if %s', async (_, env) => {
    expect((await run({ ...SERVICE, ...env })).code).toBe(1)
  })

  const closing = async () => {
    const server = createTcpServer((socket) => socket.once('data', () => socket.destroy()))
    return `127.0.0.1:${await listening(server)}`
  }
  it.each<[string, () => string | Promise<string>, string]>([
    ['refuses connections', () => '127.0.0.1:1', 'ECONNREFUSED'],
    ['closes the connection', closing, 'PROXY_UND_ERR_SOCKET'],
    ['has a name that cannot be resolved', () => 'proxy.invalid:8080', 'PROXY_E']
  ])('that %s is named with its variable, without its password', async (_, addressOf, expected) => {
    const address = await addressOf()
    const { code, out } = await run({ ...SERVICE, HTTPS_PROXY: `http://user:${PASSWORD}@${address}` }, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      error: {
        _tag: 'NotCreated',
        cause: {
          code: expect.stringContaining(expected) as string,
          message: expect.stringContaining(`the proxy of HTTPS_PROXY, ${address}: `) as string
        }
      }
    })
    expect(out).not.toContain(PASSWORD)
  })
})
