import type { FileHandle } from 'node:fs/promises'
import { JournalError, NOT_WRITTEN, journalErrorOf } from './error.js'

/** Called once, never synchronously: without an error when the lines are on the disk, otherwise with the error. */
export type Done = (error: JournalError | undefined) => void

/** Appends lines to a file, durably and in order. Lines that arrive during a write share the next one. */
export class AppendLog {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #isOurs: () => boolean
  #lines: string[] = []
  #waiting: Done[] = []
  #writing: Promise<void> | undefined
  #failure: JournalError | undefined

  /** `isOurs` says whether this process still has the lock of the file. */
  constructor(path: string, handle: FileHandle, isOurs: () => boolean) {
    this.#path = path
    this.#handle = handle
    this.#isOurs = isOurs
  }

  write(line: string, done: Done): void {
    this.#lines.push(line)
    this.flush(done)
  }

  /** Calls `done` once everything that was written so far is on the disk. */
  flush(done: Done): void {
    this.#waiting.push(done)
    this.#writing ??= this.#writeAll()
  }

  /** Waits for the writes, then closes the file. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing
    this.#failure ??= new JournalError(
      this.#path,
      'is closed',
      `${NOT_WRITTEN} Close the journal after the last outcome.`
    )
    await this.#handle.close()
  }

  async #writeAll(): Promise<void> {
    // So that calls of the same turn share the first write too.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const [lines, waiting] = [this.#lines, this.#waiting]
      this.#lines = []
      this.#waiting = []
      if (lines.length > 0 && !this.#failure) this.#failure = await this.#append(lines.join(''))
      for (const done of waiting) done(this.#failure)
    }
    this.#writing = undefined
  }

  /** After a failure nothing more is written, because the file may end in half a line or belong to another process. */
  async #append(text: string): Promise<JournalError | undefined> {
    try {
      await this.#handle.appendFile(text)
      await this.#handle.datasync()
      // A process that takes the journal over replaces the file, and then these lines went into the old one.
      const { nlink } = await this.#handle.stat()
      return nlink > 0 && this.#isOurs() ? undefined : takenOver(this.#path)
    } catch (error) {
      return journalErrorOf(this.#path, 'cannot be written any more', NOT_WRITTEN, error)
    }
  }
}

const takenOver = (path: string): JournalError =>
  new JournalError(
    path,
    'is not locked any more: its lock was removed, or another process took it over',
    'No further task is created here. Let the other process continue, or start again.'
  )
