/** The size of a randomised run: `npm test` takes the small count; `npm run chaos`, `fuzz`, `kill`, `load` and `chaos:queue` set a large one. */
export const longRunOf = (name: 'CHAOS' | 'FUZZ' | 'KILL' | 'LOAD' | 'QUEUE', short: number) => ({
  count: Number(process.env[`${name}_COUNT`] ?? short),
  seed: Number(process.env[`${name}_SEED`] ?? Date.now() % 1_000_000_000),
  /** An hour, because a long run takes longer than the usual limit of a test. */
  timeoutMs: 3_600_000
})

/** Prints the progress of a long run; past jest, which would print it only at the end. */
export const progressOf = (title: string, count: number, everyNth: number) => {
  const isLong = count > everyNth
  const print = (text: string): void => {
    if (isLong) process.stderr.write(`${title}: ${text}\n`)
  }
  print('begins')
  return (done: number): void => {
    if (done % everyNth === 0) print(`${done} of ${count}`)
  }
}
