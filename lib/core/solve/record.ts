import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, defer, finalize, tap, type Observable } from 'rxjs'
import type { SolveError } from '../model/error.js'
import type { TaskRef } from '../model/task.js'
import * as OE from '../rx/observable-either.js'
import type { Permit } from '../rx/rate-limiter.js'
import type { ActiveTask } from '../in-flight/active-task.js'
import type { JournalHooks } from '../in-flight/track-options.js'
import type { Context } from './context.js'

/** Records in the journal that createTask is about to be sent. If that fails, the permit is released unused. */
export const recordIntent = <A>(
  { beforeCreate }: JournalHooks,
  permit: Permit,
  creating: OE.ObservableEither<SolveError, A>
): OE.ObservableEither<SolveError, A> => {
  if (!beforeCreate) return creating
  return defer(() => {
    let isRecorded = false
    return beforeCreate().pipe(
      tap((intent) => (isRecorded = E.isRight(intent))),
      finalize(() => {
        if (!isRecorded) permit.release()
      }),
      OE.flatMap(() => creating)
    )
  })
}

/** Records the task in the journal. `close` waits for it, so that a process may exit after `close`. */
export const recordCreated = ({ inFlight }: Context, { journal }: ActiveTask, ref: TaskRef): Observable<never> => {
  if (!journal) return EMPTY
  const recorded = journal.afterCreate(ref)
  recorded.subscribe({ complete: inFlight.trackCreate() })
  return recorded
}
