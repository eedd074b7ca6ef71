import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { WorkerOptions } from 'bullmq'
import type { Observable } from 'rxjs'
import { recaptchaV2, type RecaptchaV2Solution, type SolverOptions } from 'rx-captcha'
import { submitAll, taskWorkerOptions, type SubmitOutcome, type TaskWorkerSettings } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { longRunOf } from './long-run.js'
import type { QueueRig } from './queue.js'

const SHORT = 40

/** The jobs of a test; `npm run chaos:queue` sets a large number, and then the locks are the recommended ones. */
export const { count: JOBS, seed: SEED, timeoutMs: TIMEOUT_MS } = longRunOf('QUEUE', SHORT)
export const IS_LONG = JOBS > SHORT
if (IS_LONG) jest.setTimeout(TIMEOUT_MS)

const { lockDuration, stalledInterval } = taskWorkerOptions()
export const RECOMMENDED_LOCKS = { lockDuration, stalledInterval }

/** A dead worker is noticed after a second in a short run. */
export const LOCKS = IS_LONG ? RECOMMENDED_LOCKS : { lockDuration: 600, stalledInterval: 200 }
/** BullMQ waits for a second before it connects again. */
const RECONNECT = IS_LONG ? {} : { reconnectMs: 50 }

interface Message {
  readonly ready?: true
  readonly active?: string
  readonly closed?: true
}

export interface WorkerProcess {
  /** Resolves when the worker takes jobs. */
  readonly ready: Promise<unknown>
  /** When it last began each of its jobs. */
  readonly begun: ReadonlyMap<string, number>
  readonly kill: (signal: NodeJS.Signals) => void
  /** Resolves with the exit code when the process has ended. */
  readonly ended: Promise<number | null>
}

const running = new Set<ChildProcess>()
/** Processes whose worker was closed. They are used again, because it takes half a second of CPU time to load a worker. */
const idle: ChildProcess[] = []
afterAll(() => {
  for (const child of running) child.kill('SIGKILL')
})

const startProcess = (build: string): ChildProcess => {
  const argv = [join(__dirname, 'queue-worker.cjs'), build]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Resolves with the first message that the test accepts, or when the process has ended. */
const messageOf = (child: ChildProcess, isIt: (message: Message) => boolean): Promise<void> =>
  new Promise((resolve) => {
    const onMessage = (message: Message) => {
      if (!isIt(message)) return
      child.off('message', onMessage)
      resolve()
    }
    child.on('message', onMessage)
    child.once('exit', () => {
      resolve()
    })
  })

/**
 * Starts a worker in a process that has no other one. At the end of the test a process that got a signal is killed, and any other
 * one closes its worker.
 */
export const startWorker = (
  rig: QueueRig,
  build: string,
  emulator: Emulator,
  options: {
    readonly solver?: Partial<SolverOptions>
    readonly worker?: Partial<WorkerOptions>
    readonly task?: TaskWorkerSettings
  } = {}
): WorkerProcess => {
  const child = idle.pop() ?? startProcess(build)
  child.send({
    queueName: rig.name,
    connection: rig.redis.connection,
    ...RECONNECT,
    solverOptions: { clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 50, ...options.solver },
    workerOptions: { ...LOCKS, drainDelay: 0.1, ...options.worker },
    taskOptions: options.task,
    graceMs: 0
  })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  const begun = new Map<string, number>()
  const onMessage = ({ active }: Message) => {
    if (active !== undefined) begun.set(active, Date.now())
  }
  child.on('message', onMessage)
  let hasSignal = false
  const kill = (signal: NodeJS.Signals) => {
    hasSignal = true
    child.kill(signal)
  }
  rig.onEnd(async () => {
    if (hasSignal) {
      child.kill('SIGKILL')
      await ended
      return
    }
    const closed = messageOf(child, (message) => message.closed === true)
    child.send('close')
    await closed
    child.off('message', onMessage)
    idle.push(child)
  })
  return { begun, ready: messageOf(child, ({ ready }) => ready === true), kill, ended }
}

export const pagesOf = (count: number) => Array.from({ length: count }, (_, index) => `https://example.com/${index}`)

/** The outcomes of a page for each, which its producer awaits. */
export const submitted = async (
  rig: QueueRig,
  pages: ReadonlyArray<string>
): Promise<Observable<SubmitOutcome<string, RecaptchaV2Solution>>> => {
  const [queue, events] = [rig.queue(), await rig.events()]
  const options = { queue, events, kind: recaptchaV2, keyOf: (page: string) => page, toData: (page: string) => page }
  return submitAll(pages, { ...options, checkEveryMs: 300, lostAfterMs: IS_LONG ? 40_000 : 2_000 })
}

export const tagsOf = (outcomes: ReadonlyArray<SubmitOutcome<string, unknown>>) =>
  outcomes.map(({ result }) => (result._tag === 'Right' ? 'Solved' : result.left._tag)).sort()

export const countOf = (tags: ReadonlyArray<string>, tag: string) => tags.filter((one) => one === tag).length

/** The outcomes that are neither solved nor in doubt. */
export const unexpectedIn = (outcomes: ReadonlyArray<SubmitOutcome<string, unknown>>) =>
  outcomes.filter(({ result }) => result._tag === 'Left' && result.left._tag !== 'CreateUnknown')

/** How many tasks the emulator had at a time that were neither ready nor asked for. */
export const mostUnfinished = (emulator: Emulator): number => {
  const changes = emulator
    .tasks()
    .flatMap(({ acceptedAt, deliveredAt }) => [
      { at: acceptedAt, by: 1 },
      ...(deliveredAt === undefined ? [] : [{ at: deliveredAt, by: -1 }])
    ])
    .sort((one, other) => one.at - other.at || one.by - other.by)
  let [now, most] = [0, 0]
  for (const { by } of changes) most = Math.max(most, (now += by))
  return most
}
