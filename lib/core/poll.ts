import { defer, exhaustMap, filter, interval, repeat, take, takeWhile, type Observable, type SchedulerLike } from 'rxjs'

/**
 * Waits, asks, and repeats until an answer is final; emits that one.
 *
 * One tick, then the answer, then the next wait: never less than the wait lies between an answer and the next question.
 * A bare `interval(n)` into `exhaustMap` would ask again 10 ms after an answer that took 2,990 ms.
 *
 * ```
 * wait 3   ---|        ---|
 * ask         --p|        -f|
 * result   ------------------(f|)
 * ```
 */
export const pollUntilFinal =
  (waitMs: () => number, scheduler: SchedulerLike) =>
  <S, F extends S>(ask: Observable<S>, isFinal: (state: S) => state is F): Observable<F> =>
    defer(() => interval(waitMs(), scheduler)).pipe(
      take(1),
      exhaustMap(() => ask),
      repeat(),
      takeWhile((state) => !isFinal(state), true),
      filter(isFinal)
    )
