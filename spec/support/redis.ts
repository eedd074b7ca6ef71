import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const isInstalled = (): boolean => {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** `describe`, or `describe.skip` where no redis-server is installed; CI sets REQUIRE_REDIS, and fails there. */
export const describeWithRedis = ((): jest.Describe => {
  if (isInstalled()) return describe
  if (process.env.REQUIRE_REDIS) throw new Error('redis-server is required and not installed')
  console.warn('Skipped, because redis-server is not installed: apt-get install redis-server')
  return describe.skip
})()

/** A redis-server of its own, on a free port of 127.0.0.1, with its files in a temporary folder. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  readonly connection: { readonly host: string; readonly port: number; readonly maxRetriesPerRequest: null }
  /** Ends the process by a signal, and resolves when it has ended. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>
  /** Starts it again on the same port and folder. */
  readonly start: () => Promise<void>
  /** Freezes it, so that it replies to nothing. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Stops it and removes its folder. */
  readonly remove: () => Promise<void>
}

export const startRedis = async ({ appendOnly = false } = {}): Promise<RedisServer> => {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-redis-'))
  let child: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const persistence = appendOnly ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...persistence]
    const started = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    child = started
    await new Promise<void>((resolve, reject) => {
      started.once('exit', (code) => {
        reject(new Error(`redis-server ended early: ${String(code)}`))
      })
      started.stdout.on('data', (text: Buffer) => {
        if (text.includes('Ready to accept connections')) resolve()
      })
    })
  }
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    const stopping = child
    child = undefined
    if (stopping?.exitCode !== null) return
    const ended = once(stopping, 'exit')
    stopping.kill(signal)
    await ended
  }
  await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    connection: { host: '127.0.0.1', port, maxRetriesPerRequest: null },
    start,
    stop,
    freeze: () => child?.kill('SIGSTOP'),
    thaw: () => child?.kill('SIGCONT'),
    remove: async () => {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

// Below the ports that a system gives to connections, or another test might get it before Redis listens, or while it is stopped.
const [FIRST_PORT, PORTS] = [20_000, 12_000]

const freePort = async (): Promise<number> => {
  const port = FIRST_PORT + Math.floor(Math.random() * PORTS)
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
  } catch {
    return freePort()
  }
  await once(server.close(), 'close')
  return port
}
