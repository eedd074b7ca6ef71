import * as E from 'fp-ts/lib/Either.js'
import { NEVER, Observable, concat, defer, map, of, tap, timer, type SchedulerAction, type SchedulerLike } from 'rxjs'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { Outcome } from '../../../lib/core/model/batch.js'
import { entryAfter, type Journal, type JournalEntry } from '../../../lib/core/model/journal.js'
import type { NetworkEvent, Post } from '../../../lib/core/model/network.js'
import { resolveOptions } from '../../../lib/core/model/options.js'
import { recaptchaV2, type RecaptchaV2Solution } from '../../../lib/core/model/recaptcha-v2.js'
import { afterCrash, nextKeyState, type Change, type KeyState } from '../../../lib/journal/format.js'
import { KEY } from '../simulate.js'
import { between, drawsOf, pick, type Draw } from './seeded.js'
import { VirtualClock } from './virtual-clock.js'

type BatchOutcome = Outcome<string, RecaptchaV2Solution>

const tokenOf = (taskId: string): string => `token of ${taskId}`

/** A task that the service has created, and charges for. */
interface ServiceTask {
  readonly id: string
  readonly key: string
  readonly readyAt: number
  readonly fails: boolean
}

/** What happened at the service for a key, which the library cannot know. */
interface Account {
  charges: number
  /** Charges that an HTTP 503 without a document hid: each may be followed by another one. */
  hiddenCharges: number
  /** A reply did not say whether a task was created. */
  isAmbiguous: boolean
  /** createTask calls that have no reply yet; they never get one if their run dies. */
  openCalls: number
}

/**
 * One run of a program. When it dies, its timers do not fire any more, and no reply and no confirmation of a write reaches it.
 * The service still handles what it sent.
 */
interface SimulatedRun {
  readonly scheduler: SchedulerLike
  readonly isLast: boolean
  isDead: boolean
  isClosing: boolean
  isClosed: boolean
  journalFailed: boolean
  deliverFailed: boolean
  pulled: number
  emitted: number
}

const CONCURRENCY = 5

type NextState = (state: KeyState | undefined, change: Change) => KeyState | undefined

/** The rules of a journal that was written from the docstrings of `Journal` and `entryAfter` alone. */
const nextByContract: NextState = (state, change) => {
  if ('released' in change) return undefined
  if (state?._tag === 'Finished') return state
  if ('taskId' in change) return { _tag: 'Known', ref: change }
  if ('begun' in change) return state ?? { _tag: 'InDoubt' }
  const entry = entryAfter(change.ended)
  if (entry === 'Finished') return { _tag: 'Finished', tag: change.ended }
  return entry === 'Fresh' && state?._tag === 'InDoubt' ? undefined : state
}

/** Runs a batch again and again, through crashes, journal failures and shutdowns, until a last run ends undisturbed. */
export class BatchSimulation {
  readonly breaches: string[] = []
  readonly #draw: Draw
  readonly #clock = new VirtualClock()
  readonly #nextState: NextState
  readonly #disk = new Map<string, KeyState>()
  readonly #tasks = new Map<string, ServiceTask>()
  readonly #accounts = new Map<string, Account>()
  readonly #saved = new Set<string>()
  /** The last saved outcome of each key, except one that only says that the journal failed. */
  readonly #outcomes = new Map<string, BatchOutcome['result']>()
  /** The tasks that the journal knew when a run started: each has to be resumed. */
  readonly #recorded = new Map<string, string>()
  #diskBusyUntil = 0
  #closing = 0

  constructor(seed: number) {
    this.#draw = drawsOf(seed)
    this.#nextState = this.#draw() < 0.5 ? nextKeyState : nextByContract
  }

  async simulate(items: number): Promise<ReadonlyArray<string>> {
    const keys = Array.from({ length: items }, (_, nth) => `key-${nth}`)
    const repeated = keys.filter(() => this.#draw() < 0.05) // the same key twice in one input
    const disturbedRuns = between(this.#draw, 0, 6)
    for (let nth = 0; nth <= disturbedRuns; nth += 1) await this.#run([...keys, ...repeated], nth === disturbedRuns)
    for (const key of keys) this.#check(key)
    return this.breaches
  }

  #breach(what: string): void {
    this.breaches.push(`at ${this.#clock.now()}: ${what}`)
  }

  async #run(keys: ReadonlyArray<string>, isLast: boolean): Promise<void> {
    const run = this.#startRun(isLast)
    const memory = new Map<string, KeyState>()
    for (const [key, state] of this.#disk) {
      const found = afterCrash(state)
      memory.set(key, found)
      this.#disk.set(key, found) // opening a journal rewrites it
      // If the last run died between `begin` and `created`, createTask may have been sent.
      if (found._tag === 'InDoubt') this.#accountOf(key).isAmbiguous = true
      if (found._tag === 'Finished' && !this.#saved.has(key)) this.#breach(`${key} is finished, and was not saved`)
      if (found._tag === 'Known') this.#recorded.set(key, found.ref.taskId)
    }
    const finished = new Set([...memory].filter(([, { _tag }]) => _tag === 'Finished').map(([key]) => key))
    const solver = buildSolver(
      {
        post: this.#postOf(run, finished),
        scheduler: run.scheduler,
        random: this.#draw,
        close: () => Promise.resolve()
      },
      resolveOptions({
        clientKey: KEY,
        createsPerSecond: this.#draw() < 0.5 ? undefined : 2,
        maxOpenTasks: this.#draw() < 0.8 ? undefined : 2
      })
    )
    const close = (): void => {
      this.#closing += 1
      run.isClosing = true
      const graceMs = between(this.#draw, 0, 20_000)
      void solver.close({ graceMs: isLast ? 0 : graceMs }).then((leftOpen) => {
        this.#closing -= 1
        run.isClosed = true
        if (!run.journalFailed && !run.isDead) for (const { ref } of leftOpen) this.#checkRecorded(ref.taskId)
      })
    }
    // A skipped item has no outcome.
    solver.events.subscribe(({ _tag }) => (run.emitted += _tag === 'Skipped' ? 1 : 0))
    solver
      .solveAll(this.#pull(run, keys), (key) => recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: key }), {
        concurrency: CONCURRENCY,
        journal: this.#journalOf(run, memory),
        keyOf: (key) => key,
        deliver: (outcome) => this.#save(run, finished, outcome)
      })
      .subscribe({
        next: () => (run.emitted += 1),
        error: () => {
          if (!run.journalFailed && !run.deliverFailed) this.#breach('a batch errored without a reason')
          close()
        },
        complete: close
      })
    // A shutdown, and a crash, at any time.
    if (!isLast && this.#draw() < 0.3)
      this.#clock.schedule(() => !run.isDead && close(), between(this.#draw, 0, 60_000))
    if (!isLast && this.#draw() < 0.3) this.#clock.schedule(() => (run.isDead = true), between(this.#draw, 0, 60_000))
    await this.#flush(run)
    if (!run.isDead && !run.isClosed) this.#breach('a run never ends')
    // What this process has sent still reaches the service before the next process starts.
    run.isDead = true
  }

  #startRun(isLast: boolean): SimulatedRun {
    const counts = { pulled: 0, emitted: 0 }
    const faults = { isDead: false, isClosing: false, isClosed: false, journalFailed: false, deliverFailed: false }
    const run: SimulatedRun = { scheduler: this.#clock, isLast, ...faults, ...counts }
    const scheduler: SchedulerLike = {
      now: () => this.#clock.now(),
      schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delayMs?: number, state?: T) =>
        this.#clock.schedule<T>(
          function (given) {
            if (!run.isDead) work.call(this, given)
          },
          delayMs,
          state
        )
    }
    return Object.assign(run, { scheduler })
  }

  async #flush(run: SimulatedRun): Promise<void> {
    const isRunning = () => !run.isDead && !run.isClosed
    while (isRunning()) {
      const stepped = this.#clock.step()
      for (let nth = 0; this.#closing > 0 && nth < 8; nth += 1) await Promise.resolve()
      if (!stepped) return
    }
  }

  *#pull(run: SimulatedRun, keys: ReadonlyArray<string>): Generator<string> {
    for (const key of keys) {
      if (run.isClosing) this.#breach(`${key} is pulled after the close`)
      run.pulled += 1
      yield key
    }
  }

  /** Saves an outcome after some time. It may fail or hang, and a crash may come before, during or after the save. */
  #save(run: SimulatedRun, finished: ReadonlySet<string>, outcome: BatchOutcome): Observable<never> {
    const { item: key, result } = outcome
    // After a failure of the journal the library cannot know what earlier runs did.
    const isUninformed = E.isLeft(result) && 'reason' in result.left && result.left.reason === 'journal'
    if (finished.has(key) && !isUninformed) this.#breach(`${key} is finished, and has another outcome`)
    if (!isUninformed) this.#checkOutcome(key, result)
    this.#mayCrash(run)
    const weights = [
      [0.01, 'fails'],
      [0.01, 'hangs'],
      [0.01, 'crashes after the save']
    ] as const
    const fate = run.isLast
      ? 'completes'
      : pick<(typeof weights)[number][1] | 'completes'>(this.#draw, weights, 'completes')
    // Nothing but a crash ends a batch whose `deliver` hangs.
    if (fate === 'hangs') this.#clock.schedule(() => (run.isDead = true), between(this.#draw, 0, 30_000))
    return new Observable((subscriber) =>
      this.#schedule(run, between(this.#draw, 0, 50), () => {
        if (fate === 'hangs') return
        if (fate === 'fails') {
          run.deliverFailed = true
          subscriber.error(new Error('the database is gone'))
          return
        }
        this.#saved.add(key)
        if (!isUninformed) this.#outcomes.set(key, result)
        if (fate === 'completes') subscriber.complete()
        else run.isDead = true
      })
    )
  }

  #schedule(run: SimulatedRun, ms: number, act: () => void) {
    return run.scheduler.schedule(act, ms)
  }

  #mayCrash(run: SimulatedRun): void {
    if (run.isLast || this.#draw() > 0.01) return
    this.#clock.schedule(() => (run.isDead = true), between(this.#draw, 0, 120))
  }

  /** A journal on the simulated disk. Writes become durable after some time, in the order of the calls, unless the run dies. */
  #journalOf(run: SimulatedRun, memory: Map<string, KeyState>): Journal {
    const entryOf = (key: string): JournalEntry => {
      const state = memory.get(key)
      if (state?._tag === 'Known' || state?._tag === 'InDoubt') return state
      return state ? { _tag: state._tag === 'Begun' ? 'InDoubt' : 'Finished' } : { _tag: 'Fresh' }
    }
    const set = (states: Map<string, KeyState>, key: string, change: Change): void => {
      const next = this.#nextState(states.get(key), change)
      if (next) states.set(key, next)
      else states.delete(key)
    }
    const durable = <A>(key: string, change: Change | undefined, value: A): Observable<A> =>
      new Observable((subscriber) => {
        this.#mayCrash(run)
        const fails = !run.isLast && this.#draw() < 0.002
        this.#diskBusyUntil = Math.max(this.#diskBusyUntil, this.#clock.now()) + between(this.#draw, 0, 20)
        const durableMs = this.#diskBusyUntil - this.#clock.now()
        if (change) set(memory, key, change)
        this.#clock.schedule(() => {
          if (run.isDead || fails) return
          if (change) set(this.#disk, key, change)
        }, durableMs)
        this.#schedule(run, durableMs + between(this.#draw, 0, 20), () => {
          if (fails) {
            run.journalFailed = true
            this.#accountOf(key).isAmbiguous = true // the task id may be what was not recorded
            subscriber.error(new Error('the disk is full'))
            return
          }
          subscriber.next(value)
          subscriber.complete()
        })
      })
    return {
      find: (key) => defer(() => durable(key, undefined, entryOf(key))),
      begin: (key) =>
        defer(() => {
          const entry = entryOf(key)
          return durable(key, entry._tag === 'Fresh' ? { begun: true } : undefined, entry)
        }),
      created: (key, { taskId, createdAt }) => durable(key, { taskId, createdAt }, undefined),
      ended: (key, tag) => durable(key, { ended: tag }, undefined)
    }
  }

  #accountOf(key: string): Account {
    const account = this.#accounts.get(key) ?? { charges: 0, hiddenCharges: 0, isAmbiguous: false, openCalls: 0 }
    this.#accounts.set(key, account)
    return account
  }

  #postOf(run: SimulatedRun, finished: ReadonlySet<string>): Post {
    return (path, body) =>
      defer(() => {
        const text = JSON.stringify(body)
        if (path === '/getTaskResult') return this.#poll(run, /"taskId":"([^"]+)"/.exec(text)?.[1] ?? '')
        const key = /"websiteKey":"([^"]+)"/.exec(text)?.[1] ?? ''
        if (finished.has(key)) this.#breach(`${key} is finished, and createTask was sent for it`)
        if (run.journalFailed) this.#breach(`${key}: createTask was sent after the journal had failed`)
        if (run.pulled - run.emitted > CONCURRENCY) this.#breach('more items are active than the limit')
        return this.#create(run, key)
      })
  }

  #create(run: SimulatedRun, key: string): Observable<NetworkEvent> {
    const account = this.#accountOf(key)
    const charge = (): string => {
      account.charges += 1
      const id = `task-${this.#tasks.size}`
      const readyAt = this.#clock.now() + between(this.#draw, 0, 40_000)
      this.#tasks.set(id, { id, key, readyAt, fails: this.#draw() < 0.1 })
      return id
    }
    const created = () => reply({ errorId: 0, taskId: charge() })
    const fate = pick<() => NetworkEvent | 'never sent' | 'silence'>(
      this.#draw,
      [
        [0.05, () => 'never sent'],
        [0.03, () => reply({ errorId: 1, errorCode: 'ERROR_NO_SLOT_AVAILABLE' })],
        [0.03, () => reply({ errorId: 1, errorCode: 'ERROR_SITEKEY' })],
        [0.02, () => page(503)],
        [0.02, () => (charge(), (account.hiddenCharges += 1), page(503))],
        [0.02, () => (charge(), page(500))],
        [0.02, () => (charge(), failed('ECONNRESET'))],
        [0.02, () => (charge(), 'silence')]
      ],
      created
    )()
    if (fate === 'never sent') return this.#after(run, failed('ECONNREFUSED'))
    account.openCalls += 1
    if (fate === 'silence') return concat(of(SENT), NEVER)
    const onReply = (): void => {
      account.openCalls -= 1
      if (fate._tag !== 'Reply' || fate.status !== 200) account.isAmbiguous = true
    }
    return concat(of(SENT), this.#after(run, fate).pipe(tap(onReply)))
  }

  #poll(run: SimulatedRun, id: string): Observable<NetworkEvent> {
    const task = this.#tasks.get(id)
    if (!task) {
      this.#breach(`a poll for ${id}, which does not exist`)
      return NEVER
    }
    const isReady = task.readyAt <= this.#clock.now()
    const correct = !isReady
      ? reply({ errorId: 0, status: 'processing' })
      : task.fails
        ? reply({ errorId: 1, errorCode: 'ERROR_CAPTCHA_UNSOLVABLE' })
        : reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: tokenOf(id) } })
    const event = pick<NetworkEvent>(
      this.#draw,
      [
        [0.05, failed('ECONNRESET')],
        [0.03, page(502)]
      ],
      correct
    )
    return concat(of(SENT), this.#after(run, event))
  }

  #after(run: SimulatedRun, event: NetworkEvent): Observable<NetworkEvent> {
    return timer(between(this.#draw, 0, 2_000), run.scheduler).pipe(map(() => event))
  }

  #checkOutcome(key: string, result: BatchOutcome['result']): void {
    const account = this.#accountOf(key)
    if (E.isRight(result)) {
      const task = this.#tasks.get(result.right.ref.taskId)
      if (task?.key !== key) this.#breach(`${key} is solved by a task of ${task?.key}`)
      if (result.right.solution.gRecaptchaResponse !== tokenOf(result.right.ref.taskId))
        this.#breach(`${key} has the token of another task`)
      return
    }
    const { left: error } = result
    if (error.paid === 'no' && account.charges > 0)
      this.#breach(`${key}: ${error._tag} says unpaid, and it was charged`)
    if (error._tag !== 'CreateUnknown') return
    if (!account.isAmbiguous && account.openCalls === 0) this.#breach(`${key} is in doubt without a reason`)
    account.isAmbiguous = true // the key stays in doubt, even if a reply arrives later
  }

  /** A process may exit after `close`, so the tasks that it returned have to be in the journal. */
  #checkRecorded(id: string): void {
    const key = this.#tasks.get(id)?.key ?? ''
    const state = this.#disk.get(key)
    const isRecorded = state?._tag === 'Finished' || (state?._tag === 'Known' && state.ref.taskId === id)
    if (!isRecorded) this.#breach(`${key}: close returned ${id}, and the journal has ${state?._tag}`)
  }

  #check(key: string): void {
    const { charges, hiddenCharges } = this.#accountOf(key)
    if (charges > 1 + hiddenCharges)
      this.#breach(`${key} was charged ${charges} times, ${hiddenCharges} of them hidden`)
    if (!this.#saved.has(key)) this.#breach(`${key} has no outcome`)
    const [last, recorded] = [this.#outcomes.get(key), this.#recorded.get(key)]
    if (!last || recorded === undefined) return
    const ref = E.isRight(last) ? last.right.ref : 'ref' in last.left ? last.left.ref : undefined
    if (ref?.taskId !== recorded) this.#breach(`${key}: the recorded ${recorded} was not resumed`)
  }
}

const SENT: NetworkEvent = { _tag: 'Sent' }
const reply = (document: object): NetworkEvent => ({ _tag: 'Reply', status: 200, body: JSON.stringify(document) })
const page = (status: number): NetworkEvent => ({ _tag: 'Reply', status, body: `<html>${status}</html>` })
const failed = (code: string): NetworkEvent => ({ _tag: 'Failed', cause: { name: 'Error', code, message: code } })
