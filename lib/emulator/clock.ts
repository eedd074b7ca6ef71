import { performance } from 'node:perf_hooks'

/** The epoch in milliseconds, by a clock that never jumps. */
export const now = (): number => performance.timeOrigin + performance.now()
