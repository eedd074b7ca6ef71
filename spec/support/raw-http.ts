import { request, type Agent } from 'node:http'
import { connect } from 'node:net'
import { EMULATOR_KEY, startEmulator, type Emulator, type EmulatorOptions } from 'rx-captcha/emulator'

/** Starts emulators whose tasks are ready at once, and closes them after each test, or after all. */
export const emulators = (over = afterEach): ((options?: EmulatorOptions) => Promise<Emulator>) => {
  const open: Emulator[] = []
  over(() => Promise.all(open.splice(0).map((emulator) => emulator.close())))
  return async (options) => {
    const emulator = await startEmulator({ readyAfterMs: 0, seed: 1, ...options })
    open.push(emulator)
    return emulator
  }
}

export const aTask = {
  type: 'RecaptchaV2TaskProxyless',
  websiteURL: 'https://example.com/login',
  websiteKey: '6Le-wvkSAAAAAPBMRTvw0Q4Muexq9bi0DJwx_mJ-'
}
export const createBody = { clientKey: EMULATOR_KEY, task: aTask }
export const pollBody = (taskId: unknown) => ({ clientKey: EMULATOR_KEY, taskId })

export const create = (emulator: Emulator, task: unknown = aTask): Promise<Reply> =>
  post(`${emulator.url}/createTask`, { clientKey: EMULATOR_KEY, task })
export const poll = (emulator: Emulator, taskId: unknown): Promise<Reply> =>
  post(`${emulator.url}/getTaskResult`, pollBody(taskId))

/** Creates a task, and returns its id from the emulator, whatever the reply was. */
export const createdId = async (emulator: Emulator): Promise<string> => {
  await create(emulator)
  return emulator.tasks().at(-1)?.taskId ?? ''
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly body: Buffer
  readonly json: () => unknown
}

/** Sends one request (a POST by default) with Node's own client, on a connection of its own or of the agent. */
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
  /** The bytes received so far. */
  readonly bytes: () => Buffer
  readonly disconnect: () => void
  /** Sends the bytes that were held back. */
  readonly finish: () => void
  /** All bytes until the connection ended, and how it ended. */
  readonly over: Promise<{ readonly bytes: Buffer; readonly end: 'closed' | 'reset' }>
}

/** Sends POST requests over a plain socket. Several paths are pipelined; the last `heldBack` bytes wait for `finish`. */
export const rawPost = (
  url: string,
  paths: ReadonlyArray<string>,
  body: unknown,
  connection = 'close',
  heldBack = 0
): RawExchange => {
  const { hostname, port, host } = new URL(url)
  const json = JSON.stringify(body)
  const chunks: Buffer[] = []
  const bytes = () => Buffer.concat(chunks)
  const head = `host: ${host}\r\nconnection: ${connection}\r\ncontent-type: application/json\r\ncontent-length: ${json.length}`
  const socket = connect(Number(port), hostname)
  const whole = paths.map((path) => `POST ${path} HTTP/1.1\r\n${head}\r\n\r\n${json}`).join('')
  socket.write(whole.slice(0, whole.length - heldBack))
  socket.on('data', (chunk) => chunks.push(chunk))
  const over = new Promise<Awaited<RawExchange['over']>>((resolve) => {
    let end: 'closed' | 'reset' = 'closed'
    socket.once('error', () => (end = 'reset')).once('close', () => resolve({ bytes: bytes(), end }))
  })
  const finish = () => socket.write(whole.slice(whole.length - heldBack))
  return { bytes, disconnect: () => socket.destroy(), finish, over }
}

/** Waits until the condition holds; throws after 5 s. */
export const until = async (holds: () => boolean): Promise<void> => {
  // Before the limit of jest, which would not stop this loop.
  const deadline = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 5 s: ${String(holds)}`)
    // Not setImmediate, which would take the CPU that the condition waits for.
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
