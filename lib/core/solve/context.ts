import type { Ports } from '../model/network.js'
import type { Settings } from '../model/options.js'
import type { ReadOptions } from '../protocol/reply.js'
import type { Backoff } from '../rx/backoff.js'
import type { RateLimiter } from '../rx/rate-limiter.js'
import type { Spacing } from '../rx/spacing.js'
import type { CallService } from './call.js'
import type { EventBus } from '../in-flight/event-bus.js'
import type { InFlight } from '../in-flight/in-flight.js'

/** What the tasks of one solver share. It holds the client key, so it stays inside closures. */
export interface Context extends Pick<Ports, 'scheduler' | 'random'> {
  /** Elapsed milliseconds since an arbitrary moment. Waits and ages are measured with it, instants with `scheduler.now()`. */
  readonly elapsed: () => number
  readonly settings: Settings
  readonly readOptions: ReadOptions
  readonly call: CallService
  /** The delay before a poll, by the number of polls beyond those at full pace. */
  readonly pollBackoff: Backoff
  readonly limiter: RateLimiter
  /** Between createTask calls, if there is a rate. Permits are spaced too, but a journal may take long between permit and call. */
  readonly spacing: Spacing | undefined
  readonly inFlight: InFlight
  readonly events: EventBus
}
