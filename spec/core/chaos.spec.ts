import { simulateRound } from '../support/chaos/simulation.js'
import { progressOf, longRunOf } from '../support/long-run.js'

const { count, seed, timeoutMs } = longRunOf('CHAOS', 1_000)
const SOLVES_PER_ROUND = 100

describe('two solvers, a service that fails at random, and callers who unsubscribe, resume and close', () => {
  it(
    `break no guarantee in ${count} solves from CHAOS_SEED=${seed} on`,
    async () => {
      const reportProgress = progressOf(`CHAOS_SEED=${seed}`, count, 50_000)
      for (let done = 0; done < count; done += SOLVES_PER_ROUND) {
        const seedOfRound = seed + done / SOLVES_PER_ROUND
        const breaches = await simulateRound(seedOfRound, SOLVES_PER_ROUND)
        const replay = `CHAOS_SEED=${seedOfRound} CHAOS_COUNT=${SOLVES_PER_ROUND} npm run chaos`
        expect({ replay, breaches }).toStrictEqual({ replay, breaches: [] })
        reportProgress(done + SOLVES_PER_ROUND)
      }
    },
    timeoutMs
  )
})
