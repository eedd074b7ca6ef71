import { causeOf } from '../core/model/network.js'
import type { ErrorCause } from '../core/model/network.js'

/**
 * A journal cannot be opened, or not be written any more. The message says what happened and what to do. Nothing is created
 * without a journal that holds, so nothing was paid because of it.
 *
 * @since 0.1.0
 */
export class JournalError extends Error {
  override readonly name = 'JournalError'

  constructor(
    readonly path: string,
    happened: string,
    advice: string,
    /** What the file system said. */
    override readonly cause?: ErrorCause
  ) {
    super(`The journal ${path} ${happened}. ${advice}`)
  }
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'The disk is full: make room, then start again.'],
  ['EDQUOT', 'Your share of the disk is used up: make room, then start again.'],
  ['EFBIG', 'It has reached the largest size that this process may write: raise that limit, then start again.'],
  [
    'EACCES',
    'This user may not do that there: change the permissions of the file and its folder, or use another path.'
  ],
  ['EPERM', 'This user may not do that there: change the permissions of the file and its folder, or use another path.'],
  ['EROFS', 'The file system is read-only: use another path.'],
  ['ENOENT', 'Its folder does not exist: make it, or use another path.'],
  ['ENOTDIR', 'A part of the path is not a folder: use another path.'],
  ['EMFILE', 'Too many files are open: raise that limit, then start again.'],
  ['ENAMETOOLONG', 'The path is too long: use another one.']
])

/** A failure of the file system, told by what was tried. */
export const journalErrorOf = (path: string, happened: string, error: unknown): JournalError => {
  const cause = causeOf(error)
  const advice = ADVICE.get(cause.code) ?? 'Mend that, then start again: what is in it is continued.'
  return new JournalError(path, `${happened} (${cause.code || cause.message})`, advice, cause)
}

/** Mirrors the work, its failures told as a {@link JournalError}. */
export const wrapErrors = async <A>(path: string, happened: string, work: () => Promise<A>): Promise<A> => {
  try {
    return await work()
  } catch (error) {
    throw error instanceof JournalError ? error : journalErrorOf(path, happened, error)
  }
}
