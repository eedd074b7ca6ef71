import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, ReplaySubject, concatMap, defer, from, lastValueFrom, tap, type SchedulerLike } from 'rxjs'
import type { Outcome } from '../../core/model/batch.js'
import type { Solver } from '../../core/solver.js'
import { entryAfter, type Journal } from '../../core/model/journal.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import { KeyRing } from './item.js'
import { lineOf, type Numbered } from './outcome.js'
import type { Places } from './files.js'
import { Tally } from './stats.js'
import type { SolverOptions } from '../../core/model/options.js'

type Result = Outcome<Numbered, RecaptchaV2Solution>['result']

/** What a batch is told. */
export interface Orders {
  readonly places: Places
  readonly options: SolverOptions
  readonly concurrency: number | undefined
  /** The embedded emulator, whose tasks end with this command. */
  readonly embedded: boolean
  /** What was typed, to be typed again. */
  readonly commandLine: string
  readonly scheduler: SchedulerLike
}

/** How far the user wants to go: 1 takes no more, 2 stops now, 3 waits for nothing. */
export class Wishes {
  signal: NodeJS.Signals | undefined
  readonly #takeNoMore = new ReplaySubject<void>(1)
  readonly #stopNow = new ReplaySubject<void>(1)
  readonly #leave = new ReplaySubject<void>(1)
  #level = 0

  readonly takeNoMore = this.#takeNoMore.asObservable()
  readonly stopNow = this.#stopNow.asObservable()
  readonly leave = this.#leave.asObservable()

  /** Who sends SIGTERM or SIGHUP does not wait five minutes. */
  hear(signal: NodeJS.Signals): void {
    this.signal ??= signal
    this.#level = this.#level === 0 && signal !== 'SIGINT' ? 2 : this.#level + 1
    this.end()
    if (this.#level === 2) this.#stopNow.next()
    if (this.#level > 2) this.#leave.next()
  }

  get isPatient(): boolean {
    return this.#level === 1
  }

  end(): void {
    this.#takeNoMore.next()
  }
}

/** One run of a batch, from its items to its outcomes. */
export class Run {
  readonly tally: Tally
  readonly wishes = new Wishes()
  readonly #ring: KeyRing | undefined
  readonly #writing = new Set<Promise<boolean>>()
  readonly #written = new Map<string, Promise<boolean>>()
  #isExhausted = false

  constructor(
    private readonly orders: Orders,
    private readonly solver: Solver
  ) {
    const { places, scheduler } = orders
    this.tally = new Tally(scheduler.now())
    // Keys are remembered, all of them: only where somebody asks for them.
    this.#ring = places.isRemembered ? new KeyRing() : undefined
    solver.events.subscribe((event) => this.tally.hear(event))
    solver.orphans.subscribe(({ ref }) => this.tally.untold.push(ref))
  }

  /** Nothing is left to be taken. */
  get isExhausted(): boolean {
    return this.#isExhausted
  }

  async solve(): Promise<void> {
    const { concurrency, places } = this.orders
    const until = this.wishes.takeNoMore
    const toTask = ({ task }: Numbered) => {
      this.tally.taken += 1
      return task
    }
    const remembered = places.journal && {
      journal: this.#afterWriting(places.journal),
      keyOf: ({ key = '' }: Numbered) => key
    }
    const outcomes = this.solver.solveAll(this.#items(), toTask, { concurrency, until, ...remembered })
    await lastValueFrom(outcomes.pipe(tap(({ item, result }) => this.#put(item, result))), { defaultValue: undefined })
  }

  async written(): Promise<void> {
    await Promise.all(this.#writing)
  }

  async *#items(): AsyncGenerator<Numbered> {
    const { places, options } = this.orders
    let index = -1
    for await (const item of places.input.items(options.clientKey)) {
      index += 1
      const key = this.#ring?.keyOf(item)
      if (this.#ring && key === undefined) this.tally.repeated += 1
      else if (key !== undefined && (await this.#isDone(key))) this.tally.done += 1
      else {
        await places.out.ready()
        yield { ...item, index, key }
      }
    }
    this.#isExhausted = true
  }

  /** Whether its line says all; without a journal nothing that may have been paid for is bought again. */
  async #isDone(key: string): Promise<boolean> {
    const { out, journal } = this.orders.places
    const last = out.lastOf(key)
    if (!last) return false
    if (!journal) return last.isPaid
    if (entryAfter(last.tag) !== 'Finished') return false
    // Who died between the line and the journal left it to us to tell.
    await lastValueFrom(journal.ended(key, last.tag), { defaultValue: undefined })
    return true
  }

  #put(item: Numbered, result: Result): void {
    this.tally.count(result, item.line)
    const { key } = item
    const writing = this.orders.places.out.put(lineOf(item, result)).then((isWritten) => {
      this.#writing.delete(writing)
      if (!isWritten) this.#unwritten(result)
      return isWritten
    })
    this.#writing.add(writing)
    if (key !== undefined) this.#written.set(key, writing)
  }

  #unwritten(result: Result): void {
    this.tally.unwritten += 1
    this.wishes.end()
    if (E.isRight(result)) this.tally.untold.push(result.right.ref)
    else if ('ref' in result.left) this.tally.untold.push(result.left.ref)
  }

  /** A journal that hears of an end for good once the line is written: until then the task can be had again. */
  #afterWriting(journal: Journal): Journal {
    const ended: Journal['ended'] = (key, tag) =>
      defer(() => {
        const writing = this.#written.get(key) ?? Promise.resolve(true)
        this.#written.delete(key)
        return from(writing)
      }).pipe(concatMap((isWritten) => (isWritten || entryAfter(tag) !== 'Finished' ? journal.ended(key, tag) : EMPTY)))
    return { ...journal, ended }
  }
}
