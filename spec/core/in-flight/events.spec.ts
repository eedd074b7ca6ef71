import { inspect } from 'node:util'
import * as t from 'io-ts'
import { Observable, Subscription, VirtualTimeScheduler, of } from 'rxjs'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { EventSink, Orphan, SolverEvent } from '../../../lib/core/model/event.js'
import type { NetworkEvent } from '../../../lib/core/model/network.js'
import { resolveOptions } from '../../../lib/core/model/options.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { defineTask, type Resumable } from '../../../lib/core/model/task.js'
import { replies, scriptedPost, type Scripted } from 'rx-captcha/testing'
import { KEY, aTask, simulate, simulateOver, type Simulation } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const ref = { taskId: 'task-1', createdAt: 0 }
const type = 'RecaptchaV2TaskProxyless'

const tagsOf = (events: ReadonlyArray<SolverEvent>) => events.map(({ _tag }) => _tag)

const endedOf = (events: ReadonlyArray<SolverEvent>) => events.filter((event) => event._tag === 'Ended')

const solveOne = ({ solver, record }: Simulation): void => {
  record(solver.solve(aTask))
}

describe('the events of a solve', () => {
  it('report each of its steps, with the number of the solve', () => {
    const create = { ...created(), afterMs: 200 }
    const { events } = simulate({ create: [create], poll: [processing(), { ...ready(), afterMs: 50 }] }, solveOne)

    expect(events).toStrictEqual([
      { at: 0, solveId: 1, _tag: 'Started', operation: 'solve', type },
      { at: 0, solveId: 1, _tag: 'CreateSent', attempts: 1 },
      { at: 200, solveId: 1, _tag: 'CreateEnded', result: 'Created', ref, attempts: 1, tookMs: 200 },
      { at: 200, solveId: 1, _tag: 'Created', ref },
      { at: 3_200, solveId: 1, _tag: 'Polled', ref, polls: 1 },
      { at: 3_200, solveId: 1, _tag: 'PollEnded', result: 'Processing', ref, polls: 1, tookMs: 0 },
      { at: 6_200, solveId: 1, _tag: 'Polled', ref, polls: 2 },
      { at: 6_250, solveId: 1, _tag: 'PollEnded', result: 'Ready', ref, polls: 2, tookMs: 50 },
      {
        ...{ at: 6_250, solveId: 1, _tag: 'Ended', tag: 'Solved', paid: 'yes', ref, polls: 2 },
        ...{ totalMs: 6_250, queueMs: 0, taskMs: 6_250, lateMs: 3_050 }
      }
    ])
  })

  it('have another number for each subscription, and the label of its solver', () => {
    const { events } = simulate({ create: [created('a'), created('b')], poll: [ready()] }, ({ solver, record }) => {
      const solving = solver.withOptions({ label: 'shop' }).solve(aTask)
      record(solving)
      record(solving)
    })

    expect(new Set(events.map((event) => 'solveId' in event && event.solveId))).toStrictEqual(new Set([1, 2]))
    expect(new Set(events.map(({ label }) => label))).toStrictEqual(new Set(['shop']))
  })

  it('take the numbers from the port, so that they can be unique in a process', () => {
    const scheduler = new VirtualTimeScheduler()
    const { post } = scriptedPost({ '/createTask': [refused('ERROR_SITEKEY')], '/getTaskResult': [] }, scheduler)
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve(), nextId: () => 17 }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
    const seen: SolverEvent[] = []
    solver.events.subscribe((event) => seen.push(event))
    solver.solve(aTask).subscribe()
    scheduler.flush()

    expect(seen.map((event) => 'solveId' in event && event.solveId)).toStrictEqual([17, 17, 17, 17])
  })

  it.each<readonly [string, Scripted, object]>([
    [
      'a refusal',
      refused('ERROR_SITEKEY'),
      { result: 'Refused', status: 200, errorCode: 'ERROR_SITEKEY', kind: 'request' }
    ],
    ['a page', { status: 500, body: '<p>' }, { result: 'CreateUnknown', status: 500 }],
    ['a reset', { failed: { code: 'ECONNRESET' } }, { result: 'CreateUnknown', cause: { code: 'ECONNRESET' } }],
    [
      'a certificate that is not accepted',
      { failed: { code: 'CERT_HAS_EXPIRED' }, sent: false },
      { result: 'NotSent', cause: { code: 'CERT_HAS_EXPIRED' } }
    ]
  ])('report how createTask ended with %s', (_, reply, expected) => {
    const { events } = simulate({ create: [{ ...reply, afterMs: 30 }] }, solveOne)

    expect(events).toContainEqual(expect.objectContaining({ _tag: 'CreateEnded', attempts: 1, tookMs: 30 }))
    expect(events.find(({ _tag }) => _tag === 'CreateEnded')).toMatchObject(expected)
    expect(tagsOf(events).includes('CreateSent')).toBe(!('sent' in reply))
  })

  it('have no status of a createTask that got no reply', () => {
    const { events } = simulate({ create: [{ failed: { code: 'ECONNRESET' } }] }, solveOne)

    expect(events.find(({ _tag }) => _tag === 'CreateEnded')).not.toHaveProperty('status')
  })

  it('have no type of a task without one', () => {
    const { events } = simulate({ poll: [ready()] }, ({ solver, record }) => {
      record(solver.resume({ solution: recaptchaV2.solution }, ref))
    })

    expect(events[0]).toStrictEqual({ at: 0, solveId: 1, _tag: 'Started', operation: 'resume', ref })
  })

  it('report once that createTask was sent, although the network says so twice', () => {
    const network = () => () =>
      of<NetworkEvent[]>({ _tag: 'Sent' }, { _tag: 'Sent' }, { _tag: 'Reply', status: 500, body: '' })
    const { events } = simulateOver(network, solveOne)

    expect(tagsOf(events)).toStrictEqual(['Started', 'CreateSent', 'CreateEnded', 'Ended'])
  })

  it('count the time of createTask from its start', () => {
    const { events } = simulate(
      { create: [{ ...refused('ERROR_SITEKEY'), afterMs: 30 }] },
      ({ solver, at, record }) => {
        at(500, () => record(solver.solve(aTask)))
      }
    )

    expect(events.find(({ _tag }) => _tag === 'CreateEnded')).toMatchObject({ at: 530, tookMs: 30 })
  })

  it('count the tries of createTask', () => {
    const { events } = simulate({ create: [refused('ERROR_RATE_LIMIT'), created()], poll: [ready()] }, solveOne)

    const tries = events.flatMap((event) => (event._tag === 'CreateEnded' ? [[event.attempts, event.result]] : []))
    expect(tries).toStrictEqual([
      [1, 'Refused'],
      [2, 'Created']
    ])
  })

  it.each<readonly [string, Scripted, object]>([
    ['a failure', refused('ERROR_CAPTCHA_UNSOLVABLE'), { result: 'TaskFailed', kind: 'task', status: 200 }],
    ['an unknown error code', refused('ERROR_NEW'), { result: 'Unanswered', errorCode: 'ERROR_NEW', kind: 'unknown' }],
    ['a rate limit', refused('ERROR_RATE_LIMIT'), { result: 'Unanswered', kind: 'unavailable' }],
    ['an HTTP 503', { status: 503, body: '' }, { result: 'Unanswered', status: 503, kind: 'unavailable' }],
    ['a page', { status: 200, body: '<p>' }, { result: 'Unanswered', status: 200 }],
    ['another status', { document: { errorId: 0, status: 'queued' } }, { result: 'Unanswered', taskStatus: 'queued' }],
    ['a reset', { failed: { code: 'ECONNRESET' } }, { result: 'Unanswered', cause: { code: 'ECONNRESET' } }],
    ['a task that is not known yet', refused('ERROR_TASKID_INVALID'), { result: 'Processing' }]
  ])('report how a poll ended with %s', (_, reply, expected) => {
    const { events } = simulate({ create: [created()], poll: [reply, ready()] }, solveOne)

    expect(events.find(({ _tag }) => _tag === 'PollEnded')).toMatchObject({ ...expected, polls: 1, ref })
  })
})

describe('Ended', () => {
  it.each<readonly [string, Scripted, object]>([
    ['a refusal', refused('ERROR_KEY'), { tag: 'Refused', paid: 'no', errorCode: 'ERROR_KEY', kind: 'unknown' }],
    ['a refusal without a code', { status: 404, body: '' }, { tag: 'Refused', paid: 'no', kind: 'request' }],
    ['silence', { silent: true }, { tag: 'CreateUnknown', paid: 'unknown', totalMs: 25_000 }],
    ['a bad certificate', { failed: { code: 'CERT_X' }, sent: false }, { tag: 'NotCreated', paid: 'no', reason: 'tls' }]
  ])('reports what followed from %s', (_, reply, expected) => {
    const { events } = simulate({ create: [reply] }, solveOne)

    const [ended] = endedOf(events)
    expect(ended).toMatchObject({ ...expected, polls: 0, queueMs: 0 })
    expect([ended, 'taskMs', 'lateMs'].filter((name) => typeof name === 'string' && name in ended!)).toStrictEqual([])
    expect('errorCode' in ended!).toBe('errorCode' in expected)
  })

  it('has the code and the kind of a task that failed, and no lateness', () => {
    const { events } = simulate({ create: [created()], poll: [refused('ERROR_CAPTCHA_UNSOLVABLE')] }, solveOne)

    const ended = { tag: 'TaskFailed', paid: 'yes', ref, errorCode: 'ERROR_CAPTCHA_UNSOLVABLE', kind: 'task' }
    expect(endedOf(events)).toMatchObject([{ ...ended, polls: 1, taskMs: 3_000 }])
    expect(endedOf(events)[0]).not.toHaveProperty('lateMs')
  })

  it.each<readonly [string, Scripted, number]>([
    ['TimedOut', processing(), 60_000],
    ['BadReply', { status: 200, body: '<p>' }, 60_000],
    ['Interrupted', processing(), 4_000]
  ])('has the tag %s of an error of a paid task', (tag, poll, closeAt) => {
    const { events } = simulate(
      { create: [created()], poll: [poll] },
      ({ solver, record, at }) => {
        record(solver.solve(aTask))
        at(closeAt, () => void solver.close())
      },
      { giveUpAfterMs: 30_000 }
    )

    expect(endedOf(events)).toMatchObject([{ tag, paid: 'yes', ref }])
  })

  it('has no code of a document that names none', () => {
    const { events } = simulate({ create: [{ document: { errorId: 1 } }] }, solveOne)

    expect(endedOf(events)).toMatchObject([{ tag: 'Refused' }])
    expect(endedOf(events)[0]).not.toHaveProperty('errorCode')
  })

  it('separates the wait for a permit from the time of the task', () => {
    const script = { create: [created('a'), created('b')], poll: [ready()] }
    const { events } = simulate(
      script,
      ({ solver, record }) => {
        record(solver.solve(aTask))
        record(solver.solve(aTask))
      },
      { createsPerSecond: 0.1 }
    )

    expect(endedOf(events)).toMatchObject([
      { solveId: 1, queueMs: 0, taskMs: 3_000, totalMs: 3_000 },
      { solveId: 2, queueMs: 10_000, taskMs: 3_000, totalMs: 13_000 }
    ])
  })

  it('counts only the first wait as the queue, and the task from the try that created it', () => {
    const script = { create: [refused('ERROR_RATE_LIMIT'), created()], poll: [ready()] }
    const { events } = simulate(script, solveOne)

    expect(endedOf(events)).toMatchObject([{ queueMs: 0, taskMs: 3_000, totalMs: 3_500 }])
  })

  it('has the lateness of a task of another process by its createdAt, and no time of the task', () => {
    const { events } = simulate({ poll: [ready()] }, ({ solver, record, at }) => {
      at(5_000, () => record(solver.resume(recaptchaV2, ref)))
    })

    expect(events[0]).toStrictEqual({ at: 5_000, solveId: 1, _tag: 'Started', operation: 'resume', type, ref })
    expect(endedOf(events)).toStrictEqual([
      {
        ...{ at: 5_000, solveId: 1, _tag: 'Ended', tag: 'Solved', paid: 'yes', ref, polls: 1 },
        ...{ totalMs: 0, lateMs: 5_000 }
      }
    ])
  })

  it('has no negative lateness for a reference of a clock that runs ahead', () => {
    const { events } = simulate({ poll: [ready()] }, ({ solver, record }) => {
      record(solver.resume(recaptchaV2, { ...ref, createdAt: 5_000 }))
    })

    expect(endedOf(events)).toMatchObject([{ tag: 'Solved', lateMs: 0 }])
  })

  it('ends createTask as Created, and getTaskResult as Polled', () => {
    const { events } = simulate({ create: [created()], poll: [processing()] }, ({ solver, record }) => {
      record(solver.createTask(aTask))
      record(solver.getTaskResult(recaptchaV2, ref))
    })

    expect(endedOf(events)).toMatchObject([
      { solveId: 1, tag: 'Created', paid: 'yes', ref, polls: 0 },
      { solveId: 2, tag: 'Polled', paid: 'yes', ref, polls: 1 }
    ])
    expect(endedOf(events).some((event) => 'lateMs' in event)).toBe(false)
    const second = events.filter((event) => 'solveId' in event && event.solveId === 2)
    expect(tagsOf(second)).toStrictEqual(['Started', 'Polled', 'PollEnded', 'Ended'])
    expect(second[0]).toMatchObject({ operation: 'getTaskResult', ref })
  })

  it('measures elapsed time, whatever the system clock says', () => {
    const scheduler = new VirtualTimeScheduler()
    const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [ready()] }, scheduler)
    const elapsed = () => 7_000_000.4 + scheduler.frame
    const setBack = { schedule: scheduler.schedule.bind(scheduler), now: () => 1_000_000 - scheduler.frame }
    const ports = { post, scheduler: setBack as never, elapsed, random: () => 0.5, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
    const seen: SolverEvent[] = []
    solver.events.subscribe((event) => seen.push(event))
    solver.solve(aTask).subscribe()
    scheduler.flush()

    expect(endedOf(seen)).toMatchObject([{ totalMs: 3_000, taskMs: 3_000, lateMs: 3_000, queueMs: 0 }])
  })
})

describe('the events of a solve whose subscriber unsubscribes', () => {
  const unsubscribeAt =
    (ms: number) =>
    ({ solver, record, at }: Simulation): void => {
      const solving = record(solver.solve(aTask))
      at(ms, () => {
        solving.unsubscribe()
      })
    }

  it('end with Unsubscribed, and a paid task is orphaned after it', () => {
    const { events } = simulate({ create: [created()], poll: [{ silent: true }] }, unsubscribeAt(4_000))

    expect(tagsOf(events).slice(-3)).toStrictEqual(['Polled', 'Ended', 'Orphaned'])
    expect(endedOf(events)).toStrictEqual([
      {
        ...{ at: 4_000, solveId: 1, _tag: 'Ended', tag: 'Unsubscribed', paid: 'yes', ref, polls: 1 },
        ...{ totalMs: 4_000, queueMs: 0, taskMs: 4_000 }
      }
    ])
  })

  it('leave open whether it is paid for while createTask has no reply, and name its task when it arrives', () => {
    const { events } = simulate({ create: [{ ...created(), afterMs: 8_000 }] }, unsubscribeAt(1_000))

    expect(endedOf(events)).toMatchObject([{ at: 1_000, tag: 'Unsubscribed', paid: 'unknown' }])
    expect(events.slice(3)).toMatchObject([
      { at: 8_000, _tag: 'CreateEnded', result: 'Created', ref },
      { at: 8_000, _tag: 'Created', ref },
      { at: 8_000, _tag: 'Orphaned', orphan: { ref, type } }
    ])
    expect(events.every((event) => 'solveId' in event && event.solveId === 1)).toBe(true)
  })

  it.each([
    ['Started', [], 'no', ['Started', 'Ended']],
    [
      'CreateSent',
      ['0 createTask'],
      'unknown',
      ['Started', 'CreateSent', 'Ended', 'CreateEnded', 'Created', 'Orphaned']
    ],
    ['Created', ['0 createTask'], 'yes', ['Started', 'CreateSent', 'CreateEnded', 'Created', 'Ended', 'Orphaned']]
  ])('end in the middle of the event %s, and nothing more is sent', (leaveAt, expectedCalls, paid, expectedTags) => {
    const { calls, events } = simulate({ create: [{ ...created(), afterMs: 5 }] }, ({ solver }) => {
      const solving = new Subscription()
      solver.events.subscribe(({ _tag }) => {
        if (_tag === leaveAt) solving.unsubscribe()
      })
      // Added to a subscription that may be closed already.
      solving.add(
        new Observable((subscriber) => {
          solving.add(subscriber)
          solver.solve(aTask).subscribe(subscriber)
        }).subscribe()
      )
    })

    expect(calls).toStrictEqual(expectedCalls)
    expect(tagsOf(events)).toStrictEqual(expectedTags)
    expect(endedOf(events)).toMatchObject([{ tag: 'Unsubscribed', paid }])
  })

  it('lose no solution if that happens during the PollEnded of the ready reply', () => {
    const { events, results } = simulate({ create: [created()], poll: [ready()] }, ({ solver, record }) => {
      const solving = record(solver.solve(aTask))
      record(solver.orphans, 'orphans')
      solver.events.subscribe(({ _tag }) => {
        if (_tag === 'PollEnded') solving.unsubscribe()
      })
    })

    expect(results).toMatchObject([[3_000, 'orphans', { ref }]])
    expect(tagsOf(events).slice(-3)).toStrictEqual(['PollEnded', 'Ended', 'Orphaned'])
  })

  it('orphan the task of a single createTask if that happens during Created', () => {
    const { events } = simulate({ create: [{ ...created(), afterMs: 5 }] }, ({ solver, record }) => {
      const creating = record(solver.createTask(aTask))
      solver.events.subscribe(({ _tag }) => {
        if (_tag === 'Created') creating.unsubscribe()
      })
    })

    expect(tagsOf(events).slice(-3)).toStrictEqual(['Created', 'Ended', 'Orphaned'])
  })

  it('send nothing if the solver is closed during Started', () => {
    const { calls, events } = simulate({ create: [created()] }, ({ solver, record }) => {
      solver.events.subscribe(({ _tag }) => {
        if (_tag === 'Started') void solver.close()
      })
      record(solver.solve(aTask))
    })

    expect(calls).toStrictEqual([])
    expect(endedOf(events)).toMatchObject([{ tag: 'NotCreated', reason: 'closed' }])
  })
})

describe('the sink of a solver', () => {
  const solveWith = (sink: EventSink, task = aTask) => {
    const scheduler = new VirtualTimeScheduler()
    const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [ready()] }, scheduler)
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve(), sink }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
    solver.solve(task).subscribe()
    scheduler.flush()
  }

  it('gets every event while it is observed, without a subscriber to the events', () => {
    const published: SolverEvent[] = []
    solveWith({ observed: true, publish: (event) => published.push(event) })

    expect([tagsOf(published)[0], tagsOf(published).at(-1), published.length]).toStrictEqual(['Started', 'Ended', 7])
  })

  it.each([true, false])('is the reason that events are made: %p', (observed) => {
    const publish = jest.fn()
    const readType = jest.fn(() => type)
    const task = Object.defineProperty({ ...aTask }, 'type', { get: readType })
    solveWith({ observed, publish }, task)

    expect(publish).toHaveBeenCalledTimes(observed ? 7 : 0)
    expect(readType).toHaveBeenCalledTimes(observed ? 1 : 0)
  })
})

describe('an orphan', () => {
  const Text = defineTask({
    type: 'ImageToTextTask',
    fields: t.type({ body: t.string }),
    solution: t.type({ text: t.string })
  })

  const orphanOf = (task: Resumable<unknown>, label = 'shop'): Orphan => {
    const { results } = simulate({}, ({ solver, record, at }) => {
      record(solver.orphans, 'orphans')
      const resuming = record(solver.withOptions({ label }).resume(task, ref))
      at(1, () => {
        resuming.unsubscribe()
      })
    })
    return results[0]![2] as Orphan
  }

  it('prints its reference, kind and label, and nothing of its decoder', () => {
    const orphan = orphanOf(Text({ body: 'R0lG' }))
    const shown = { ref, type: 'ImageToTextTask', label: 'shop' }
    expect(JSON.parse(JSON.stringify(orphan))).toStrictEqual(shown)
    expect(inspect(orphan, { depth: 10 })).toBe(inspect(shown))
    expect(inspect({ orphans: [orphan] }, { depth: 10 })).toBe(inspect({ orphans: [shown] }, { depth: 10 }))
  })

  it('has the kind of a task that is resumed by its kind', () => {
    expect(orphanOf(Text)).toMatchObject({ type: 'ImageToTextTask', task: Text })
  })

  it('can be copied, and the copy still holds the task', () => {
    expect({ ...orphanOf(recaptchaV2) }).toStrictEqual({ ref, task: recaptchaV2, type, label: 'shop' })
    const names: string[] = []
    for (const name in orphanOf(recaptchaV2)) names.push(name)
    expect(names.sort()).toStrictEqual(['label', 'ref', 'task', 'type'])
  })

  it.each([
    ['no kind', { solution: recaptchaV2.solution }],
    ['a kind that is no text', { solution: recaptchaV2.solution, type: 5 as never }],
    [
      'a kind that throws',
      {
        solution: recaptchaV2.solution,
        get type(): string {
          throw new Error('no type')
        }
      }
    ]
  ])('has no kind if the task has %s', (_, task) => {
    expect(orphanOf(task)).not.toHaveProperty('type')
  })
})
