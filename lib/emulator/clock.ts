import { performance } from 'node:perf_hooks'

/** Milliseconds since the epoch, by a clock that never jumps. */
export const steadyNow = (): number => performance.timeOrigin + performance.now()
