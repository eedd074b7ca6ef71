import { defer, of, timer, type Observable, type SchedulerLike } from 'rxjs'

/** Lets its subscribers continue at a fixed interval, in the order in which they subscribe. */
export class Spacing {
  readonly #scheduler: SchedulerLike
  readonly #elapsed: () => number
  readonly #spacingMs: number
  #nextAt = -Infinity

  constructor(
    { scheduler, elapsed }: { readonly scheduler: SchedulerLike; readonly elapsed: () => number },
    perSecond: number
  ) {
    this.#scheduler = scheduler
    this.#elapsed = elapsed
    this.#spacingMs = 1_000 / perSecond
  }

  /** Emits once, at once if the last one is long enough ago, and completes. */
  readonly wait: Observable<unknown> = defer(() => {
    const now = this.#elapsed()
    const at = Math.max(now, this.#nextAt)
    this.#nextAt = at + this.#spacingMs
    return at > now ? timer(Math.ceil(at - now), this.#scheduler) : of(undefined)
  })
}
