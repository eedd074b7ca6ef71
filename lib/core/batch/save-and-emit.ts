import { Observable, concat, defer, finalize } from 'rxjs'
import type { InFlight } from '../in-flight/in-flight.js'
import type { Orphan } from '../model/event.js'

/** The steps around the emission of a result. */
export interface SaveSteps {
  /** Emits nothing, and completes when the result is saved. */
  readonly save: Observable<never>
  /** Records in the journal that the result was emitted. Never errors. */
  readonly recordEnd: Observable<never>
  /** The task of the result, if it is paid for. */
  readonly paid: Orphan | undefined
  /** Called if the result could not be saved, so that it is not emitted either. */
  readonly orphan: () => void
}

/**
 * Saves a result, emits it and records its end. Unsubscribing stops none of it: `deliver` was called with the result, and a saved
 * result whose end is not recorded would be solved again.
 */
export const saveAndEmit = <R>(
  inFlight: InFlight,
  result: R,
  { save, recordEnd, paid, orphan }: SaveSteps
): Observable<R> =>
  new Observable((subscriber) => {
    const endSave = inFlight.trackSave({ paid, orphan, isAwaited: () => !subscriber.closed })
    const emission = defer(() => {
      // Before the emission: the subscriber may call `close` during it.
      const recorded = inFlight.trackCreate()
      endSave(true)
      subscriber.next(result)
      return recordEnd.pipe(finalize(recorded))
    })
    concat(save, emission).subscribe({
      error: (error: unknown) => {
        endSave(false)
        subscriber.error(error)
      },
      complete: () => {
        subscriber.complete()
      }
    })
  })
