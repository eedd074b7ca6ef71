import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { defineTask } from '../../../lib/core/model/task.js'
import { replies, type Scripted } from '../../../lib/testing.js'
import { aTask, story } from '../../support/simulate.js'

const { created, processing, ready, refused } = replies
const html = { body: '<html>oops</html>' }
const reset = { failed: { code: 'ECONNRESET', message: 'read ECONNRESET' } }
const ref = { taskId: 'task-1', createdAt: 0 }

const solveOnce = (poll: ReadonlyArray<Scripted>, options?: Parameters<typeof story>[2]) =>
  story({ create: [created()], poll }, ({ solver, follow }) => follow(solver.solve(aTask)), options)

const polls = (calls: ReadonlyArray<string>) =>
  calls.filter((call) => call.endsWith('getTaskResult')).map((call) => Number(call.split(' ')[0]))

describe('one bad poll', () => {
  it.each<readonly [string, Scripted]>([
    ['reset', reset],
    ['never left', { failed: { code: 'ECONNREFUSED' }, sent: false }],
    ['an HTML page', html],
    ['HTTP 500', { body: '', status: 500 }],
    ['HTTP 503', { body: '', status: 503 }],
    ['HTTP 429', { body: '', status: 429 }],
    ['HTTP 404', { body: '', status: 404 }],
    ['a redirect', { body: '', status: 307 }],
    ['no slot', refused('ERROR_NO_SLOT_AVAILABLE')],
    ['an unknown code', refused('ERROR_NEW')],
    ['an internal error', refused('ERROR_INTERNAL_SERVER_ERROR')],
    ['an empty token', ready('')],
    ['an unknown status', { document: { errorId: 0, status: 'idle' } }],
    ['not ready as a code', refused('CAPTCHA_NOT_READY')],
    ['a task that is not known yet', refused('ERROR_TASKID_INVALID')]
  ])('costs one poll and no more: %s', (_, answer) => {
    const { calls, results } = solveOnce([answer, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 6_000])
    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right', right: { ref } })
  })

  it('costs its limit and the wait when it is never answered', () => {
    const { calls } = solveOnce([{ silent: true }, ready()])

    expect(calls).toStrictEqual([
      '0 createTask',
      '3000 getTaskResult',
      '13000 getTaskResult aborted',
      '16000 getTaskResult'
    ])
  })

  it.each<readonly [string, Scripted, string]>([
    ['network', reset, 'network'],
    ['unavailable', refused('ERROR_RATE_LIMIT'), 'unavailable'],
    ['a bare 503', { body: '', status: 503 }, 'unavailable'],
    ['reply', html, 'reply'],
    ['reply', refused('ERROR_NEW'), 'reply']
  ])('is told as a delay: %s', (_, answer, reason) => {
    const { events } = solveOnce([answer, ready()])

    expect(events).toContainEqual({ at: 3_000, _tag: 'Delayed', reason, waitMs: 3_000, ref })
  })
})

describe('Retry-After on a poll', () => {
  it('holds the next poll back until then', () => {
    const { calls } = solveOnce([{ body: '', status: 429, retryAfterMs: 20_000 }, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 23_000])
  })

  it('never brings it forward', () => {
    const { calls } = solveOnce([{ ...refused('ERROR_RATE_LIMIT'), retryAfterMs: 1_000 }, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 6_000])
  })

  it('beyond what a timer can hold leaves the end to the deadline', () => {
    const { results } = solveOnce([{ body: '', status: 429, retryAfterMs: 1e15 }, ready()])

    expect(results[0]).toMatchObject([300_000, 'solve', { left: { _tag: 'TimedOut', polls: 1 } }])
  })

  it('is ignored where it is no number', () => {
    const { calls } = solveOnce([{ body: '', status: 429, retryAfterMs: Number.NaN }, ready()])

    expect(polls(calls)).toStrictEqual([3_000, 6_000])
  })
})

describe('answers outside the protocol', () => {
  it('end the task at the third in a run, as BadReply with what came', () => {
    const { results } = solveOnce([html])

    const left = { _tag: 'BadReply', paid: 'yes', ref, status: 200, problems: ['the reply: expected JSON'] }
    expect(results[0]).toStrictEqual([9_000, 'solve', E.left({ ...left, excerpt: '<html>oops</html>' })])
  })

  it.each<readonly [string, Scripted]>([
    ['processing', processing()],
    ['an unknown code', refused('ERROR_NEW')],
    ['a readable later', refused('ERROR_RATE_LIMIT')],
    ['a task that is not known yet', refused('ERROR_TASKID_INVALID')]
  ])('begin anew after a readable answer: %s', (_, answer) => {
    const { results } = solveOnce([html, answer, html, html, ready()], { pollEveryMs: 1_000 })

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })

  it.each<readonly [string, Scripted]>([
    ['a transport failure', reset],
    ['a bare 503', { body: '', status: 503 }]
  ])('are one run across %s', (_, answer) => {
    const { results } = solveOnce([html, html, answer, html, ready()])

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'BadReply' } })
  })
})

describe('unknown codes', () => {
  it('end the task at the third in a row, as TaskFailed', () => {
    const { results } = solveOnce([refused('ERROR_NEW', 'who knows')])

    const left = { _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorCode: 'ERROR_NEW' }
    expect(results[0]).toStrictEqual([
      9_000,
      'solve',
      E.left({ ...left, errorDescription: 'who knows', kind: 'unknown' })
    ])
  })

  it('are in a row across a transport failure', () => {
    const { results } = solveOnce([refused('ERROR_NEW'), reset, refused('ERROR_NEW'), refused('ERROR_NEW'), ready()])

    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TaskFailed', kind: 'unknown' } })
  })

  it.each<readonly [string, Scripted]>([
    ['processing', processing()],
    ['an HTML page', html]
  ])('begin anew after %s', (_, answer) => {
    const { results } = solveOnce([refused('ERROR_A'), refused('ERROR_B'), answer, refused('ERROR_C'), ready()])

    expect(results[0]?.[2]).toMatchObject({ _tag: 'Right' })
  })
})

describe('the end that the service tells', () => {
  it.each([
    ['task', 'ERROR_CAPTCHA_UNSOLVABLE'],
    ['account', 'ERROR_KEY_DOES_NOT_EXIST'],
    ['request', 'ERROR_SITEKEY']
  ])('is TaskFailed at once: %s', (kind, code) => {
    const { results } = solveOnce([refused(code)])

    expect(results[0]).toMatchObject([
      3_000,
      'solve',
      { left: { _tag: 'TaskFailed', paid: 'yes', ref, kind, errorCode: code } }
    ])
  })

  it('is TaskFailed for a task that is gone 10 s after its creation', () => {
    const { calls, results } = solveOnce([refused('ERROR_TASKID_INVALID')])

    expect(polls(calls)).toStrictEqual([3_000, 6_000, 9_000, 12_000])
    expect(results[0]?.[2]).toMatchObject({ left: { _tag: 'TaskFailed', kind: 'task' } })
  })

  it('is TaskFailed for a task that is gone to the very second 10 s after its creation', () => {
    const { calls } = solveOnce([refused('ERROR_TASKID_INVALID')], { pollEveryMs: 5_000 })

    expect(polls(calls)).toStrictEqual([5_000, 10_000])
  })

  it('counts the 10 s from the creation, whenever that was', () => {
    const { calls } = story(
      { create: [created()], poll: [refused('ERROR_TASKID_INVALID')] },
      ({ solver, follow, at }) => {
        at(20_000, () => follow(solver.solve(aTask)))
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

  it('tells a cause where no poll was answered by then', () => {
    const { results } = solveOnce([{ silent: true }], { giveUpAfterMs: 5_000 })

    const cause = { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no poll got a reply' }
    expect(results[0]?.[2]).toHaveProperty('left.causes', [{ cause }])
  })

  it('tells none where the last answer said "processing"', () => {
    const { results } = solveOnce([processing(), { silent: true }], { giveUpAfterMs: 8_000 })

    expect(results[0]?.[2]).toHaveProperty('left.causes', [])
    expect(results[0]?.[2]).toHaveProperty('left.polls', 2)
  })

  it('tells none where no poll was asked by then', () => {
    const { results } = solveOnce([{ silent: true }], { giveUpAfterMs: 2_000 })

    expect(results[0]?.[2]).toHaveProperty('left.causes', [])
  })

  it('tells the last three causes, the newest last', () => {
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

describe('the pace', () => {
  it('doubles its wait from the 110th poll on', () => {
    const { calls } = solveOnce([processing()], { pollEveryMs: 1_000 })

    const asked = polls(calls)
    expect(asked.slice(107, 113)).toStrictEqual([108_000, 109_000, 110_000, 112_000, 116_000, 124_000])
    expect(asked.length).toBeLessThanOrEqual(120)
  })
})

describe('the times of a solution', () => {
  it('count from the last poll that was answered "processing"', () => {
    const { results } = solveOnce([processing(), reset, { ...ready(), afterMs: 2_000 }])

    expect(results[0]?.[2]).toMatchObject({ right: { readyAt: 11_000, useBefore: 63_000, expiresAt: 123_000 } })
  })

  it('count from the creation where no poll was, even if the service did not know the task yet', () => {
    const { results } = solveOnce([refused('ERROR_TASKID_INVALID'), ready()])

    expect(results[0]?.[2]).toMatchObject({ right: { useBefore: 60_000, expiresAt: 120_000 } })
  })

  it('are left out for a kind of task without such times', () => {
    const kind = defineTask({ type: 'X', fields: t.type({ a: t.string }), solution: t.type({ b: t.number }) })
    const answer = { document: { errorId: 0, status: 'ready', solution: { b: 1 } } }
    const { results } = story({ create: [created()], poll: [answer] }, ({ solver, follow }) => {
      follow(solver.solve(kind({ a: '' })))
    })

    expect(results[0]?.[2]).toStrictEqual(E.right({ ref, solution: { b: 1 }, readyAt: 3_000 }))
  })
})
