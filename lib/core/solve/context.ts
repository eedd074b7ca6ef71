import type { Call } from './call.js'
import type { Gate } from '../rx/rate-limiter.js'
import type { Lives } from './in-flight.js'
import type { Reading } from '../protocol/interpret.js'
import type { Settings } from '../model/options.js'
import type { Ports } from '../model/network.js'

/** All that the calls of one solver share. It holds the client key, so it stays inside closures. */
export interface Context extends Pick<Ports, 'scheduler' | 'random'> {
  readonly settings: Settings
  readonly call: Call
  readonly gate: Gate
  readonly lives: Lives
  readonly reading: Reading
}
