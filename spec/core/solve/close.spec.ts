import * as E from 'fp-ts/lib/Either.js'
import { Subject, Subscription, VirtualTimeScheduler, concat, of, take } from 'rxjs'
import { InvalidOptions, resolveOptions } from '../../../lib/core/model/options.js'
import type { NetworkEvent } from '../../../lib/core/model/network.js'
import { buildSolver } from '../../../lib/core/build-solver.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { replies, type Scripted } from '../../../lib/testing.js'
import { KEY, aTask, story, type Story } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const ref = { taskId: 'task-1', createdAt: 0 }
const orphan = { ref, task: aTask }
const slowly = { ...created(), afterMs: 8_000 }
const connecting = { failed: {}, sent: false, afterMs: 20_000 }

/** A caller who leaves after a while, and somebody who hears of orphans. */
const leavingAfter =
  (ms: number) =>
  ({ solver, follow, at }: Story): void => {
    follow(solver.orphans, 'orphans')
    const solving = follow(solver.solve(aTask))
    at(ms, () => {
      solving.unsubscribe()
    })
  }

const tags = (events: ReadonlyArray<{ readonly _tag: string }>) => events.map(({ _tag }) => _tag)

describe('a caller who leaves', () => {
  it('leaves nothing behind while the task waits for its turn', () => {
    const { calls, events } = story(
      { create: [created('first')], poll: [ready()] },
      ({ solver, follow, at }) => {
        follow(solver.solve(aTask))
        const waiting = follow(solver.solve(aTask))
        at(1_000, () => {
          waiting.unsubscribe()
        })
      },
      { createsPerSecond: 0.1 }
    )

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult'])
    expect(tags(events)).not.toContain('Orphaned')
  })

  it('asks no more if it leaves in hearing of the poll', () => {
    const { calls } = story({ create: [created()], poll: [processing()] }, ({ solver }) => {
      const solving = solver.solveWithProgress(aTask).subscribe(({ _tag }) => {
        if (_tag === 'Polled') solving.unsubscribe()
      })
    })

    expect(calls).toStrictEqual(['0 createTask'])
  })

  it('aborts a createTask that still connects', () => {
    const { calls, results, events, end } = story({ create: [connecting] }, leavingAfter(1_000))

    expect(calls).toStrictEqual(['0 createTask', '1000 createTask aborted'])
    expect([results, events, end]).toStrictEqual([[], [], 1_000])
  })

  it('does not abort a createTask that has left: its task comes to orphans', () => {
    const { calls, results, events } = story({ create: [slowly] }, leavingAfter(1_000))

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results).toStrictEqual([[8_000, 'orphans', orphan]])
    expect(events).toStrictEqual([{ at: 8_000, _tag: 'Orphaned', orphan }])
  })

  it.each<readonly [string, Scripted, number, string]>([
    ['no answer at all', { silent: true }, 25_000, 'CreateUnknown'],
    ['a refusal', { ...refused('ERROR_SITEKEY'), afterMs: 8_000 }, 8_000, 'Refused'],
    ['a wait', { ...refused('ERROR_RATE_LIMIT'), afterMs: 8_000 }, 8_000, 'Refused']
  ])('has a createTask that left and ends without an id told as Lost: %s', (_, answer, at, tag) => {
    const { calls, events } = story({ create: [answer] }, leavingAfter(1_000))

    expect(calls[0]).toBe('0 createTask')
    expect(events).toMatchObject([{ at, _tag: 'Lost', error: { _tag: tag } }])
  })

  it('has a paid task put on orphans, and its poll aborted', () => {
    const { calls, results, end } = story({ create: [created()], poll: [{ silent: true }] }, leavingAfter(4_000))

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult', '4000 getTaskResult aborted'])
    expect(results).toStrictEqual([[4_000, 'orphans', orphan]])
    expect(end).toBe(4_000)
  })

  it('makes no orphan of a task whose outcome was emitted', () => {
    const { events } = story({ create: [created()], poll: [ready()] }, ({ solver, follow }) => {
      follow(solver.solve(aTask).pipe(take(1)))
    })

    expect(tags(events)).toStrictEqual(['Created', 'Polled', 'Ended'])
  })

  it('has the label of its scope on the orphan', () => {
    const { results } = story({ create: [created()] }, ({ solver, follow, at }) => {
      follow(solver.orphans, 'orphans')
      const solving = follow(solver.withOptions({ label: 'shop' }).solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
    })

    expect(results).toStrictEqual([[1, 'orphans', { ...orphan, label: 'shop' }]])
  })

  it('has a resumed task put on orphans as well', () => {
    const { results } = story({ poll: [processing()] }, ({ solver, follow, at }) => {
      follow(solver.orphans, 'orphans')
      const resuming = follow(solver.resume(recaptchaV2, ref))
      at(1_000, () => {
        resuming.unsubscribe()
      })
    })

    expect(results).toStrictEqual([[1_000, 'orphans', { ref, task: recaptchaV2 }]])
  })
})

describe('a deadline while createTask is not answered', () => {
  it('ends as CreateUnknown, and the id that comes later goes to orphans', () => {
    const { results, calls } = story(
      { create: [slowly] },
      ({ solver, follow }) => {
        follow(solver.orphans, 'orphans')
        follow(solver.solve(aTask))
      },
      { giveUpAfterMs: 5_000 }
    )

    const cause = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no reply within 5000 ms' }
    expect(results).toStrictEqual([
      [5_000, 'solve', E.left({ _tag: 'CreateUnknown', paid: 'unknown', cause })],
      [5_000, 'solve', 'complete'],
      [8_000, 'orphans', orphan]
    ])
    expect(calls).toStrictEqual(['0 createTask'])
  })
})

describe('orphans', () => {
  it('are kept for the first who listens, and only for the first', () => {
    const { results } = story({ create: [created()] }, ({ solver, follow, at }) => {
      const solving = follow(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
      at(2, () => follow(solver.orphans, 'first'))
      at(3, () => follow(solver.orphans, 'second'))
    })

    expect(results).toStrictEqual([[2, 'first', orphan]])
  })

  it('are given back by close no more once they were heard', async () => {
    const given: unknown[] = []
    story({ create: [created()] }, (told) => {
      leavingAfter(1)(told)
      told.at(2, () => void told.solver.close().then((orphans) => given.push(orphans)))
    })
    await new Promise((resolve) => setImmediate(resolve))

    expect(given).toStrictEqual([[]])
  })

  it('are waited for by close while a createTask is still to be answered', async () => {
    const scheduler = new VirtualTimeScheduler(undefined, 1_000) // time goes on to 1 s, and no further
    const answer = new Subject<NetworkEvent>()
    const post = () => concat(of<NetworkEvent>({ _tag: 'Sent' }), answer.pipe(take(1)))
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
    solver.solve(aTask).subscribe()
    const given: unknown[] = []
    const closing = solver.close().then((orphans) => given.push(orphans))
    scheduler.flush()
    await new Promise((resolve) => setImmediate(resolve))
    expect(given).toStrictEqual([])

    answer.next({ _tag: 'Reply', status: 200, body: '{"errorId":0,"taskId":"task-1"}' })
    await closing
    expect(given).toStrictEqual([[orphan]])
  })

  it('are left to the next by one who takes only the first', () => {
    const { results } = story({ create: [created('a'), created('b')] }, ({ solver, follow, at }) => {
      const both = [follow(solver.solve(aTask)), follow(solver.solve(aTask))]
      at(1, () => {
        both.forEach((one) => {
          one.unsubscribe()
        })
      })
      at(2, () => follow(solver.orphans.pipe(take(1)), 'first'))
      at(3, () => follow(solver.orphans, 'second'))
    })

    expect(results.filter(([, , value]) => value !== 'complete').map(([, name]) => name)).toStrictEqual([
      'first',
      'second'
    ])
  })

  it('are heard by all who listen', () => {
    const { results } = story({ create: [created()] }, ({ solver, follow, at }) => {
      follow(solver.orphans, 'first')
      follow(solver.orphans, 'second')
      const solving = follow(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
    })

    expect(results).toStrictEqual([
      [1, 'first', orphan],
      [1, 'second', orphan]
    ])
  })

  it('are the newest 1,000 where nobody listens', () => {
    const create = Array.from({ length: 1_001 }, (_, nth) => created(`task-${nth}`))
    const { results } = story({ create }, ({ solver, follow, at }) => {
      const all = create.map(() => follow(solver.solve(aTask)))
      at(1, () => {
        all.forEach((one) => {
          one.unsubscribe()
        })
        follow(solver.orphans, 'orphans')
      })
    })

    expect(results).toHaveLength(1_000)
    expect(results[0]).toMatchObject([1, 'orphans', { ref: { taskId: 'task-1' } }])
  })
})

/** Closes after a while, and tells what `close` gave back. */
const closingAfter = (ms: number, graceMs?: number) => {
  let closed: Promise<unknown> = Promise.resolve()
  const act = ({ solver, follow, at }: Story): void => {
    follow(solver.solve(aTask))
    at(ms, () => {
      closed = solver.close(graceMs === undefined ? undefined : { graceMs })
    })
  }
  return { act, closed: () => closed }
}

describe('close', () => {
  it.each([
    ['connects', { create: [connecting] }, { _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 1 }],
    [
      'is between tries',
      { create: [{ failed: { code: 'EAI_AGAIN' }, sent: false }] },
      { _tag: 'NotCreated', reason: 'closed', attempts: 1, cause: { code: 'EAI_AGAIN' } }
    ],
    [
      'was told to come later',
      { create: [refused('ERROR_RATE_LIMIT')] },
      { _tag: 'Refused', kind: 'unavailable', paid: 'no' }
    ]
  ])('ends a task at once that %s', async (_, script, left) => {
    const { act, closed } = closingAfter(100, 60_000)
    const { results } = story(script, act)

    expect(results[0]).toMatchObject([100, 'solve', { left }])
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('ends a paid task as Interrupted and gives it back', async () => {
    const { act, closed } = closingAfter(4_000)
    const { results, events } = story({ create: [created()], poll: [processing()] }, act)

    expect(results).toStrictEqual([
      [4_000, 'solve', E.left({ _tag: 'Interrupted', paid: 'yes', ref })],
      [4_000, 'solve', 'complete']
    ])
    expect(tags(events)).toStrictEqual(['Created', 'Polled', 'Ended'])
    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('asks on for a paid task until the grace is over', async () => {
    const { act, closed } = closingAfter(4_000, 3_500)
    const { calls, results } = story({ create: [created()], poll: [processing()] }, act)

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult', '6000 getTaskResult'])
    expect(results[0]).toMatchObject([7_500, 'solve', { left: { _tag: 'Interrupted' } }])
    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('lets a paid task end well within the grace, and does not wait for the rest of it', async () => {
    const { act, closed } = closingAfter(4_000, 60_000)
    const { results, end } = story({ create: [created()], poll: [processing(), ready()] }, act)

    expect(results[0]).toMatchObject([6_000, 'solve', { _tag: 'Right' }])
    expect(end).toBe(6_000)
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('reads a createTask that has left to its end, and gives its task back', async () => {
    const { act, closed } = closingAfter(1_000)
    const { calls, results, events } = story({ create: [slowly] }, act)

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([1_000, 'solve', { left: { _tag: 'CreateUnknown', cause: { code: 'CLOSED' } } }])
    expect(tags(events)).toStrictEqual(['Ended', 'Orphaned'])
    await expect(closed()).resolves.toStrictEqual([orphan])
  })

  it('asks for a task that is created within the grace', async () => {
    const { act, closed } = closingAfter(1_000, 60_000)
    const { results } = story({ create: [slowly], poll: [ready()] }, act)

    expect(results[0]).toMatchObject([11_000, 'solve', { _tag: 'Right' }])
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('creates nothing again within the grace', async () => {
    const { act, closed } = closingAfter(1_000, 60_000)
    const { calls, results } = story({ create: [{ ...refused('ERROR_RATE_LIMIT'), afterMs: 2_000 }, created()] }, act)

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([2_000, 'solve', { left: { _tag: 'Refused', kind: 'unavailable' } }])
    await expect(closed()).resolves.toStrictEqual([])
  })

  it('gives back orphans that nobody heard of', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    story({ create: [created()] }, ({ solver, follow, at }) => {
      const solving = follow(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
        closed = solver.close()
      })
    })

    await expect(closed).resolves.toStrictEqual([orphan])
  })

  it('gives back a task whose caller left, even if the solver is closed in hearing of that', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    story({ create: [created()], poll: [processing()] }, (told) => {
      told.solver.events.subscribe((event) => {
        if (event._tag === 'Orphaned') closed = told.solver.close()
      })
      leavingAfter(4_000)(told)
    })

    await expect(closed).resolves.toStrictEqual([orphan])
  })

  it('ends later solves as NotCreated, and later resumes as Interrupted, without a call', () => {
    const { calls, results } = story({}, ({ solver, follow }) => {
      void solver.close()
      follow(solver.solve(aTask), 'solve')
      follow(solver.resume(recaptchaV2, ref), 'resume')
    })

    expect(calls).toStrictEqual([])
    expect(results.filter(([, , value]) => value !== 'complete')).toStrictEqual([
      [0, 'solve', E.left({ _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 0 })],
      [0, 'resume', E.left({ _tag: 'Interrupted', paid: 'yes', ref })]
    ])
  })

  it('gives the same promise when it is called again', () => {
    story({}, ({ solver }) => {
      expect(solver.close()).toBe(solver.withOptions({}).close({ graceMs: 5 }))
    })
  })

  it('completes events and orphans', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const { results } = story({}, ({ solver, follow }) => {
      follow(solver.events, 'events')
      follow(solver.orphans, 'orphans')
      closed = solver.close()
    })
    await closed

    expect(results.map(([, name, value]) => [name, value])).toStrictEqual([
      ['events', 'complete'],
      ['orphans', 'complete']
    ])
  })

  it('throws for a grace that no timer can hold', () => {
    story({}, ({ solver }) => {
      expect(() => solver.close({ graceMs: 2 ** 31 })).toThrow(InvalidOptions)
    })
  })

  it('orphans a task that another caller leaves in hearing of an outcome, and does not end it as well', () => {
    const { events } = story(
      { create: [created('a'), created('b')], poll: [processing()] },
      ({ solver, follow, at }) => {
        const second = new Subscription()
        solver.solve(aTask).subscribe(() => {
          second.unsubscribe()
        })
        second.add(follow(solver.solve(aTask), 'second'))
        at(1_000, () => void solver.close())
      }
    )

    expect(tags(events)).toStrictEqual(['Created', 'Created', 'Ended', 'Orphaned'])
  })

  it('settles a task once, even if its caller closes the solver in hearing of the outcome', () => {
    const script = { create: [{ failed: { code: 'CERT_HAS_EXPIRED' }, sent: false }] }
    const { events, results } = story(script, ({ solver, follow }) => {
      solver.events.subscribe((event) => {
        if (event._tag === 'Ended') void solver.close()
      })
      follow(solver.solve(aTask))
    })

    expect(tags(events)).toStrictEqual(['Ended'])
    expect(results).toMatchObject([
      [0, 'solve', { left: { _tag: 'NotCreated', reason: 'tls' } }],
      [0, 'solve', 'complete']
    ])
  })
})

describe('a defect', () => {
  it('comes through the error channel, as nothing else does', () => {
    const { results } = story(
      { create: [refused('ERROR_RATE_LIMIT'), created()] },
      ({ solver, follow }) => follow(solver.solveWithProgress(aTask)),
      {},
      () => {
        throw new Error('broken random')
      }
    )

    expect(results).toMatchObject([[0, 'solve', { error: { message: 'broken random' } }]])
  })
})
