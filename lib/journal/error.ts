import { causeOf, type ErrorCause } from '../core/model/network.js'

/**
 * A journal cannot be opened, or cannot be written any more. The message says what happened, whether anything was paid, and
 * what can be done; it holds no client key and no token. No task is created without a journal that records it.
 *
 * @since 0.1.0
 */
export class JournalError extends Error {
  override readonly name = 'JournalError'

  constructor(
    /** The file, as an absolute path if it could be resolved. */
    readonly path: string,
    happened: string,
    advice: string,
    /** The error of the file system. */
    override readonly cause?: ErrorCause
  ) {
    super(`The journal ${path} ${happened}. ${advice}`)
  }
}

/** What holds for this run if a journal does not open. */
export const NOT_OPENED = 'Nothing was paid.'
/** What holds for this run if an open journal fails. */
export const NOT_WRITTEN = 'No further task is created; what was recorded before is kept.'

/** The error of the journal for an error of the file system. */
export const journalErrorOf = (path: string, happened: string, consequence: string, error: unknown): JournalError => {
  const cause = causeOf(error)
  const advice = ADVICE.get(cause.code) ?? 'Fix the cause, then start again: recorded tasks are continued.'
  return new JournalError(path, `${happened} (${cause.code})`, `${consequence} ${advice}`, cause)
}

/** Runs one step of opening a journal; whatever it throws becomes a {@link JournalError}. */
export const wrapErrors = async <A>(path: string, happened: string, work: () => Promise<A>): Promise<A> => {
  try {
    return await work()
  } catch (error) {
    throw error instanceof JournalError ? error : journalErrorOf(path, happened, NOT_OPENED, error)
  }
}

const NOT_PERMITTED =
  'This user has no permission: change the permissions of the file and its folder, or use another path.'

const ADVICE: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'The disk is full: make room, then start again.'],
  ['EDQUOT', 'The disk quota of this user is used up: make room, then start again.'],
  ['EFBIG', 'The file has reached the largest size that this process may write: raise that limit, then start again.'],
  ['EACCES', NOT_PERMITTED],
  ['EPERM', NOT_PERMITTED],
  ['EROFS', 'The file system is read-only: use another path.'],
  ['EBUSY', 'It is mounted by itself, for example into a container: mount its folder instead, or use another path.'],
  ['ELOOP', 'Its symbolic links form a loop: correct them, or use another path.'],
  ['ENOENT', 'Its folder does not exist: create it, or use another path.'],
  ['ENOTDIR', 'A part of the path is not a folder: use another path.'],
  ['EMFILE', 'Too many files are open: raise that limit, then start again.'],
  ['ENAMETOOLONG', 'The path is too long: use another one.']
])
