import { Subject, filter, type Observable } from 'rxjs'
import type { PullRoom } from '../rx/pull-merge-map.js'
import type { Spending } from '../in-flight/track-options.js'

/**
 * How many more createTask calls of a batch the service may accept. Each pulled item holds one of them. It is spent once the
 * service has or may have accepted the call, and given back if it certainly has not. So the limit holds however many items are
 * active.
 */
export class SpendingLimit implements PullRoom {
  readonly #changed = new Subject<void>()
  readonly #max: number
  #held = 0
  #spent = 0

  constructor(max: number) {
    this.#max = max
  }

  readonly changed: Observable<void> = this.#changed
  readonly reached: Observable<void> = this.#changed.pipe(filter(() => this.#spent === this.#max))

  readonly take = (): boolean => {
    if (this.#held + this.#spent === this.#max) return false
    this.#held += 1
    return true
  }

  /** The share of one item, for which one call is taken already. */
  forItem(): Spending {
    let isHeld = true
    const end = (spent: 0 | 1) => () => {
      if (!isHeld) return
      isHeld = false
      this.#held -= 1
      this.#spent += spent
      this.#changed.next()
    }
    return { take: () => (isHeld ||= this.take()), spend: end(1), giveBack: end(0) }
  }
}
