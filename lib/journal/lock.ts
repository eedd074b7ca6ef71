import { rmdir, stat } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { lock, type LockOptions } from 'proper-lockfile'
import { causeOf } from '../core/model/network.js'
import { JournalError, NOT_OPENED, journalErrorOf } from './error.js'
import type { Header } from './format.js'
import { ownerStatus } from './owner.js'

/** A lock that this process holds until it closes the journal. */
export interface Lock {
  /** `false` once the lock was removed, or taken over while this process hung. */
  readonly isOurs: () => boolean
  readonly release: () => Promise<void>
}

/** Opens the journal under a second, short lock, so that only one process takes over from a dead one. */
export const withOpeningLock = async <A>(path: string, open: () => Promise<A>): Promise<A> => {
  const options: LockOptions = { stale: OPENING_STALE_MS, update: 1_000, onCompromised: () => undefined }
  const release = await lockOpening(path, options).catch((error: unknown) => {
    if (!isLocked(error)) throw journalErrorOf(path, 'cannot be locked', NOT_OPENED, error)
    const advice = `${NOT_OPENED} Start again in a few seconds, or use another path.`
    throw new JournalError(path, 'is being opened by another process', advice)
  })
  try {
    return await open()
  } finally {
    await release().catch(() => undefined)
  }
}

/**
 * Locks the journal. The lock of a process that died on this machine is taken over at once; if that cannot be known (another
 * machine or container), the lock is taken over once it has not been renewed for 10 s.
 */
export const acquireLock = async (path: string, readHeader: () => Promise<Header | undefined>): Promise<Lock> => {
  try {
    return await acquire(path).catch(async (error: unknown) => {
      if (!isLocked(error)) throw error
      const header = await readHeader()
      if (!(await isAbandoned(`${path}.lock`, header))) throw heldBy(path, header)
      await rmdir(`${path}.lock`).catch(unlessMissing)
      return acquire(path)
    })
  } catch (error) {
    throw error instanceof JournalError ? error : journalErrorOf(path, 'cannot be locked', NOT_OPENED, error)
  }
}

const RENEW_MS = 2_000
// A process renews its lock five times in this time; one that does not is dead or hangs.
const STALE_MS = 5 * RENEW_MS
// Opening is short; a process that dies meanwhile delays the next one by this time.
const OPENING_STALE_MS = 4_000
const MAX_OPENING_MS = 15_000
const RETRY_MS = 100

/** Whether no process holds the lock any more. */
const isAbandoned = async (lockPath: string, header: Header | undefined): Promise<boolean> => {
  const status = ownerStatus(header)
  if (status === 'dead') return true
  const first = await stat(lockPath).catch(unlessMissing)
  // A file is not a lock of ours, and removing it fails with the reason.
  if (!first?.isDirectory()) return true
  const ageMs = Date.now() - first.mtimeMs
  // The owner may be a terminated thread of a process that still runs: then the lock is not renewed.
  if (status === 'alive' && Math.abs(ageMs) < STALE_MS) return false
  // The clock may have been set, or differ from that of the other machine, so the watch lasts for at least two renewals.
  const knownMs = Math.min(Math.max(ageMs, 0), STALE_MS - 2 * RENEW_MS)
  const until = performance.now() + STALE_MS - knownMs
  while (performance.now() < until) {
    await setTimeout(RETRY_MS)
    const now = await stat(lockPath).catch(unlessMissing)
    if (!now) return true
    if (now.mtimeMs !== first.mtimeMs) return false
  }
  return true
}

const unlessMissing = (error: unknown): undefined => {
  if (causeOf(error).code !== 'ENOENT') throw error
}

const acquire = async (path: string): Promise<Lock> => {
  let ours = true
  const onCompromised = () => void (ours = false)
  // Never stale for proper-lockfile, which knows only the time of the last renewal, and not whether the owner is alive.
  const unlock = await lock(path, { realpath: false, stale: Infinity, update: RENEW_MS, onCompromised })
  holdSignal()
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    releaseSignal()
    // Unlocking fails if the lock no longer exists, and then there is nothing to do.
    await unlock().catch(() => undefined)
  }
  return { isOurs: () => ours, release }
}

// Node turns a write beyond the size limit of the process into an error. proper-lockfile listens to the signal to clean up,
// and then ends the process, unless there is another listener: one for all journals, because Node warns of more than ten.
let journalsOpen = 0
const ignoreSignal = (): void => undefined
const holdSignal = (): void => {
  journalsOpen += 1
  if (journalsOpen === 1) process.on('SIGXFSZ', ignoreSignal)
}
const releaseSignal = (): void => {
  journalsOpen -= 1
  if (journalsOpen === 0) process.off('SIGXFSZ', ignoreSignal)
}

/** Retries while another process opens the journal. proper-lockfile's own retries would also follow any other error. */
const lockOpening = async (path: string, options: LockOptions): Promise<() => Promise<void>> => {
  for (let remainingMs = MAX_OPENING_MS; ; remainingMs -= RETRY_MS) {
    try {
      return await lock(`${path}.opening`, { ...options, realpath: false })
    } catch (error) {
      if (!isLocked(error) || remainingMs < RETRY_MS) throw error
      await setTimeout(RETRY_MS)
    }
  }
}

const isLocked = (error: unknown): boolean => causeOf(error).code === 'ELOCKED'

const heldBy = (path: string, header: Header | undefined): JournalError => {
  if (!header) return new JournalError(path, 'is held by another process', `${TWICE} ${WAIT}`)
  const happened = `has been held by process ${header.pid} since ${header.openedAt}`
  return header.pid === process.pid && ownerStatus(header) === 'alive'
    ? new JournalError(path, `${happened}; that is this process`, `${TWICE} ${CLOSE}`)
    : new JournalError(path, `${happened} on ${header.place.replace(/ .*/, '')}`, `${TWICE} ${WAIT}`)
}

const TWICE = 'Nothing was paid, because two owners of one journal would pay twice.'
const WAIT = 'Wait until that process ends, or use another path. If there is no such process, start again in 10 s.'
const CLOSE =
  'Another thread of this process, another copy of rx-captcha in it, or an earlier fileJournal has the journal open: use that one, or close it first. ' +
  'If that thread was terminated, start again in 10 s.'
