import type { EventEmitter } from 'node:events'
import { ReplaySubject, type Observable } from 'rxjs'
import { causeOf } from '../../core/model/network.js'
import { messageOf, shellQuoted } from '../shared/text.js'

/** What a user has to know about a queue while a command runs: each thing once, and not at each try of BullMQ. */
export class QueueNotices {
  readonly #name: string
  readonly #notices = new ReplaySubject<string>(MAX_KEPT)
  readonly #reported = new Set<string>()
  #isLost = false
  #isPaused = false
  #hasReason = false

  constructor(name: string) {
    this.#name = name
  }

  /** The lines to print; late subscribers get the last ones as well. */
  get lines(): Observable<string> {
    return this.#notices.asObservable()
  }

  readonly print = (line: string): void => {
    this.#notices.next(line)
  }

  /** Redis cannot be reached; BullMQ tries again until it can. */
  readonly onLost = (error: unknown): void => {
    if (this.#isLost) return
    this.#isLost = true
    this.print(`The connection to Redis was lost (${causeOf(error).code || messageOf(error)}); reconnecting.`)
  }

  readonly onReady = (): void => {
    if (this.#isLost) this.print('Reconnected to Redis.')
    this.#isLost = false
  }

  readonly onPaused = (): void => {
    if (this.#isPaused) return
    this.#isPaused = true
    this.print(
      'The queue is paused: no jobs are started. Once the cause is fixed, resume the queue:\n' +
        `  rx-captcha worker --queue ${shellQuoted(this.#name)} --resume-queue`
    )
  }

  /** This process has paused the queue, perhaps for several jobs. It may know so before or after the pause. */
  onReason(reason: string): void {
    if (!this.#hasReason) this.print(`This worker paused the queue. ${reason}`)
    this.#hasReason = true
  }

  readonly onResumed = (): void => {
    if (this.#isPaused) this.print('The queue was resumed.')
    this.#isPaused = false
    this.#hasReason = false
  }

  /** Prints the errors that BullMQ emits. Without a listener, it would print them itself, or end the process. */
  watch(emitter: Pick<EventEmitter, 'on'>): void {
    emitter.on('error', (error: unknown) => {
      const message = messageOf(error)
      // The same happens to many jobs at a time.
      const kind = message.replace(/\bjob:? \S+/i, 'job')
      if (isConnectionError(error) || this.#reported.has(kind)) return
      this.#reported.add(kind)
      this.print(`BullMQ: ${message}`)
    })
  }
}

const MAX_KEPT = 10

/** Each connection of BullMQ emits them; the notice about one of them is enough. */
const isConnectionError = (error: unknown): boolean =>
  /^E[A-Z]+$/.test(causeOf(error).code) || messageOf(error).startsWith('Connection is closed')
