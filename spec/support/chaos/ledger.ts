import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../../lib/core/model/error.js'
import type { Orphan, SolverEvent } from '../../../lib/core/model/event.js'
import type { TaskRef } from '../../../lib/core/model/task.js'
import { KEY } from '../simulate.js'

/** What a subscription ends with: a solved task, or the reference of one that was only created. */
export type Heard = E.Either<SolveError, { readonly ref: TaskRef; readonly token: string | undefined }>

/** One subscription of the client, as the ledger knows it. */
export interface Caller {
  readonly name: string
  readonly giveUpAfterMs: number
  /** Of a whole solve or a resume; a createTask alone is never asked for. */
  readonly asks: boolean
  /** Its solver was closed before it began, so that it may not call. */
  readonly late: boolean
  state: 'open' | 'ended' | 'left'
  /** When its deadline began to run: with its first createTask, or with the subscription of a resume. */
  begunAt?: number
  /** The task whose id reached the process for it. */
  task?: Task
  mayAskAt: number
  asking: boolean
  /** How many of its createTasks the service accepted, and how many it said to have assumed to be refused. */
  bought: number
  assumed: number
  /** How often its task was told to it, and how often to `orphans`. */
  told: number
  orphaned: number
  /** How many outcomes came to it, and how many ends of it were told as events. */
  heard: number
  ends: number
}

export type Beginning = Pick<Caller, 'name' | 'giveUpAfterMs' | 'asks' | 'late'> & { readonly resumed?: Task }

/** A task that the service has accepted, and bills. */
export interface Task {
  readonly id: string
  readonly buyer: Caller
  readonly createdAt: number
  readonly readyAt: number
  /** Most answers about it fall outside the protocol. */
  readonly spoiled: boolean
  /** Who may ask for it: its buyer, or the latest resume. */
  asker: Caller
  reached: boolean
}

export const tokenOf = (id: string): string => `03A${id}-${'token'.repeat(12)}`

const TOKEN = 'token'.repeat(12)

/** The service's own truth, against which each word of the client is held. It notes every law that is broken. */
export class Ledger {
  readonly tasks = new Map<string, Task>()
  readonly callers = new Map<string, Caller>()
  readonly broken: string[] = []
  /** What `close` has still to give back. */
  readonly #owed = new Set<string>()
  readonly #leftOpen = new Set<string>()
  openCalls = 0
  openCallers = 0

  constructor(private readonly now: () => number) {}

  breach(what: string): void {
    this.broken.push(`at ${this.now()}: ${what}`)
  }

  /** A subscription is about to begin; a resume has its task from the start, and may ask at once. */
  begin({ resumed, ...begun }: Beginning): Caller {
    const counts = { bought: 0, assumed: 0, told: 0, orphaned: 0, heard: 0, ends: 0 }
    const caller: Caller = { ...begun, state: 'open', mayAskAt: 0, asking: false, ...counts }
    if (resumed) {
      caller.begunAt = this.now()
      caller.task = resumed
      resumed.asker = caller
    }
    this.callers.set(caller.name, caller)
    this.openCallers += 1
    return caller
  }

  over(caller: Caller, state: 'ended' | 'left'): void {
    if (caller.state !== 'open') return this.breach(`${caller.name} ended twice`)
    caller.state = state
    this.openCallers -= 1
  }

  hear(caller: Caller, result: Heard): void {
    const { name, giveUpAfterMs, begunAt } = caller
    caller.heard += 1
    if (caller.heard > 1) this.breach(`${name} heard ${caller.heard} outcomes`)
    if (caller.state !== 'open') this.breach(`${name} heard an outcome when it was ${caller.state}`)
    if (begunAt !== undefined && this.now() - begunAt > giveUpAfterMs) this.breach(`${name} ended after its deadline`)
    if (E.isLeft(result)) return this.#hearError(caller, result.left)
    const { ref, token } = result.right
    this.#tell(caller, ref)
    if (caller.asks && token !== tokenOf(ref.taskId)) this.breach(`${name} has another token`)
  }

  #hearError(caller: Caller, error: SolveError): void {
    const { name, task } = caller
    if (error.paid === 'no' && caller.bought > 0) this.breach(`${name}: ${error._tag} says unpaid, and it was paid`)
    if (error._tag === 'Interrupted' && !caller.late) this.#owed.add(error.ref.taskId)
    if ('ref' in error) this.#tell(caller, error.ref)
    else if (task) this.breach(`${name}: ${error._tag} lacks the known ${task.id}`)
    this.#keepsSecrets(error, `${name}: ${error._tag}`)
  }

  #tell(caller: Caller, { taskId, createdAt }: TaskRef): void {
    caller.told += 1
    if (caller.task?.id !== taskId) this.breach(`${caller.name} was told of ${taskId}, and has ${caller.task?.id}`)
    else if (caller.task.createdAt !== createdAt) this.breach(`${taskId} was not created at ${createdAt}`)
  }

  hearEvent(event: SolverEvent): void {
    const caller = this.callers.get(event.label ?? '')
    if (!caller) return this.breach(`${event._tag} of nobody`)
    if (event._tag === 'AssumedNotCreated') caller.assumed += 1
    if (event._tag === 'Ended' && (caller.ends += 1) > 1) this.breach(`${caller.name}: told twice that it ended`)
    const tells = 'ref' in event || event._tag === 'Orphaned'
    if (caller.task && !tells) this.breach(`${caller.name}: the event ${event._tag} lacks the known ${caller.task.id}`)
    this.#keepsSecrets(event, `${caller.name}: the event ${event._tag}`)
  }

  hearOrphan({ ref: { taskId, createdAt }, label }: Orphan, closing: boolean): Task | undefined {
    const caller = this.callers.get(label ?? '')
    const task = this.tasks.get(taskId)
    if (!caller || !task || caller.task !== task) {
      this.breach(`the orphan ${taskId} is no task of ${label}`)
      return undefined
    }
    caller.orphaned += 1
    if (closing) this.#owed.add(taskId)
    if (caller.state === 'open') this.breach(`${taskId} is an orphan, and ${caller.name} still waits for it`)
    if (task.createdAt !== createdAt) this.breach(`the orphan ${taskId} was not created at ${createdAt}`)
    return task
  }

  /** What `close` gave back, as far as it exists. */
  hearClosed(leftOpen: ReadonlyArray<Orphan>): ReadonlyArray<Task> {
    return leftOpen.flatMap(({ ref: { taskId } }) => {
      this.#leftOpen.add(taskId)
      const task = this.tasks.get(taskId)
      if (!task?.reached) this.breach(`close gave back ${taskId}, which does not exist`)
      return task ?? []
    })
  }

  #keepsSecrets(words: object, where: string): void {
    const text = JSON.stringify(words)
    if (text.includes(KEY)) this.breach(`${where} holds the key`)
    if (text.includes(TOKEN)) this.breach(`${where} holds a token`)
  }

  /** When nothing is under way any more: what each subscription was told, and what it should have been. */
  conclude(): void {
    for (const { buyer, reached, id } of this.tasks.values())
      if (reached && buyer.task?.id !== id) this.breach(`${buyer.name} has two tasks that answered`)
    for (const caller of this.callers.values()) {
      const { name, state, heard, bought, assumed, task, told, orphaned } = caller
      if (state === 'open' || heard !== (state === 'ended' ? 1 : 0)) this.breach(`${name} is ${state}, heard ${heard}`)
      if (bought > 1 + assumed) this.breach(`${name} paid ${bought} times, and reported ${assumed}`)
      const accounts = told + orphaned
      const givenBack = accounts === 0 && task !== undefined && this.#leftOpen.has(task.id)
      if (task && accounts !== 1 && !givenBack) this.breach(`${name}: ${task.id} was told of ${accounts} times`)
    }
    for (const id of this.#owed) if (!this.#leftOpen.has(id)) this.breach(`close kept ${id} to itself`)
    if (this.openCalls !== 0) this.breach(`${this.openCalls} calls are still open`)
  }
}
