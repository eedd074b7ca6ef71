import { createHash } from 'node:crypto'

// A draw is a hash of the seed and of what is drawn, not the next number of a stream:
// how the requests of many tasks happen to interleave then changes nothing.
const bytes = (length: number, ...of: ReadonlyArray<string | number>) =>
  createHash('shake256', { outputLength: length }).update(of.join(' ')).digest()

/** A number in [0, 1) that is always the same for the same seed and subject. */
export const seeded = (seed: number, ...of: ReadonlyArray<string | number>): number =>
  bytes(4, seed, ...of).readUInt32BE() / 2 ** 32

/** The id of the nth task: a uuid, as in the service's own example. */
export const seededTaskId = (seed: number, nth: number): string =>
  bytes(16, seed, 'task id', nth)
    .toString('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-a$4-$5')

/** The token of the nth task: starts like a real one and is about as long. */
export const seededToken = (seed: number, nth: number): string =>
  `03A${bytes(384, seed, 'token', nth).toString('base64url')}`
