import * as E from 'fp-ts/lib/Either.js'
import type { Observable, Subscription } from 'rxjs'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { SolveError } from '../../../lib/core/model/error.js'
import type { TaskEvent } from '../../../lib/core/model/event.js'
import { resolveOptions } from '../../../lib/core/model/options.js'
import { recaptchaV2, type RecaptchaV2Solution } from '../../../lib/core/model/recaptcha-v2.js'
import type { SolveResult } from '../../../lib/core/model/result.js'
import type { TaskRef } from '../../../lib/core/model/task.js'
import type { Solver } from '../../../lib/core/solver.js'
import { KEY } from '../simulate.js'
import { Ledger, type Caller, type CallerOutcome, type Task } from './ledger.js'
import { between, drawsOf, pick } from './seeded.js'
import { chaosService, type Network } from './service.js'
import { VirtualClock } from './virtual-clock.js'

/** Runs `solves` solves in virtual time, all by the seed, and returns every breach of a guarantee. */
export const simulateRound = (seed: number, solves: number): Promise<ReadonlyArray<string>> =>
  new Round(seed).run(solves)

/** A solver of a round. */
interface Client {
  readonly solver: Solver
  readonly network: Network
  state: 'open' | 'closing' | 'closed'
}

/** Two solvers call a service that fails at random, in virtual time. */
class Round {
  readonly #draw
  readonly #clock = new VirtualClock()
  readonly #ledger = new Ledger(() => this.#clock.now())
  readonly #network
  readonly #hasOrphanSubscriber: boolean
  readonly #clients: ReadonlyArray<Client>
  readonly #subscriptions = new Map<Caller, Subscription>()
  /** How many actions of the round itself are scheduled. */
  #scheduled = 0
  #eventsUntilClose = Infinity
  #lastId = 0

  constructor(seed: number) {
    this.#draw = drawsOf(seed)
    this.#network = chaosService(this.#draw, this.#clock, this.#ledger)
    this.#hasOrphanSubscriber = this.#draw() < 0.7
    this.#clients = [this.#open(), this.#open()]
  }

  async run(solves: number): Promise<ReadonlyArray<string>> {
    const [first] = this.#clients
    if (!first) return []
    for (let nth = 0; nth < solves; nth += 1)
      this.#schedule(between(this.#draw, 0, 60_000), () => this.#solve(first, `caller-${nth}`))
    // Closed at a time, synchronously during an event, or only when all tasks have ended.
    const closing = pick<'at a time' | 'during an event' | 'at the end'>(
      this.#draw,
      [
        [0.3, 'at a time'],
        [0.2, 'during an event']
      ],
      'at the end'
    )
    if (closing === 'at a time') this.#schedule(between(this.#draw, 0, 200_000), () => this.#close(first))
    if (this.#draw() < 0.5) this.#schedule(between(this.#draw, 0, 60_000), () => this.#leaveTogether())
    if (closing === 'during an event') this.#eventsUntilClose = between(this.#draw, 1, 20 * solves)
    await this.#flush()
    if (this.#ledger.openCallers > 0) this.#ledger.breach(`${this.#ledger.openCallers} callers never end`)
    // A late subscriber gets the buffered orphans; without one, `close` returns them.
    if (!this.#hasOrphanSubscriber && this.#draw() < 0.5)
      for (const client of this.#clients) this.#subscribeToOrphans(client)
    for (const client of this.#clients) this.#close(client)
    await this.#flush()
    if (this.#isClosing) this.#ledger.breach('close never resolves')
    this.#ledger.conclude()
    return this.#ledger.breaches
  }

  #open(): Client {
    const draw = this.#draw
    const settings = resolveOptions({
      clientKey: KEY,
      pollEveryMs: between(draw, 1_000, 4_000),
      createTimeoutMs: between(draw, 5_000, 25_000),
      resultTimeoutMs: between(draw, 2_000, 10_000),
      createsPerSecond: draw() < 0.5 ? undefined : 0.5 + draw() * 20,
      maxOpenTasks: draw() < 0.5 ? undefined : between(draw, 1, 30)
    })
    const network = this.#network(settings)
    const close = () => Promise.resolve()
    const solver = buildSolver(
      { post: network.post, scheduler: this.#clock, random: draw, close, nextId: () => (this.#lastId += 1) },
      settings
    )
    const client: Client = { solver, network, state: 'open' }
    solver.events.subscribe((event) => {
      this.#ledger.recordEvent(event)
      this.#eventsUntilClose -= 1
      if (this.#eventsUntilClose === 0) this.#close(client)
    })
    if (this.#hasOrphanSubscriber) this.#subscribeToOrphans(client)
    return client
  }

  #subscribeToOrphans(client: Client): void {
    client.solver.orphans.subscribe((orphan) => {
      const task = this.#ledger.recordOrphan(orphan, client.state === 'closing')
      if (task) this.#perhapsResume(task)
    })
  }

  #close(client: Client): void {
    if (client.state !== 'open') return
    client.state = 'closing'
    client.network.isClosing = true
    const graceMs = this.#draw() < 0.3 ? 0 : between(this.#draw, 0, 30_000)
    void client.solver.close({ graceMs }).then((leftOpen) => {
      client.state = 'closed'
      if (client.network.open > 0) this.#ledger.breach(`closed, and ${client.network.open} calls are open`)
      for (const task of this.#ledger.recordClosed(leftOpen)) this.#perhapsResume(task)
    })
  }

  #solve({ solver, state }: Client, name: string): void {
    const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: name })
    const giveUpAfterMs = between(this.#draw, 5_000, 120_000)
    const scoped = solver.withOptions({ label: name, giveUpAfterMs })
    const member = pick<'solve' | 'solveWithProgress' | 'createTask'>(
      this.#draw,
      [
        [0.2, 'solveWithProgress'],
        [0.1, 'createTask']
      ],
      'solve'
    )
    const isAfterClose = state !== 'open'
    const caller = this.#ledger.open({ name, solver, giveUpAfterMs, polls: member !== 'createTask', isAfterClose })
    if (member === 'createTask') this.#subscribe(caller, scoped.createTask(task), created)
    else if (member === 'solve') this.#subscribe(caller, scoped.solve(task), solved)
    else this.#subscribeToEvents(caller, scoped.solveWithProgress(task))
  }

  /** Resumes a reported task at some time, perhaps with the other solver, unless a subscription to it is open. */
  #perhapsResume(task: Task): void {
    if (this.#draw() < 0.4) return
    this.#schedule(between(this.#draw, 0, 60_000), () => {
      if (task.poller.state === 'open') return
      const client = this.#clients[between(this.#draw, 0, this.#clients.length)]
      if (!client) return
      const name = `${task.poller.name}, again`
      const giveUpAfterMs = between(this.#draw, 5_000, 120_000)
      const scoped = client.solver.withOptions({ label: name, giveUpAfterMs })
      const isAfterClose = client.state !== 'open'
      const caller = this.#ledger.open({
        ...{ name, solver: client.solver, giveUpAfterMs, polls: true, isAfterClose, resumed: task }
      })
      if (this.#draw() < 0.8) this.#subscribe(caller, scoped.resume(recaptchaV2, task.ref), solved)
      else this.#subscribeToEvents(caller, scoped.resumeWithProgress(recaptchaV2, task.ref))
    })
  }

  #subscribe<R>(caller: Caller, results: Observable<R>, read: (result: R) => CallerOutcome): void {
    const subscription = results.subscribe({
      next: (result) => this.#receive(caller, read(result)),
      error: (defect: unknown) => this.#ledger.breach(`${caller.name} errored with ${String(defect)}`),
      complete: () => this.#ledger.end(caller, 'ended')
    })
    this.#perhapsLeave(caller, subscription)
  }

  /** May unsubscribe at a time, or synchronously from the first event of a kind. */
  #subscribeToEvents(caller: Caller, events: Observable<TaskEvent<RecaptchaV2Solution>>): void {
    const last = this.#draw() < 0.2 ? (this.#draw() < 0.5 ? 'Created' : 'Polled') : 'Settled'
    const subscription: Subscription = events.subscribe({
      next: (event) => {
        if (event._tag === 'Settled') this.#receive(caller, solved(event.result))
        else if (event._tag === last) this.#leave(caller, subscription)
      },
      error: (defect: unknown) => this.#ledger.breach(`${caller.name} errored with ${String(defect)}`),
      complete: () => this.#ledger.end(caller, 'ended')
    })
    this.#perhapsLeave(caller, subscription)
  }

  #receive(caller: Caller, outcome: CallerOutcome): void {
    this.#ledger.recordOutcome(caller, outcome)
    const isResumable = E.isLeft(outcome) ? 'ref' in outcome.left : !caller.polls
    if (isResumable && caller.task) this.#perhapsResume(caller.task)
  }

  #perhapsLeave(caller: Caller, subscription: Subscription): void {
    this.#subscriptions.set(caller, subscription)
    if (this.#draw() < 0.25) this.#schedule(between(this.#draw, 0, 60_000), () => this.#leave(caller, subscription))
  }

  #leave(caller: Caller, subscription: Subscription): void {
    if (caller.state !== 'open') return
    this.#ledger.end(caller, 'left')
    subscription.unsubscribe()
  }

  /** Many subscribers leave at once: none of them may make room for another. */
  #leaveTogether(): void {
    const leaving = [...this.#subscriptions].filter(([{ state }]) => state === 'open' && this.#draw() < 0.7)
    for (const [caller] of leaving) caller.isLeaving = true
    for (const [caller, subscription] of leaving) this.#leave(caller, subscription)
  }

  #schedule(afterMs: number, act: () => void): void {
    this.#scheduled += 1
    this.#clock.schedule(() => {
      this.#scheduled -= 1
      act()
    }, afterMs)
  }

  async #flush(): Promise<void> {
    do {
      while (this.#clock.step()) {
        this.#checkTimers()
        this.#checkCounts()
        if (this.#isClosing) await microtasks()
      }
      await microtasks()
    } while (this.#clock.pending > 0)
  }

  get #isClosing(): boolean {
    return this.#clients.some(({ state }) => state === 'closing')
  }

  #checkCounts(): void {
    for (const { solver, network } of this.#clients) {
      const { open, waiting } = solver.counts()
      const expected = this.#ledger.countsOf(solver)
      if (open !== expected.open) this.#ledger.breach(`${open} tasks are counted as open, and ${expected.open} are`)
      if (waiting !== expected.waiting)
        this.#ledger.breach(`${waiting} are counted as waiting, not ${expected.waiting}`)
      const { maxOpenTasks = Infinity } = network.settings
      if (expected.created > maxOpenTasks) this.#ledger.breach(`${expected.created} of ${maxOpenTasks} tasks are open`)
    }
  }

  #checkTimers(): void {
    const { openCallers, openCalls } = this.#ledger
    const { pending } = this.#clock
    if (this.#scheduled === 0 && openCallers === 0 && openCalls === 0 && pending > 0)
      this.#ledger.breach(`${pending} timers are scheduled, and nothing is active`)
  }
}

const solved: (result: SolveResult<RecaptchaV2Solution>) => CallerOutcome = E.map(({ ref, solution }) => ({
  ref,
  token: solution.gRecaptchaResponse
}))

const created: (result: E.Either<SolveError, TaskRef>) => CallerOutcome = E.map((ref) => ({ ref, token: undefined }))

/** At least as many as the promise of `close` needs to resolve once the last task has ended. */
const microtasks = async (): Promise<void> => {
  for (let nth = 0; nth < 8; nth += 1) await Promise.resolve()
}
