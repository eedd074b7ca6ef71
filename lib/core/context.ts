import type { Call } from './call.js'
import type { Gate } from './gate.js'
import type { Lives } from './lives.js'
import type { Reading } from './meaning.js'
import type { Settings } from './options.js'
import type { Ports } from './ports.js'

/** All that the calls of one solver share. It holds the client key, so it stays inside closures. */
export interface Context extends Pick<Ports, 'scheduler' | 'random'> {
  readonly settings: Settings
  readonly call: Call
  readonly gate: Gate
  readonly lives: Lives
  readonly reading: Reading
}
