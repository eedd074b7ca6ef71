import * as E from 'fp-ts/lib/Either.js'
import { filter, take, takeUntil, type Observable } from 'rxjs'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { replies, type Scripted } from 'rx-captcha/testing'
import { aTask, simulate, stepsOf, type Simulation } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const ref = { taskId: 'task-1', createdAt: 0 }
const orphan = { ref, task: aTask, type: 'RecaptchaV2TaskProxyless' }
const slow = { ...created(), afterMs: 8_000 }
const connecting = { failed: {}, sent: false, afterMs: 20_000 }

const isSettled = (event: { readonly _tag: string }): boolean => event._tag === 'Settled'

/** Subscribes to the orphans and to a solve, and unsubscribes from the solve after some time. */
const unsubscribeAfter =
  (ms: number) =>
  ({ solver, record, at }: Simulation): void => {
    record(solver.orphans, 'orphans')
    const solving = record(solver.solve(aTask))
    at(ms, () => {
      solving.unsubscribe()
    })
  }

describe('unsubscribing from a solve', () => {
  it('sends nothing and makes no orphan if the task waits for a permit', () => {
    const { calls, events } = simulate(
      { create: [created('first')], poll: [ready()] },
      ({ solver, record, at }) => {
        record(solver.solve(aTask))
        const waiting = record(solver.solve(aTask))
        at(1_000, () => {
          waiting.unsubscribe()
        })
      },
      { createsPerSecond: 0.1 }
    )

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult'])
    expect(stepsOf(events)).not.toContain('Orphaned')
  })

  it('sends no poll if it happens during the `Polled` event', () => {
    const { calls } = simulate({ create: [created()], poll: [processing()] }, ({ solver }) => {
      const solving = solver.solveWithProgress(aTask).subscribe(({ _tag }) => {
        if (_tag === 'Polled') solving.unsubscribe()
      })
    })

    expect(calls).toStrictEqual(['0 createTask'])
  })

  it('aborts a createTask that is still connecting', () => {
    const { calls, results, events, end } = simulate({ create: [connecting] }, unsubscribeAfter(1_000))

    expect(calls).toStrictEqual(['0 createTask', '1000 createTask aborted'])
    expect([results, end]).toStrictEqual([[], 1_000])
    expect(events.at(-1)).toMatchObject({ _tag: 'Ended', tag: 'Unsubscribed', paid: 'no' })
    expect(stepsOf(events)).toStrictEqual(['Ended'])
  })

  it('does not abort a createTask that was sent, and emits its task on orphans', () => {
    const { calls, results, events } = simulate({ create: [slow] }, unsubscribeAfter(1_000))

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results).toStrictEqual([[8_000, 'orphans', orphan]])
    expect(events.at(-1)).toStrictEqual({ at: 8_000, solveId: 1, _tag: 'Orphaned', orphan })
  })

  it.each<readonly [string, Scripted, number, string]>([
    ['no reply', { silent: true }, 25_000, 'CreateUnknown'],
    ['a refusal', { ...refused('ERROR_SITEKEY'), afterMs: 8_000 }, 8_000, 'Refused'],
    ['a refusal for now', { ...refused('ERROR_RATE_LIMIT'), afterMs: 8_000 }, 8_000, 'Refused']
  ])('emits Lost if the createTask that was sent gets %s', (_, reply, at, tag) => {
    const { calls, events } = simulate({ create: [reply] }, unsubscribeAfter(1_000))

    expect(calls[0]).toBe('0 createTask')
    expect(events.at(-1)).toMatchObject({ at, _tag: 'Lost', error: { _tag: tag } })
  })

  it.each([
    [
      'after an assumed refusal',
      [
        { body: '', status: 503 },
        { ...refused('ERROR_SITEKEY'), afterMs: 5_000 }
      ],
      2_000
    ],
    ['that is assumed', [{ body: '', status: 503, afterMs: 5_000 }], 1_000]
  ])('emits Lost with `paid` unknown for a refusal %s', (_, create, at) => {
    const { events } = simulate({ create }, unsubscribeAfter(at))

    expect(events.at(-1)).toMatchObject({ _tag: 'Lost', error: { _tag: 'Refused', paid: 'unknown' } })
  })

  it('aborts the poll in flight, and emits the paid task on orphans', () => {
    const { calls, results, end } = simulate({ create: [created()], poll: [{ silent: true }] }, unsubscribeAfter(4_000))

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult', '4000 getTaskResult aborted'])
    expect(results).toStrictEqual([[4_000, 'orphans', orphan]])
    expect(end).toBe(4_000)
  })

  it('makes no orphan if the outcome was emitted', () => {
    const { events } = simulate({ create: [created()], poll: [ready()] }, ({ solver, record }) => {
      record(solver.solve(aTask).pipe(take(1)))
    })

    expect(stepsOf(events)).toStrictEqual(['Created', 'Polled', 'Ended'])
  })

  const onEnded = (start: (solver: Simulation['solver']) => Observable<unknown>) =>
    simulate({ create: [created()], poll: [ready()] }, ({ solver, record }) => {
      record(solver.orphans, 'orphans')
      const ended = solver.events.pipe(filter(({ _tag }) => _tag === 'Ended'))
      record(start(solver).pipe(takeUntil(ended)))
    })

  it.each<readonly [string, (solver: Simulation['solver']) => Observable<unknown>]>([
    ['solve', ({ solve }) => solve(aTask)],
    ['solveWithProgress', ({ solveWithProgress }) => solveWithProgress(aTask).pipe(filter(isSettled))],
    ['createTask', ({ createTask }) => createTask(aTask)],
    ['a batch', ({ solveAll }) => solveAll(['a'], () => aTask)]
  ])('emits the task on orphans if it happens during the `Ended` event: %s', (_, start) => {
    const { results } = onEnded(start)
    expect(results.map(([, name, value]) => [name, value])).toStrictEqual([
      ['solve', 'complete'],
      ['orphans', orphan]
    ])
  })

  it('makes no orphan during the `Ended` event if nothing was created', () => {
    const { results } = simulate({ create: [refused('ERROR_SITEKEY')] }, ({ solver, record }) => {
      record(solver.orphans, 'orphans')
      record(solver.solve(aTask).pipe(takeUntil(solver.events.pipe(filter(({ _tag }) => _tag === 'Ended')))))
    })
    expect(results).toStrictEqual([[0, 'solve', 'complete']])
  })

  it('emits an orphan with the label of its solver', () => {
    const { results } = simulate({ create: [created()] }, ({ solver, record, at }) => {
      record(solver.orphans, 'orphans')
      const solving = record(solver.withOptions({ label: 'shop' }).solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
    })

    expect(results).toStrictEqual([[1, 'orphans', { ...orphan, label: 'shop' }]])
  })
})

describe('unsubscribing from a resume', () => {
  it('emits the task on orphans', () => {
    const { results } = simulate({ poll: [processing()] }, ({ solver, record, at }) => {
      record(solver.orphans, 'orphans')
      const resuming = record(solver.resume(recaptchaV2, ref))
      at(1_000, () => {
        resuming.unsubscribe()
      })
    })

    expect(results).toStrictEqual([[1_000, 'orphans', { ...orphan, task: recaptchaV2 }]])
  })
})

describe('the deadline while createTask has no reply', () => {
  it('ends the task as CreateUnknown, and a task id that arrives later is emitted on orphans', () => {
    const { results, calls } = simulate(
      { create: [slow] },
      ({ solver, record }) => {
        record(solver.orphans, 'orphans')
        record(solver.solve(aTask))
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
  it('are buffered for the first subscriber only', () => {
    const { results } = simulate({ create: [created()] }, ({ solver, record, at }) => {
      const solving = record(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
      at(2, () => record(solver.orphans, 'first'))
      at(3, () => record(solver.orphans, 'second'))
    })

    expect(results).toStrictEqual([[2, 'first', orphan]])
  })

  it('stay buffered for the next subscriber if the first one takes only one', () => {
    const { results } = simulate({ create: [created('a'), created('b')] }, ({ solver, record, at }) => {
      const both = [record(solver.solve(aTask)), record(solver.solve(aTask))]
      at(1, () => {
        both.forEach((solving) => {
          solving.unsubscribe()
        })
      })
      at(2, () => record(solver.orphans.pipe(take(1)), 'first'))
      at(3, () => record(solver.orphans, 'second'))
    })

    expect(results.filter(([, , value]) => value !== 'complete').map(([, name]) => name)).toStrictEqual([
      'first',
      'second'
    ])
  })

  it('are emitted to all current subscribers', () => {
    const { results } = simulate({ create: [created()] }, ({ solver, record, at }) => {
      record(solver.orphans, 'first')
      record(solver.orphans, 'second')
      const solving = record(solver.solve(aTask))
      at(1, () => {
        solving.unsubscribe()
      })
    })

    expect(results).toStrictEqual([
      [1, 'first', orphan],
      [1, 'second', orphan]
    ])
  })

  it('are buffered up to the newest 1,000', () => {
    const create = Array.from({ length: 1_001 }, (_, nth) => created(`task-${nth}`))
    const { results } = simulate({ create }, ({ solver, record, at }) => {
      const all = create.map(() => record(solver.solve(aTask)))
      at(1, () => {
        all.forEach((solving) => {
          solving.unsubscribe()
        })
        record(solver.orphans, 'orphans')
      })
    })

    expect(results).toHaveLength(1_000)
    expect(results[0]).toMatchObject([1, 'orphans', { ref: { taskId: 'task-1' } }])
  })
})
