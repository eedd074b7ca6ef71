import { readFile, rm, writeFile } from 'node:fs/promises'
import { WrongUsage } from './context.js'
import { shellQuoted } from './text.js'

/*
 * A file next to an output names the queue that its outcomes come from, as long as some may be missing. A batch without the queue
 * would not know what is paid for there, and pay for it again.
 */
const markerOf = (out: string): string => `${out}.queue`

/** The queue that an output belongs to. */
export const queueOfOutput = async (out: string): Promise<string | undefined> => {
  const text = await readFile(markerOf(out), 'utf8').catch(() => undefined)
  // A name may have blanks around it.
  return text?.replace(/\n$/, '')
}

export const markOutput = (out: string, queue: string): Promise<void> =>
  writeFile(markerOf(out), `${queue}\n`, { mode: 0o600 })

export const unmarkOutput = (out: string): Promise<void> => rm(markerOf(out), { force: true })

/** Refuses an output of a queue, for a batch without one. */
export const refuseOutputOfQueue = async (out: string): Promise<void> => {
  const queue = await queueOfOutput(out)
  if (queue === undefined) return
  throw new WrongUsage(
    `--out: ${out} holds outcomes of the queue ${queue}, where tasks of this batch may be paid for. ` +
      `Use --queue ${shellQuoted(queue)}, or delete ${markerOf(out)} if that queue is gone`
  )
}
