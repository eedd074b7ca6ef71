import { chaos } from '../support/chaos.js'

const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 40)
const SOLVES = 100
const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000_000)

describe('a service that fails at random, with callers who leave and a solver that is closed', () => {
  it(`breaks no law; replay with CHAOS_SEED=${SEED}`, async () => {
    const broken: string[] = []
    for (let round = 0; round < ROUNDS; round += 1) broken.push(...(await chaos(SEED + round, SOLVES)))

    expect(broken).toStrictEqual([])
  })
})
