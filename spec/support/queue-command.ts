import type { Queue } from 'bullmq'
import type { Emulator } from 'rx-captcha/emulator'
import { linesIn, ndjson, testFiles } from './batch.js'
import { command, envOf, type CommandOptions } from './command.js'
import { QueueRig } from './queue.js'

type RunningCommand = ReturnType<typeof command>

/** The commands for a queue, on a redis-server of their own. Each test has a new queue; what it started is stopped after it. */
export class QueueCommands extends QueueRig {
  readonly #files = testFiles()

  get flags(): ReadonlyArray<string> {
    return ['--redis', this.redis.url, '--queue', this.name]
  }

  file(ending: string, text?: string): string {
    return this.#files.file(ending, text)
  }

  /** The queue, for jobs of any data. */
  taskQueue(): Queue {
    return this.queue()
  }

  work(emulator: Emulator, more: ReadonlyArray<string> = [], options: CommandOptions = {}): RunningCommand {
    return this.#run(['worker', ...this.flags, ...more], { env: envOf(emulator), ...options })
  }

  /** `batch` of these items. The service is the affair of the workers, so it has no environment. */
  batch(items: ReadonlyArray<object>, more: ReadonlyArray<string> = [], options: CommandOptions = {}): RunningCommand {
    return this.#run(['batch', this.file('.ndjson', ndjson(...items)), ...this.flags, ...more], options)
  }

  #run(argv: ReadonlyArray<string>, options: CommandOptions): RunningCommand {
    const running = command(argv, options)
    this.onEnd(async () => {
      // Two, so that a worker hands its jobs over, and closes its connections.
      for (let nth = 0; nth < 2; nth += 1) running.signal('SIGTERM')
      await running.code
    })
    return running
  }
}

/** The end of a command with the lines of its output. */
export const endOf = async ({ ended }: RunningCommand) => {
  const end = await ended()
  return { ...end, lines: linesIn(end.out) }
}
