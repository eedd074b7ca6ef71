import { Observable, type MonoTypeOperatorFunction } from 'rxjs'

/**
 * Mirrors the source. Unsubscribing ends the source as long as `isSent` gives `false`; from then on the source runs to its
 * end. `onLate` gets what it emits after the subscriber left, and `onEnd` is called when it has ended.
 *
 * ```
 * source   ---a---b|        source   ---a---b|
 * isSent   false            isSent   true
 * unsub    -----!           unsub    -----!
 * result   ---a-            result   ---a-
 * source   ^----!           onLate   -------b
 * ```
 */
export const uninterruptible =
  <R>({
    isSent,
    onLate,
    onEnd
  }: {
    readonly isSent: () => boolean
    readonly onLate: (value: R) => void
    readonly onEnd: () => void
  }): MonoTypeOperatorFunction<R> =>
  (source) =>
    new Observable((subscriber) => {
      const running = source.subscribe({
        next: (value) => {
          if (subscriber.closed) onLate(value)
          else subscriber.next(value)
        },
        error: (defect: unknown) => {
          subscriber.error(defect)
        },
        complete: () => {
          subscriber.complete()
        }
      })
      running.add(onEnd)
      return () => {
        if (!isSent()) running.unsubscribe()
      }
    })
