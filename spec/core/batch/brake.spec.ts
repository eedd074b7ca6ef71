import * as E from 'fp-ts/lib/Either.js'
import type { Outcome } from '../../../lib/core/model/batch.js'
import { replies, scriptedPost, type Scripted } from 'rx-captcha/testing'
import { simulateOver, taskOf, type Simulation } from '../../support/simulate.js'

const ITEMS = Array.from({ length: 300 }, (_, nth) => `item-${String(nth)}`)

/** A batch of 300, ten at a time, over a service whose createTask replies with `reply` until `outageMs`. */
const batchDuring = (
  reply: Scripted,
  outageMs = Infinity,
  act: (simulation: Simulation) => void = ({ solver, record }) => record(solver.solveAll(ITEMS, taskOf))
) => {
  const trace = simulateOver((scheduler) => {
    const script = (create: Scripted) =>
      scriptedPost({ '/createTask': [create], '/getTaskResult': [replies.ready()] }, scheduler).post
    const [broken, sound] = [script(reply), script(replies.created())]
    return (path, body) => (path === '/createTask' && scheduler.now() < outageMs ? broken : sound)(path, body)
  }, act)
  const tags = new Map<string, number>()
  for (const [, , value] of trace.results) {
    const result = (value as Partial<Outcome<string, unknown>>).result
    if (!result) continue
    const tag = E.isRight(result) ? 'Solved' : 'reason' in result.left ? result.left.reason : result.left._tag
    tags.set(tag, (tags.get(tag) ?? 0) + 1)
  }
  return {
    ...trace,
    tags: Object.fromEntries(tags),
    creates: trace.calls.filter((call) => call.endsWith('createTask'))
  }
}

const badGateway = { body: '<html>502</html>', status: 502, afterMs: 50 }
const cutDocument = {
  failed: { code: 'ECONNRESET' },
  received: { status: 200, body: '{"errorId":0,"taskI' },
  afterMs: 50
}

describe('an outage of two seconds', () => {
  it.each<readonly [string, Scripted]>([
    ['HTTP 502 pages', badGateway],
    ['HTTP 521 pages', { ...badGateway, status: 521 }],
    ['cut documents', cutDocument],
    ['connection resets', { failed: { code: 'ECONNRESET' }, afterMs: 50 }]
  ])('costs a batch what was in flight and two items more: %s', (_, reply) => {
    const { tags } = batchDuring(reply, 2_000)

    expect(tags).toStrictEqual({ CreateUnknown: 12, Solved: 288 })
  })

  it('costs a batch what was in flight and two items more: HTTP 403 pages', () => {
    const { tags } = batchDuring({ ...badGateway, status: 403 }, 2_000)

    expect(tags).toStrictEqual({ Refused: 12, Solved: 288 })
  })
})

describe('a service whose replies to createTask stay unreadable', () => {
  it.each<readonly [string, Scripted, string]>([
    ['cut documents', cutDocument, 'CreateUnknown'],
    ['HTTP 502 pages', badGateway, 'CreateUnknown'],
    ['HTTP 403 pages', { ...badGateway, status: 403 }, 'Refused'],
    ['redirects', { ...badGateway, status: 302 }, 'Refused']
  ])('stops a batch after five probes, and pulls no more: %s', (_, reply, tag) => {
    const { tags, creates, results } = batchDuring(reply)

    expect(creates).toHaveLength(17)
    expect(tags).toStrictEqual({ [tag]: 17, unreadable: 9 })
    expect(results.at(-1)?.[2]).toBe('complete')
  })

  it('ends as NotCreated what waits for a permit', () => {
    const { results } = batchDuring(cutDocument)

    const left = { _tag: 'NotCreated', paid: 'no', reason: 'unreadable', attempts: 0 }
    expect(results.map(([, , value]) => value)).toContainEqual(expect.objectContaining({ result: E.left(left) }))
  })

  it('stops every batch of the solver, and no single solve', () => {
    const { results } = batchDuring(cutDocument, 200_000, ({ solver, record }) => {
      for (const name of ['one', 'two']) record(solver.solveAll(ITEMS.slice(0, 20), taskOf, { concurrency: 6 }), name)
      for (const name of ['three', 'four', 'five']) record(solver.solve(taskOf(name)), name)
    })

    const complete = results.filter(([, , value]) => value === 'complete').map(([, name]) => name)
    expect(complete.slice(-5)).toEqual(expect.arrayContaining(['one', 'two']))
    expect(results.find(([, name]) => name === 'five')?.[2]).toMatchObject({ left: { _tag: 'CreateUnknown' } })
  })

  it('sends the createTask of a single solve that waited when the batch was stopped', () => {
    const { results } = batchDuring(cutDocument, Infinity, ({ solver, record, at }) => {
      record(solver.solveAll(ITEMS, taskOf), 'batch')
      at(60, () => record(solver.solve(taskOf('single')), 'single'))
    })

    expect(results.find(([, name]) => name === 'single')?.[2]).toMatchObject({ left: { _tag: 'CreateUnknown' } })
    expect(results.findLast(([, name]) => name === 'batch')?.[2]).toBe('complete')
  })

  it('stops a later batch after five more probes', () => {
    const { creates } = batchDuring(cutDocument, Infinity, ({ solver, record, at }) => {
      record(solver.solveAll(ITEMS, taskOf), 'one')
      at(1_000_000, () => record(solver.solveAll(ITEMS, taskOf), 'two'))
    })

    expect(creates).toHaveLength(22)
  })

  it('is not read into refusals that the service itself explains', () => {
    const { tags } = batchDuring({ ...replies.refused('ERROR_RECAPTCHA_INVALID_SITEKEY'), afterMs: 50 })

    expect(tags).toStrictEqual({ Refused: 300 })
  })
})

describe('refusals for now', () => {
  it('that hit every twentieth createTask pause nobody else', () => {
    let nth = 0
    const trace = simulateOver(
      (scheduler) => {
        const script = (create: Scripted) =>
          scriptedPost({ '/createTask': [create], '/getTaskResult': [replies.ready()] }, scheduler).post
        const [busy, sound] = [script(replies.refused('ERROR_NO_SLOT_AVAILABLE')), script(replies.created())]
        return (path, body) => (path === '/createTask' && ++nth % 20 === 0 ? busy : sound)(path, body)
      },
      ({ solver, record }) => record(solver.solveAll(ITEMS, taskOf))
    )

    expect(trace.events.filter((event) => event._tag === 'Delayed').every(({ waitMs }) => waitMs <= 625)).toBe(true)
    expect(trace.end).toBeLessThan(100_000)
  })
})

describe('an account that is refused without a document', () => {
  it.each([401, 402])('stops a batch: HTTP %d', (status) => {
    const { tags, creates } = batchDuring({ ...badGateway, status })

    expect(creates).toHaveLength(10)
    expect(tags).toStrictEqual({ Refused: 10 })
  })
})
