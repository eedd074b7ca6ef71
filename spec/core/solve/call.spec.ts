import { EMPTY, NEVER, Observable, VirtualTimeScheduler, concat, of, throwError } from 'rxjs'
import { makeCall, timeoutCause } from '../../../lib/core/solve/call.js'
import { causeOf } from '../../../lib/core/model/network.js'
import type { ErrorCause, Post, NetworkEvent } from '../../../lib/core/model/network.js'
import { scrubber } from '../../../lib/core/protocol/redact.js'
import { marbles } from '../../support/marbles.js'

const KEY = 'the-client-key'
const scrub = scrubber(KEY)
const cause: ErrorCause = { name: 'Error', code: 'ECONNRESET', message: 'read ECONNRESET' }
const values: Readonly<Record<string, NetworkEvent>> = {
  s: { _tag: 'Sent' },
  r: { _tag: 'Reply', status: 200, body: '{}', retryAfterMs: 1 },
  R: { _tag: 'Reply', status: 500, body: '' },
  f: { _tag: 'Failed', cause },
  t: { _tag: 'Failed', cause: timeoutCause(5) }
}

const calling = (post: Post, scheduler: VirtualTimeScheduler, limitMs = 5) =>
  makeCall({ post, scheduler }, scrub)('/createTask', { a: 1 }, limitMs)

/** All that a call emits, with no time at all for it. */
const wiresOf = (post: Post): ReadonlyArray<NetworkEvent> => {
  const [scheduler, seen] = [new VirtualTimeScheduler(), [] as NetworkEvent[]]
  calling(post, scheduler).subscribe((wire) => seen.push(wire))
  scheduler.flush()
  return seen
}

describe('a call', () => {
  it(
    'mirrors what its network tells, and ends with the answer',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -s-r-----', values)
      const subs = '         ^--!'
      const expected = '     -s-(r|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'ends with a failure of its network',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  --(f|)', values)
      const expected = '     --(f|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it(
    'ends at its limit and aborts',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -s-------r', values)
      const subs = '         ^----!'
      const expected = '     -s---(t|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'that never got out ends at its limit without having left',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  ---------', values)
      const subs = '         ^----!'
      const expected = '     -----(t|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'is not prolonged by a network that keeps telling',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  s-s-s-s-s-r', values)
      const expected = '     s-s-s(t|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it(
    'is aborted by leaving it',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -s-------r', values)
      const unsub = '        ---!'
      const subs = '         ^--!'
      const expected = '     -s--'

      expectObservable(
        calling(() => source, scheduler),
        unsub
      ).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'takes the first of two answers',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -(srR)--', values)
      const subs = '         ^!'
      const expected = '     -(sr|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'ends as failed, and may have left, when its network errors',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  --#', values, cause)
      const expected = '     --(sf|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it(
    'keeps its answer when its network errors behind it',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  -s(r#)', values)
      const expected = '     -s(r|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it('begins when it is subscribed to, each time anew', () => {
    const post = jest.fn(() => of(values.r!))
    const scheduler = new VirtualTimeScheduler()
    const call = calling(post, scheduler)
    expect(post).not.toHaveBeenCalled()
    call.subscribe()
    call.subscribe()
    expect(post.mock.calls).toStrictEqual([
      ['/createTask', { a: 1 }],
      ['/createTask', { a: 1 }]
    ])
  })

  it('leaves no timer behind its answer', () => {
    const scheduler = new VirtualTimeScheduler()
    calling(() => of(values.r!), scheduler, 5_000).subscribe()
    scheduler.flush()
    expect(scheduler.now()).toBe(0)
  })

  it('ends as failed, and may have left, when its network throws', () => {
    const thrower = (): never => {
      throw Object.assign(new TypeError('no network'), { code: 'ENONET' })
    }
    expect(wiresOf(thrower)).toStrictEqual([
      { _tag: 'Sent' },
      { _tag: 'Failed', cause: { name: 'TypeError', code: 'ENONET', message: 'no network' } }
    ])
  })

  it.each<readonly [string, Post]>([
    ['completes empty', () => EMPTY],
    ['completes without an answer', () => of(values.s!)],
    ['never answers', () => NEVER],
    ['never answers what it sent', () => concat(of(values.s!), NEVER)]
  ])('ends as failed once when its network %s', (_, post) => {
    expect(wiresOf(post).filter(({ _tag }) => _tag !== 'Sent')).toMatchObject([{ _tag: 'Failed' }])
  })

  it('takes the key out of every failure', () => {
    const said = { name: `E ${KEY}`, code: `E_${KEY}`, message: `POST {"clientKey":"${KEY}"}` }
    const clean = { name: 'E [client key]', code: 'E_[client key]', message: 'POST {"clientKey":"[client key]"}' }
    expect(wiresOf(() => of({ _tag: 'Failed', cause: said }))).toStrictEqual([{ _tag: 'Failed', cause: clean }])
    expect(wiresOf(() => throwError(() => Object.assign(new Error(), said)))[1]).toStrictEqual({
      _tag: 'Failed',
      cause: clean
    })
  })

  it('takes of a failure nothing but its three texts', () => {
    const foreign = Object.assign(new TypeError('it broke'), { code: '', request: { body: KEY } })
    const reduced = { name: 'TypeError', code: '', message: 'it broke' }
    expect(wiresOf(() => of({ _tag: 'Failed', cause: foreign }))).toStrictEqual([{ _tag: 'Failed', cause: reduced }])
  })

  it('tells the limit that passed', () => {
    expect(wiresOf(() => new Observable())).toStrictEqual([
      {
        _tag: 'Failed',
        cause: { name: 'TimeoutError', code: 'TIMED_OUT', message: 'timed out: no reply within 5 ms' }
      }
    ])
  })
})

describe('causeOf', () => {
  it.each([
    ['an error with a code', Object.assign(new Error('read'), { code: 'ECONNRESET' }), ['Error', 'ECONNRESET', 'read']],
    ['an error without one', new TypeError('bad'), ['TypeError', '', 'bad']],
    ['a code that is a number', { name: 'AbortError', code: 20, message: 'aborted' }, ['AbortError', '20', 'aborted']],
    ['fields of other types', { name: {}, code: [], message: null }, ['', '', '']],
    ['a text', 'broken', ['Error', '', 'broken']],
    ['a number', 7, ['Error', '', '7']],
    ['nothing', undefined, ['Error', '', '']],
    ['null', null, ['Error', '', '']],
    [
      'a collection of errors',
      new AggregateError([new Error('v6'), new Error('v4')]),
      ['AggregateError', '', 'v6; v4']
    ],
    ['a collection with a message', new AggregateError([new Error('v6')], 'all'), ['AggregateError', '', 'all']],
    ['a collection of anything', { errors: ['v6', 7, null] }, ['', '', 'v6; 7; ']],
    ['errors that are no list', { message: '', errors: 'v6' }, ['', '', '']]
  ])('reduces %s to three texts', (_, error, [name, code, message]) => {
    expect(causeOf(error)).toStrictEqual({ name, code, message })
  })

  it('carries nothing else along', () => {
    const error = Object.assign(new Error('x'), { socket: {}, body: KEY })
    expect(Object.keys(causeOf(error))).toStrictEqual(['name', 'code', 'message'])
  })

  it('that ends without a word may have been sent: it is never taken for one that did not leave', () => {
    expect(wiresOf(() => EMPTY)).toMatchObject([{ _tag: 'Sent' }, { _tag: 'Failed', cause: { code: 'NO_RESULT' } }])
  })
})
