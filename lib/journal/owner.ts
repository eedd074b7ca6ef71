import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { causeOf } from '../core/model/network.js'

/** The process that opened a journal, as the first line of the file names it. */
export interface Owner {
  readonly pid: number
  /** Process ids can be compared if this is the same: the host and, on Linux, the namespace of process ids. */
  readonly place: string
  /** When the process started, where that can be known (Linux), because process ids are reused. */
  readonly processStart?: string | undefined
}

/** This process. All its threads, and all copies of this module, are one owner. */
export const currentOwner = (): Owner => {
  const owner = { pid: process.pid, place: `${hostname()} ${pidNamespace()}` }
  const stat = readStat(process.pid)
  return stat ? { ...owner, processStart: stat.start } : owner
}

/** Whether the owner still runs; unknown if it is on another machine or in another container. */
export const ownerStatus = (owner: Owner | undefined): 'alive' | 'dead' | 'unknown' => {
  if (owner?.place !== currentOwner().place) return 'unknown'
  if (!isAlive(owner.pid)) return 'dead'
  const stat = readStat(owner.pid)
  if (!stat) return 'alive'
  return stat.isZombie || (owner.processStart ?? stat.start) !== stat.start ? 'dead' : 'alive'
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return causeOf(error).code !== 'ESRCH'
  }
}

/** A killed process keeps its id, as a zombie, until its parent has read its exit code. Only Linux has this file. */
const readStat = (pid: number): { readonly isZombie: boolean; readonly start: string } | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the name of the program in parentheses, which may hold anything; the others hold no space.
    const [state = '', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const start = fields[STARTTIME]
    return start === undefined ? undefined : { isZombie: 'ZX'.includes(state), start }
  } catch {
    return undefined
  }
}

// `starttime` of proc(5), in clock ticks since boot, counted from the field after `state`.
const STARTTIME = 18

/** Process ids mean the same only within one namespace; two containers may share a host name. */
const pidNamespace = (): string => {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return process.platform
  }
}
