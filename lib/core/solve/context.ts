import type { CallService } from './call.js'
import type { RateLimiter } from '../rx/rate-limiter.js'
import type { InFlight } from './in-flight.js'
import type { ReadOptions } from '../protocol/interpret.js'
import type { Settings } from '../model/options.js'
import type { Ports } from '../model/network.js'

/** All that the calls of one solver share. It holds the client key, so it stays inside closures. */
export interface Context extends Pick<Ports, 'scheduler' | 'random'> {
  readonly settings: Settings
  readonly call: CallService
  readonly limiter: RateLimiter
  readonly inFlight: InFlight
  readonly readOptions: ReadOptions
}
