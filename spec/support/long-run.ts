/** How a long run is set from outside: `npm test` takes the small number, `npm run chaos`, `fuzz` and `kill` the large one. */
export const soakOf = (name: 'CHAOS' | 'FUZZ' | 'KILL', short: number) => ({
  count: Number(process.env[`${name}_COUNT`] ?? short),
  seed: Number(process.env[`${name}_SEED`] ?? Date.now() % 1_000_000_000),
  /** Long runs are no matter of a test's patience. */
  timeoutMs: 3_600_000
})

/** Tells on a long run how far it is, past jest, which would keep it to itself until the end. */
export const progressOf = (title: string, count: number, everyNth: number) => {
  const isLong = count > everyNth
  const say = (what: string): void => {
    if (isLong) process.stderr.write(`${title}: ${what}\n`)
  }
  say('begins')
  return (done: number): void => {
    if (done % everyNth === 0) say(`${done} of ${count}`)
  }
}
