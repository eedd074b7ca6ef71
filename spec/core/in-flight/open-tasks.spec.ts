import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { InvalidOptions, checkOptions, coreOptionCodecs } from '../../../lib/core/model/options.js'
import { replies } from '../../../lib/testing/index.js'
import { KEY, aTask, scriptedByKey, simulate, simulateOver, taskOf, type Simulation } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const ref = { taskId: 'task-1', createdAt: 0 }
const one = { maxOpenTasks: 1 }

/** Subscribes to a solve of each key at once. */
const solveAtOnce =
  (...keys: ReadonlyArray<string>) =>
  ({ solver, record }: Simulation): void => {
    for (const key of keys) record(solver.solve(taskOf(key)), key)
  }

const creates = ({ calls }: { readonly calls: ReadonlyArray<string> }) =>
  calls.filter((call) => call.includes('createTask'))

describe('maxOpenTasks', () => {
  it('lets further tasks wait until an open one has ended, first in, first out', () => {
    const { results, calls } = simulateOver(scriptedByKey(), solveAtOnce('a', 'b', 'c', 'd'), { maxOpenTasks: 2 })

    expect(creates({ calls })).toStrictEqual(['0 createTask', '0 createTask', '3000 createTask', '3000 createTask'])
    expect(results.filter(([, , value]) => value === 'complete').map(([at, name]) => `${at} ${name}`)).toStrictEqual([
      ...['3000 a', '3000 b'],
      ...['6000 c', '6000 d']
    ])
  })

  it('holds over all scopes of withOptions and over batches', () => {
    const trace = simulateOver(
      scriptedByKey(),
      ({ solver, record }) => {
        record(solver.withOptions({ label: 'x' }).solve(taskOf('a')))
        record(solver.solveAll(['b', 'c'], taskOf))
      },
      one
    )

    expect(creates(trace)).toStrictEqual(['0 createTask', '3000 createTask', '6000 createTask'])
  })

  it('does not count the wait in the deadline, and emits no `Delayed`', () => {
    const { results, events } = simulateOver(scriptedByKey(), solveAtOnce('a', 'b'), { ...one, giveUpAfterMs: 4_000 })

    expect(results[2]).toMatchObject([6_000, 'b', { _tag: 'Right' }])
    expect(events.map(({ _tag }) => _tag)).not.toContain('Delayed')
  })

  it('reports the wait for the rate once there is room', () => {
    const { events } = simulateOver(scriptedByKey(), solveAtOnce('a', 'b'), { maxOpenTasks: 2, createsPerSecond: 1 })

    expect(events).toContainEqual({ at: 0, solveId: 2, _tag: 'Delayed', reason: 'rate', waitMs: 1_000 })
  })

  it('lets a task that waits for its retry keep its place', () => {
    const script = { a: { create: [refused('ERROR_NO_SLOT_AVAILABLE'), created('id-a')] } }
    const { calls } = simulateOver(scriptedByKey(script), solveAtOnce('a', 'b'), one, () => 0.5)

    expect(calls).toStrictEqual([
      ...['0 createTask', '500 createTask', '3500 getTaskResult'],
      ...['3500 createTask', '6500 getTaskResult']
    ])
  })

  it.each<[string, number, Parameters<typeof simulate>[0], number]>([
    ['is refused', 0, { create: [{ ...refused('ERROR_SITEKEY'), afterMs: 700 }] }, 700],
    ['fails', 0, { create: [created()], poll: [refused('ERROR_CAPTCHA_UNSOLVABLE')] }, 3_000],
    ['has timed out', 0, { create: [created()], poll: [processing()] }, 10_000],
    ['is created and its subscriber unsubscribes', 700, { create: [created()] }, 700],
    ['is connecting and its subscriber unsubscribes', 700, { create: [{ failed: {}, sent: false, afterMs: 9e9 }] }, 700]
  ])('makes room at the moment when a task %s', (_, leaveAt, script, freeAt) => {
    const { calls } = simulate(
      script,
      ({ solver, record, at }) => {
        const first = record(solver.solve(aTask))
        record(solver.solve(aTask))
        if (leaveAt > 0) at(leaveAt, () => first.unsubscribe())
      },
      { ...one, giveUpAfterMs: 10_000 }
    )

    expect(creates({ calls }).filter((call) => !call.includes('aborted'))[1]).toBe(`${freeAt} createTask`)
  })

  it('frees the place of an unsubscribed task only when its createTask call has ended', () => {
    const orphanedAt: number[] = []
    const { calls } = simulate(
      { create: [{ ...created(), afterMs: 5_000 }] },
      ({ solver, record, at, scheduler }) => {
        solver.orphans.subscribe(() => orphanedAt.push(scheduler.now()))
        const first = record(solver.solve(aTask))
        record(solver.createTask(aTask))
        at(700, () => first.unsubscribe())
      },
      one
    )

    expect(orphanedAt).toStrictEqual([5_000])
    expect(calls).toStrictEqual(['0 createTask', '5000 createTask'])
  })

  it('makes no task wait that is resumed, but counts it', () => {
    const { calls } = simulate(
      { create: [created()], poll: [processing(), ready()] },
      ({ solver, record }) => {
        record(solver.resume(recaptchaV2, ref))
        record(solver.resume(recaptchaV2, ref))
        record(solver.createTask(aTask))
      },
      one
    )

    expect(calls).toStrictEqual(['0 getTaskResult', '0 getTaskResult', '3000 getTaskResult', '3000 createTask'])
  })

  it('sends no createTask for a task that waits when the solver is closed', () => {
    const connecting = { failed: {}, sent: false, afterMs: 60_000 }
    const { calls, results } = simulate(
      { create: [connecting] },
      ({ solver, record, at }) => {
        record(solver.solve(aTask), 'a')
        record(solver.solve(aTask), 'b')
        at(100, () => void solver.close())
      },
      one
    )

    expect(calls).toStrictEqual(['0 createTask', '100 createTask aborted'])
    expect(results.filter(([, , value]) => value !== 'complete')).toMatchObject([
      [100, 'a', { left: { _tag: 'NotCreated', reason: 'closed', attempts: 1 } }],
      [100, 'b', { left: { _tag: 'NotCreated', reason: 'closed', attempts: 0 } }]
    ])
  })

  it('sends no createTask of a batch after the service refused the account', () => {
    const script = { a: { create: [refused('ERROR_ZERO_BALANCE')] } }
    const trace = simulateOver(
      scriptedByKey(script),
      ({ solver, record }) => {
        record(solver.solveAll(['a', 'b', 'c'], taskOf))
      },
      one
    )

    expect(trace.calls).toStrictEqual(['0 createTask'])
  })

  it.each([0, 1.5, 1_000_001, '1'])('is refused if it is %p', (maxOpenTasks) => {
    const check = () => checkOptions(coreOptionCodecs, { clientKey: KEY, maxOpenTasks: maxOpenTasks as number })
    expect(check).toThrow(InvalidOptions)
    expect(check).toThrow('maxOpenTasks: expected a whole number of tasks from 1 to 1000000')
  })
})

describe('counts', () => {
  it('counts open and waiting tasks over all scopes', () => {
    simulate({ create: [created()], poll: [processing()] }, ({ solver, record, at }) => {
      const scoped = solver.withOptions({ label: 'x' })
      record(scoped.solve(aTask))
      const waiting = record(solver.solve(aTask))
      expect(scoped.counts()).toStrictEqual({ open: 2, waiting: 0 })
      waiting.unsubscribe()
      expect(solver.counts()).toStrictEqual({ open: 1, waiting: 0 })
      at(1, () => void solver.close())
    })
  })

  it('counts what waits for a place, for the rate and for the end of a pause', () => {
    simulate({ create: [{ ...refused('ERROR_NO_SLOT_AVAILABLE'), retryAfterMs: 5_000 }] }, ({ solver, record, at }) => {
      const first = record(solver.solve(aTask))
      const second = record(solver.solve(aTask))
      // The first is refused and keeps its place while it waits for its retry.
      expect(solver.counts()).toStrictEqual({ open: 1, waiting: 1 })
      first.unsubscribe()
      second.unsubscribe()
      expect(solver.counts()).toStrictEqual({ open: 0, waiting: 0 })
      at(1, () => void solver.close())
    })
  })

  it('counts neither a createTask that has its reply, nor getTaskResult, nor an orphan', () => {
    simulate({ create: [created()], poll: [processing()] }, ({ solver, record, at }) => {
      record(solver.createTask(aTask))
      record(solver.solve(aTask)).unsubscribe()
      record(solver.getTaskResult(recaptchaV2, ref))
      expect(solver.counts()).toStrictEqual({ open: 0, waiting: 0 })
      at(1, () => void solver.close())
    })
  })
})
