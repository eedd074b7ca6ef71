import * as E from 'fp-ts/lib/Either.js'
import {
  Observable,
  Subject,
  concat,
  defer,
  filter,
  lastValueFrom,
  of,
  race,
  startWith,
  take,
  tap,
  timer,
  type SchedulerLike
} from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { Orphan } from '../model/event.js'
import type { ObservableEither } from '../rx/observable-either.js'
import { subscribeWithin } from '../rx/subscribe-within.js'
import { ActiveTask } from './active-task.js'
import type { Batch, TrackOptions } from './track-options.js'
import type { EventBus } from './event-bus.js'
import { isCertainlyUncreated, isUncreated, type EndReason, type StopReason } from './phase.js'

/** A result that is being saved. */
export interface Saving {
  /** Its task, if it is paid for. */
  readonly paid: Orphan | undefined
  /** Emits its task as an orphan. */
  readonly orphan: () => void
  /** Whether its subscriber waits for it. */
  readonly isAwaited: () => boolean
}

/** The active tasks of a solver: `close` and a batch that stops end them from here. */
export class InFlight {
  readonly #scheduler: SchedulerLike
  readonly #events: EventBus
  readonly #tasks = new Set<ActiveTask>()
  readonly #leftOpen: Orphan[] = []
  readonly #saves = new Set<Saving>()
  readonly #closed = new Subject<void>()
  readonly #ended = new Subject<void>()
  #isClosing = false
  #openCreates = 0

  constructor(scheduler: SchedulerLike, events: EventBus) {
    this.#scheduler = scheduler
    this.#events = events
  }

  /** Emits when `close` is called, at once if it was called before. */
  get closing(): Observable<unknown> {
    return defer(() => (this.#isClosing ? of(undefined) : this.#closed))
  }

  /** Why no createTask may be sent for a task any more. */
  reasonToEnd({ batch }: Pick<ActiveTask, 'batch'>): 'closed' | StopReason | undefined {
    return this.#isClosing ? 'closed' : batch?.stopReason
  }

  /** Runs one subscription: emits one `Either` and completes. If the subscriber unsubscribes, a paid task is orphaned. */
  track<R>(options: TrackOptions<R>, run: (task: ActiveTask) => ObservableEither<SolveError, R>) {
    return new Observable<E.Either<SolveError, R>>((subscriber) => {
      const task = new ActiveTask(options, this.#events, subscriber)
      subscriber.add(this.#register(task))
      // Before the `Started` event: a listener that closes the solver on it finds this task active, and `close` ends it.
      const reason = this.reasonToEnd(task)
      task.start()
      // A listener may also unsubscribe on it, and then nothing must be sent.
      if (subscriber.closed) return
      // A batch that stops still resumes tasks that are paid for.
      if (reason === 'closed' || (reason && task.phase._tag !== 'Created')) task.next(E.left(task.errorIfEnded(reason)))
      else subscribeWithin(subscriber, run(task), task)
    })
  }

  /** Returns a function that removes the task. A method, because a closure within `track` would retain its arguments. */
  #register(task: ActiveTask): () => void {
    this.#tasks.add(task)
    return () => {
      this.#tasks.delete(task)
      if (!task.isSettled && isCertainlyUncreated(task.phase)) this.recordNotCreated(task)
      task.leave()
      task.release()
      this.#emitEnded()
    }
  }

  /**
   * Counts a createTask call, or a write to the journal, until the returned function is called; `close` waits for it.
   * If `task` is given, it counts as open until then.
   */
  trackCreate(task?: ActiveTask): () => void {
    this.#openCreates += 1
    task?.hold()
    return () => {
      this.#openCreates -= 1
      task?.release()
      this.#emitEnded()
    }
  }

  /**
   * Counts a result that is being saved, until the returned function is called; `close` waits for it within its grace. If it is not
   * saved, its task is an orphan.
   */
  trackSave(saving: Saving): (isSaved: boolean) => void {
    this.#saves.add(saving)
    return (isSaved) => {
      if (this.#saves.delete(saving) && !isSaved) saving.orphan()
      this.#emitEnded()
    }
  }

  /** Records in the journal that nothing was created for a task whose subscription ended. `close` waits for it. */
  recordNotCreated({ journal }: ActiveTask): void {
    journal?.notCreated().subscribe({ complete: this.trackCreate() })
  }

  /** Stops every batch that has active tasks. */
  stopBatches(reason: StopReason): void {
    for (const batch of new Set([...this.#tasks].map((task) => task.batch))) batch?.stop(reason)
  }

  /** Stops sending createTask for the tasks of a batch; tasks that exist are polled to completion. */
  stop(batch: Batch, reason: StopReason): void {
    const stopReason = (batch.stopReason ??= reason)
    this.#endTasks(stopReason, (task) => task.batch === batch && isUncreated(task.phase))
  }

  /**
   * Ends tasks that are not created, polls the others and lets results be saved until the grace is over, and waits for createTask calls
   * in flight and for the writes to the journal.
   */
  async close(graceMs: number): Promise<ReadonlyArray<Orphan>> {
    this.#isClosing = true
    this.#events.collectOrphans()
    // Before tasks end: an item that ends makes room, and no further one must be pulled for it.
    this.#closed.next()
    this.#endTasks('closed', ({ phase }) => isUncreated(phase))
    const grace = race(
      timer(graceMs, this.#scheduler),
      this.#until(() => this.#tasks.size + this.#saves.size === 0)
    )
    const creates = defer(() => {
      this.#endTasks('closed', () => true)
      for (const saving of this.#saves) {
        if (saving.isAwaited()) continue
        this.#saves.delete(saving)
        saving.orphan()
      }
      return this.#until(() => this.#openCreates === 0).pipe(tap(() => this.#leaveSavesOpen()))
    })
    await lastValueFrom(concat(grace, creates))
    this.#events.complete()
    // A task that ends here is an orphan as well if a listener unsubscribes on its `Ended` event.
    const leftOpen = [...this.#leftOpen, ...this.#events.takeCollected()]
    return [...new Map(leftOpen.map((orphan) => [orphan.ref.taskId, orphan])).values()]
  }

  /** Their subscribers get the outcomes if the process lives on. If it does not, only what `close` resolves with has their tasks. */
  #leaveSavesOpen(): void {
    for (const { paid } of this.#saves) if (paid) this.#leftOpen.push(paid)
    this.#saves.clear()
  }

  #endTasks(reason: EndReason, ends: (task: ActiveTask) => boolean): void {
    for (const task of this.#tasks) {
      if (!ends(task)) continue
      const outcome = task.outcomeIfEnded(reason)
      if (E.isLeft(outcome) && task.unsettledRef) this.#leftOpen.push(task.asOrphan(task.unsettledRef))
      task.next(outcome)
    }
  }

  // Usually nothing subscribes, and `next` without a subscriber costs as much as a poll.
  #emitEnded(): void {
    if (this.#ended.observed) this.#ended.next()
  }

  #until(isTrue: () => boolean): Observable<unknown> {
    return this.#ended.pipe(startWith(undefined), filter(isTrue), take(1))
  }
}
