import { request, type Agent } from 'node:http'
import { connect } from 'node:net'
import { EMULATOR_KEY, startEmulator, type Emulator, type EmulatorOptions } from 'rx-captcha/emulator'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: Buffer
  readonly json: () => unknown
}

/** One POST (or what it is told) with node's own client, on a connection of its own (or that of an agent). */
export const post = (
  url: string,
  body: unknown,
  { method = 'POST', headers = {}, agent }: { method?: string; headers?: Record<string, string>; agent?: Agent } = {}
): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const sent = request(url, {
      method,
      agent: agent ?? false,
      headers: { 'content-type': 'application/json', ...headers }
    })
    sent.once('error', reject).once('response', (res) => {
      const chunks: Buffer[] = []
      res
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .once('error', reject)
        .once('end', () => {
          const whole = Buffer.concat(chunks)
          const json = (): unknown => JSON.parse(whole.toString())
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body: whole, json })
        })
    })
    sent.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
  })

export interface RawExchange {
  /** The bytes that have come so far. */
  readonly bytes: () => Buffer
  readonly leave: () => void
  /** Sends what was kept back. */
  readonly finish: () => void
  /** All bytes until the connection ended, and how it did. */
  readonly over: Promise<{ readonly bytes: Buffer; readonly end: 'closed' | 'reset' }>
}

/** What goes over the wire for one POST; more than one path is a pipelining client; its end may be kept back. */
export const rawPost = (
  url: string,
  paths: ReadonlyArray<string>,
  body: unknown,
  connection = 'close',
  keepBack = 0
): RawExchange => {
  const { hostname, port, host } = new URL(url)
  const json = JSON.stringify(body)
  const chunks: Buffer[] = []
  const bytes = () => Buffer.concat(chunks)
  const head = `host: ${host}\r\nconnection: ${connection}\r\ncontent-type: application/json\r\ncontent-length: ${json.length}`
  const socket = connect(Number(port), hostname)
  const whole = paths.map((path) => `POST ${path} HTTP/1.1\r\n${head}\r\n\r\n${json}`).join('')
  socket.write(whole.slice(0, whole.length - keepBack))
  socket.on('data', (chunk) => chunks.push(chunk))
  const over = new Promise<Awaited<RawExchange['over']>>((resolve) => {
    let end: 'closed' | 'reset' = 'closed'
    socket.once('error', () => (end = 'reset')).once('close', () => resolve({ bytes: bytes(), end }))
  })
  const finish = () => socket.write(whole.slice(whole.length - keepBack))
  return { bytes, leave: () => socket.destroy(), finish, over }
}

/** Lets the event loop turn until something holds. */
export const until = async (holds: () => boolean): Promise<void> => {
  // Before jest's own limit: a loop that jest gave up on would turn for ever.
  const deadline = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 5 s: ${String(holds)}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

export const aTask = {
  type: 'RecaptchaV2TaskProxyless',
  websiteURL: 'https://example.com/login',
  websiteKey: '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-'
}
export const createBody = { clientKey: EMULATOR_KEY, task: aTask }
export const askBody = (taskId: unknown) => ({ clientKey: EMULATOR_KEY, taskId })

export const create = (emulator: Emulator, task: unknown = aTask): Promise<Reply> =>
  post(`${emulator.url}/createTask`, { clientKey: EMULATOR_KEY, task })
export const poll = (emulator: Emulator, taskId: unknown): Promise<Reply> =>
  post(`${emulator.url}/getTaskResult`, askBody(taskId))

/** Creates a task and hands out the id in the emulator's books, whatever the answer said. */
export const createdId = async (emulator: Emulator): Promise<string> => {
  await create(emulator)
  return emulator.tasks().at(-1)?.taskId ?? ''
}

/** Starts emulators that are ready at once and closes them after each test, or after all. */
export const emulators = (over = afterEach): ((options?: EmulatorOptions) => Promise<Emulator>) => {
  const open: Emulator[] = []
  over(() => Promise.all(open.splice(0).map((emulator) => emulator.close())))
  return async (options) => {
    const emulator = await startEmulator({ readyAfterMs: 0, seed: 1, ...options })
    open.push(emulator)
    return emulator
  }
}
