import { readlinkSync } from 'node:fs'
import { utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { lock, type LockOptions } from 'proper-lockfile'
import { causeOf } from '../core/model/network.js'
import { JournalError, NOT_OPENED, journalErrorOf } from './error.js'
import type { Owner } from './format.js'

/** A lock that this process has until it closes the journal. */
export interface Lock {
  /** `false` once the lock was removed, or taken over while this process hung. */
  readonly isOurs: () => boolean
  readonly release: () => Promise<void>
}

/** Opens under a second, short lock, so that only one process takes over from a dead one. */
export const withOpeningLock = async <A>(path: string, open: () => Promise<A>): Promise<A> => {
  const options: LockOptions = { stale: OPENING_STALE_MS, update: 1_000, onCompromised: () => undefined }
  const release = await lockWithin(MAX_OPENING_MS, `${path}.opening`, options).catch((error: unknown) => {
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
export const acquireLock = async (path: string, findOwner: () => Promise<Owner | undefined>): Promise<Lock> => {
  let owner: Owner | undefined
  try {
    return await acquire(path, 0).catch(async (error: unknown) => {
      if (!isLocked(error)) throw error
      owner = await findOwner()
      const status = ownerStatus(path, owner)
      if (status === 'alive') throw error
      if (status === 'dead') await utimes(`${path}.lock`, 0, 0)
      return acquire(path, status === 'dead' ? 0 : STALE_MS + 1_000)
    })
  } catch (error) {
    if (error instanceof JournalError) throw error
    throw isLocked(error) ? inUse(path, owner) : journalErrorOf(path, 'cannot be locked', NOT_OPENED, error)
  }
}

/** This process, as the first line of a journal names it. */
export const currentOwner = (): Owner => ({ pid: process.pid, place: `${hostname()} ${pidNamespace()}` })

// A process renews its lock five times in that time; one that does not is dead, or hangs.
const STALE_MS = 10_000
// Opening is short; a process that dies meanwhile delays the next one by that time.
const OPENING_STALE_MS = 4_000
const MAX_OPENING_MS = 15_000
const RETRY_MS = 100

/** The journals that this process has open. */
const openHere = new Set<string>()

const acquire = async (path: string, withinMs: number): Promise<Lock> => {
  let ours = true
  const onCompromised = () => void (ours = false)
  const unlock = await lockWithin(withinMs, path, { stale: STALE_MS, update: 2_000, onCompromised })
  openHere.add(path)
  process.on('SIGXFSZ', ignoreSignal)
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    openHere.delete(path)
    process.off('SIGXFSZ', ignoreSignal)
    // Unlocking fails if the lock is gone, and then there is nothing to do.
    await unlock().catch(() => undefined)
  }
  return { isOurs: () => ours, release }
}

// Node turns a write beyond the size limit of the process into an error. proper-lockfile listens to the signal to clean up,
// and then ends the process, unless there is another listener.
const ignoreSignal = (): void => undefined

/** Retries as long as the file is locked. The retries of proper-lockfile would repeat after any other error, too. */
const lockWithin = async (ms: number, path: string, options: LockOptions): Promise<() => Promise<void>> => {
  for (let remainingMs = ms; ; remainingMs -= RETRY_MS) {
    try {
      return await lock(path, { ...options, realpath: false })
    } catch (error) {
      if (!isLocked(error) || remainingMs < RETRY_MS) throw error
      await setTimeout(RETRY_MS)
    }
  }
}

const isLocked = (error: unknown): boolean => causeOf(error).code === 'ELOCKED'

const ownerStatus = (path: string, owner: Owner | undefined): 'alive' | 'dead' | 'unknown' => {
  const { pid, place } = currentOwner()
  if (openHere.has(path)) return 'alive'
  if (owner?.place !== place) return 'unknown'
  // This process does not have the journal open, so if the id is ours, its owner died and the id was given out again.
  return owner.pid !== pid && isAlive(owner.pid) ? 'alive' : 'dead'
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return causeOf(error).code !== 'ESRCH'
  }
}

/** Process ids mean the same only within one namespace; two containers may share a host name. */
const pidNamespace = (): string => {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return process.platform
  }
}

const inUse = (path: string, owner: Owner | undefined): JournalError => {
  const who = owner ? `process ${owner.pid} on ${owner.place.replace(/ .*/, '')}` : 'another process'
  const advice =
    'Two processes with one journal would pay twice, so nothing was paid. Wait until that process ends, or use another path. ' +
    'If there is no such process, start again in 10 s.'
  return new JournalError(path, `is in use by ${who}`, advice)
}
