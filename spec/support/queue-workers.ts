import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { WorkerOptions } from 'bullmq'
import type { SolverOptions } from 'rx-captcha'
import type { TaskWorkerSettings } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import type { QueueRig } from './queue.js'

/** Notices a dead worker after a second. */
export const SHORT_LOCKS = { lockDuration: 600, stalledInterval: 200, drainDelay: 1 }

export interface WorkerProcess {
  /** Resolves when the worker takes jobs. */
  readonly ready: Promise<unknown>
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
    workerOptions: { ...SHORT_LOCKS, ...options.worker },
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
  return {
    ready: once(child.stdout!, 'data'),
    kill: (signal) => child.kill(signal),
    ended,
    isEnded: () => child.exitCode !== null || child.signalCode !== null
  }
}
