/**
 * The id of the job of a key. BullMQ takes neither a colon nor a number as an id, and both are usual in keys.
 *
 * @throws TypeError for a key that is not a string, or is empty
 * @since 0.1.0
 */
export const jobIdOf = (key: string): string => {
  if (typeof key !== 'string' || key === '') throw new TypeError('keyOf: expected a string that is not empty')
  return `task-${encodeURIComponent(key)}`
}
