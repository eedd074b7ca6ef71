import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { WorkerOptions } from 'bullmq'
import type { Observable } from 'rxjs'
import { recaptchaV2, type RecaptchaV2Solution, type SolverOptions } from 'rx-captcha'
import { submitAll, taskWorkerOptions, type SubmitOutcome, type TaskWorkerSettings } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { longRunOf } from './long-run.js'
import type { QueueRig } from './queue.js'

/** The jobs of a test; `npm run chaos:queue` sets a large number, and then the locks are the recommended ones. */
export const { count: JOBS, seed: SEED, timeoutMs: TIMEOUT_MS } = longRunOf('QUEUE', 120)
export const IS_LONG = JOBS > 120

const { lockDuration, stalledInterval } = taskWorkerOptions()

/** A dead worker is noticed after a second in a short run. */
export const LOCKS = IS_LONG ? { lockDuration, stalledInterval } : { lockDuration: 600, stalledInterval: 200 }

export interface WorkerProcess {
  /** Resolves when the worker takes jobs. */
  readonly ready: Promise<unknown>
  /** When it last began each of its jobs. */
  readonly begun: ReadonlyMap<string, number>
  readonly kill: (signal: NodeJS.Signals) => void
  /** Resolves with the exit code when the process has ended. */
  readonly ended: Promise<number | null>
  readonly isEnded: () => boolean
}

/** Starts a worker in a process of its own. It is killed at the end of the test. */
export const startWorker = (
  rig: QueueRig,
  build: string,
  emulator: Emulator,
  options: {
    readonly solver?: Partial<SolverOptions>
    readonly worker?: Partial<WorkerOptions>
    readonly task?: TaskWorkerSettings
    readonly graceMs?: number
  } = {}
): WorkerProcess => {
  const settings = {
    queueName: rig.name,
    connection: rig.redis.connection,
    solverOptions: { clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 50, ...options.solver },
    workerOptions: { ...LOCKS, drainDelay: 1, ...options.worker },
    taskOptions: options.task,
    graceMs: options.graceMs ?? 0
  }
  const child: ChildProcess = spawn(
    process.execPath,
    [join(__dirname, 'queue-worker.cjs'), build, JSON.stringify(settings)],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  rig.onEnd(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const begun = new Map<string, number>()
  createInterface(child.stdout!).on('line', (line) => {
    const [word, jobId] = line.split(' ')
    if (word === 'active' && jobId !== undefined) begun.set(jobId, Date.now())
  })
  return {
    begun,
    ready: once(child.stdout!, 'data'),
    kill: (signal) => child.kill(signal),
    ended,
    isEnded: () => child.exitCode !== null || child.signalCode !== null
  }
}

export const pagesOf = (count: number) => Array.from({ length: count }, (_, index) => `https://example.com/${index}`)

/** The outcomes of a page for each, which its producer awaits. */
export const submitted = async (
  rig: QueueRig,
  pages: ReadonlyArray<string>
): Promise<Observable<SubmitOutcome<string, RecaptchaV2Solution>>> => {
  const [queue, events] = [rig.queue(), await rig.events()]
  const options = { queue, events, kind: recaptchaV2, keyOf: (page: string) => page, toData: (page: string) => page }
  return submitAll(pages, { ...options, checkEveryMs: 300, lostAfterMs: IS_LONG ? 40_000 : 4_000 })
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
