import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { Scripted } from 'rx-captcha/testing'
import { scriptedPost } from 'rx-captcha/testing'
import { defineCall, type CallSpec } from '../../../lib/core/model/call.js'
import { explain } from '../../../lib/core/model/explain.js'
import { InvalidOptions } from '../../../lib/core/model/options.js'
import { orThrow } from '../../../lib/core/interop.js'
import { KEY, simulateOver, type Simulation } from '../../support/simulate.js'

const path = '/getBalance'
const getBalance = defineCall({ path, reply: t.exact(t.type({ balance: t.number })) })

const call = (
  reply: Scripted,
  act: (simulation: Simulation) => void = ({ solver, record }) => record(solver.call(getBalance))
) => {
  const seen: unknown[] = []
  const trace = simulateOver((scheduler) => {
    const scripted = scriptedPost({ '/createTask': [], '/getTaskResult': [], [path]: [reply] }, scheduler)
    return (to, body) => {
      seen.push(body)
      return scripted.post(to, body)
    }
  }, act)
  return { ...trace, seen }
}

const resultOf = (reply: Scripted): unknown => call(reply).results[0]?.[2]

describe('call', () => {
  it('sends the fields and the key, emits what the reply holds, and completes', () => {
    const { results, calls, seen, events } = call(
      { document: { errorId: 0, balance: 12.5 }, afterMs: 20 },
      ({ solver, record }) => {
        record(solver.call({ ...getBalance, body: { unit: 'points' } }))
      }
    )
    expect(calls).toStrictEqual(['0 getBalance'])
    expect(seen).toStrictEqual([{ unit: 'points', clientKey: KEY }])
    expect(results).toStrictEqual([
      [20, 'solve', E.right({ balance: 12.5 })],
      [20, 'solve', 'complete']
    ])
    expect(events).toStrictEqual([])
  })

  it('is cold: it calls for each subscription, and not before', () => {
    const { calls } = call({ document: { errorId: 0, balance: 1 } }, ({ solver, record, at }) => {
      const calling = solver.call(getBalance)
      at(10, () => record(calling))
      at(20, () => record(calling))
    })
    expect(calls).toStrictEqual(['10 getBalance', '20 getBalance'])
  })

  it.each<[string, Scripted, object]>([
    [
      'an error of the service, without the key',
      { document: { errorId: 1, errorCode: 'ERROR_ZERO_BALANCE', errorDescription: `key ${KEY}` } },
      {
        status: 200,
        errorId: 1,
        errorCode: 'ERROR_ZERO_BALANCE',
        errorDescription: 'key [client key]',
        kind: 'account'
      }
    ],
    ['a status', { body: 'no', status: 404 }, { status: 404, kind: 'request', problems: ['the reply: expected JSON'] }],
    [
      'a wait that is asked for',
      { body: '', status: 429 },
      { status: 429, kind: 'unavailable', problems: ['the reply: expected JSON'] }
    ],
    [
      'a reply of another shape',
      { document: { errorId: 0, balance: 'x' } },
      { status: 200, problems: ['balance: expected number'] }
    ],
    ['a reply without errorId 0', { document: { balance: 1 } }, { status: 200, problems: ['errorId: expected 0'] }],
    [
      'a network failure',
      { failed: { code: 'ECONNREFUSED', message: `refused ${KEY}` }, sent: false },
      { cause: { name: 'Error', code: 'ECONNREFUSED', message: 'refused [client key]' } }
    ],
    [
      'a reply that breaks off',
      { failed: { code: 'ECONNRESET' }, received: { status: 200, body: '{"errorId":0,"bal' } },
      { status: 200, cause: { name: 'Error', code: 'ECONNRESET', message: '' }, problems: ['the reply: expected JSON'] }
    ]
  ])('emits CallFailed for %s', (_, reply, fields) => {
    expect(resultOf(reply)).toStrictEqual(E.left({ _tag: 'CallFailed', path, ...fields }))
  })

  it('reads a document that is complete, whatever the status and the end of the reply', () => {
    const received = { status: 200, body: '{"errorId":"0","balance":3}' }
    expect(resultOf({ failed: { code: 'ECONNRESET' }, received })).toStrictEqual(E.right({ balance: 3 }))
    expect(resultOf({ document: { errorId: 0, balance: 3 }, status: 500 })).toStrictEqual(E.right({ balance: 3 }))
  })

  it('ends at the limit of a poll, or at its own', () => {
    const { results } = call({ silent: true }, ({ solver, record }) => {
      record(solver.call(getBalance), 'default')
      record(solver.call({ ...getBalance, timeoutMs: 500 }), 'own')
    })
    expect(results.filter(([, , value]) => value !== 'complete')).toMatchObject([
      [500, 'own', { left: { cause: { code: 'TIMED_OUT' } } }],
      [10_000, 'default', { left: { cause: { code: 'TIMED_OUT' } } }]
    ])
  })

  it('is aborted by unsubscribing', () => {
    const { calls } = call({ silent: true }, ({ solver, record, at }) => {
      const calling = record(solver.call(getBalance))
      at(300, () => calling.unsubscribe())
    })
    expect(calls).toStrictEqual(['0 getBalance', '300 getBalance aborted'])
  })

  it('is ended by close, and not started after it', () => {
    const { calls, results } = call({ silent: true }, ({ solver, record, at }) => {
      record(solver.call(getBalance), 'open')
      at(300, () => {
        void solver.close()
        record(solver.call(getBalance), 'late')
      })
    })
    expect(calls).toStrictEqual(['0 getBalance', '300 getBalance aborted'])
    expect(results.filter(([, , value]) => value !== 'complete')).toMatchObject([
      [300, 'open', { left: { _tag: 'CallFailed', cause: { code: 'CLOSED' } } }],
      [300, 'late', { left: { _tag: 'CallFailed', cause: { code: 'CLOSED' } } }]
    ])
  })

  it('throws InvalidOptions at once for something else than a call', () => {
    call({ silent: true }, ({ solver }) => {
      expect(() => solver.call({ path } as unknown as CallSpec<unknown>)).toThrow(InvalidOptions)
    })
  })

  it('fails with the text of explain behind orThrow', () => {
    const failing: unknown[] = []
    call({ failed: { code: 'ENOTFOUND' }, sent: false }, ({ solver }) => {
      solver
        .call(getBalance)
        .pipe(orThrow())
        .subscribe({ error: (error: unknown) => failing.push((error as Error).message) })
    })
    expect(failing).toStrictEqual([
      'The call /getBalance failed: ENOTFOUND. It created no task. Check the base URL, the network and the certificates.'
    ])
  })
})

describe('explain', () => {
  it.each([
    [
      { status: 200, problems: ['balance: expected number'] },
      'HTTP 200; balance: expected number. It created no task. Check the cause'
    ],
    [
      { status: 200, kind: 'account' as const, errorCode: 'ERROR_X' },
      'ERROR_X, HTTP 200. It created no task. Check the key'
    ]
  ])('says what happened to a call: %j', (fields, text) => {
    expect(explain({ _tag: 'CallFailed', path, ...fields })).toContain(`The call /getBalance failed: ${text}`)
  })
})

describe('defineCall', () => {
  const reply = t.unknown
  const circular: Record<string, never> = {}
  Object.assign(circular, { circular })

  it.each<[string, object, string]>([
    ['a path without a slash', { path: 'getBalance', reply }, 'path: expected a path such as /getBalance'],
    ['a path with a query', { path: '/getBalance?x=1', reply }, 'path: expected a path such as /getBalance'],
    ['a path with an empty query', { path: '/getBalance?', reply }, 'path: expected a path such as /getBalance'],
    ['a path that leads up', { path: '/../getBalance', reply }, 'path: expected a path such as /getBalance'],
    ['a path in an array', { path: ['/getBalance'], reply }, 'path: expected a path such as /getBalance'],
    ['createTask', { path: '/createTask', reply }, 'path: expected a call other than those of solve'],
    ['getTaskResult in other letters', { path: '/gettaskresult', reply }, 'path: expected a call other than those'],
    ['createTask behind two slashes', { path: '//createTask', reply }, 'path: expected a call other than those'],
    ['no decoder', { path }, 'reply: expected a decoder of io-ts'],
    ['a client key', { path, reply, body: { clientKey: 'x' } }, 'body: expected an object that JSON can hold, without'],
    ['a body that JSON cannot hold', { path, reply, body: circular }, 'body: expected an object that JSON can hold'],
    [
      'a body that JSON would change',
      { path, reply, body: { limit: NaN } },
      'body: expected an object that JSON can hold'
    ],
    ['a body that JSON turns into a text', { path, reply, body: new Date(0) }, 'body: expected an object that JSON'],
    ['a limit that no timer can hold', { path, reply, timeoutMs: 2 ** 31 }, 'timeoutMs: expected a whole number'],
    ['an unknown option', { path, reply, fields: {} }, 'fields: unknown option']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    const define = () => defineCall(options as CallSpec<unknown>)
    expect(define).toThrow(InvalidOptions)
    expect(define).toThrow(problem)
  })

  it.each(['/v2/getBalance', '/v2/createTask', '/createTaskCount', '/a', '/get.balance-2~x/~a/b-'])(
    'accepts the path %s',
    (accepted) => {
      expect(defineCall({ path: accepted as `/${string}`, reply })).toMatchObject({ path: accepted })
    }
  )
})
