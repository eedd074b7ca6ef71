import { mergeMap, timer, type SchedulerLike } from 'rxjs'
import type { Post } from '../../../lib/core/model/network.js'
import { replies, scriptedPost, type Scripted } from '../../../lib/testing.js'
import { aTask, story, storyOver } from '../../support/simulate.js'

const { created, ready, refused, processing } = replies
const unavailable = { body: '<html>busy</html>', status: 503 }
const neverLeft = { failed: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }, sent: false }
const reset = { failed: { code: 'ECONNRESET', message: 'read ECONNRESET' } }

const solveOnce = (script: Parameters<typeof story>[0], options?: Parameters<typeof story>[2], random?: () => number) =>
  story(script, ({ solver, follow }) => follow(solver.solve(aTask)), options, random)

const creates = (calls: ReadonlyArray<string>) => calls.filter((call) => call.endsWith('createTask'))

describe('a createTask that never left', () => {
  it('is tried four times, further and further apart, then ends as NotCreated', () => {
    const { calls, results, events } = solveOnce({ create: [neverLeft] })

    expect(calls).toStrictEqual(['0 createTask', '750 createTask', '2250 createTask', '5250 createTask'])
    const cause = { name: 'Error', code: 'ECONNREFUSED', message: 'connect ECONNREFUSED' }
    const left = { _tag: 'NotCreated', paid: 'no', reason: 'connect', attempts: 4, cause }
    expect(results[0]).toStrictEqual([5_250, 'solve', { _tag: 'Left', left }])
    expect(events[0]).toStrictEqual({ at: 0, _tag: 'Delayed', reason: 'network', waitMs: 750 })
  })

  it.each([
    [0, ['0 createTask', '250 createTask', '750 createTask', '1750 createTask']],
    [1, ['0 createTask', '1250 createTask', '3750 createTask', '8750 createTask']]
  ])('is repeated after 0.25 to 5 s: random %p', (random, expected) => {
    expect(solveOnce({ create: [neverLeft] }, {}, () => random).calls).toStrictEqual(expected)
  })

  it('is forgotten once a try gets through', () => {
    const { results } = solveOnce({ create: [neverLeft, neverLeft, created()], poll: [ready()] })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right', right: { ref: { taskId: 'task-1', createdAt: 2_250 } } })
  })

  it('counts tries in a row: an answer in between begins anew', () => {
    const script = [
      neverLeft,
      neverLeft,
      neverLeft,
      refused('ERROR_RATE_LIMIT'),
      neverLeft,
      neverLeft,
      neverLeft,
      created()
    ]
    const { results } = solveOnce({ create: script, poll: [ready()] })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })

  it.each(['CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ERR_TLS_CERT_ALTNAME_INVALID'])(
    'is not repeated where trust is missing: %s',
    (code) => {
      const { calls, results } = solveOnce({ create: [{ failed: { code }, sent: false }] })

      expect(calls).toHaveLength(1)
      expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'NotCreated', reason: 'tls', attempts: 1 } })
    }
  )

  it('is aborted by its own limit while it connects, and tried again', () => {
    const { calls } = solveOnce({ create: [{ failed: {}, sent: false, afterMs: 40_000 }, created()], poll: [ready()] })

    expect(calls.slice(0, 3)).toStrictEqual(['0 createTask', '25000 createTask aborted', '25750 createTask'])
  })

  it('ends as NotCreated at the deadline, with the last cause', () => {
    const { results } = solveOnce({ create: [neverLeft] }, { giveUpAfterMs: 1_000 })

    const left = { _tag: 'NotCreated', paid: 'no', reason: 'deadline', attempts: 2, cause: { code: 'ECONNREFUSED' } }
    expect(results[0]).toMatchObject([1_000, 'solve', { left }])
  })

  it('ends as NotCreated at the deadline while it connects, and is aborted', () => {
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
})

describe('a createTask that left and was not answered readably', () => {
  it.each([
    ['reset', reset, { cause: { code: 'ECONNRESET' } }],
    ['an HTML page', { body: '<html>' }, { status: 200, problems: ['the reply: expected JSON'] }],
    ['HTTP 500', { body: 'oops', status: 500 }, { status: 500 }],
    ['no id', { document: { errorId: 0 } }, { status: 200, problems: ['taskId: expected a task id'] }],
    ['an internal error', refused('ERROR_INTERNAL_SERVER_ERROR'), { status: 200 }]
  ])('ends as CreateUnknown and is never repeated: %s', (_, answer, expected) => {
    const { calls, results } = solveOnce({ create: [answer, created()] })

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

describe('a createTask that was answered "later"', () => {
  it.each<readonly [string, Scripted]>([
    ['a code', refused('ERROR_NO_SLOT_AVAILABLE')],
    ['429', { body: 'slow down', status: 429 }],
    ['408', { body: '', status: 408 }],
    ['503', unavailable]
  ])('is repeated once the gate opens: %s', (_, answer) => {
    const { calls, results } = solveOnce({ create: [answer, answer, created()], poll: [ready()] })

    expect(creates(calls)).toStrictEqual(['0 createTask', '5000 createTask', '15000 createTask'])
    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right', right: { ref: { createdAt: 15_000 } } })
  })

  it('waits for as long as the service says', () => {
    const { calls, events } = solveOnce({
      create: [{ body: '', status: 429, retryAfterMs: 7_000 }, created()],
      poll: [ready()]
    })

    expect(creates(calls)).toStrictEqual(['0 createTask', '7000 createTask'])
    expect(events).toContainEqual({ at: 0, _tag: 'Delayed', reason: 'unavailable', waitMs: 7_000 })
  })

  it('ends as that refusal at the deadline', () => {
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

  it('tells that a 503 without a document is an assumption', () => {
    const { events } = solveOnce({ create: [unavailable, created()], poll: [ready()] })

    expect(events[0]).toStrictEqual({ at: 0, _tag: 'AssumedNotCreated', status: 503 })
  })

  it('assumes nothing of a 503 with a document', () => {
    const answer = { document: { errorId: 1, errorCode: 'ERROR_NEW' }, status: 503 }
    const { events } = solveOnce({ create: [answer, created()], poll: [ready()] })

    expect(events[0]).toMatchObject({ _tag: 'Delayed', reason: 'unavailable' })
  })

  it('leaves it open after an assumed 503 whether a later refusal cost nothing', () => {
    const { results } = solveOnce({ create: [unavailable, refused('ERROR_ZERO_BALANCE')] })

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'Refused', kind: 'account', paid: 'unknown' } })
  })

  it('does not say NotCreated after an assumed 503', () => {
    const { results } = solveOnce({ create: [unavailable, neverLeft] })

    expect(results[0]?.[2]).toMatchObject({
      left: { _tag: 'Refused', kind: 'unavailable', status: 503, paid: 'unknown' }
    })
  })

  it.each<readonly [string, Scripted, number]>([
    ['while it connects again', { failed: {}, sent: false, afterMs: 40_000 }, 6_000],
    ['between further tries', neverLeft, 5_500]
  ])('does not say NotCreated after an assumed 503 at the deadline %s', (_, answer, giveUpAfterMs) => {
    const { results } = solveOnce({ create: [unavailable, answer] }, { giveUpAfterMs })

    const left = { _tag: 'Refused', kind: 'unavailable', status: 503, paid: 'unknown' }
    expect(results[0]).toMatchObject([giveUpAfterMs, 'solve', { left }])
  })

  it('says NotCreated at a deadline between tries, if the service itself had said no', () => {
    const { results } = solveOnce({ create: [refused('ERROR_RATE_LIMIT'), neverLeft] }, { giveUpAfterMs: 5_500 })

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'NotCreated', reason: 'deadline', attempts: 2 } })
  })

  it('lets all others go at once when one is taken', () => {
    const script = {
      create: [refused('ERROR_RATE_LIMIT'), { ...created(), afterMs: 2_000 }],
      poll: [ready()]
    }
    const { calls } = story(script, ({ solver, follow }) => {
      for (const name of ['first', 'second', 'third', 'fourth']) follow(solver.solve(aTask), name)
    })

    expect(creates(calls)).toStrictEqual([
      '0 createTask',
      '5000 createTask',
      '7000 createTask',
      '7000 createTask',
      '7000 createTask'
    ])
  })

  it('lets another task probe when the one that probes leaves', () => {
    const script = {
      create: [refused('ERROR_RATE_LIMIT'), { failed: {}, sent: false, afterMs: 20_000 }, created()],
      poll: [ready()]
    }
    const { calls } = story(script, ({ solver, follow, at }) => {
      const first = follow(solver.solve(aTask), 'first')
      follow(solver.solve(aTask), 'second')
      at(6_000, () => {
        first.unsubscribe()
      })
    })

    expect(creates(calls)).toStrictEqual(['0 createTask', '5000 createTask', '6000 createTask'])
  })
})

describe('a createTask that was refused', () => {
  it.each([
    ['account', refused('ERROR_ZERO_BALANCE'), 'account'],
    ['request', refused('ERROR_SITEKEY'), 'request'],
    ['task', refused('ERROR_CAPTCHA_UNSOLVABLE'), 'task'],
    ['an unknown code', refused('ERROR_NEW'), 'unknown'],
    ['no such task', refused('ERROR_TASKID_INVALID'), 'unknown'],
    ['not ready', refused('CAPTCHA_NOT_READY'), 'unknown'],
    ['a redirect', { body: '', status: 302 }, 'request'],
    ['300', { body: '', status: 300 }, 'request'],
    ['404', { body: 'not here', status: 404 }, 'request']
  ])('ends at once, unpaid, and is not repeated: %s', (_, answer, kind) => {
    const { calls, results } = solveOnce({ create: [answer, created()] })

    expect(calls).toStrictEqual(['0 createTask'])
    expect(results[0]).toMatchObject([0, 'solve', { left: { _tag: 'Refused', paid: 'no', kind } }])
  })

  it('is read by the table of the caller first', () => {
    const kindOf = (code: string) => (code === 'ERROR_SITEKEY' ? ('unavailable' as const) : undefined)
    const { calls } = solveOnce(
      { create: [refused('ERROR_SITEKEY'), created()], poll: [ready()] },
      { meaningOf: kindOf }
    )

    expect(creates(calls)).toHaveLength(2)
  })
})

describe('a createTask that was taken', () => {
  it('counts from when it left, not from its answer', () => {
    const { results } = solveOnce({ create: [{ ...created(), afterMs: 4_000 }], poll: [processing(), ready()] })

    expect(results[0]).toMatchObject([10_000, 'solve', { right: { ref: { createdAt: 0 }, useBefore: 67_000 } }])
  })

  it('counts from when it left, not from when it began to connect', () => {
    const connecting = (scheduler: SchedulerLike): Post => {
      const { post } = scriptedPost({ '/createTask': [created()], '/getTaskResult': [ready()] }, scheduler)
      return (path, body) => timer(path === '/createTask' ? 1_000 : 0, scheduler).pipe(mergeMap(() => post(path, body)))
    }
    const { results } = storyOver(connecting, ({ solver, follow }) => follow(solver.solve(aTask)))

    expect(results[0]?.[2]).toMatchObject({ right: { ref: { createdAt: 1_000 } } })
  })

  it('is one even under an error status', () => {
    const { results } = solveOnce({ create: [{ ...created(), status: 500 }], poll: [ready()] })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })
})
