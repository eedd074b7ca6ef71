import * as E from 'fp-ts/lib/Either.js'
import { concatMap, defer, map, tap, type Observable } from 'rxjs'
import type { SolveError } from '../../core/model/error.js'
import { entryAfter, type Journal, type JournalEntry } from '../../core/model/journal.js'
import { refOfError, refOfResult, type SolveResult } from '../../core/model/result.js'
import type { Solved, TaskRef } from '../../core/model/task.js'
import type { Records, ScriptFields } from './records.js'

/** How long records are kept. */
export interface Keeping {
  /** A token of a kind that says nothing about its validity. */
  readonly tokenMs: number
  /** The record of a finished key. */
  readonly recordMs: number
}

/** A task that is paid for, and whether its record holds its id. */
export interface PaidTask {
  readonly ref: TaskRef
  readonly isRecorded: boolean
}

/**
 * A journal of one run of a processor, in Redis. It is also a fence: BullMQ's lock does not guard what a processor writes, so a
 * worker that was frozen may continue a job that another worker has taken over. Each run has an id, and each change is
 * compared with the id of the run that the record belongs to.
 */
export class JobJournal implements Journal {
  readonly #records: Records
  readonly #run: string
  readonly #lock: string
  readonly #keeping: Keeping

  /** `lock` is the token of BullMQ's lock. */
  constructor(records: Records, { run, lock }: { readonly run: string; readonly lock: string }, keeping: Keeping) {
    this.#records = records
    this.#run = run
    this.#lock = lock
    this.#keeping = keeping
  }

  /** With which tag the key is finished, if `find` found that it is. */
  finishedTag: string | undefined

  /** The task that this run has created or found. */
  paidTask: PaidTask | undefined

  readonly find = (key: string): Observable<JournalEntry> =>
    this.#entry('find', key).pipe(
      tap((entry) => {
        if (entry._tag === 'Finished') this.finishedTag = entry.tag ?? 'Solved'
        if (entry._tag === 'Known') this.paidTask = { ref: entry.ref, isRecorded: true }
      })
    )

  readonly begin = (key: string): Observable<JournalEntry> => this.#entry('begin', key)

  readonly created = (key: string, ref: TaskRef): Observable<void> =>
    this.#writeTask(ref, this.#command('created', key, JSON.stringify(ref)))

  readonly ended = (key: string, tag: string): Observable<void> =>
    this.#command('ended', key, entryAfter(tag), tag, this.#keeping.recordMs).pipe(map(() => undefined))

  /**
   * Stores an outcome for the producer: a token under a key that expires with it, an error in the record. `validForMs` is for how long
   * a token of its kind is valid.
   */
  deliver(key: string, result: SolveResult<unknown>, validForMs?: number): Observable<void> {
    const stored = E.isRight(result) ? this.#deliverToken(key, result.right, validForMs) : this.#fail(key, result.left)
    const ref = refOfResult(result)
    return ref ? this.#writeTask(ref, stored) : stored.pipe(map(expectOwned))
  }

  /** Writes something that holds the id of a task. */
  #writeTask(ref: TaskRef, write: Observable<number>): Observable<void> {
    return defer(() => {
      this.paidTask ??= { ref, isRecorded: false }
      return write
    }).pipe(
      map(expectOwned),
      tap(() => {
        this.paidTask = { ref, isRecorded: true }
      })
    )
  }

  #deliverToken(key: string, solved: Solved<unknown>, validForMs: number | undefined): Observable<number> {
    const [json, ref] = [JSON.stringify(solved), JSON.stringify(solved.ref)]
    // The life of the token is computed once Redis replies, because a command may wait a minute for Redis.
    return defer(() => this.#records.fields('owner', key)).pipe(
      concatMap(() => {
        const keptMs = this.#keptMs(solved, validForMs)
        const validMs = solved.expiresAt === undefined ? keptMs : Math.floor(solved.expiresAt - Date.now())
        return this.#command('deliver', key, json, keptMs, this.#keeping.recordMs, ref, validMs)
      })
    )
  }

  #fail(key: string, error: SolveError): Observable<number> {
    const ref = refOfError(error)
    const json = ref ? JSON.stringify(ref) : ''
    return this.#command('fail', key, this.#lock, JSON.stringify(error), this.#keeping.recordMs, error.paid, json)
  }

  /** Whether another run has become the owner of a key. */
  async isTakenOver(key: string): Promise<boolean> {
    const [owner] = await this.#records.fields('owner', key)
    return owner !== undefined && owner !== this.#run
  }

  /** How often the task of a key was given back to be resumed, with this time. */
  resumed(key: string): Observable<number> {
    return this.#command('resumed', key)
  }

  /**
   * How long the token may still be valid. `expiresAt` is too early for this: a task that was resumed may have become ready at any time
   * since its creation. Redis counts it down by its own clock.
   */
  #keptMs({ readyAt }: Solved<unknown>, validForMs: number | undefined): number {
    return validForMs === undefined ? this.#keeping.tokenMs : Math.max(1, Math.floor(readyAt + validForMs - Date.now()))
  }

  #entry(script: 'find' | 'begin', key: string): Observable<JournalEntry> {
    return defer(() => this.#records.fields(script, key, this.#run, this.#lock)).pipe(map(recordedEntry))
  }

  #command(script: Parameters<Records['number']>[0], key: string, ...args: ReadonlyArray<string | number>) {
    return defer(() => this.#records.number(script, key, this.#run, ...args))
  }
}

const recordedEntry = ([state, ref, tag]: ScriptFields): JournalEntry => {
  switch (state) {
    case undefined:
    case 'fresh':
      return { _tag: 'Fresh' }
    case 'created':
      return { _tag: 'Known', ref: JSON.parse(String(ref)) as TaskRef }
    case 'taken':
      throw new JobTakenOver()
    case 'finished':
      return { _tag: 'Finished', ...(tag !== undefined && { tag }) }
    default:
      return { _tag: 'InDoubt' }
  }
}

const expectOwned = (reply: number): void => {
  if (reply === 0) throw new JobTakenOver()
}

/** Another worker has taken the job over, so the outcome of this run does not count. */
export class JobTakenOver extends Error {
  override readonly name = 'JobTakenOver'

  constructor() {
    super(
      'Another worker has taken this job over, because this one did not renew its lock in time. The outcome of this run is dropped: ' +
        'what the other worker records counts.'
    )
  }
}
