import * as E from 'fp-ts/lib/Either.js'
import type { Observable, Subscription } from 'rxjs'
import type { Solver } from '../../../lib/core/solver.js'
import type { SolveError } from '../../../lib/core/model/error.js'
import type { TaskEvent } from '../../../lib/core/model/event.js'
import { resolveOptions } from '../../../lib/core/model/options.js'
import { buildSolver } from '../../../lib/core/build-solver.js'
import { recaptchaV2, type RecaptchaV2Solution } from '../../../lib/core/model/recaptcha-v2.js'
import type { Solved, TaskRef } from '../../../lib/core/model/task.js'
import { Ledger, type Caller, type Heard, type Task } from './ledger.js'
import { chaosService, type Network } from './service.js'
import { between, drawsOf, pick } from './seeded.js'
import { KEY } from '../simulate.js'
import { VirtualClock } from './virtual-clock.js'

type Outcome = E.Either<SolveError, Solved<RecaptchaV2Solution>>

const solved: (result: Outcome) => Heard = E.map(({ ref, solution }) => ({ ref, token: solution.gRecaptchaResponse }))
const created: (result: E.Either<SolveError, TaskRef>) => Heard = E.map((ref) => ({ ref, token: undefined }))

/** As many as lie between the end of what is under way and what `close` promised. */
const microtasks = async (): Promise<void> => {
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve()
}

/** A solver of a round. */
interface Client {
  readonly solver: Solver
  readonly network: Network
  stand: 'open' | 'closing' | 'closed'
}

/** One round: two solvers at a service of chance, in virtual time. */
class Round {
  readonly #draw
  readonly #clock = new VirtualClock()
  readonly #ledger = new Ledger(() => this.#clock.now())
  readonly #network
  readonly #listened: boolean
  readonly #clients: ReadonlyArray<Client>
  /** What the round itself has still to do, at the times that it drew. */
  #planned = 0
  #eventsUntilClose = Infinity

  constructor(seed: number) {
    this.#draw = drawsOf(seed)
    this.#network = chaosService(this.#draw, this.#clock, this.#ledger)
    this.#listened = this.#draw() < 0.7
    this.#clients = [this.#open(), this.#open()]
  }

  async run(solves: number): Promise<ReadonlyArray<string>> {
    const [first] = this.#clients
    if (!first) return []
    for (let nth = 0; nth < solves; nth += 1)
      this.#plan(between(this.#draw, 0, 60_000), () => this.#buy(first, `buyer-${nth}`))
    // At a time, in the middle of what happens, or only when all is over.
    const ends = pick<'timed' | 'amid' | 'late'>(
      this.#draw,
      [
        [0.3, 'timed'],
        [0.2, 'amid']
      ],
      'late'
    )
    if (ends === 'timed') this.#plan(between(this.#draw, 0, 200_000), () => this.#close(first))
    if (ends === 'amid') this.#eventsUntilClose = between(this.#draw, 1, 20 * solves)
    await this.#flush()
    if (this.#ledger.openCallers > 0) this.#ledger.breach(`${this.#ledger.openCallers} callers wait for ever`)
    // Whoever listens late hears of what was kept, or else `close` gives it back.
    if (!this.#listened && this.#draw() < 0.5) for (const client of this.#clients) this.#hearOrphans(client)
    for (const client of this.#clients) this.#close(client)
    await this.#flush()
    if (this.#isClosing) this.#ledger.breach('close never resolves')
    this.#ledger.conclude()
    return this.#ledger.broken
  }

  #open(): Client {
    const draw = this.#draw
    const settings = resolveOptions({
      clientKey: KEY,
      pollEveryMs: between(draw, 1_000, 4_000),
      createTimeoutMs: between(draw, 5_000, 25_000),
      resultTimeoutMs: between(draw, 2_000, 10_000),
      createsPerSecond: draw() < 0.5 ? undefined : 0.5 + draw() * 20
    })
    const network = this.#network(settings)
    const close = () => Promise.resolve()
    const solver = buildSolver({ post: network.post, scheduler: this.#clock, random: draw, close }, settings)
    const client: Client = { solver, network, stand: 'open' }
    solver.events.subscribe((event) => {
      this.#ledger.hearEvent(event)
      this.#eventsUntilClose -= 1
      if (this.#eventsUntilClose === 0) this.#close(client)
    })
    if (this.#listened) this.#hearOrphans(client)
    return client
  }

  #hearOrphans(client: Client): void {
    client.solver.orphans.subscribe((orphan) => {
      const task = this.#ledger.hearOrphan(orphan, client.stand === 'closing')
      if (task) this.#perhapsResume(task)
    })
  }

  #close(client: Client): void {
    if (client.stand !== 'open') return
    client.stand = 'closing'
    const graceMs = this.#draw() < 0.3 ? 0 : between(this.#draw, 0, 30_000)
    void client.solver.close({ graceMs }).then((leftOpen) => {
      client.stand = 'closed'
      if (client.network.open > 0) this.#ledger.breach(`closed, and ${client.network.open} calls are open`)
      for (const task of this.#ledger.hearClosed(leftOpen)) this.#perhapsResume(task)
    })
  }

  #buy({ solver, stand }: Client, name: string): void {
    const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: name })
    const giveUpAfterMs = between(this.#draw, 5_000, 120_000)
    const scoped = solver.withOptions({ label: name, giveUpAfterMs })
    const kind = pick<'solve' | 'progress' | 'create'>(
      this.#draw,
      [
        [0.2, 'progress'],
        [0.1, 'create']
      ],
      'solve'
    )
    const caller = this.#ledger.begin({ name, giveUpAfterMs, asks: kind !== 'create', late: stand !== 'open' })
    if (kind === 'create') this.#follow(caller, scoped.createTask(task), created)
    else if (kind === 'solve') this.#follow(caller, scoped.solve(task), solved)
    else this.#followEvents(caller, scoped.solveWithProgress(task))
  }

  /** A task that somebody was told of is resumed at some time, perhaps by another solver, unless somebody waits for it. */
  #perhapsResume(task: Task): void {
    if (this.#draw() < 0.4) return
    this.#plan(between(this.#draw, 0, 60_000), () => {
      if (task.asker.state === 'open') return
      const client = this.#clients[between(this.#draw, 0, this.#clients.length)]
      if (!client) return
      const name = `${task.asker.name}, again`
      const giveUpAfterMs = between(this.#draw, 5_000, 120_000)
      const scoped = client.solver.withOptions({ label: name, giveUpAfterMs })
      const ref = { taskId: task.id, createdAt: task.createdAt }
      const late = client.stand !== 'open'
      const caller = this.#ledger.begin({ name, giveUpAfterMs, asks: true, late, resumed: task })
      if (this.#draw() < 0.8) this.#follow(caller, scoped.resume(recaptchaV2, ref), solved)
      else this.#followEvents(caller, scoped.resumeWithProgress(recaptchaV2, ref))
    })
  }

  #follow<R>(caller: Caller, results: Observable<R>, read: (result: R) => Heard): void {
    const following = results.subscribe({
      next: (result) => this.#hear(caller, read(result)),
      error: (defect: unknown) => this.#ledger.breach(`${caller.name} errored with ${String(defect)}`),
      complete: () => this.#ledger.over(caller, 'ended')
    })
    this.#perhapsLeave(caller, following)
  }

  /** Leaves at a time, or with the first event of a kind, in the middle of what happens then. */
  #followEvents(caller: Caller, events: Observable<TaskEvent<RecaptchaV2Solution>>): void {
    const last = this.#draw() < 0.2 ? (this.#draw() < 0.5 ? 'Created' : 'Polled') : 'Settled'
    const following: Subscription = events.subscribe({
      next: (event) => {
        if (event._tag === 'Settled') this.#hear(caller, solved(event.result))
        else if (event._tag === last) this.#leave(caller, following)
      },
      error: (defect: unknown) => this.#ledger.breach(`${caller.name} errored with ${String(defect)}`),
      complete: () => this.#ledger.over(caller, 'ended')
    })
    this.#perhapsLeave(caller, following)
  }

  #hear(caller: Caller, result: Heard): void {
    this.#ledger.hear(caller, result)
    const goesOn = E.isLeft(result) ? 'ref' in result.left : !caller.asks
    if (goesOn && caller.task) this.#perhapsResume(caller.task)
  }

  #perhapsLeave(caller: Caller, following: Subscription): void {
    if (this.#draw() < 0.25) this.#plan(between(this.#draw, 0, 60_000), () => this.#leave(caller, following))
  }

  #leave(caller: Caller, following: Subscription): void {
    if (caller.state !== 'open') return
    this.#ledger.over(caller, 'left')
    following.unsubscribe()
  }

  #plan(afterMs: number, act: () => void): void {
    this.#planned += 1
    this.#clock.schedule(() => {
      this.#planned -= 1
      act()
    }, afterMs)
  }

  async #flush(): Promise<void> {
    do {
      while (this.#clock.step()) {
        this.#rests()
        if (this.#isClosing) await microtasks()
      }
      await microtasks()
    } while (this.#clock.pending > 0)
  }

  get #isClosing(): boolean {
    return this.#clients.some(({ stand }) => stand === 'closing')
  }

  #rests(): void {
    const { openCallers, openCalls } = this.#ledger
    const { pending } = this.#clock
    if (this.#planned === 0 && openCallers === 0 && openCalls === 0 && pending > 0)
      this.#ledger.breach(`${pending} timers are left, and nothing is under way`)
  }
}

/** Runs `solves` solves in virtual time, all by the seed; tells of every broken law. */
export const chaos = (seed: number, solves: number): Promise<ReadonlyArray<string>> => new Round(seed).run(solves)
