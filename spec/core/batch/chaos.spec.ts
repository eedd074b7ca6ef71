import { BatchSimulation } from '../../support/chaos/batch-simulation.js'
import { progressOf, longRunOf } from '../../support/long-run.js'

const { count, seed, timeoutMs } = longRunOf('CHAOS', 500)
const ITEMS = 30

describe('a batch with a journal, through crashes, journal failures and shutdowns', () => {
  it(
    `creates no task twice and loses none, in ${count} items from CHAOS_SEED=${seed} on`,
    async () => {
      const reportProgress = progressOf(`batches, CHAOS_SEED=${seed}`, count, 60_000)
      for (let done = 0; done < count; done += ITEMS) {
        const seedOfRound = seed + done / ITEMS
        const breaches = await new BatchSimulation(seedOfRound).simulate(ITEMS)
        const replay = `CHAOS_SEED=${seedOfRound} CHAOS_COUNT=${ITEMS} npm run chaos`
        expect({ replay, breaches }).toStrictEqual({ replay, breaches: [] })
        reportProgress(done + ITEMS)
      }
    },
    timeoutMs
  )
})
