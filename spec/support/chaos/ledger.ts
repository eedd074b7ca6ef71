import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../../lib/core/model/error.js'
import type { Orphan, SolverEvent } from '../../../lib/core/model/event.js'
import type { TaskRef } from '../../../lib/core/model/task.js'
import { KEY } from '../simulate.js'

/** The outcome of a subscription; without a token if the task was only created. */
export type CallerOutcome = E.Either<SolveError, { readonly ref: TaskRef; readonly token: string | undefined }>

/** One subscription to a solver. */
export interface Caller {
  readonly name: string
  readonly giveUpAfterMs: number
  /** For a solve or a resume; the task of a single createTask is never polled. */
  readonly polls: boolean
  /** Its solver was closed before the subscription, so no call may be sent for it. */
  readonly isAfterClose: boolean
  state: 'open' | 'ended' | 'left'
  /** It unsubscribes together with others, so no createTask may be sent for it any more. */
  isLeaving: boolean
  /** The solver of its subscription. */
  readonly solver: object
  /** It resumes a task, so it needs no permit. */
  readonly isResume: boolean
  /** How many of its createTask calls are open. */
  openCreates: number
  /** When its deadline started: with its first createTask, or with the subscription of a resume. */
  deadlineFrom?: number
  /** The task whose id reached the process for it. */
  task?: Task
  mayPollAt: number
  isPolling: boolean
  /** How many createTask calls the service accepted, and after how many replies the library assumed a refusal. */
  charges: number
  assumed: number
  /** How often the reference of its task was in an outcome, and how often on `orphans`. */
  reported: number
  orphaned: number
  /** How many outcomes it received, and how many `Ended` events. */
  outcomes: number
  ends: number
}

export type NewCaller = Pick<Caller, 'name' | 'solver' | 'giveUpAfterMs' | 'polls' | 'isAfterClose'> & {
  readonly resumed?: Task
}

/** A task that the service has created, and charges for. */
export interface Task {
  readonly id: string
  readonly ref: TaskRef
  readonly creator: Caller
  readonly createdAt: number
  readonly readyAt: number
  /** Most replies about it violate the protocol. */
  readonly isSpoiled: boolean
  /** The one subscription that may poll it: its creator, or the latest resume. */
  poller: Caller
  /** The reply with its id has arrived. */
  isDelivered: boolean
}

export const tokenOf = (id: string): string => `03A${id}-${'token'.repeat(12)}`

const TOKEN = 'token'.repeat(12)

const LATE: ReadonlySet<SolverEvent['_tag']> = new Set(['CreateEnded', 'Created', 'Orphaned', 'Lost'])

/** What really happened at the service. Everything that the library reports is checked against it. */
export class Ledger {
  readonly tasks = new Map<string, Task>()
  readonly callers = new Map<string, Caller>()
  readonly breaches: string[] = []
  /** Which solves have begun and ended, by their numbers. */
  readonly #solves = new Map<number, 'started' | 'ended'>()
  /** The tasks that `close` has to return. */
  readonly #toReturn = new Set<string>()
  readonly #returned = new Set<string>()
  openCalls = 0
  openCallers = 0

  constructor(private readonly now: () => number) {}

  breach(what: string): void {
    this.breaches.push(`at ${this.now()}: ${what}`)
  }

  /** Adds a subscription that is about to start. A resume has its task from the start, and may poll at once. */
  open({ resumed, ...given }: NewCaller): Caller {
    const counts = { openCreates: 0, charges: 0, assumed: 0, reported: 0, orphaned: 0, outcomes: 0, ends: 0 }
    const isResume = resumed !== undefined
    const caller: Caller = {
      ...given,
      isResume,
      state: 'open',
      isLeaving: false,
      mayPollAt: 0,
      isPolling: false,
      ...counts
    }
    if (resumed) {
      caller.deadlineFrom = this.now()
      caller.task = resumed
      resumed.poller = caller
    }
    this.callers.set(caller.name, caller)
    this.openCallers += 1
    return caller
  }

  end(caller: Caller, state: 'ended' | 'left'): void {
    if (caller.state !== 'open') return this.breach(`${caller.name} ended twice`)
    caller.state = state
    this.openCallers -= 1
  }

  /** What the counts of a solver should be, and how many of its open tasks it may create itself. */
  countsOf(solver: object): { readonly open: number; readonly waiting: number; readonly created: number } {
    const counts = { open: 0, waiting: 0, created: 0 }
    for (const caller of this.callers.values()) {
      if (caller.solver !== solver || caller.isAfterClose) continue
      const isSubscribed = caller.state === 'open'
      if (caller.deadlineFrom === undefined) counts.waiting += isSubscribed ? 1 : 0
      else if (isSubscribed || caller.openCreates > 0) {
        counts.open += 1
        counts.created += caller.isResume ? 0 : 1
      }
    }
    return counts
  }

  recordOutcome(caller: Caller, outcome: CallerOutcome): void {
    const { name, giveUpAfterMs, deadlineFrom, state } = caller
    caller.outcomes += 1
    if (caller.outcomes > 1) this.breach(`${name} received ${caller.outcomes} outcomes`)
    if (state !== 'open') this.breach(`${name} received an outcome when it was ${state}`)
    if (deadlineFrom !== undefined && this.now() - deadlineFrom > giveUpAfterMs)
      this.breach(`${name} ended after its deadline`)
    if (E.isLeft(outcome)) return this.#recordError(caller, outcome.left)
    const { ref, token } = outcome.right
    this.#recordReported(caller, ref)
    if (caller.polls && token !== tokenOf(ref.taskId)) this.breach(`${name} received another token`)
  }

  #recordError(caller: Caller, error: SolveError): void {
    const { name, task } = caller
    if (error.paid === 'no' && caller.charges > 0) this.breach(`${name}: ${error._tag} says unpaid, and it was charged`)
    if (error._tag === 'Interrupted' && !caller.isAfterClose) this.#toReturn.add(error.ref.taskId)
    if ('ref' in error) this.#recordReported(caller, error.ref)
    else if (task) this.breach(`${name}: ${error._tag} lacks the known ${task.id}`)
    this.#checkSecrets(error, `${name}: ${error._tag}`)
  }

  #recordReported(caller: Caller, { taskId, createdAt, numeric }: TaskRef): void {
    caller.reported += 1
    if (caller.task?.id !== taskId) this.breach(`${caller.name} received ${taskId}, and has ${caller.task?.id}`)
    else if (caller.task.createdAt !== createdAt) this.breach(`${taskId} was not created at ${createdAt}`)
    else if (caller.task.ref.numeric !== numeric) this.breach(`${taskId} is numeric: ${numeric}`)
  }

  recordEvent(event: SolverEvent): void {
    const caller = this.callers.get(event.label ?? '')
    if (!caller) return this.breach(`the event ${event._tag} has no caller`)
    if (event._tag === 'AssumedNotCreated') caller.assumed += 1
    if (event._tag === 'Ended' && (caller.ends += 1) > 1) this.breach(`${caller.name}: Ended was emitted twice`)
    const hasRef = 'ref' in event || event._tag === 'Orphaned'
    if (caller.task && !hasRef) this.breach(`${caller.name}: the event ${event._tag} lacks the known ${caller.task.id}`)
    this.#checkSecrets(event, `${caller.name}: the event ${event._tag}`)
    if ('solveId' in event) this.#checkOrder(event.solveId, event._tag, caller.name)
  }

  /** A solve begins with `Started` and ends with one `Ended`; a createTask that was sent may bring news after that. */
  #checkOrder(solveId: number, tag: SolverEvent['_tag'], name: string): void {
    const state = this.#solves.get(solveId)
    const expected = tag === 'Started' ? undefined : LATE.has(tag) && state === 'ended' ? 'ended' : 'started'
    if (state !== expected) this.breach(`${name}: the event ${tag} of a solve that has ${state ?? 'not started'}`)
    this.#solves.set(solveId, tag === 'Ended' || state === 'ended' ? 'ended' : 'started')
  }

  /** Returns the task of an orphan, if it exists. */
  recordOrphan({ ref: { taskId, createdAt }, label }: Orphan, isClosing: boolean): Task | undefined {
    const caller = this.callers.get(label ?? '')
    const task = this.tasks.get(taskId)
    if (!caller || !task || caller.task !== task) {
      this.breach(`the orphan ${taskId} is no task of ${label}`)
      return undefined
    }
    caller.orphaned += 1
    if (isClosing) this.#toReturn.add(taskId)
    if (caller.state === 'open') this.breach(`${taskId} is an orphan, and ${caller.name} is still subscribed`)
    if (task.createdAt !== createdAt) this.breach(`the orphan ${taskId} was not created at ${createdAt}`)
    return task
  }

  /** Returns the tasks of what `close` returned, if they exist. */
  recordClosed(leftOpen: ReadonlyArray<Orphan>): ReadonlyArray<Task> {
    return leftOpen.flatMap(({ ref: { taskId } }) => {
      this.#returned.add(taskId)
      const task = this.tasks.get(taskId)
      if (!task?.isDelivered) this.breach(`close returned ${taskId}, which does not exist`)
      return task ?? []
    })
  }

  #checkSecrets(reported: object, where: string): void {
    const text = JSON.stringify(reported)
    if (text.includes(KEY)) this.breach(`${where} holds the key`)
    if (text.includes(TOKEN)) this.breach(`${where} holds a token`)
  }

  /** Compares what each subscription received with what it should have; called when nothing is active any more. */
  conclude(): void {
    for (const { creator, isDelivered, id } of this.tasks.values())
      if (isDelivered && creator.task?.id !== id) this.breach(`${creator.name} received the ids of two tasks`)
    for (const caller of this.callers.values()) {
      const { name, state, outcomes, charges, assumed, task, reported, orphaned } = caller
      if (state === 'open' || outcomes !== (state === 'ended' ? 1 : 0))
        this.breach(`${name} is ${state}, and received ${outcomes} outcomes`)
      if (charges > 1 + assumed) this.breach(`${name} was charged ${charges} times, and reported ${assumed}`)
      const reports = reported + orphaned
      const isReturned = reports === 0 && task !== undefined && this.#returned.has(task.id)
      if (task && reports !== 1 && !isReturned) this.breach(`${name}: ${task.id} was reported ${reports} times`)
    }
    for (const [solveId, state] of this.#solves)
      if (state === 'started') this.breach(`the solve ${solveId} has no Ended`)
    for (const id of this.#toReturn) if (!this.#returned.has(id)) this.breach(`close did not return ${id}`)
    if (this.openCalls !== 0) this.breach(`${this.openCalls} calls are still open`)
  }
}
