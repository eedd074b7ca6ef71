import type { CliContext } from '../shared/context.js'
import type { Service } from '../shared/service.js'
import { shellQuoted } from '../shared/text.js'
import { openFiles } from './files.js'
import type { Format } from './input.js'
import { runBatch } from './run.js'

/** The options of `batch`, besides those of the service. */
export interface BatchFlags {
  readonly format?: Format
  readonly journal?: string
  readonly out?: string
  readonly concurrency?: number
  readonly createsPerSecond?: number
}

/** Solves all tasks of the input; returns the exit code. */
export const batch = async (
  context: CliContext,
  service: Service,
  input: string,
  { concurrency, createsPerSecond, format, out, journal }: BatchFlags,
  argv: ReadonlyArray<string>
): Promise<number> => {
  const files = await openFiles(context, { input, format, out, journal, service })
  try {
    return await runBatch(context, {
      files,
      options: { ...service.options, createsPerSecond },
      concurrency,
      service,
      commandLine: ['rx-captcha', ...argv.map(shellQuoted)].join(' ')
    })
  } finally {
    await files.close()
  }
}
