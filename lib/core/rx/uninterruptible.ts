import { Observable, type MonoTypeOperatorFunction } from 'rxjs'

/**
 * Mirrors the source. Unsubscribing also unsubscribes from the source while `isSent` returns `false`; once it returns `true`,
 * the source runs to its end. `onLate` is called with every value that the source emits after the subscriber has
 * unsubscribed, and `onEnd` when the source has ended.
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
