import { defer, tap, type Observable } from 'rxjs'
import type { Journal } from '../../../core/model/journal.js'
import type { TaskRef } from '../../../core/model/task.js'

interface UnrecordedTask {
  readonly ref: TaskRef
  /** Whether Redis may still confirm its id. */
  isWriting: boolean
  /** Whether nothing polls it any more. */
  isOrphan: boolean
}

/**
 * The paid tasks whose ids Redis has not confirmed, so that only this process knows them. Those that become orphans are reported. Any
 * other orphan is normal, because the next run of its job continues it.
 */
export class UnrecordedTasks {
  readonly #report: (ref: TaskRef) => void
  readonly #tasks = new Map<string, UnrecordedTask>()

  constructor(report: (ref: TaskRef) => void) {
    this.#report = report
  }

  /** The journal, whose writes of ids are watched. */
  watched(journal: Journal): Journal {
    return { ...journal, created: (key, ref) => this.#watch(ref, journal.created(key, ref)) }
  }

  /** The outcome of a task was saved, and its id with it. */
  onSaved(ref: TaskRef): void {
    this.#tasks.delete(ref.taskId)
  }

  onOrphan(ref: TaskRef): void {
    const task = this.#tasks.get(ref.taskId)
    if (!task) return
    task.isOrphan = true
    if (!task.isWriting) this.#reportOnce(task)
  }

  /** Reports the others too, because the process ends. */
  reportRest(): void {
    for (const task of this.#tasks.values()) this.#reportOnce(task)
  }

  #watch(ref: TaskRef, write: Observable<void>): Observable<void> {
    return defer(() => {
      const task = { ref, isWriting: true, isOrphan: false }
      this.#tasks.set(ref.taskId, task)
      return write.pipe(
        tap({
          complete: () => {
            this.onSaved(ref)
          },
          error: () => {
            task.isWriting = false
            if (task.isOrphan) this.#reportOnce(task)
          }
        })
      )
    })
  }

  #reportOnce({ ref }: UnrecordedTask): void {
    if (this.#tasks.delete(ref.taskId)) this.#report(ref)
  }
}
