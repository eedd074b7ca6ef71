import * as E from 'fp-ts/lib/Either.js'
import { NEVER, Subject, Subscription, VirtualTimeScheduler, concat, of, take } from 'rxjs'
import { InvalidOptions, resolveOptions } from '../../../lib/core/model/options.js'
import type { Journal } from '../../../lib/core/model/journal.js'
import type { NetworkEvent } from '../../../lib/core/model/network.js'
import { buildSolver } from '../../../lib/core/build-solver.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { replies } from 'rx-captcha/testing'
import { KEY, aTask, simulate, stepsOf, type Simulation } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const ref = { taskId: 'task-1', createdAt: 0 }
const orphan = { ref, task: aTask, type: 'RecaptchaV2TaskProxyless' }
const slow = { ...created(), afterMs: 8_000 }
const connecting = { failed: {}, sent: false, afterMs: 20_000 }

/** Closes the solver of a solve after some time; `closed` gives the promise of `close`. */
const closeAfter = (ms: number, graceMs?: number) => {
  let closed: Promise<unknown> = Promise.resolve()
  const act = ({ solver, record, at }: Simulation): Subscription => {
    at(ms, () => {
      closed = solver.close(graceMs === undefined ? undefined : { graceMs })
    })
    return record(solver.solve(aTask))
  }
  return { act, closed: () => closed }
}

describe('close', () => {
  it('returns a task once, even if a listener unsubscribes on its `Ended` event', async () => {
    const { act, closed } = closeAfter(1_000)
    simulate({ create: [created()], poll: [processing()] }, (simulation) => {
      const solving = act(simulation)
      simulation.solver.events.subscribe(({ _tag }) => {
        if (_tag === 'Ended') solving.unsubscribe()
      })
    })

    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('is one call with one grace, even if a subscriber whose task it ends calls it again', async () => {
    const closed: Promise<unknown>[] = []
    const { results } = simulate(
      { create: [created()], poll: [processing(), ready()] },
      ({ solver, record, at }) => {
        record(solver.solve(aTask))
        at(1_000, () => {
          record(solver.withOptions({ label: 'waits' }).solve(aTask), 'second')
          solver.events.subscribe((event) => {
            if (event._tag === 'Ended' && event.tag === 'NotCreated') closed.push(solver.close())
          })
          closed.unshift(solver.close({ graceMs: 60_000 }))
        })
      },
      { maxOpenTasks: 1 }
    )

    expect(results.filter(([, name]) => name === 'solve').map(([at]) => at)).toStrictEqual([6_000, 6_000])
    expect(closed[1]).toBe(closed[0])
    await expect(closed[0]).resolves.toStrictEqual([])
  })

  it('pulls no further item of a batch in place of those that it ends', () => {
    let pulled = 0
    const items = function* () {
      while (pulled < 9) {
        pulled += 1
        yield pulled
      }
    }
    const { results } = simulate({ create: [connecting] }, ({ solver, record, at }) => {
      record(solver.solveAll(items(), () => aTask, { concurrency: 2 }))
      at(100, () => void solver.close())
    })

    expect(pulled).toBe(2)
    expect(results.at(-1)).toStrictEqual([100, 'solve', 'complete'])
  })

  it.each([
    ['is connecting', { create: [connecting] }, { _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 1 }],
    [
      'is between tries',
      { create: [{ failed: { code: 'EAI_AGAIN' }, sent: false }] },
      { _tag: 'NotCreated', reason: 'closed', attempts: 1, cause: { code: 'EAI_AGAIN' } }
    ],
    [
      'was refused for now',
      { create: [refused('ERROR_RATE_LIMIT')] },
      { _tag: 'Refused', kind: 'unavailable', paid: 'no' }
    ]
  ])('ends a task that %s at once', async (_, script, left) => {
    const { act, closed } = closeAfter(100, 60_000)
    const { results } = simulate(script, act)

    expect(results[0]).toMatchObject([100, 'solve', { left }])
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('ends a paid task as Interrupted and returns it', async () => {
    const { act, closed } = closeAfter(4_000)
    const { results, events } = simulate({ create: [created()], poll: [processing()] }, act)

    expect(results).toStrictEqual([
      [4_000, 'solve', E.left({ _tag: 'Interrupted', paid: 'yes', ref })],
      [4_000, 'solve', 'complete']
    ])
    expect(stepsOf(events)).toStrictEqual(['Created', 'Polled', 'Ended'])
    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('polls a paid task until the grace is over', async () => {
    const { act, closed } = closeAfter(4_000, 3_500)
    const { calls, results } = simulate({ create: [created()], poll: [processing()] }, act)

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult', '6000 getTaskResult'])
    expect(results[0]).toMatchObject([7_500, 'solve', { left: { _tag: 'Interrupted' } }])
    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('resolves before the grace is over if the last task ends', async () => {
    const { act, closed } = closeAfter(4_000, 60_000)
    const { results, end } = simulate({ create: [created()], poll: [processing(), ready()] }, act)

    expect(results[0]).toMatchObject([6_000, 'solve', { _tag: 'Right' }])
    expect(end).toBe(6_000)
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('waits for a createTask that was sent, and returns its task', async () => {
    const { act, closed } = closeAfter(1_000)
    const { calls, results, events } = simulate({ create: [slow] }, act)

    const cause = { name: 'Closed', code: 'CLOSED', message: 'the solver was closed before the reply arrived' }
    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([1_000, 'solve', { left: { _tag: 'CreateUnknown', cause } }])
    expect(stepsOf(events)).toStrictEqual(['Ended', 'Created', 'Orphaned'])
    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('polls a task that is created within the grace', async () => {
    const { act, closed } = closeAfter(1_000, 60_000)
    const { results } = simulate({ create: [slow], poll: [ready()] }, act)

    expect(results[0]).toMatchObject([11_000, 'solve', { _tag: 'Right' }])
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('sends createTask no second time within the grace', async () => {
    const { act, closed } = closeAfter(1_000, 60_000)
    const { calls, results } = simulate(
      { create: [{ ...refused('ERROR_RATE_LIMIT'), afterMs: 2_000 }, created()] },
      act
    )

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([2_000, 'solve', { left: { _tag: 'Refused', kind: 'unavailable' } }])
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('returns the buffered orphans', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    simulate({ create: [created()] }, ({ solver, record, at }) => {
      const solving = record(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
        closed = solver.close()
      })
    })

    await expect(closed).resolves.toStrictEqual([orphan])
  })

  it('returns an orphan even if it is called during the `Orphaned` event', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    simulate({ create: [created()], poll: [processing()] }, ({ solver, record, at }) => {
      solver.events.subscribe((event) => {
        if (event._tag === 'Orphaned') closed = solver.close()
      })
      record(solver.orphans, 'orphans')
      const solving = record(solver.solve(aTask))
      at(4_000, () => {
        solving.unsubscribe()
      })
    })

    await expect(closed).resolves.toStrictEqual([orphan])
  })

  it('does not return an orphan that was delivered before', async () => {
    const returned: unknown[] = []
    simulate({ create: [created()] }, ({ solver, record, at }) => {
      record(solver.orphans, 'orphans')
      const solving = record(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
      at(2, () => void solver.close().then((orphans) => returned.push(orphans)))
    })
    await new Promise((resolve) => setImmediate(resolve))

    expect(returned).toStrictEqual([[]])
  })

  it('does not resolve while a createTask that was sent has no reply', async () => {
    const scheduler = new VirtualTimeScheduler(undefined, 1_000) // flushes 1 s, and no more
    const replied = new Subject<NetworkEvent>()
    const post = () => concat(of<NetworkEvent>({ _tag: 'Sent' }), replied.pipe(take(1)))
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
    solver.solve(aTask).subscribe()
    const returned: unknown[] = []
    const closing = solver.close().then((orphans) => returned.push(orphans))
    scheduler.flush()
    await new Promise((resolve) => setImmediate(resolve))
    expect(returned).toStrictEqual([])

    replied.next({ _tag: 'Reply', status: 200, body: '{"errorId":0,"taskId":"task-1"}' })
    await closing
    expect(returned).toStrictEqual([[orphan]])
  })

  it('does not resolve while the journal is recording a task id', async () => {
    const scheduler = new VirtualTimeScheduler(undefined, 1_000) // flushes 1 s, and no more
    const replied = new Subject<NetworkEvent>()
    const recorded = new Subject<undefined>()
    const post = () => concat(of<NetworkEvent>({ _tag: 'Sent' }), replied.pipe(take(1)))
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
    const journal: Journal = {
      begin: () => of({ _tag: 'Fresh' }),
      created: () => recorded.pipe(take(1)),
      ended: () => of(undefined)
    }
    const batch = solver.solveAll(['a'], () => aTask, { journal, keyOf: (item) => item })
    batch.subscribe().unsubscribe()
    const returned: unknown[] = []
    const closing = solver.close().then((orphans) => returned.push(orphans))
    scheduler.flush()
    replied.next({ _tag: 'Reply', status: 200, body: '{"errorId":0,"taskId":"task-1"}' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(returned).toStrictEqual([])

    recorded.next(undefined)
    await closing
    expect(returned).toStrictEqual([[orphan]])
  })

  it('does not resolve while the journal is recording that nothing was created', async () => {
    const recorded = new Subject<undefined>()
    const ports = { post: () => NEVER, scheduler: new VirtualTimeScheduler(undefined, 1_000), random: () => 0.5 }
    const solver = buildSolver({ ...ports, close: () => Promise.resolve() }, resolveOptions({ clientKey: KEY }))
    const journal: Journal = {
      begin: () => of({ _tag: 'Fresh' }),
      created: () => of(undefined),
      ended: () => recorded.pipe(take(1))
    }
    solver
      .solveAll(['a'], () => aTask, { journal, keyOf: (item) => item })
      .subscribe()
      .unsubscribe()
    const returned: unknown[] = []
    const closing = solver.close().then((orphans) => returned.push(orphans))
    ports.scheduler.flush()
    await new Promise((resolve) => setImmediate(resolve))
    expect(returned).toStrictEqual([])

    recorded.next(undefined)
    await closing
    expect(returned).toStrictEqual([[]])
  })

  it('polls a resume whose Started event closes the solver until the grace ends, and returns its task', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const { results, calls } = simulate({ poll: [processing()] }, ({ solver, record }) => {
      solver.events.pipe(take(1)).subscribe(() => {
        closed = solver.close({ graceMs: 500 })
      })
      record(solver.resume(aTask, ref), 'resume')
    })

    expect(calls).toHaveLength(1)
    expect(results[0]).toStrictEqual([500, 'resume', E.left({ _tag: 'Interrupted', paid: 'yes', ref })])
    await expect(closed).resolves.toStrictEqual([orphan])
  })

  it('makes later solves end as NotCreated and later resumes as Interrupted, without a call', () => {
    const { calls, results } = simulate({}, ({ solver, record }) => {
      void solver.close()
      record(solver.solve(aTask), 'solve')
      record(solver.resume(recaptchaV2, ref), 'resume')
    })

    expect(calls).toStrictEqual([])
    expect(results.filter(([, , value]) => value !== 'complete')).toStrictEqual([
      [0, 'solve', E.left({ _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 0 })],
      [0, 'resume', E.left({ _tag: 'Interrupted', paid: 'yes', ref })]
    ])
  })

  it('returns the same promise when it is called again', () => {
    simulate({}, ({ solver }) => {
      expect(solver.close()).toBe(solver.withOptions({}).close({ graceMs: 5 }))
    })
  })

  it('completes events and orphans', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const { results } = simulate({}, ({ solver, record }) => {
      record(solver.events, 'events')
      record(solver.orphans, 'orphans')
      closed = solver.close()
    })
    await closed

    expect(results.map(([, name, value]) => [name, value])).toStrictEqual([
      ['events', 'complete'],
      ['orphans', 'complete']
    ])
  })

  it('throws for a grace that no timer can hold', () => {
    simulate({}, ({ solver }) => {
      expect(() => solver.close({ graceMs: 2 ** 31 })).toThrow(InvalidOptions)
    })
  })

  it('emits one Ended for a task that is orphaned during the outcome of another one', () => {
    const { events } = simulate(
      { create: [created('a'), created('b')], poll: [processing()] },
      ({ solver, record, at }) => {
        const second = new Subscription()
        solver.solve(aTask).subscribe(() => {
          second.unsubscribe()
        })
        second.add(record(solver.solve(aTask), 'second'))
        at(1_000, () => void solver.close())
      }
    )

    expect(stepsOf(events)).toStrictEqual(['Created', 'Created', 'Ended', 'Ended', 'Orphaned'])
  })

  it('settles a task once, even if it is called during the `Ended` event', () => {
    const script = { create: [{ failed: { code: 'CERT_HAS_EXPIRED' }, sent: false }] }
    const { events, results } = simulate(script, ({ solver, record }) => {
      solver.events.subscribe((event) => {
        if (event._tag === 'Ended') void solver.close()
      })
      record(solver.solve(aTask))
    })

    expect(stepsOf(events)).toStrictEqual(['Ended'])
    expect(results).toMatchObject([
      [0, 'solve', { left: { _tag: 'NotCreated', reason: 'tls' } }],
      [0, 'solve', 'complete']
    ])
  })
})

describe('Symbol.asyncDispose', () => {
  it('polls a paid task to its own end, and resolves with nothing', async () => {
    let disposed: Promise<unknown> = Promise.resolve('not called')
    const { results } = simulate({ create: [created()], poll: [processing()] }, ({ solver, record, at }) => {
      record(solver.withOptions({ giveUpAfterMs: 9_000 }).solve(aTask))
      at(1_000, () => {
        disposed = solver[Symbol.asyncDispose]()
      })
    })

    expect(results[0]).toMatchObject([9_000, 'solve', { left: { _tag: 'TimedOut' } }])
    await expect(disposed).resolves.toBeUndefined()
  })

  it('ends a task that is not created at once', () => {
    const { results } = simulate({ create: [connecting] }, ({ solver, record, at }) => {
      record(solver.solve(aTask))
      at(100, () => void solver.withOptions({})[Symbol.asyncDispose]())
    })

    expect(results[0]).toMatchObject([100, 'solve', { left: { _tag: 'NotCreated', reason: 'closed' } }])
  })

  it('waits no longer than a close before it', async () => {
    let disposed: Promise<unknown> = Promise.resolve('not called')
    const { results } = simulate({ create: [created()], poll: [processing()] }, ({ solver, record, at }) => {
      record(solver.solve(aTask))
      at(1_000, () => {
        void solver.close({ graceMs: 500 })
        disposed = solver[Symbol.asyncDispose]()
      })
    })

    expect(results[0]).toMatchObject([1_500, 'solve', { left: { _tag: 'Interrupted' } }])
    await expect(disposed).resolves.toBeUndefined()
  })
})
