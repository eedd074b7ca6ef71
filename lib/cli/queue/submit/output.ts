import type { JournalEntry } from '../../../core/model/journal.js'
import type { JournalChoice } from '../../batch/files.js'
import { markOutput, queueOfOutput, unmarkOutput } from '../../batch/out-queue.js'
import { WrongUsage } from '../../shared/context.js'
import { OutputMemory, hasUnfinished } from './memory.js'

type KeyEntries = Iterable<readonly [key: string, entry: JournalEntry]>

/** The output of a batch in a queue, and what it knows of earlier runs. */
export class QueueOutput {
  readonly memory = new OutputMemory()
  #path: string | undefined
  #ownEntries: () => KeyEntries = () => []

  /** The lines are read into the memory; the journal next to the output only keeps other runs away from it. */
  readonly chooseJournal: JournalChoice = (own, _other, path) => {
    this.#path = path
    if (own) this.#ownEntries = own.entries
    return Promise.resolve(this.memory)
  }

  /** Makes the output that of a queue; refuses one with unfinished tasks of a batch without a queue, or of another queue. */
  async claim(queue: string): Promise<void> {
    const path = this.#path
    if (path === undefined) return
    const found = await queueOfOutput(path)
    if (found === queue) return
    if (found !== undefined)
      throw new WrongUsage(`--out: ${path} holds outcomes of the queue ${found}; expected another file`)
    if (hasUnfinished(this.#ownEntries()) || hasUnfinished(this.memory.entries))
      throw new WrongUsage(
        `--out: ${path} belongs to a batch without --queue, with tasks that are paid for, or perhaps, and unfinished. ` +
          'Finish it without --queue, or use another file'
      )
    await markOutput(path, queue)
  }

  /** Makes it an output like any other: nothing of the batch is left in the queue. */
  async release(): Promise<void> {
    if (this.#path !== undefined) await unmarkOutput(this.#path)
  }
}
