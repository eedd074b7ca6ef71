import { merge, take } from 'rxjs'
import { replies, type Scripted } from 'rx-captcha/testing'
import { aTask, scriptedByKey, simulate, simulateOver, taskOf, type Simulation } from '../../support/simulate.js'

const { created, refused } = replies
const connecting = { failed: {}, sent: false, afterMs: 60_000 }
const isCreate = (call: string): boolean => call.includes('createTask')

const solveEach = ({ solver, record }: Simulation) => ({
  b: record(solver.solve(taskOf('b')), 'b'),
  a: record(solver.solve(taskOf('a')), 'a')
})

/**
 * The service refuses task `a` for now, and its second createTask is due at 2,000 ms. `act` is called at that moment, before the
 * timer of the limiter, as in a process that is busy.
 */
const atDue = <S>(
  act: (simulation: Simulation, solves: S) => void,
  b: Scripted,
  start: (simulation: Simulation) => S
) => {
  const { calls, results } = simulateOver(
    scriptedByKey({ a: { create: [refused('ERROR_NO_SLOT_AVAILABLE'), created('id-a')] }, b: { create: [b] } }),
    (simulation) => {
      const solves = start(simulation)
      simulation.at(2_000, () => {
        act(simulation, solves)
      })
    },
    { createsPerSecond: 1 }
  )
  return { creates: calls.filter(isCreate), results: results.filter(([, , value]) => value !== 'complete') }
}

describe('a second createTask that is due', () => {
  it('is sent', () => {
    const { creates } = atDue(() => undefined, connecting, solveEach)
    expect(creates.slice(0, 3)).toStrictEqual(['0 createTask', '1000 createTask', '2000 createTask'])
  })

  it('is not sent once `close` was called, although an earlier task makes room', () => {
    const { creates, results } = atDue(({ solver }) => void solver.close(), connecting, solveEach)
    expect(creates).toStrictEqual(['0 createTask', '1000 createTask', '2000 createTask aborted'])
    expect(results).toMatchObject([
      [2_000, 'b', { left: { _tag: 'NotCreated', reason: 'closed' } }],
      [2_000, 'a', { left: { _tag: 'Refused', kind: 'unavailable', paid: 'no' } }]
    ])
  })

  it('is not sent for a task that `close` ends itself', () => {
    const { creates } = atDue(({ solver }) => void solver.close(), refused('ERROR_SITEKEY'), solveEach)
    expect(creates).toStrictEqual(['0 createTask', '1000 createTask'])
  })

  it('is not sent for a task whose subscriber unsubscribes', () => {
    const act = (_: Simulation, { a }: ReturnType<typeof solveEach>) => {
      a.unsubscribe()
    }
    const { creates, results } = atDue(act, created('id-b'), solveEach)
    expect(creates).toStrictEqual(['0 createTask', '1000 createTask'])
    expect(results).toMatchObject([[3_000, 'b', { _tag: 'Right' }]])
  })

  it('is not sent for a batch that the service refuses', () => {
    const noBalance = { ...refused('ERROR_ZERO_BALANCE'), afterMs: 2_000 }
    const start = ({ solver, record }: Simulation) => record(solver.solveAll(['b', 'a'], taskOf))
    const { creates, results } = atDue(() => undefined, noBalance, start)
    expect(creates).toStrictEqual(['0 createTask', '1000 createTask'])
    expect(results).toMatchObject([
      [2_000, 'solve', { result: { left: { _tag: 'NotCreated', reason: 'account' } } }],
      [2_000, 'solve', { result: { left: { _tag: 'Refused', kind: 'account' } } }]
    ])
  })
})

describe('tasks that end together', () => {
  const keys = ['a', 'b', 'c']
  const script = (reply: Scripted) => scriptedByKey(Object.fromEntries(keys.map((key) => [key, { create: [reply] }])))
  const solves = ({ solver }: Simulation) => merge(...keys.map((key) => solver.solve(taskOf(key))))
  const batch = ({ solver }: Simulation) => solver.solveAll(keys, taskOf)
  const unavailable = { ...refused('ERROR_NO_SLOT_AVAILABLE'), retryAfterMs: 5_000 }

  it.each([
    ['a batch is', batch],
    ['several solves are', solves]
  ])('make no room for each other if %s unsubscribed from', (_, tasks) => {
    const { calls } = simulateOver(
      script(created()),
      (simulation) => {
        const subscription = simulation.record(tasks(simulation))
        simulation.at(1_000, () => subscription.unsubscribe())
      },
      { maxOpenTasks: 1 }
    )
    expect(calls).toStrictEqual(['0 createTask'])
  })

  it('make no room for each other if an operator unsubscribes during an outcome', () => {
    const { calls } = simulateOver(
      scriptedByKey(),
      (simulation) => {
        simulation.record(batch(simulation).pipe(take(1)))
      },
      { maxOpenTasks: 2 }
    )
    expect(calls).toStrictEqual(['0 createTask', '0 createTask', '3000 getTaskResult'])
  })

  it('do not become the next probe of a paused limiter', () => {
    const { calls } = simulate({ create: [unavailable, connecting] }, ({ solver, record, at }) => {
      record(solver.solve(aTask)).unsubscribe()
      const others = record(merge(solver.solve(aTask), solver.solve(aTask)))
      // The first of them connects.
      at(5_500, () => others.unsubscribe())
    })
    expect(calls).toStrictEqual(['0 createTask', '5000 createTask', '5500 createTask aborted'])
  })
})
