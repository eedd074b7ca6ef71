import { defer, of, type Observable } from 'rxjs'
import { entryAfter, type JournalEntry } from '../../../core/model/journal.js'
import type { TaskRef } from '../../../core/model/task.js'
import type { FileJournal } from '../../../journal/index.js'
import type { JournalChoice } from '../../batch/files.js'
import type { BatchJournal } from '../../batch/journals.js'
import { markOutput, queueOfOutput, unmarkOutput } from '../../shared/out-queue.js'
import { WrongUsage } from '../../shared/context.js'

type KeyEntries = Iterable<readonly [key: string, entry: JournalEntry]>

/** The output of a batch in a queue, and what it knows of earlier runs. */
export class QueueOutput {
  readonly #memory = new OutputMemory()
  #path: string | undefined
  #own: FileJournal | undefined

  /** The lines are read into the memory; the journal next to the output only keeps other runs away from it. */
  readonly chooseJournal: JournalChoice = (own, _other, path) => {
    this.#path = path
    this.#own = own
    return Promise.resolve(this.#memory)
  }

  /** What the output says about a key. */
  entryOf(key: string): JournalEntry {
    return this.#memory.entryOf(key)
  }

  /** Makes the output that of a queue; refuses one of another queue, or of a batch without a queue that has something left to do. */
  async claim(queue: string): Promise<void> {
    const path = this.#path
    if (path === undefined) return
    const found = await queueOfOutput(path)
    if (found === queue) return
    if (found !== undefined)
      throw new WrongUsage(`--out: ${path} holds outcomes of the queue ${found}; use another file`)
    const unfinished = this.#unfinished()
    if (unfinished !== undefined)
      throw new WrongUsage(
        `--out: ${path} belongs to a batch without --queue and has ${unfinished}. ` +
          'Finish that batch without --queue, or use another file'
      )
    await markOutput(path, queue)
  }

  /** What is unfinished in the output, if a batch without a queue wrote it. */
  #unfinished(): string | undefined {
    const own = new Map(this.#own?.entries())
    if (hasUnfinished(own) || hasUnfinished(this.#memory.entries))
      return 'unfinished tasks that are, or may be, paid for'
    // A queue would skip such a key by its old line, or remember its task.
    const isReleased = [...(this.#own?.releasedKeys() ?? [])].some((key) => !own.has(key))
    return isReleased ? 'released keys' : undefined
  }

  /** Makes it an output like any other: nothing of the batch is left in the queue. */
  async release(): Promise<void> {
    if (this.#path !== undefined) await unmarkOutput(this.#path)
  }
}

/** Whether some key has a task that is or may be paid for, and no final outcome. */
const hasUnfinished = (entries: KeyEntries): boolean =>
  [...entries].some(([, { _tag }]) => _tag === 'Known' || _tag === 'InDoubt')

/**
 * What the lines of an output say about keys, the last one of each: a journal that ends with the command, because the queue has a
 * memory of its own.
 */
class OutputMemory implements BatchJournal {
  readonly #entries = new Map<string, JournalEntry>()

  get entries(): KeyEntries {
    return this.#entries
  }

  entryOf(key: string): JournalEntry {
    return this.#entries.get(key) ?? { _tag: 'Fresh' }
  }

  readonly find = (key: string): Observable<JournalEntry> => defer(() => of(this.entryOf(key)))

  readonly begin = (key: string): Observable<JournalEntry> =>
    defer(() => {
      const entry = this.entryOf(key)
      this.#entries.set(key, { _tag: 'InDoubt' })
      return of(entry)
    })

  readonly created = (key: string, ref: TaskRef): Observable<void> => this.#change(key, { _tag: 'Known', ref })

  readonly ended = (key: string, tag: string): Observable<void> =>
    entryAfter(tag) === 'Finished' ? this.#change(key, { _tag: 'Finished', tag }) : of(undefined)

  readonly release = (key: string): Observable<void> => defer(() => of(void this.#entries.delete(key)))

  readonly isReleased = (): boolean => false

  #change(key: string, entry: JournalEntry): Observable<void> {
    return defer(() => of(void this.#entries.set(key, entry)))
  }
}
