import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { CodeMeaning, TaskFailed } from '../../../lib/core/model/error.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { defineTask } from '../../../lib/core/model/task.js'
import { replies, scriptedPost, type Scripted } from 'rx-captcha/testing'
import { aTask, simulate, simulateOver, stepsOf } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const html = { body: '<html>oops</html>' }
const reset = { failed: { code: 'ECONNRESET', message: 'read ECONNRESET' } }
const ref = { taskId: 'task-1', createdAt: 0 }

const solveOnce = (poll: ReadonlyArray<Scripted>, options?: Parameters<typeof simulate>[2]) =>
  simulate({ create: [created()], poll }, ({ solver, record }) => record(solver.solve(aTask)), options)

const polls = (calls: ReadonlyArray<string>) =>
  calls.filter((call) => call.endsWith('getTaskResult')).map((call) => Number(call.split(' ')[0]))

describe('a poll without a state of the task', () => {
  it.each<readonly [string, Scripted]>([
    ['a connection reset', reset],
    ['a request that could not be sent', { failed: { code: 'ECONNREFUSED' }, sent: false }],
    ['an HTML page', html],
    ['HTTP 500', { body: '', status: 500 }],
    ['HTTP 503', { body: '', status: 503 }],
    ['HTTP 429', { body: '', status: 429 }],
    ['HTTP 404', { body: '', status: 404 }],
    ['a redirect', { body: '', status: 307 }],
    ['no free slot', refused('ERROR_NO_SLOT_AVAILABLE')],
    ['an unknown error code', refused('ERROR_NEW')],
    ['an internal error', refused('ERROR_INTERNAL_SERVER_ERROR')],
    ['an empty token', ready('')],
    ['an unknown status', { document: { errorId: 0, status: 'idle' } }],
    ['a status that says it has ended', { document: { errorId: 0, status: 'failed' } }],
    ['not ready as a code', refused('CAPTCHA_NOT_READY')],
    ['a task that is not known yet', refused('ERROR_TASKID_INVALID')]
  ])('is followed by the next poll at the usual pace: %s', (_, reply) => {
    const { calls, results } = solveOnce([reply, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 6_000])
    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right', right: { ref } })
  })

  it('is aborted after its time limit, and followed by the usual wait', () => {
    const { calls } = solveOnce([{ silent: true }, ready()])

    expect(calls).toStrictEqual([
      '0 createTask',
      '3000 getTaskResult',
      '13000 getTaskResult aborted',
      '16000 getTaskResult'
    ])
  })

  it.each<readonly [string, Scripted, string]>([
    ['a connection reset', reset, 'network'],
    ['a rate limit', refused('ERROR_RATE_LIMIT'), 'unavailable'],
    ['an HTTP 503 without a document', { body: '', status: 503 }, 'unavailable'],
    ['an unknown status', { document: { errorId: 0, status: 'idle' } }, 'unavailable'],
    ['an HTML page', html, 'reply'],
    ['an unknown error code', refused('ERROR_NEW'), 'reply']
  ])('emits Delayed with its reason: %s', (_, reply, reason) => {
    const { events } = solveOnce([reply, ready()])

    expect(events).toContainEqual({ at: 3_000, solveId: 1, _tag: 'Delayed', reason, waitMs: 3_000, ref })
  })
})

describe('Retry-After on a poll', () => {
  it.each<readonly [string, Scripted]>([
    ['processing', { ...processing(), retryAfterMs: 20_000 }],
    ['processing and HTTP 202', { ...processing(), status: 202, retryAfterMs: 20_000 }],
    ['a code that says not ready', { ...refused('CAPTCHA_NOT_READY'), retryAfterMs: 20_000 }],
    ['a task that is not known yet', { ...refused('ERROR_TASKID_INVALID'), retryAfterMs: 20_000 }],
    ['an unknown status', { document: { errorId: 0, status: 'idle' }, retryAfterMs: 20_000 }],
    ['an unknown error code', { ...refused('ERROR_NEW'), retryAfterMs: 20_000 }],
    ['an HTTP 502 page', { body: '<html>', status: 502, retryAfterMs: 20_000 }],
    ['an HTTP 403 page', { body: '<html>', status: 403, retryAfterMs: 20_000 }],
    ['a redirect', { body: '', status: 302, retryAfterMs: 20_000 }],
    ['a reply that broke off', { failed: {}, received: { status: 200, body: '{', retryAfterMs: 20_000 } }]
  ])('delays the next poll if it comes with %s', (_, reply) => {
    const { calls, events } = solveOnce([reply, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 23_000])
    expect(events).toContainEqual(expect.objectContaining({ _tag: 'Delayed', waitMs: 20_000 }))
  })

  it.each<readonly [string, Scripted]>([
    ['processing', processing()],
    ['a task that is not known yet', refused('ERROR_TASKID_INVALID')]
  ])('emits Delayed with the reason unavailable if it comes with %s', (_, reply) => {
    const { events } = solveOnce([{ ...reply, retryAfterMs: 20_000 }, ready()])

    expect(events).toContainEqual({
      at: 3_000,
      solveId: 1,
      _tag: 'Delayed',
      reason: 'unavailable',
      waitMs: 20_000,
      ref
    })
  })

  it('emits no Delayed if it comes with processing and asks for no more than the usual wait', () => {
    const { events } = solveOnce([{ ...processing(), retryAfterMs: 3_000 }, ready()])

    expect(events.map(({ _tag }) => _tag)).not.toContain('Delayed')
  })

  it('delays the next poll', () => {
    const { calls } = solveOnce([{ body: '', status: 429, retryAfterMs: 20_000 }, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 23_000])
  })

  it('does not shorten the usual wait', () => {
    const { calls } = solveOnce([{ ...refused('ERROR_RATE_LIMIT'), retryAfterMs: 1_000 }, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 6_000])
  })

  it('delays the next poll beyond the deadline if no timer can hold it', () => {
    const { results } = solveOnce([{ body: '', status: 429, retryAfterMs: 1e15 }, ready()])

    expect(results[0]).toMatchObject([300_000, 'solve', { left: { _tag: 'TimedOut', polls: 1 } }])
  })

  it('is ignored if it is not a number', () => {
    const { calls } = solveOnce([{ body: '', status: 429, retryAfterMs: Number.NaN }, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 6_000])
  })
})

describe('a status that is not known', () => {
  const queued = { document: { errorId: 0, status: 'queued' } }

  it('is polled on until the deadline, and named in the causes', () => {
    const { results } = solveOnce([queued])

    const causes = Array<unknown>(3).fill({ taskStatus: 'queued' })
    expect(results[0]).toMatchObject([300_000, 'solve', { left: { _tag: 'TimedOut', causes } }])
  })

  it('is followed by the solution', () => {
    const { results } = solveOnce([queued, queued, queued, queued, ready()])

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })
})

describe('a poll whose reply broke off', () => {
  const ended = { _tag: 'Right', right: { ref } }

  const body = JSON.stringify({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'token-1' } })

  it.each<readonly [string, Scripted]>([
    ['at once', { failed: {}, received: { status: 200, body } }],
    ['never, until the limit of the call', { silent: true, received: { status: 200, body } }]
  ])('is read by its document: it ends %s', (_, reply) => {
    const { results, calls } = solveOnce([reply])

    expect(results[0]?.[2]).toMatchObject(ended)
    expect(polls(calls)).toStrictEqual([3_000])
  })
})

describe('a numeric task id', () => {
  it('is sent back as a number, to the digit', () => {
    const bodies: unknown[] = []
    const { results } = simulateOver(
      (scheduler) => {
        const script = { body: '{"errorId":0,"taskId":9007199254740993}' }
        const { post } = scriptedPost({ '/createTask': [script], '/getTaskResult': [ready()] }, scheduler)
        return (path, body) => {
          bodies.push(body)
          return post(path, body)
        }
      },
      ({ solver, record }) => record(solver.solve(aTask))
    )

    expect(bodies[1]).toMatchObject({ taskId: 9007199254740993n })
    const numeric = { taskId: '9007199254740993', createdAt: 0, numeric: true }
    expect(results[0]?.[2]).toMatchObject({ right: { ref: numeric } })
  })
})

describe('replies that violate the protocol', () => {
  it('end the task as BadReply after three in a row, with an excerpt of the last', () => {
    const { results } = solveOnce([html])

    const left = { _tag: 'BadReply', paid: 'yes', ref, status: 200, problems: ['the reply: expected JSON'] }
    expect(results[0]).toStrictEqual([9_000, 'solve', E.left({ ...left, excerpt: '<html>oops</html>' })])
  })

  it.each<readonly [string, Scripted]>([
    ['processing', processing()],
    ['an unknown error code', refused('ERROR_NEW')],
    ['a rate limit', refused('ERROR_RATE_LIMIT')],
    ['a task that is not known yet', refused('ERROR_TASKID_INVALID')]
  ])('are counted from zero after %s', (_, reply) => {
    const { results } = solveOnce([html, reply, html, html, ready()], { pollEveryMs: 1_000 })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })

  it.each<readonly [string, Scripted]>([
    ['a network failure', reset],
    ['an HTTP 503 without a document', { body: '', status: 503 }]
  ])('are in a row across %s', (_, reply) => {
    const { results } = solveOnce([html, html, reply, html, ready()])

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'BadReply' } })
  })
})

describe('unknown error codes', () => {
  it('end the task as TaskFailed after three in a row', () => {
    const { results } = solveOnce([refused('ERROR_NEW', 'who knows')])

    const left = { _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorCode: 'ERROR_NEW' }
    expect(results[0]).toStrictEqual([
      9_000,
      'solve',
      E.left({ ...left, errorDescription: 'who knows', kind: 'unknown' })
    ])
  })

  it.each<readonly [string, Scripted]>([
    ['a network failure', reset],
    ['an HTTP 503 without a document', { body: '', status: 503 }]
  ])('are in a row across %s', (_, reply) => {
    const { results } = solveOnce([refused('ERROR_NEW'), reply, refused('ERROR_NEW'), refused('ERROR_NEW'), ready()])

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TaskFailed', kind: 'unknown' } })
  })

  it.each<readonly [string, Scripted]>([
    ['processing', processing()],
    ['an HTML page', html]
  ])('are counted from zero after %s', (_, reply) => {
    const { results } = solveOnce([refused('ERROR_A'), refused('ERROR_B'), reply, refused('ERROR_C'), ready()])

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })
})

describe('a task that the service does not know', () => {
  it('is not reported as delayed while it is new, and is a cause of TimedOut', () => {
    const { results, events } = solveOnce([refused('ERROR_TASKID_INVALID')], { giveUpAfterMs: 8_000 })

    expect(stepsOf(events)).toStrictEqual(['Created', 'Polled', 'Polled', 'Ended'])
    const cause = { status: 200, errorCode: 'ERROR_TASKID_INVALID' }
    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TimedOut', causes: [cause, cause] } })
  })

  it('is a cause of TimedOut among the others, the newest last', () => {
    const polls = [refused('ERROR_TASKID_INVALID'), { body: '', status: 500 }, processing()]
    const { results } = solveOnce(polls, { giveUpAfterMs: 20_000 })

    const causes = [{ errorCode: 'ERROR_TASKID_INVALID' }, { status: 500 }]
    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TimedOut', polls: 6, causes } })
  })

  it.each<readonly [string, number, unknown]>([
    ['Processing for a reference that is 5 s old', 15_000, { right: { _tag: 'Processing' } }],
    ['TaskFailed for one of a clock that runs ahead', 60_000, { left: { _tag: 'TaskFailed', kind: 'task' } }]
  ])('gives %s', (_, createdAt, expected) => {
    const { results } = simulate({ poll: [refused('ERROR_TASKID_INVALID')] }, ({ solver, record, at }) => {
      at(20_000, () => record(solver.getTaskResult(recaptchaV2, { taskId: 'task-1', createdAt })))
    })

    expect(results[0]?.[2]).toMatchObject(expected as object)
  })
})

describe('an error code that ends the task', () => {
  it.each([
    ['task', 'ERROR_CAPTCHA_UNSOLVABLE'],
    ['account', 'ERROR_KEY_DOES_NOT_EXIST'],
    ['request', 'ERROR_SITEKEY']
  ])('gives TaskFailed at once, of the kind %s', (kind, code) => {
    const { results } = solveOnce([refused(code)])

    expect(results[0]).toMatchObject([
      3_000,
      'solve',
      { left: { _tag: 'TaskFailed', paid: 'yes', ref, kind, errorCode: code } }
    ])
  })

  it('gives TaskFailed for a task that the service does not know 10 s after its creation', () => {
    const { calls, results } = solveOnce([refused('ERROR_TASKID_INVALID')])

    expect(polls(calls)).toStrictEqual([3_000, 6_000, 9_000, 12_000])
    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TaskFailed', kind: 'task' } })
  })

  it.each<readonly [string, string, (code: string) => CodeMeaning | undefined, unknown]>([
    ['with notFound for a code that means it', 'ERROR_TASKID_INVALID', () => undefined, true],
    ['with notFound for a code to which meaningOf gives that meaning', 'ERROR_X', () => 'notFound', true],
    [
      'without notFound for a code to which meaningOf gives another one',
      'ERROR_TASKID_INVALID',
      () => 'task',
      undefined
    ]
  ])('gives a paid TaskFailed %s', (_, code, meaningOf, notFound) => {
    const { results } = solveOnce([refused(code)], { meaningOf })
    const result = results[0]?.[2]

    expect(result).toMatchObject({ left: { _tag: 'TaskFailed', paid: 'yes', kind: 'task', errorCode: code } })
    expect((result as { readonly left: TaskFailed }).left.notFound).toBe(notFound)
  })

  it('gives TaskFailed for an unknown task exactly 10 s after its creation', () => {
    const { calls } = solveOnce([refused('ERROR_TASKID_INVALID')], { pollEveryMs: 5_000 })

    expect(polls(calls)).toStrictEqual([5_000, 10_000])
  })

  it('counts the 10 s from the creation and not from the start of the solver', () => {
    const { calls } = simulate(
      { create: [created()], poll: [refused('ERROR_TASKID_INVALID')] },
      ({ solver, record, at }) => {
        at(20_000, () => record(solver.solve(aTask)))
      }
    )

    expect(polls(calls)).toStrictEqual([23_000, 26_000, 29_000, 32_000])
  })
})

describe('the deadline', () => {
  it('aborts the poll in flight', () => {
    const { calls, results } = solveOnce([{ silent: true }], { giveUpAfterMs: 5_000 })

    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult', '5000 getTaskResult aborted'])
    expect(results[0]).toMatchObject([5_000, 'solve', { left: { _tag: 'TimedOut', polls: 1 } }])
  })

  it('gives TimedOut a cause if no poll got a reply', () => {
    const { results } = solveOnce([{ silent: true }], { giveUpAfterMs: 5_000 })

    const cause = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no poll got a reply' }
    expect(results[0]?.[2]).toHaveProperty('left.causes', [{ cause }])
  })

  it('gives TimedOut no cause if the last reply was "processing"', () => {
    const { results } = solveOnce([processing(), { silent: true }], { giveUpAfterMs: 8_000 })

    expect(results[0]?.[2]).toHaveProperty('left.causes', [])
    expect(results[0]?.[2]).toHaveProperty('left.polls', 2)
  })

  it('gives TimedOut no cause if no poll was sent', () => {
    const { results } = solveOnce([{ silent: true }], { giveUpAfterMs: 2_000 })

    expect(results[0]?.[2]).toHaveProperty('left.causes', [])
  })

  it('gives TimedOut the last three causes, the newest last', () => {
    const script = [reset, refused('ERROR_RATE_LIMIT'), refused('ERROR_NEW'), html, processing()]
    const { results } = solveOnce(script, { giveUpAfterMs: 16_000 })

    const causes = [
      { status: 200, errorCode: 'ERROR_RATE_LIMIT' },
      { status: 200, errorCode: 'ERROR_NEW' },
      { status: 200, problems: ['the reply: expected JSON'] }
    ]
    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TimedOut', polls: 5, causes } })
  })
})

describe('the pace of the polls', () => {
  it('doubles the wait from the 110th poll on', () => {
    const { calls } = solveOnce([processing()], { pollEveryMs: 1_000 })

    const polledAt = polls(calls)
    expect(polledAt.slice(107, 113)).toStrictEqual([108_000, 109_000, 110_000, 112_000, 116_000, 124_000])
    expect(polledAt.length).toBeLessThanOrEqual(120)
  })
})

describe('the times of a solution', () => {
  it('count from the last poll whose reply was "processing"', () => {
    const { results } = solveOnce([processing(), reset, { ...ready(), afterMs: 2_000 }])

    expect(results[0]?.[2]).toMatchObject({ right: { readyAt: 11_000, useBefore: 63_000, expiresAt: 123_000 } })
  })

  it('count from the creation if no reply was "processing", but the task was not known yet', () => {
    const { results } = solveOnce([refused('ERROR_TASKID_INVALID'), ready()])

    expect(results[0]?.[2]).toMatchObject({ right: { useBefore: 60_000, expiresAt: 120_000 } })
  })

  it('are left out if the kind of task has none', () => {
    const kind = defineTask({ type: 'X', fields: t.type({ a: t.string }), solution: t.type({ b: t.number }) })
    const reply = { document: { errorId: 0, status: 'ready', solution: { b: 1 } } }
    const { results } = simulate({ create: [created()], poll: [reply] }, ({ solver, record }) => {
      record(solver.solve(kind({ a: '' })))
    })

    expect(results[0]?.[2]).toStrictEqual(E.right({ ref, solution: { b: 1 }, readyAt: 3_000 }))
  })
})
