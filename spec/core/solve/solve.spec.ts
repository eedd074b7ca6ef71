import { VirtualTimeScheduler, concat, filter, mergeMap, of, takeUntil, NEVER, type SchedulerLike } from 'rxjs'
import { resolveOptions } from '../../../lib/core/model/options.js'
import type { Post, NetworkEvent } from '../../../lib/core/model/network.js'
import { buildSolver } from '../../../lib/core/build-solver.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { replies, scriptedPost } from 'rx-captcha/testing'
import { marbles } from '../../support/marbles.js'
import { KEY, aTask, simulate, stepsOf } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const solved = (ref: object, readyAt: number, from: number) => ({
  _tag: 'Right',
  right: {
    ref,
    solution: { gRecaptchaResponse: 'token-1' },
    readyAt,
    useBefore: from + 60_000,
    expiresAt: from + 120_000
  }
})
const ref = { taskId: 'task-1', createdAt: 0 }

const solverOver = (post: Post, scheduler: SchedulerLike) =>
  buildSolver(
    { post, scheduler, random: () => 0.5, close: () => Promise.resolve() },
    resolveOptions({ clientKey: KEY })
  )

describe('solve', () => {
  it(
    'creates a task, polls every 3 s until it is ready, emits one Right and completes',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const sent: NetworkEvent = { _tag: 'Sent' }
      const reply = (document: object): NetworkEvent => ({ _tag: 'Reply', status: 200, body: JSON.stringify(document) })
      const values = {
        s: sent,
        c: reply({ errorId: 0, taskId: 'task-1' }),
        p: reply({ errorId: 0, status: 'processing' }),
        r: reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'token-1' } })
      }
      const create = cold('  s-(c|)', values)
      const first = cold('   s(p|)', values)
      const second = cold('  s(r|)', values)
      const creating = '     ^-!'
      const polling1 = '      2ms 3s ^!'
      const polling2 = '      3ms 6s ^!'
      const expected = '     4ms 6s (R|)'

      const polls = [first, second]
      const post: Post = (path) => (path === '/createTask' ? create : (polls.shift() ?? NEVER))
      expectObservable(solverOver(post, scheduler).solve(aTask)).toBe(expected, { R: solved(ref, 6_004, 3_002) })
      expectSubscriptions(create.subscriptions).toBe(creating)
      expectSubscriptions(first.subscriptions).toBe(polling1)
      expectSubscriptions(second.subscriptions).toBe(polling2)
    })
  )

  it(
    'ends as TimedOut after 300 s, with the reference of the task',
    marbles(({ expectObservable }, scheduler) => {
      const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [processing()] }, scheduler)
      const expected = '300s (t|)'

      expectObservable(solverOver(post, scheduler).solve(aTask)).toBe(expected, {
        t: { _tag: 'Left', left: { _tag: 'TimedOut', paid: 'yes', ref, afterMs: 300_000, polls: 99, causes: [] } }
      })
    })
  )

  it('uses the given scheduler for all waits, outside run mode too', () => {
    const scheduler = new VirtualTimeScheduler()
    const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [{ silent: true }] }, scheduler)
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve() }
    const seen: unknown[] = []

    buildSolver(ports, resolveOptions({ clientKey: KEY }))
      .solve(aTask)
      .subscribe((result) => seen.push([scheduler.now(), result]))
    scheduler.flush()

    expect(seen).toStrictEqual([
      [300_000, { _tag: 'Left', left: expect.objectContaining({ _tag: 'TimedOut', polls: 23 }) as unknown }]
    ])
  })

  it('creates a task of its own for every subscription', () => {
    const { calls } = simulate({ create: [created('a'), created('b')], poll: [ready()] }, ({ solver, record, at }) => {
      const solve = solver.solve(aTask)
      at(1_000, () => record(solve))
      at(2_000, () => record(solve))
    })

    expect(calls).toStrictEqual(['1000 createTask', '2000 createTask', '4000 getTaskResult', '5000 getTaskResult'])
  })

  it('sends the documented bodies, without the optional fields that were not given', () => {
    const seen: unknown[] = []
    const post: Post = (path, body) => {
      seen.push([path, body])
      return of<NetworkEvent>({
        _tag: 'Reply',
        status: 200,
        body:
          path === '/createTask'
            ? '{"errorId":0,"taskId":"t"}'
            : '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"x"}}'
      })
    }
    const scheduler = new VirtualTimeScheduler()
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve() }
    buildSolver(ports, resolveOptions({ clientKey: KEY }))
      .solve(aTask)
      .subscribe()
    scheduler.flush()

    const task = { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/', websiteKey: 'site-key' }
    expect(seen).toStrictEqual([
      ['/createTask', { clientKey: KEY, task }],
      ['/getTaskResult', { clientKey: KEY, taskId: 't' }]
    ])
  })

  it('ends as InvalidTask if the fields do not fit, and sends nothing', () => {
    const { calls, results } = simulate({}, ({ solver, record }) => {
      record(solver.solve(recaptchaV2({ websiteURL: 'no address', websiteKey: '' })))
    })

    expect(calls).toStrictEqual([])
    expect(results).toMatchObject([
      [0, 'solve', { left: { _tag: 'InvalidTask', paid: 'no' } }],
      [0, 'solve', 'complete']
    ])
  })

  it('does not end the other tasks of a mergeMap when one fails', () => {
    const script = { create: [created('a'), refused('ERROR_SITEKEY'), created('c')], poll: [ready()] }
    const { results } = simulate(script, ({ solver, record }) => {
      record(of(aTask, aTask, aTask).pipe(mergeMap(solver.solve, 2)))
    })

    expect(results.map(([at, , value]) => [at, (value as { _tag?: string })._tag])).toStrictEqual([
      [0, 'Left'],
      [3_000, 'Right'],
      [3_000, 'Right'],
      [3_000, undefined]
    ])
  })

  it('does not count the wait for its first permit against the deadline', () => {
    const script = { create: [created('a'), created('b')], poll: [processing()] }
    const { results } = simulate(
      script,
      ({ solver, record }) => {
        record(solver.solve(aTask), 'a')
        record(solver.solve(aTask), 'b')
      },
      { createsPerSecond: 0.1, giveUpAfterMs: 5_000 }
    )

    expect(results.map(([at, name]) => [at, name])).toStrictEqual([
      [5_000, 'a'],
      [5_000, 'a'],
      [15_000, 'b'],
      [15_000, 'b']
    ])
  })

  it('emits Delayed when it has to wait for a permit', () => {
    const { events } = simulate(
      { create: [created('a'), created('b')], poll: [ready()] },
      ({ solver, record }) => {
        record(solver.solve(aTask))
        record(solver.solve(aTask))
      },
      { createsPerSecond: 0.1 }
    )

    expect(events).toContainEqual({ at: 0, solveId: 2, _tag: 'Delayed', reason: 'rate', waitMs: 10_000 })
  })

  it('emits Ended with its outcome, and with a reference only if the task was created', () => {
    const { events } = simulate({ create: [created()], poll: [ready()] }, ({ solver, record }) => {
      record(solver.solve(aTask))
      record(solver.solve(recaptchaV2({ websiteURL: '', websiteKey: '' })))
    })

    expect(events.filter(({ _tag }) => _tag === 'Ended')).toMatchObject([
      { at: 0, solveId: 2, tag: 'InvalidTask', paid: 'no', polls: 0 },
      { at: 3_000, solveId: 1, tag: 'Solved', paid: 'yes', polls: 1, ref }
    ])
    expect(events.find(({ _tag }) => _tag === 'Ended')).not.toHaveProperty('ref')
  })
})

describe('solveWithProgress', () => {
  it('emits the steps even if nothing is subscribed to the events of the solver', () => {
    const scheduler = new VirtualTimeScheduler()
    const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [ready()] }, scheduler)
    const tags: string[] = []
    const solving = solverOver(post, scheduler).solveWithProgress(aTask)
    solving.subscribe(({ _tag }) => tags.push(_tag))
    scheduler.flush()

    expect(tags).toStrictEqual(['Created', 'Polled', 'Settled'])
  })

  it('emits every step, and Settled as the last', () => {
    const { results } = simulate({ create: [created()], poll: [processing(), ready()] }, ({ solver, record }) => {
      record(solver.solveWithProgress(aTask))
    })

    expect(results.map(([, , value]) => value)).toStrictEqual([
      { at: 0, solveId: 1, _tag: 'Created', ref },
      { at: 3_000, solveId: 1, _tag: 'Polled', ref, polls: 1 },
      { at: 6_000, solveId: 1, _tag: 'Polled', ref, polls: 2 },
      { at: 6_000, solveId: 1, _tag: 'Settled', result: solved(ref, 6_000, 3_000) },
      'complete'
    ])
  })

  it('emits Settled for a failure too, with the label of its solver', () => {
    const { results } = simulate({ create: [refused('ERROR_ZERO_BALANCE')] }, ({ solver, record }) => {
      record(solver.withOptions({ label: 'shop' }).solveWithProgress(aTask))
    })

    expect(results).toMatchObject([
      [0, 'solve', { _tag: 'Settled', label: 'shop', result: { left: { _tag: 'Refused', kind: 'account' } } }],
      [0, 'solve', 'complete']
    ])
  })
})

describe('resume', () => {
  it('polls at once, creates nothing, and counts the times of the solution from the creation of the task', () => {
    const { calls, results } = simulate({ poll: [ready()] }, ({ solver, record, at }) => {
      at(50_000, () => record(solver.resume(recaptchaV2, ref)))
    })

    expect(calls).toStrictEqual(['50000 getTaskResult'])
    expect(results[0]).toStrictEqual([50_000, 'solve', solved(ref, 50_000, 0)])
  })

  it('counts its deadline from the subscription', () => {
    const { results } = simulate(
      { poll: [processing()] },
      ({ solver, record, at }) => {
        at(50_000, () => record(solver.resume(recaptchaV2, ref)))
      },
      { giveUpAfterMs: 7_000 }
    )

    expect(results[0]).toMatchObject([57_000, 'solve', { left: { _tag: 'TimedOut', ref, polls: 3 } }])
  })

  it('ends as InvalidTask if it is not given a reference, and sends nothing', () => {
    const { calls, results } = simulate({}, ({ solver, record }) => {
      record(solver.resume(recaptchaV2, { taskId: '', createdAt: 0 }))
    })

    expect(calls).toStrictEqual([])
    expect(results[0]).toMatchObject([0, 'solve', { left: { _tag: 'InvalidTask' } }])
  })
})

describe('resumeWithProgress', () => {
  it('emits InvalidTask as Settled if it is not given a reference', () => {
    const { results } = simulate({}, ({ solver, record }) => {
      record(solver.resumeWithProgress(recaptchaV2, { taskId: '', createdAt: 0 }))
    })

    expect(results).toMatchObject([
      [0, 'solve', { _tag: 'Settled', result: { left: { _tag: 'InvalidTask', paid: 'no' } } }],
      [0, 'solve', 'complete']
    ])
  })

  it('emits every step of the polling, and Settled as the last', () => {
    const { results } = simulate({ poll: [ready()] }, ({ solver, record }) => {
      record(solver.resumeWithProgress(recaptchaV2, ref))
    })

    expect(results.map(([, , value]) => (value as { _tag?: string })._tag)).toStrictEqual([
      'Polled',
      'Settled',
      undefined
    ])
  })
})

describe('createTask', () => {
  it('emits the reference and does not poll', () => {
    const { calls, results, events } = simulate({ create: [created()] }, ({ solver, record }) => {
      record(solver.createTask(aTask))
    })

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results).toStrictEqual([
      [0, 'solve', { _tag: 'Right', right: ref }],
      [0, 'solve', 'complete']
    ])
    expect(stepsOf(events)).toStrictEqual(['Created', 'Ended'])
  })

  it('ends at its deadline', () => {
    const { results } = simulate(
      { create: [{ silent: true }] },
      ({ solver, record }) => record(solver.createTask(aTask)),
      {
        giveUpAfterMs: 4_000
      }
    )

    expect(results[0]).toMatchObject([4_000, 'solve', { left: { _tag: 'CreateUnknown', paid: 'unknown' } }])
  })
})

describe('getTaskResult', () => {
  it.each([
    ['Processing', processing(), { _tag: 'Right', right: { _tag: 'Processing' } }],
    [
      'Ready with the solution',
      ready(),
      { _tag: 'Right', right: { _tag: 'Ready', solution: { gRecaptchaResponse: 'token-1' } } }
    ],
    [
      'Unanswered for a reply that violates the protocol',
      { body: 'oops' },
      { _tag: 'Right', right: { _tag: 'Unanswered', status: 200, problems: ['the reply: expected JSON'] } }
    ],
    [
      'Unanswered if the service is unavailable',
      refused('ERROR_NO_SLOT_AVAILABLE'),
      { _tag: 'Right', right: { _tag: 'Unanswered', status: 200, errorCode: 'ERROR_NO_SLOT_AVAILABLE' } }
    ],
    [
      'Unanswered for an unknown error code',
      refused('ERROR_NEW'),
      { _tag: 'Right', right: { _tag: 'Unanswered', status: 200, errorCode: 'ERROR_NEW' } }
    ],
    [
      'Processing for a task that the service does not know yet',
      refused('ERROR_TASKID_INVALID'),
      { right: { _tag: 'Processing' } }
    ],
    ['Left if the task has failed', refused('ERROR_CAPTCHA_UNSOLVABLE'), { left: { _tag: 'TaskFailed', kind: 'task' } }]
  ])('polls once and emits %s', (_, reply, expected) => {
    const { calls, results } = simulate({ poll: [reply] }, ({ solver, record }) => {
      record(solver.getTaskResult(recaptchaV2, ref))
    })

    expect(calls).toStrictEqual(['0 getTaskResult'])
    expect(results[0]?.[2]).toMatchObject(expected)
  })

  it('emits Unanswered after its time limit if the service does not reply', () => {
    const { results } = simulate({ poll: [{ silent: true }] }, ({ solver, record }) => {
      record(solver.getTaskResult(recaptchaV2, ref))
    })

    expect(results[0]).toMatchObject([10_000, 'solve', { right: { _tag: 'Unanswered', cause: { code: 'TIMED_OUT' } } }])
  })

  it('emits Ended when the task has failed, with the label of its solver', () => {
    const { events } = simulate({ poll: [refused('ERROR_CAPTCHA_UNSOLVABLE')] }, ({ solver, record }) => {
      record(solver.withOptions({ label: 'shop' }).getTaskResult(recaptchaV2, ref))
    })

    expect(events.at(-1)).toMatchObject({ at: 0, _tag: 'Ended', label: 'shop', tag: 'TaskFailed', ref })
  })

  it('sends nothing if its subscriber unsubscribes during the `Polled` event', () => {
    const { calls } = simulate({ poll: [ready()] }, ({ solver, record }) => {
      const polled = solver.events.pipe(filter(({ _tag }) => _tag === 'Polled'))
      record(solver.getTaskResult(recaptchaV2, ref).pipe(takeUntil(polled)))
    })

    expect(calls).toStrictEqual([])
  })

  it('makes no orphan when the subscriber unsubscribes, because the caller has the reference', () => {
    const { events, calls } = simulate({ poll: [{ silent: true }] }, ({ solver, record, at }) => {
      const polling = record(solver.getTaskResult(recaptchaV2, ref))
      at(5, () => {
        polling.unsubscribe()
      })
    })

    expect(calls).toStrictEqual(['0 getTaskResult', '5 getTaskResult aborted'])
    expect(stepsOf(events)).toStrictEqual(['Polled', 'Ended'])
  })
})

describe('withOptions', () => {
  it('changes the deadline, and keeps it if only the label is changed', () => {
    const { results } = simulate({ create: [created()], poll: [processing()] }, ({ solver, record }) => {
      const labelled = solver.withOptions({ giveUpAfterMs: 4_000 }).withOptions({ label: 'x' })
      record(concat(labelled.solve(aTask)))
    })

    expect(results[0]).toMatchObject([4_000, 'solve', { left: { _tag: 'TimedOut', afterMs: 4_000 } }])
  })

  it('puts its label on every event', () => {
    const { events } = simulate({ create: [created()], poll: [ready()] }, ({ solver, record }) => {
      record(solver.withOptions({ label: 'x' }).solve(aTask))
    })

    expect([...new Set(events.map(({ label }) => label))]).toStrictEqual(['x'])
  })

  it('throws for a time that is not a whole number', () => {
    simulate({}, ({ solver }) => {
      expect(() => solver.withOptions({ giveUpAfterMs: 1.5 })).toThrow(/giveUpAfterMs: expected a whole number/)
    })
  })
})

describe('a defect', () => {
  it('is emitted as an error', () => {
    const { results } = simulate(
      { create: [refused('ERROR_RATE_LIMIT'), created()] },
      ({ solver, record }) => record(solver.solveWithProgress(aTask)),
      {},
      () => {
        throw new Error('broken random')
      }
    )

    expect(results).toMatchObject([[0, 'solve', { error: { message: 'broken random' } }]])
  })

  it('is emitted as an error while a reply is read', () => {
    let draws = 0
    const { results } = simulate(
      { create: [refused('ERROR_RATE_LIMIT')] },
      ({ solver, record }) => record(solver.solve(aTask)),
      {},
      () => {
        draws += 1
        if (draws === 3) throw new Error('broken random')
        return 0.5
      }
    )

    expect(results).toMatchObject([[1_500, 'solve', { error: { message: 'broken random' } }]])
  })
})
