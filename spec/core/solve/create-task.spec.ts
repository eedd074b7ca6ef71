import { Observable, VirtualTimeScheduler, defer, mergeMap, of, timer, type SchedulerLike } from 'rxjs'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { Journal } from '../../../lib/core/model/journal.js'
import type { Post } from '../../../lib/core/model/network.js'
import { resolveOptions } from '../../../lib/core/model/options.js'
import { replies, scriptedPost, type Scripted } from 'rx-captcha/testing'
import { KEY, aTask, scriptedByKey, simulate, simulateOver, stepsOf, taskOf } from '../../support/simulate.js'

const { created, ready, refused, processing } = replies
const unavailable = { body: '<html>busy</html>', status: 503 }
const pausing = { ...refused('ERROR_RATE_LIMIT'), retryAfterMs: 5_000 }
const unreachable = { failed: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }, sent: false }
const reset = { failed: { code: 'ECONNRESET', message: 'read ECONNRESET' } }

const solveOnce = (
  script: Parameters<typeof simulate>[0],
  options?: Parameters<typeof simulate>[2],
  random?: () => number
) => simulate(script, ({ solver, record }) => record(solver.solve(aTask)), options, random)

const creates = (calls: ReadonlyArray<string>) => calls.filter((call) => call.endsWith('createTask'))

describe('a createTask that could not be sent', () => {
  it('is tried four times with growing waits, then ends as NotCreated', () => {
    const { calls, results, events } = solveOnce({ create: [unreachable] })

    expect(calls).toStrictEqual(['0 createTask', '750 createTask', '2250 createTask', '5250 createTask'])
    const cause = { name: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }
    const left = { _tag: 'NotCreated', paid: 'no', reason: 'connect', attempts: 4, cause }
    expect(results[0]).toStrictEqual([5_250, 'solve', { _tag: 'Left', left }])
    expect(events).toContainEqual({ at: 0, solveId: 1, _tag: 'Delayed', reason: 'network', waitMs: 750 })
  })

  it.each([
    [0, ['0 createTask', '250 createTask', '750 createTask', '1750 createTask']],
    [1, ['0 createTask', '1250 createTask', '3750 createTask', '8750 createTask']]
  ])('is retried after 0.25 to 5 s, by the random number: %p', (random, expected) => {
    expect(solveOnce({ create: [unreachable] }, {}, () => random).calls).toStrictEqual(expected)
  })

  it('creates the task if a later try succeeds', () => {
    const { results } = solveOnce({ create: [unreachable, unreachable, created()], poll: [ready()] })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right', right: { ref: { taskId: 'task-1', createdAt: 2_250 } } })
  })

  it('gets four tries again after a reply', () => {
    const script = [
      unreachable,
      unreachable,
      unreachable,
      refused('ERROR_RATE_LIMIT'),
      unreachable,
      unreachable,
      unreachable,
      created()
    ]
    const { results } = solveOnce({ create: script, poll: [ready()] })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })

  it.each(['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'])(
    'is not retried if the certificate is not accepted: %s',
    (code) => {
      const { calls, results } = solveOnce({ create: [{ failed: { code }, sent: false }] })

      expect(calls).toHaveLength(1)
      expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'NotCreated', reason: 'tls', attempts: 1 } })
    }
  )

  it('is aborted after its time limit while it is connecting, and retried', () => {
    const { calls } = solveOnce({ create: [{ failed: {}, sent: false, afterMs: 40_000 }, created()], poll: [ready()] })

    expect(calls.slice(0, 3)).toStrictEqual(['0 createTask', '25000 createTask aborted', '25750 createTask'])
  })

  it('ends as NotCreated at the deadline, with the last cause', () => {
    const { results } = solveOnce({ create: [unreachable] }, { giveUpAfterMs: 1_000 })

    const left = { _tag: 'NotCreated', paid: 'no', reason: 'deadline', attempts: 2, cause: { code: 'ECONNREFUSED' } }
    expect(results[0]).toMatchObject([1_000, 'solve', { left }])
  })

  it('is aborted at the deadline while it is connecting, and ends as NotCreated', () => {
    const { calls, results } = solveOnce(
      { create: [{ failed: {}, sent: false, afterMs: 40_000 }] },
      { giveUpAfterMs: 1_000 }
    )

    expect(calls).toStrictEqual(['0 createTask', '1000 createTask aborted'])
    expect(results[0]?.[2]).toStrictEqual({
      _tag: 'Left',
      left: { _tag: 'NotCreated', paid: 'no', reason: 'deadline', attempts: 1 }
    })
  })

  it('ends as NotCreated at the deadline with the cause of the last try, while it is connecting again', () => {
    const connecting = { failed: {}, sent: false, afterMs: 40_000 }
    const { calls, results } = solveOnce({ create: [unreachable, connecting] }, { giveUpAfterMs: 2_000 })

    expect(calls).toStrictEqual(['0 createTask', '750 createTask', '2000 createTask aborted'])
    const left = { _tag: 'NotCreated', paid: 'no', reason: 'deadline', attempts: 2, cause: { code: 'ECONNREFUSED' } }
    expect(results[0]?.[2]).toMatchObject({ left })
  })
})

describe('a createTask that was sent and got no readable reply', () => {
  it.each([
    ['a connection reset', reset, { cause: { code: 'ECONNRESET' } }],
    ['an HTML page', { body: '<html>' }, { status: 200, problems: ['the reply: expected JSON'] }],
    ['HTTP 500', { body: 'oops', status: 500 }, { status: 500 }],
    ['a reply without an id', { document: { errorId: 0 } }, { status: 200, problems: ['taskId: expected a task id'] }],
    ['an internal error', refused('ERROR_INTERNAL_SERVER_ERROR'), { status: 200 }]
  ])('ends as CreateUnknown and is not retried after %s', (_, reply, expected) => {
    const { calls, results } = solveOnce({ create: [reply, created()] })

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([0, 'solve', { left: { _tag: 'CreateUnknown', paid: 'unknown', ...expected } }])
  })

  it('ends as CreateUnknown after its limit', () => {
    const { results } = solveOnce({ create: [{ silent: true }] })

    const cause = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no reply within 25000 ms' }
    expect(results[0]).toStrictEqual([
      25_000,
      'solve',
      { _tag: 'Left', left: { _tag: 'CreateUnknown', paid: 'unknown', cause } }
    ])
  })
})

describe('a createTask whose reply broke off after the id', () => {
  const received = { status: 200, body: '{"errorId":0,"taskId":"task-1","cost":' }

  it('is created as soon as the connection ends', () => {
    const { calls } = solveOnce({
      create: [{ failed: { code: 'ECONNRESET' }, afterMs: 100, received }],
      poll: [ready()]
    })

    expect(calls).toStrictEqual(['0 createTask', '3100 getTaskResult'])
  })

  it('is created at the limit of the call if the connection stays open', () => {
    const { calls, results } = solveOnce({ create: [{ silent: true, received }], poll: [ready()] })

    expect(calls).toStrictEqual(['0 createTask', '25000 createTask aborted', '28000 getTaskResult'])
    expect(results[0]?.[2]).toMatchObject({ right: { ref: { taskId: 'task-1', createdAt: 0 } } })
  })

  it('goes to orphans at the limit of the call if the subscriber has unsubscribed', () => {
    const { events } = simulate({ create: [{ silent: true, received }] }, ({ solver, record, at }) => {
      const solving = record(solver.solve(aTask))
      at(1_000, () => {
        solving.unsubscribe()
      })
    })

    expect(events).toContainEqual(expect.objectContaining({ at: 25_000, _tag: 'Orphaned' }))
  })
})

describe('a createTask whose reply is still open', () => {
  const received = { status: 200, body: '{"errorId":0,"taskId":"task-1"}' }
  const result = '{"errorId":0,"taskId":"task-1","status":"ready","solution":{"gRecaptchaResponse":"token-1"}}'
  const resultArrived = { status: 200, body: result }
  const cut = { status: 200, body: '{"errorId":0,"taskId":"task' }
  const early = { giveUpAfterMs: 1_000 }
  const ref = { taskId: 'task-1', createdAt: 0 }

  it('ends as TimedOut at the deadline if the id has arrived, and makes no orphan', () => {
    const { results, events } = solveOnce({ create: [{ silent: true, received }] }, { giveUpAfterMs: 1_000 })

    expect(results[0]).toMatchObject([1_000, 'solve', { left: { _tag: 'TimedOut', ref, polls: 0 } }])
    expect(stepsOf(events)).toStrictEqual(['Created', 'Ended'])
  })

  it('ends as Interrupted when the solver is closed if the id has arrived, and is returned by close', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const { results } = simulate({ create: [{ silent: true, received }] }, ({ solver, record, at }) => {
      record(solver.solve(aTask))
      at(1_000, () => {
        closed = solver.close()
      })
    })

    expect(results[0]).toMatchObject([1_000, 'solve', { left: { _tag: 'Interrupted', ref } }])
    expect(await closed).toMatchObject([{ ref }])
  })

  it.each([
    ['the id', received, 'TimedOut'],
    ['the result', resultArrived, 'Solved']
  ])('is recorded as created before its end if %s has arrived', (_what, arrived, tag) => {
    const recorded: string[] = []
    simulate(
      { create: [{ silent: true, received: arrived }] },
      ({ solver, record }) => {
        const journal: Journal = {
          begin: () => of({ _tag: 'Fresh' }),
          created: (_, { taskId }) => defer(() => of(void recorded.push(`created ${taskId}`))),
          ended: (_, tag) => defer(() => of(void recorded.push(`ended ${tag}`)))
        }
        record(solver.solveAll(['a'], taskOf, { journal, keyOf: String }))
      },
      { giveUpAfterMs: 1_000 }
    )

    expect(recorded).toStrictEqual(['created task-1', `ended ${tag}`])
  })

  it('is solved at the deadline if the result has arrived', () => {
    const { results, events } = solveOnce({ create: [{ silent: true, received: resultArrived }] }, early)

    const solved = { ref, solution: { gRecaptchaResponse: 'token-1' }, readyAt: 1_000 }
    expect(results[0]).toMatchObject([1_000, 'solve', { _tag: 'Right', right: solved }])
    expect(stepsOf(events)).toStrictEqual(['Created', 'Ended'])
  })

  it('is solved when the solver is closed if the result has arrived, and close does not return it', async () => {
    let closed: Promise<unknown> = Promise.resolve()
    const { results } = simulate({ create: [{ silent: true, received: resultArrived }] }, ({ solver, record, at }) => {
      record(solver.solve(aTask))
      at(1_000, () => {
        closed = solver.close()
      })
    })

    expect(results[0]).toMatchObject([1_000, 'solve', { _tag: 'Right', right: { ref } }])
    expect(await closed).toStrictEqual([])
  })

  it('gives the caller of createTask its reference at the deadline if the result has arrived', () => {
    const { results } = simulate(
      { create: [{ silent: true, received: resultArrived }] },
      ({ solver, record }) => {
        record(solver.createTask(aTask))
      },
      early
    )

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TimedOut', ref } })
  })

  it.each(['ERROR_SITEKEY', 'ERROR_NO_SLOT_AVAILABLE'])(
    'ends as Refused at the deadline if the refusal %s has arrived, and is not lost later',
    (errorCode) => {
      const refusal = { status: 200, body: `{"errorId":1,"errorCode":"${errorCode}"}` }
      const { results, events } = solveOnce({ create: [{ silent: true, received: refusal }] }, early)

      expect(results[0]).toMatchObject([1_000, 'solve', { left: { _tag: 'Refused', paid: 'no', errorCode } }])
      expect(stepsOf(events)).toStrictEqual(['Ended'])
    }
  )

  it('leaves open whether a task was paid for if the refusal that has arrived is an assumed one', () => {
    const assumed = { status: 503, body: '{"message":"busy"}' }
    const { results, events } = solveOnce({ create: [{ silent: true, received: assumed }] }, early)

    expect(results[0]).toMatchObject([1_000, 'solve', { left: { _tag: 'Refused', paid: 'unknown', status: 503 } }])
    expect(stepsOf(events)).toStrictEqual(['AssumedNotCreated', 'Ended'])
  })

  it('leaves open whether a task was paid for if its refusal follows an assumed one', () => {
    const refusal = { status: 200, body: '{"errorId":1,"errorCode":"ERROR_SITEKEY"}' }
    const assumed = { status: 503, body: 'busy' }
    const { results } = solveOnce({ create: [assumed, { silent: true, received: refusal }] }, { giveUpAfterMs: 10_000 })

    expect(results[0]).toMatchObject([10_000, 'solve', { left: { _tag: 'Refused', paid: 'unknown' } }])
  })

  it('ends as CreateUnknown at the deadline if the id is not complete, with what has arrived', () => {
    const { results } = solveOnce({ create: [{ silent: true, received: cut }] }, early)

    const left = { _tag: 'CreateUnknown', status: 200, excerpt: cut.body, cause: { code: 'TIMED_OUT' } }
    expect(results[0]).toMatchObject([1_000, 'solve', { left }])
  })

  it('ends as CreateUnknown when the solver is closed if the id is not complete, with what has arrived', () => {
    const { results } = simulate({ create: [{ silent: true, received: cut }] }, ({ solver, record, at }) => {
      record(solver.solve(aTask))
      at(1_000, () => void solver.close())
    })

    const left = { _tag: 'CreateUnknown', status: 200, excerpt: cut.body, cause: { code: 'CLOSED' } }
    expect(results[0]).toMatchObject([1_000, 'solve', { left }])
  })
})

describe('Retry-After in the reply that created a task', () => {
  it('delays the first poll', () => {
    const { calls } = solveOnce({ create: [{ ...created(), retryAfterMs: 20_000 }], poll: [ready()] })

    expect(calls).toStrictEqual(['0 createTask', '20000 getTaskResult'])
  })

  it('does not shorten the wait before the first poll', () => {
    const { calls } = solveOnce({ create: [{ ...created(), retryAfterMs: 1_000 }], poll: [ready()] })

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult'])
  })
})

describe('a createTask that is answered with the result', () => {
  const document = { errorId: 0, taskId: 'task-1', status: 'ready', solution: { gRecaptchaResponse: 'token-1' } }

  it('is solved without a poll', () => {
    const { calls, results, events } = solveOnce({ create: [{ document, afterMs: 200 }] })

    expect(calls).toStrictEqual(['0 createTask'])
    const ref = { taskId: 'task-1', createdAt: 0 }
    const solved = { ref, readyAt: 200, useBefore: 60_000, expiresAt: 120_000 }
    expect(results[0]).toStrictEqual([
      200,
      'solve',
      { _tag: 'Right', right: { ...solved, solution: { gRecaptchaResponse: 'token-1' } } }
    ])
    expect(stepsOf(events)).toStrictEqual(['Created', 'Ended'])
  })

  it('is polled if the result is not valid', () => {
    const { calls } = solveOnce({ create: [{ document: { ...document, solution: {} } }], poll: [ready()] })

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult'])
  })

  it('gives its reference to `createTask`', () => {
    const { results } = simulate({ create: [{ document }] }, ({ solver, record }) => record(solver.createTask(aTask)))

    expect(results[0]?.[2]).toStrictEqual({ _tag: 'Right', right: { taskId: 'task-1', createdAt: 0 } })
  })
})

describe('a createTask that the service refused for now', () => {
  it.each<readonly [string, Scripted]>([
    ['an error code', refused('ERROR_NO_SLOT_AVAILABLE')],
    ['HTTP 429', { body: 'slow down', status: 429 }],
    ['HTTP 408', { body: '', status: 408 }],
    ['HTTP 503', unavailable]
  ])('is retried after 0.5 s and 1 s, then after the pause of the limiter: %s', (_, reply) => {
    const { calls, results, events } = solveOnce({ create: [reply, reply, reply, created()], poll: [ready()] })

    expect(creates(calls)).toStrictEqual(['0 createTask', '500 createTask', '1500 createTask', '6500 createTask'])
    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right', right: { ref: { createdAt: 6_500 } } })
    const delays = events.flatMap((event) => (event._tag === 'Delayed' ? [event.waitMs] : []))
    expect(delays).toStrictEqual([500, 1_000, 5_000])
  })

  it.each([
    [0, 375],
    [1, 625]
  ])('varies its wait by a quarter: random %p gives %p ms', (random, waitMs) => {
    const { calls } = solveOnce({ create: [refused('ERROR_RATE_LIMIT'), created()], poll: [ready()] }, {}, () => random)

    expect(creates(calls)).toStrictEqual(['0 createTask', `${waitMs} createTask`])
  })

  it('waits at most 5 s on its own while other tasks are created', () => {
    const { calls } = simulateOver(
      scriptedByKey({ z: { create: [...Array<Scripted>(6).fill(refused('ERROR_RATE_LIMIT')), created()] } }),
      ({ solver, record, at }) => {
        record(solver.solve(taskOf('z')))
        for (let ms = 50; ms < 20_000; ms += 400) at(ms, () => record(solver.createTask(taskOf('a'))))
      }
    )

    const own = creates(calls).filter((call) => !call.endsWith('50 createTask'))
    expect(own).toStrictEqual([0, 500, 1_500, 3_500, 7_500, 12_500, 17_500].map((ms) => `${ms} createTask`))
  })

  it('is retried after the wait that the service asked for', () => {
    const { calls, events } = solveOnce({
      create: [{ body: '', status: 429, retryAfterMs: 7_000 }, created()],
      poll: [ready()]
    })

    expect(creates(calls)).toStrictEqual(['0 createTask', '7000 createTask'])
    expect(events).toContainEqual({ at: 0, solveId: 1, _tag: 'Delayed', reason: 'unavailable', waitMs: 7_000 })
  })

  it('ends as that refusal at the deadline, unpaid', () => {
    const { results } = solveOnce({ create: [refused('ERROR_NO_SLOT_AVAILABLE', 'busy')] }, { giveUpAfterMs: 6_000 })

    expect(results[0]).toMatchObject([
      6_000,
      'solve',
      {
        left: {
          _tag: 'Refused',
          paid: 'no',
          kind: 'unavailable',
          errorCode: 'ERROR_NO_SLOT_AVAILABLE',
          errorDescription: 'busy'
        }
      }
    ])
  })

  it('emits AssumedNotCreated after an HTTP 503 without a document', () => {
    const { events } = solveOnce({ create: [unavailable, created()], poll: [ready()] })

    expect(events).toContainEqual({ at: 0, solveId: 1, _tag: 'AssumedNotCreated', status: 503 })
  })

  it('emits no AssumedNotCreated after an HTTP 503 with a document', () => {
    const reply = { document: { errorId: 1, errorCode: 'ERROR_NEW' }, status: 503 }
    const { events } = solveOnce({ create: [reply, created()], poll: [ready()] })

    expect(stepsOf(events)[0]).toBe('Delayed')
  })

  it('ends as Refused with `paid` unknown if it is refused after an assumed HTTP 503', () => {
    const { results } = solveOnce({ create: [unavailable, refused('ERROR_ZERO_BALANCE')] })

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'Refused', kind: 'account', paid: 'unknown' } })
  })

  it('does not end as NotCreated if it could not be sent after an assumed HTTP 503', () => {
    const { results } = solveOnce({ create: [unavailable, unreachable] })

    expect(results[0]?.[2]).toMatchObject({
      left: { _tag: 'Refused', kind: 'unavailable', status: 503, paid: 'unknown' }
    })
  })

  it.each<readonly [string, Scripted, number]>([
    ['while it is connecting again', { failed: {}, sent: false, afterMs: 40_000 }, 2_000],
    ['between further tries', unreachable, 900]
  ])('does not end as NotCreated at the deadline %s, after an assumed HTTP 503', (_, reply, giveUpAfterMs) => {
    const { results } = solveOnce({ create: [unavailable, reply] }, { giveUpAfterMs })

    const left = { _tag: 'Refused', kind: 'unavailable', status: 503, paid: 'unknown' }
    expect(results[0]).toMatchObject([giveUpAfterMs, 'solve', { left }])
  })

  it('ends as NotCreated at the deadline if a later try could not be sent', () => {
    const { results } = solveOnce({ create: [refused('ERROR_RATE_LIMIT'), unreachable] }, { giveUpAfterMs: 900 })

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'NotCreated', reason: 'deadline', attempts: 2 } })
  })

  it('sends all waiting tasks at once when the service has created one', () => {
    const script = {
      create: [pausing, { ...created(), afterMs: 2_000 }],
      poll: [ready()]
    }
    const { calls } = simulate(script, ({ solver, record }) => {
      for (const name of ['first', 'second', 'third', 'fourth']) record(solver.solve(aTask), name)
    })

    expect(creates(calls)).toStrictEqual([
      '0 createTask',
      '5000 createTask',
      '7000 createTask',
      '7000 createTask',
      '7000 createTask'
    ])
  })

  it('lets another task probe if the subscriber of the probing task unsubscribes', () => {
    const script = {
      create: [pausing, { failed: {}, sent: false, afterMs: 20_000 }, created()],
      poll: [ready()]
    }
    const { calls } = simulate(script, ({ solver, record, at }) => {
      const first = record(solver.solve(aTask), 'first')
      record(solver.solve(aTask), 'second')
      at(6_000, () => {
        first.unsubscribe()
      })
    })

    expect(creates(calls)).toStrictEqual(['0 createTask', '5000 createTask', '6000 createTask'])
  })
})

describe('a createTask that the service refused', () => {
  it.each([
    ['an account error', refused('ERROR_ZERO_BALANCE'), 'account'],
    ['a request error', refused('ERROR_SITEKEY'), 'request'],
    ['a task error', refused('ERROR_CAPTCHA_UNSOLVABLE'), 'task'],
    ['an unknown error code', refused('ERROR_NEW'), 'unknown'],
    ['"no such task"', refused('ERROR_TASKID_INVALID'), 'unknown'],
    ['"not ready"', refused('CAPTCHA_NOT_READY'), 'unknown'],
    ['a redirect', { body: '', status: 302 }, 'request'],
    ['HTTP 300', { body: '', status: 300 }, 'request'],
    ['HTTP 404', { body: 'not here', status: 404 }, 'request']
  ])('ends as Refused at once, unpaid, and is not retried: %s', (_, reply, kind) => {
    const { calls, results } = solveOnce({ create: [reply, created()] })

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([0, 'solve', { left: { _tag: 'Refused', paid: 'no', kind } }])
  })

  it('is read by the meaningOf of the caller first', () => {
    const meaningOf = (code: string) => (code === 'ERROR_SITEKEY' ? ('unavailable' as const) : undefined)
    const { calls } = solveOnce({ create: [refused('ERROR_SITEKEY'), created()], poll: [ready()] }, { meaningOf })

    expect(creates(calls)).toHaveLength(2)
  })
})

describe('a createTask that created a task', () => {
  it('dates the task from when it was sent, not from its reply', () => {
    const { results } = solveOnce({ create: [{ ...created(), afterMs: 4_000 }], poll: [processing(), ready()] })

    expect(results[0]).toMatchObject([10_000, 'solve', { right: { ref: { createdAt: 0 }, useBefore: 67_000 } }])
  })

  it('dates the task from when it was sent, not from when it began to connect', () => {
    const connecting = (scheduler: SchedulerLike): Post => {
      const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [ready()] }, scheduler)
      return (path, body) => timer(path === '/createTask' ? 1_000 : 0, scheduler).pipe(mergeMap(() => post(path, body)))
    }
    const { results } = simulateOver(connecting, ({ solver, record }) => record(solver.solve(aTask)))

    expect(results[0]?.[2]).toMatchObject({ right: { ref: { createdAt: 1_000 } } })
  })

  it('counts as one under an error status too', () => {
    const { results } = solveOnce({ create: [{ ...created(), status: 500 }], poll: [ready()] })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })
})

describe('a process that is stopped while it reads both clocks for the instant of createTask', () => {
  it('makes no token younger than it is', () => {
    let time = 0
    let stopsMs = 0
    const read = (): number => {
      const now = time
      time += stopsMs
      return now
    }
    const document = { errorId: 0, taskId: 'task-1', status: 'ready', solution: { gRecaptchaResponse: 'token-1' } }
    const post: Post = () =>
      new Observable((subscriber) => {
        stopsMs = 5
        subscriber.next({ _tag: 'Sent' })
        stopsMs = 0
        subscriber.next({ _tag: 'Reply', status: 200, body: JSON.stringify(document) })
        subscriber.complete()
      })
    const scheduler = new VirtualTimeScheduler()
    scheduler.now = read
    const ports = { post, scheduler, elapsed: read, random: () => 0.5, close: () => Promise.resolve() }
    const useBefore: unknown[] = []
    buildSolver(ports, resolveOptions({ clientKey: KEY }))
      .solve(aTask)
      .subscribe((result) => useBefore.push('right' in result && result.right.useBefore))

    expect(useBefore).toStrictEqual([60_000])
  })
})
