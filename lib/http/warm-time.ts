// A server may close an idle connection just as a createTask is written to it. One that keeps idle connections open for a second
// leaves a margin of half a second; after one that closes sooner, half of its idle time counts as warm.
const WARM_MS = 500

// The lower bound of that half: a restarted service closes connections just after a reply, whatever idle time it allows.
const MIN_WARM_MS = 20

// A server that closes as soon as this again and again does so after each reply. After a restart new connections are used for a
// while only, because each costs a handshake.
const SOON_MS = 2 * MIN_WARM_MS
const MAX_SOON = 3
const COLD_MS = 10_000

/** For how long a connection is warm after a reply, learned from the idle times after which the server closes connections. */
export class WarmTime {
  #ms = WARM_MS
  /** When the last connections were closed soon. */
  #closedSoonAt: ReadonlyArray<number> = []

  isWarm(idleMs: number): boolean {
    return idleMs <= this.#ms && !this.#isCold
  }

  get #isCold(): boolean {
    const [first = 0] = this.#closedSoonAt
    return this.#closedSoonAt.length === MAX_SOON && performance.now() - first < COLD_MS
  }

  /** The server has closed a connection that was idle for so long. */
  onClosed(idleMs: number): void {
    this.#ms = Math.max(MIN_WARM_MS, Math.min(this.#ms, idleMs / 2))
    if (idleMs < SOON_MS) this.#closedSoonAt = [...this.#closedSoonAt, performance.now()].slice(-MAX_SOON)
  }
}
