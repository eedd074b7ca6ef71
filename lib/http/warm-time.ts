// A server may close an idle connection just as a createTask is written to it. One that keeps idle connections open for a second
// leaves a margin of half a second; after one that closes sooner, half of its idle time counts as warm.
const WARM_MS = 500

// The lower bound of that half: a restarted service closes connections just after a reply, whatever idle time it allows.
const MIN_WARM_MS = 20

// A server that closes as soon as this again and again does so after each reply.
const SOON_MS = 2 * MIN_WARM_MS
const MAX_SOON = 3

/** For how long a connection is warm after a reply, learned from the idle times after which the server closes connections. */
export class WarmTime {
  #ms = WARM_MS
  /** How many connections were closed soon since one was used again after a longer idle time. */
  #closedSoon = 0

  isWarm(idleMs: number): boolean {
    return idleMs <= this.#ms && this.#closedSoon < MAX_SOON
  }

  /** The server has closed a connection that was idle for so long. */
  onClosed(idleMs: number): void {
    this.#ms = Math.max(MIN_WARM_MS, Math.min(this.#ms, idleMs / 2))
    if (idleMs < SOON_MS) this.#closedSoon += 1
  }

  /** The server has replied on a connection that was idle for so long before. */
  onReply(idleMs: number): void {
    if (idleMs >= SOON_MS) this.#closedSoon = 0
  }
}
