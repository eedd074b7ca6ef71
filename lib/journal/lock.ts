import { readlinkSync } from 'node:fs'
import { utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { lock, type LockOptions } from 'proper-lockfile'
import { causeOf } from '../core/model/network.js'
import { JournalError, journalErrorOf } from './error.js'
import type { Owner } from './format.js'

/** Two containers may share a host name, but not what their process ids mean. */
const processIds = (): string => {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return process.platform
  }
}

export const currentOwner = (): Owner => ({ pid: process.pid, place: `${hostname()} ${processIds()}` })

const held = new Set<string>()

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return causeOf(error).code !== 'ESRCH'
  }
}

type OwnerStatus = 'alive' | 'dead' | 'unknown'

const ownerStatus = (path: string, owner: Owner | undefined): OwnerStatus => {
  const { pid, place } = currentOwner()
  if (held.has(path)) return 'alive'
  if (owner?.place !== place) return 'unknown'
  // Our own id without a lock of ours: we were given the id of one that died.
  return owner.pid !== pid && isAlive(owner.pid) ? 'alive' : 'dead'
}

// The holder renews its lock five times in that time; one that does not is gone, or hangs.
const STALE_MS = 10_000
// Opening is short; who dies meanwhile holds up the next one so long.
const OPENING_STALE_MS = 4_000
const LONGEST_OPENING_MS = 15_000

const isLocked = (error: unknown): boolean => causeOf(error).code === 'ELOCKED'

const RETRY_MS = 100

/** Tries for so long as somebody else has the lock; the library's own retries would do so after any failure. */
const lockWithin = async (ms: number, path: string, options: LockOptions): Promise<() => Promise<void>> => {
  for (let left = ms; ; left -= RETRY_MS) {
    try {
      return await lock(path, { ...options, realpath: false })
    } catch (error) {
      if (!isLocked(error) || left < RETRY_MS) throw error
      await setTimeout(RETRY_MS)
    }
  }
}

/** Opening is done by one process at a time, so that no two of them take over from the same dead one. */
export const withOpeningLock = async <A>(path: string, open: () => Promise<A>): Promise<A> => {
  const options: LockOptions = { stale: OPENING_STALE_MS, update: 1_000, onCompromised: () => undefined }
  const release = await lockWithin(LONGEST_OPENING_MS, `${path}.opening`, options).catch((error: unknown) => {
    if (!isLocked(error)) throw journalErrorOf(path, 'cannot be locked', error)
    throw new JournalError(path, 'is just being opened by another process', 'Start again later, or use another path.')
  })
  try {
    return await open()
  } finally {
    await release().catch(() => undefined)
  }
}

const inUse = (path: string, owner: Owner | undefined): JournalError =>
  new JournalError(
    path,
    `is in use by ${owner ? `process ${owner.pid} on ${owner.place.replace(/ .*/, '')}` : 'another process'}`,
    'Two of them would pay twice: wait for its end, or use another path. If there is no such process, start again in 10 s.'
  )

/** A lock for as long as this process has the journal open. */
export interface Lock {
  /** Whether nobody removed the lock, or took it over while this process hung. */
  readonly isOurs: () => boolean
  readonly release: () => Promise<void>
}

// A write beyond the size limit of the process is an error to node. The library, which cleans up after itself when a signal
// ends the process, would make it the end; it does not where somebody else listens.
const goOn = (): void => undefined

const acquire = async (path: string, withinMs: number): Promise<Lock> => {
  let ours = true
  const onCompromised = () => void (ours = false)
  const unlock = await lockWithin(withinMs, path, { stale: STALE_MS, update: 2_000, onCompromised })
  held.add(path)
  process.on('SIGXFSZ', goOn)
  let isHeld = true
  const release = async () => {
    if (!isHeld) return
    isHeld = false
    held.delete(path)
    process.off('SIGXFSZ', goOn)
    // A lock that is gone already is free.
    await unlock().catch(() => undefined)
  }
  return { isOurs: () => ours, release }
}

/**
 * The lock of a process that died here is taken over at once; where that cannot be known (another machine or container), once
 * it has not been renewed for 10 s.
 */
export const acquireLock = async (path: string, findOwner: () => Promise<Owner | undefined>): Promise<Lock> => {
  let owner: Owner | undefined
  try {
    return await acquire(path, 0).catch(async (error: unknown) => {
      if (!isLocked(error)) throw error
      owner = await findOwner()
      const life = ownerStatus(path, owner)
      if (life === 'alive') throw error
      if (life === 'dead') await utimes(`${path}.lock`, 0, 0)
      return acquire(path, life === 'dead' ? 0 : STALE_MS + 1_000)
    })
  } catch (error) {
    if (error instanceof JournalError) throw error
    throw isLocked(error) ? inUse(path, owner) : journalErrorOf(path, 'cannot be locked', error)
  }
}
