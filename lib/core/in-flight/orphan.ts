import * as E from 'fp-ts/lib/Either.js'
import type { Orphan } from '../model/event.js'
import type { Resumable, TaskRef } from '../model/task.js'

/** An orphan. It prints without its task, because a decoder prints as hundreds of lines. */
export const orphanOf = (ref: TaskRef, task: Resumable<unknown>, label: string | undefined): Orphan => {
  const type = typeOf(task)
  const orphan: Orphan = {
    ref,
    task,
    ...(type !== undefined && { type }),
    ...(label !== undefined && { label })
  }
  return Object.assign(Object.create(PRINTED) as object, orphan)
}

/** The service's name for the kind of a task. The task comes from the caller: it may be anything, and its getters may throw. */
export const typeOf = (task: unknown): string | undefined => {
  const type = E.tryCatch(
    () => (task as { readonly type?: unknown } | null | undefined)?.type,
    () => undefined
  )
  return E.isRight(type) && typeof type.right === 'string' ? type.right : undefined
}

const printed = function (this: Orphan): Omit<Orphan, 'task'> {
  const { task: _task, ...shown } = this
  return shown
}

// On the prototype, so that a copy by `...` is an object without functions; not enumerable, as methods are.
const PRINTED = Object.defineProperties(
  {},
  { toJSON: { value: printed }, [Symbol.for('nodejs.util.inspect.custom')]: { value: printed } }
)
