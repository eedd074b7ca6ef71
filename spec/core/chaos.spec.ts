import { chaos } from '../support/chaos/chaos.js'
import { progressOf, soakOf } from '../support/long-run.js'

const { count, seed, timeoutMs } = soakOf('CHAOS', 20_000)
const A_ROUND = 100

describe('a service that fails at random, callers who leave and resume, and a solver that is closed', () => {
  it(
    `break no law in ${count} solves from CHAOS_SEED=${seed} on`,
    async () => {
      const tellProgress = progressOf(`CHAOS_SEED=${seed}`, count, 50_000)
      for (let done = 0; done < count; done += A_ROUND) {
        const ofThisRound = seed + done / A_ROUND
        const broken = await chaos(ofThisRound, A_ROUND)
        const replay = `CHAOS_SEED=${ofThisRound} CHAOS_COUNT=${A_ROUND} npm run chaos`
        expect({ replay, broken }).toStrictEqual({ replay, broken: [] })
        tellProgress(done + A_ROUND)
      }
    },
    timeoutMs
  )
})
