import type { TaskRef } from '../../core/model/task.js'
import { causeOf, type ErrorCause } from '../../core/model/network.js'
import type { PaidTask } from '../record/job-journal.js'

/**
 * A run ended with an error, and the record of its paid task is not complete. The message holds the reference, because it is all of
 * an error that BullMQ keeps.
 */
export class RecordIncomplete extends Error {
  /** That of the first error, because BullMQ decides by it whether the job is tried again. */
  override readonly name: string
  override readonly cause: ErrorCause
  readonly ref: TaskRef

  constructor({ ref, isRecorded }: PaidTask, error: unknown) {
    const cause = causeOf(error)
    const reference = JSON.stringify(ref)
    super(
      isRecorded
        ? `${cause.message} Task ${ref.taskId} is paid for and its id is recorded, but the rest of its record could not be written: ` +
            `a retry of the job continues it at no further cost, as resume() with ${reference} does.`
        : `${cause.message} Task ${ref.taskId} is paid for, but Redis has not confirmed its record, so a retry of the job may not ` +
            `find it: resume() with ${reference} continues it at no further cost.`
    )
    this.name = cause.name
    this.cause = cause
    this.ref = ref
  }
}
