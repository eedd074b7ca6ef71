import type { FileHandle } from 'node:fs/promises'
import { JournalError, journalErrorOf } from './error.js'

/** Told once, later than the call: what was written is on the disk, or why it is not. */
export type Done = (error: JournalError | undefined) => void

/** Appends lines, durably and in order. What is written while the disk is busy shares the next write. */
export class AppendLog {
  #lines: string[] = []
  #waiting: Done[] = []
  #writing: Promise<void> | undefined
  #broken: JournalError | undefined

  constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly isOurs: () => boolean
  ) {}

  write(line: string, done: Done): void {
    this.#lines.push(line)
    this.settled(done)
  }

  /** Tells when all that was written so far is on the disk. */
  settled(done: Done): void {
    this.#waiting.push(done)
    this.#writing ??= this.#writeAll()
  }

  /** Waits for what is being written, and lets the file go. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing
    this.#broken ??= new JournalError(this.path, 'is closed', 'Close it after the last outcome.')
    await this.handle.close()
  }

  async #writeAll(): Promise<void> {
    // What is asked for in the same turn shares the first write already.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const [lines, waiting] = [this.#lines, this.#waiting]
      this.#lines = []
      this.#waiting = []
      if (lines.length > 0 && !this.#broken) this.#broken = await this.#writeDown(lines.join(''))
      for (const done of waiting) done(this.#broken)
    }
    this.#writing = undefined
  }

  /** After a failure the file may end in a cut line, or belong to somebody else: nothing is written any more. */
  async #writeDown(text: string): Promise<JournalError | undefined> {
    try {
      await this.handle.appendFile(text)
      await this.handle.datasync()
      // Who takes a journal over puts a new file in its place: what we wrote is in the old one.
      const { nlink } = await this.handle.stat()
      return nlink > 0 && this.isOurs() ? undefined : taken(this.path)
    } catch (error) {
      return journalErrorOf(this.path, 'cannot be written any more', error)
    }
  }
}

const taken = (path: string): JournalError =>
  new JournalError(
    path,
    'or its lock was removed, or another process took it over',
    'Nothing more is created here: let the other process go on, or start again.'
  )
