import { createHash } from 'node:crypto'

/** A number in [0, 1), always the same for the same seed and subject. */
export const seeded = (seed: number, ...subject: ReadonlyArray<string | number>): number =>
  hash(4, seed, ...subject).readUInt32BE() / 2 ** 32

/** The id of the nth task: a uuid, as in the documented example. */
export const seededTaskId = (seed: number, nth: number): string =>
  hash(16, seed, 'task id', nth)
    .toString('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-a$4-$5')

/** The numeric id of the nth task: 18 digits, and odd, because every number from 2^53 on that a double can hold is even. */
export const seededNumericTaskId = (seed: number, nth: number): bigint =>
  10n ** 17n + ((hash(8, seed, 'task id', nth).readBigUInt64BE() % (9n * 10n ** 17n)) | 1n)

/** The token of the nth task: it begins like a real one and is about as long. */
export const seededToken = (seed: number, nth: number): string =>
  `03A${hash(384, seed, 'token', nth).toString('base64url')}`

// A draw is a hash of the seed and its subject, not the next number of a sequence, so that it does not depend on how the
// requests of many tasks interleave.
const hash = (bytes: number, ...subject: ReadonlyArray<string | number>) =>
  createHash('shake256', { outputLength: bytes }).update(subject.join(' ')).digest()
