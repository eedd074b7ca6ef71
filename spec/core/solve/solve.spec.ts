import { VirtualTimeScheduler, concat, mergeMap, of, NEVER, type SchedulerLike } from 'rxjs'
import { resolveOptions } from '../../../lib/core/model/options.js'
import type { Post, NetworkEvent } from '../../../lib/core/model/network.js'
import { buildSolver } from '../../../lib/core/build-solver.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { replies, scriptedPost } from '../../../lib/testing.js'
import { marbles } from '../../support/marbles.js'
import { KEY, aTask, story } from '../../support/simulate.js'

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

const marbled = (post: Post, scheduler: SchedulerLike) =>
  buildSolver(
    { post, scheduler, random: () => 0.5, close: () => Promise.resolve() },
    resolveOptions({ clientKey: KEY })
  )

describe('solve', () => {
  it(
    'creates, asks every 3 s until the task is ready, emits one Right and completes',
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
      const asking1 = '      2ms 3s ^!'
      const asking2 = '      3ms 6s ^!'
      const expected = '     4ms 6s (R|)'

      const polls = [first, second]
      const post: Post = (path) => (path === '/createTask' ? create : (polls.shift() ?? NEVER))
      expectObservable(marbled(post, scheduler).solve(aTask)).toBe(expected, { R: solved(ref, 6_004, 3_002) })
      expectSubscriptions(create.subscriptions).toBe(creating)
      expectSubscriptions(first.subscriptions).toBe(asking1)
      expectSubscriptions(second.subscriptions).toBe(asking2)
    })
  )

  it(
    'gives up after 300 s as TimedOut, with the task',
    marbles(({ expectObservable }, scheduler) => {
      const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [processing()] }, scheduler)
      const expected = '300s (t|)'

      expectObservable(marbled(post, scheduler).solve(aTask)).toBe(expected, {
        t: { _tag: 'Left', left: { _tag: 'TimedOut', paid: 'yes', ref, afterMs: 300_000, polls: 99, causes: [] } }
      })
    })
  )

  it('keeps all its time by the scheduler it was given, outside of run mode too', () => {
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

  it('is cold: every subscription creates a task of its own', () => {
    const { calls } = story({ create: [created('a'), created('b')], poll: [ready()] }, ({ solver, follow, at }) => {
      const solve = solver.solve(aTask)
      at(1_000, () => follow(solve))
      at(2_000, () => follow(solve))
    })

    expect(calls).toStrictEqual(['1000 createTask', '2000 createTask', '4000 getTaskResult', '5000 getTaskResult'])
  })

  it('sends the documented bodies, and the task without what was left out', () => {
    const seen: unknown[] = []
    const post: Post = (path, body) => {
      seen.push([path, body])
      return of<NetworkEvent>({
        _tag: 'Reply',
        status: 200,
        body: '{"errorId":0,"taskId":"t","status":"ready","solution":{"gRecaptchaResponse":"x"}}'
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

  it('ends a task that does not fit as InvalidTask and sends nothing', () => {
    const { calls, results } = story({}, ({ solver, follow }) => {
      follow(solver.solve(recaptchaV2({ websiteURL: 'no address', websiteKey: '' })))
    })

    expect(calls).toStrictEqual([])
    expect(results).toMatchObject([
      [0, 'solve', { left: { _tag: 'InvalidTask', paid: 'no' } }],
      [0, 'solve', 'complete']
    ])
  })

  it('never ends another task by the failure of one, in a batch of mergeMap', () => {
    const script = { create: [created('a'), refused('ERROR_SITEKEY'), created('c')], poll: [ready()] }
    const { results } = story(script, ({ solver, follow }) => {
      follow(of(aTask, aTask, aTask).pipe(mergeMap(solver.solve, 2)))
    })

    expect(results.map(([at, , value]) => [at, (value as { _tag?: string })._tag])).toStrictEqual([
      [0, 'Left'],
      [3_000, 'Right'],
      [3_000, 'Right'],
      [3_000, undefined]
    ])
  })

  it('does not count the wait for its turn against the deadline', () => {
    const script = { create: [created('a'), created('b')], poll: [processing()] }
    const { results } = story(
      script,
      ({ solver, follow }) => {
        follow(solver.solve(aTask), 'a')
        follow(solver.solve(aTask), 'b')
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

  it('tells a wait for its turn', () => {
    const { events } = story(
      { create: [created('a'), created('b')], poll: [ready()] },
      ({ solver, follow }) => {
        follow(solver.solve(aTask))
        follow(solver.solve(aTask))
      },
      { createsPerSecond: 0.1 }
    )

    expect(events).toContainEqual({ at: 0, _tag: 'Delayed', reason: 'rate', waitMs: 10_000 })
  })

  it('tells how it ended, and of a reference only where there is one', () => {
    const { events } = story({ create: [created()], poll: [ready()] }, ({ solver, follow }) => {
      follow(solver.solve(aTask))
      follow(solver.solve(recaptchaV2({ websiteURL: '', websiteKey: '' })))
    })

    expect(events.filter(({ _tag }) => _tag === 'Ended')).toStrictEqual([
      { at: 0, _tag: 'Ended', tag: 'InvalidTask' },
      { at: 3_000, _tag: 'Ended', tag: 'Solved', ref: { taskId: 'task-1', createdAt: 0 } }
    ])
  })
})

describe('solveWithProgress', () => {
  it('tells it where nobody listens to the events of the solver', () => {
    const scheduler = new VirtualTimeScheduler()
    const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [ready()] }, scheduler)
    const told: string[] = []
    const solving = marbled(post, scheduler).solveWithProgress(aTask)
    solving.subscribe(({ _tag }) => told.push(_tag))
    scheduler.flush()

    expect(told).toStrictEqual(['Created', 'Polled', 'Settled'])
  })

  it('tells every step and ends with Settled', () => {
    const { results } = story({ create: [created()], poll: [processing(), ready()] }, ({ solver, follow }) => {
      follow(solver.solveWithProgress(aTask))
    })

    expect(results.map(([, , value]) => value)).toStrictEqual([
      { at: 0, _tag: 'Created', ref },
      { at: 3_000, _tag: 'Polled', ref, polls: 1 },
      { at: 6_000, _tag: 'Polled', ref, polls: 2 },
      { at: 6_000, _tag: 'Settled', result: solved(ref, 6_000, 3_000) },
      'complete'
    ])
  })

  it('ends with Settled on a failure too, with the label of its scope', () => {
    const { results } = story({ create: [refused('ERROR_ZERO_BALANCE')] }, ({ solver, follow }) => {
      follow(solver.withOptions({ label: 'shop' }).solveWithProgress(aTask))
    })

    expect(results).toMatchObject([
      [0, 'solve', { _tag: 'Settled', label: 'shop', result: { left: { _tag: 'Refused', kind: 'account' } } }],
      [0, 'solve', 'complete']
    ])
  })
})

describe('resume', () => {
  it('asks at once, creates nothing, and keeps its times from the creation of the task', () => {
    const { calls, results } = story({ poll: [ready()] }, ({ solver, follow, at }) => {
      at(50_000, () => follow(solver.resume(recaptchaV2, ref)))
    })

    expect(calls).toStrictEqual(['50000 getTaskResult'])
    expect(results[0]).toStrictEqual([50_000, 'solve', solved(ref, 50_000, 0)])
  })

  it('gives up by a deadline that begins with the subscription', () => {
    const { results } = story(
      { poll: [processing()] },
      ({ solver, follow, at }) => {
        at(50_000, () => follow(solver.resume(recaptchaV2, ref)))
      },
      { giveUpAfterMs: 7_000 }
    )

    expect(results[0]).toMatchObject([57_000, 'solve', { left: { _tag: 'TimedOut', ref, polls: 3 } }])
  })

  it('refuses what is no reference, and asks nothing', () => {
    const { calls, results } = story({}, ({ solver, follow }) => {
      follow(solver.resume(recaptchaV2, { taskId: '', createdAt: 0 }))
    })

    expect(calls).toStrictEqual([])
    expect(results[0]).toMatchObject([0, 'solve', { left: { _tag: 'InvalidTask' } }])
  })

  it('settles what is no reference with progress too', () => {
    const { results } = story({}, ({ solver, follow }) => {
      follow(solver.resumeWithProgress(recaptchaV2, { taskId: '', createdAt: 0 }))
    })

    expect(results).toMatchObject([
      [0, 'solve', { _tag: 'Settled', result: { left: { _tag: 'InvalidTask', paid: 'no' } } }],
      [0, 'solve', 'complete']
    ])
  })

  it('tells its steps with progress', () => {
    const { results } = story({ poll: [ready()] }, ({ solver, follow }) => {
      follow(solver.resumeWithProgress(recaptchaV2, ref))
    })

    expect(results.map(([, , value]) => (value as { _tag?: string })._tag)).toStrictEqual([
      'Polled',
      'Settled',
      undefined
    ])
  })
})

describe('createTask', () => {
  it('emits the reference and asks nothing', () => {
    const { calls, results, events } = story({ create: [created()] }, ({ solver, follow }) => {
      follow(solver.createTask(aTask))
    })

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results).toStrictEqual([
      [0, 'solve', { _tag: 'Right', right: ref }],
      [0, 'solve', 'complete']
    ])
    expect(events).toStrictEqual([{ at: 0, _tag: 'Created', ref }])
  })

  it('gives up in time', () => {
    const { results } = story(
      { create: [{ silent: true }] },
      ({ solver, follow }) => follow(solver.createTask(aTask)),
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
      'Unanswered for a bad reply',
      { body: 'oops' },
      { _tag: 'Right', right: { _tag: 'Unanswered', status: 200, problems: ['the reply: expected JSON'] } }
    ],
    [
      'Unanswered for "later"',
      refused('ERROR_NO_SLOT_AVAILABLE'),
      { _tag: 'Right', right: { _tag: 'Unanswered', status: 200, errorCode: 'ERROR_NO_SLOT_AVAILABLE' } }
    ],
    [
      'Unanswered for an unknown code',
      refused('ERROR_NEW'),
      { _tag: 'Right', right: { _tag: 'Unanswered', status: 200, errorCode: 'ERROR_NEW' } }
    ],
    [
      'Processing for a task that the service does not know yet',
      refused('ERROR_TASKID_INVALID'),
      { right: { _tag: 'Processing' } }
    ],
    [
      'Left for the end of the task',
      refused('ERROR_CAPTCHA_UNSOLVABLE'),
      { left: { _tag: 'TaskFailed', kind: 'task' } }
    ]
  ])('asks once and emits %s', (_, answer, expected) => {
    const { calls, results } = story({ poll: [answer] }, ({ solver, follow }) => {
      follow(solver.getTaskResult(recaptchaV2, ref))
    })

    expect(calls).toStrictEqual(['0 getTaskResult'])
    expect(results[0]?.[2]).toMatchObject(expected)
  })

  it('emits Unanswered for a silent service, after its limit', () => {
    const { results } = story({ poll: [{ silent: true }] }, ({ solver, follow }) => {
      follow(solver.getTaskResult(recaptchaV2, ref))
    })

    expect(results[0]).toMatchObject([10_000, 'solve', { right: { _tag: 'Unanswered', cause: { code: 'TIMED_OUT' } } }])
  })

  it('tells of the end of a task, with the label of its scope', () => {
    const { events } = story({ poll: [refused('ERROR_CAPTCHA_UNSOLVABLE')] }, ({ solver, follow }) => {
      follow(solver.withOptions({ label: 'shop' }).getTaskResult(recaptchaV2, ref))
    })

    expect(events).toStrictEqual([{ at: 0, _tag: 'Ended', label: 'shop', tag: 'TaskFailed', ref }])
  })

  it('makes no orphan when its caller leaves: the caller has the reference', () => {
    const { events, calls } = story({ poll: [{ silent: true }] }, ({ solver, follow, at }) => {
      const asking = follow(solver.getTaskResult(recaptchaV2, ref))
      at(5, () => {
        asking.unsubscribe()
      })
    })

    expect(calls).toStrictEqual(['0 getTaskResult', '5 getTaskResult aborted'])
    expect(events).toStrictEqual([])
  })
})

describe('withOptions', () => {
  it('gives up by its own time, and keeps what it does not name', () => {
    const { results } = story({ create: [created()], poll: [processing()] }, ({ solver, follow }) => {
      const labelled = solver.withOptions({ giveUpAfterMs: 4_000 }).withOptions({ label: 'x' })
      follow(concat(labelled.solve(aTask)))
    })

    expect(results[0]).toMatchObject([4_000, 'solve', { left: { _tag: 'TimedOut', afterMs: 4_000 } }])
  })

  it('stamps its label on every event', () => {
    const { events } = story({ create: [created()], poll: [ready()] }, ({ solver, follow }) => {
      follow(solver.withOptions({ label: 'x' }).solve(aTask))
    })

    expect(events.map(({ _tag, label }) => [_tag, label])).toStrictEqual([
      ['Created', 'x'],
      ['Polled', 'x'],
      ['Ended', 'x']
    ])
  })

  it('throws for times that cannot work', () => {
    story({}, ({ solver }) => {
      expect(() => solver.withOptions({ giveUpAfterMs: 1.5 })).toThrow(/giveUpAfterMs: expected a whole number/)
    })
  })
})
