import { EMPTY, NEVER, Observable, VirtualTimeScheduler, concat, of, throwError } from 'rxjs'
import { makeCall, type ResultReader } from '../../../lib/core/solve/call.js'
import { timeoutCause } from '../../../lib/core/in-flight/phase.js'
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
  new Observable<NetworkEvent>((subscriber) => {
    const reader: ResultReader<NetworkEvent> = {
      read: (result) => result,
      onSent: () => subscriber.next({ _tag: 'Sent' })
    }
    return makeCall({ post, scheduler }, scrub)('/createTask', { clientKey: KEY }, limitMs, reader).subscribe(
      subscriber
    )
  })

const thrower = (): never => {
  throw Object.assign(new TypeError('no network'), { code: 'ENONET' })
}

/** All events of a call. */
const eventsOf = (post: Post): ReadonlyArray<NetworkEvent> => {
  const [scheduler, seen] = [new VirtualTimeScheduler(), [] as NetworkEvent[]]
  calling(post, scheduler).subscribe((event) => seen.push(event))
  scheduler.flush()
  return seen
}

describe('makeCall', () => {
  it(
    'mirrors its network, and completes with the reply',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -s-r-----', values)
      const subs = '         ^--!'
      const expected = '     -s-(r|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'completes with a failure of its network',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  --(f|)', values)
      const expected = '     --(f|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it(
    'ends as Failed at its time limit, and unsubscribes from its network',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -s-------r', values)
      const subs = '         ^----!'
      const expected = '     -s---(t|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'ends without Sent at its time limit if nothing was sent',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  ---------', values)
      const subs = '         ^----!'
      const expected = '     -----(t|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'does not extend its time limit when its network emits Sent again',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  s-s-s-s-s-r', values)
      const expected = '     s-s-s(t|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it(
    'unsubscribes from its network when its subscriber unsubscribes',
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
    'emits only the first of two replies',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -(srR)--', values)
      const subs = '         ^!'
      const expected = '     -(sr|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'ends as Failed after a Sent when its network errors, because the request may have been sent',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  --#', values, cause)
      const expected = '     --(sf|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it(
    'ignores an error of its network after the reply',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  -s(r#)', values)
      const expected = '     -s(r|)'

      expectObservable(calling(() => source, scheduler)).toBe(expected, values)
    })
  )

  it('calls its network once for every subscription, and not before the first', () => {
    const post = jest.fn(() => of(values.r!))
    const scheduler = new VirtualTimeScheduler()
    const call = calling(post, scheduler)
    expect(post).not.toHaveBeenCalled()
    call.subscribe()
    call.subscribe()
    expect(post.mock.calls).toStrictEqual([
      ['/createTask', { clientKey: KEY }],
      ['/createTask', { clientKey: KEY }]
    ])
  })

  it('cancels its timer when the reply arrives', () => {
    const scheduler = new VirtualTimeScheduler()
    calling(() => of(values.r!), scheduler, 5_000).subscribe()
    scheduler.flush()
    expect(scheduler.now()).toBe(0)
  })

  it('counts as sent once its network emits a reply, even if it emitted no Sent', () => {
    expect(eventsOf(() => of(values.r!))).toStrictEqual([values.s, values.r])
  })

  it('ends as Failed after a Sent when its network throws', () => {
    expect(eventsOf(thrower)).toStrictEqual([
      { _tag: 'Sent' },
      { _tag: 'Failed', cause: { name: 'TypeError', code: 'ENONET', message: 'no network' } }
    ])
  })

  it.each<readonly [string, Post]>([
    ['completes without an event', () => EMPTY],
    ['completes after Sent', () => of(values.s!)],
    ['never emits', () => NEVER],
    ['never emits after Sent', () => concat(of(values.s!), NEVER)]
  ])('emits exactly one Failed when its network %s', (_, post) => {
    expect(eventsOf(post).filter(({ _tag }) => _tag !== 'Sent')).toMatchObject([{ _tag: 'Failed' }])
  })

  it('ends as Failed after a Sent when its network completes without a result', () => {
    const cause = { name: 'Error', code: 'NO_RESULT', message: 'the network completed without a result' }
    expect(eventsOf(() => EMPTY)).toStrictEqual([{ _tag: 'Sent' }, { _tag: 'Failed', cause }])
  })

  it.each<readonly [string, Observable<never>]>([
    ['errors', throwError(() => new Error('broken'))],
    ['completes', EMPTY]
  ])('keeps what has arrived of the reply when its network %s after Sent', (_, end) => {
    const received = { status: 200, body: '{"taskId":"task-1"' }
    const sent: NetworkEvent = { _tag: 'Sent', received: () => received }
    expect(eventsOf(() => concat(of(sent), end))).toMatchObject([{ _tag: 'Sent' }, { _tag: 'Failed', received }])
  })

  it.each<readonly [string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'Reply'],
    ['an event of another kind', { _tag: 'Received' }],
    ['a reply with a parsed body', { _tag: 'Reply', status: 200, body: { errorId: 0 } }],
    ['a reply with bytes', { _tag: 'Reply', status: 200, body: Buffer.from('{}') }],
    ['a reply without a body', { _tag: 'Reply', status: 200 }]
  ])('ends as Failed after a Sent when its network emits %s', (_, event) => {
    const events = eventsOf(() => of(event as NetworkEvent))
    expect(events).toMatchObject([
      { _tag: 'Sent' },
      {
        _tag: 'Failed',
        cause: { name: 'TypeError', code: 'NO_EVENT', message: expect.stringContaining('post emitted') as string }
      }
    ])
  })

  it.each<readonly [string, () => unknown]>([
    ['throws', thrower],
    ['gives bytes', () => ({ status: 200, body: Buffer.from('{}') })],
    ['gives null', () => null]
  ])('ends as Failed at its limit if `received` of its network %s', (_, received) => {
    const sent = { _tag: 'Sent', received } as unknown as NetworkEvent
    const events = eventsOf(() => concat(of(sent), NEVER))
    expect(events).toStrictEqual([{ _tag: 'Sent' }, { _tag: 'Failed', cause: timeoutCause(5) }])
  })

  it('redacts the client key in every failure', () => {
    const raw = { name: `E ${KEY}`, code: `E_${KEY}`, message: `POST {"clientKey":"${KEY}"}` }
    const clean = { name: 'E [client key]', code: 'E_[client key]', message: 'POST {"clientKey":"[client key]"}' }
    expect(eventsOf(() => of({ _tag: 'Failed', cause: raw }))).toStrictEqual([{ _tag: 'Failed', cause: clean }])
    expect(eventsOf(() => throwError(() => Object.assign(new Error(), raw)))[1]).toStrictEqual({
      _tag: 'Failed',
      cause: clean
    })
  })

  it('reduces a failure to its name, code and message', () => {
    const foreign = Object.assign(new TypeError('it broke'), { code: '', request: { body: KEY } })
    const reduced = { name: 'TypeError', code: '', message: 'it broke' }
    expect(eventsOf(() => of({ _tag: 'Failed', cause: foreign }))).toStrictEqual([{ _tag: 'Failed', cause: reduced }])
  })

  it.each<readonly [string, Partial<ResultReader<unknown>>]>([
    ['onSent', { onSent: () => thrower() }],
    ['read', { read: () => thrower() }]
  ])('errors if %s of its reader throws, which is a defect', (_, reader) => {
    const scheduler = new VirtualTimeScheduler()
    const post = () => of(values.s!, values.r!)
    const errors: unknown[] = []
    makeCall({ post, scheduler }, scrub)('/createTask', { clientKey: KEY }, 5, {
      read: (result) => result,
      ...reader
    }).subscribe({ error: (error: unknown) => errors.push(error) })
    scheduler.flush()
    expect(errors).toStrictEqual([expect.objectContaining({ message: 'no network' })])
    expect(scheduler.now()).toBe(0)
  })

  it.each<readonly [string, Post]>([
    ['another', () => of(values.r!, values.R!)],
    ['Sent', () => of(values.r!, values.s!)],
    ['an error', () => concat(of(values.r!), throwError(thrower))],
    ['nothing', () => of(values.r!)]
  ])('reads its first result and nothing after it when its network emits %s at once', (_, post) => {
    const scheduler = new VirtualTimeScheduler()
    const reader = { read: jest.fn(), onSent: jest.fn() }
    makeCall({ post, scheduler }, scrub)('/createTask', { clientKey: KEY }, 5, reader).subscribe()
    scheduler.flush()
    expect(reader.read.mock.calls).toStrictEqual([[values.r]])
    expect(reader.onSent).toHaveBeenCalledTimes(1)
  })

  it('names its time limit in the message', () => {
    expect(eventsOf(() => new Observable())).toStrictEqual([
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
    ['an error without a code', new TypeError('bad'), ['TypeError', '', 'bad']],
    ['a code that is a number', { name: 'AbortError', code: 20, message: 'aborted' }, ['AbortError', '20', 'aborted']],
    ['fields of other types', { name: {}, code: [], message: null }, ['', '', '']],
    ['a string', 'broken', ['Error', '', 'broken']],
    ['a number', 7, ['Error', '', '7']],
    ['undefined', undefined, ['Error', '', '']],
    ['null', null, ['Error', '', '']],
    [
      'an AggregateError without a message',
      new AggregateError([new Error('v6'), new Error('v4')]),
      ['AggregateError', '', 'v6; v4']
    ],
    ['an AggregateError with a message', new AggregateError([new Error('v6')], 'all'), ['AggregateError', '', 'all']],
    ['an errors array of other values', { errors: ['v6', 7, null] }, ['', '', 'v6; 7; ']],
    ['errors that are not an array', { message: '', errors: 'v6' }, ['', '', '']]
  ])('reduces %s to name, code and message', (_, error, [name, code, message]) => {
    expect(causeOf(error)).toStrictEqual({ name, code, message })
  })

  it('reduces an error that throws when it is read to the name Error', () => {
    const error = new Proxy({}, { get: () => JSON.parse('{') as unknown })
    expect(causeOf(error)).toStrictEqual({ name: 'Error', code: '', message: '' })
  })

  it('copies no other field', () => {
    const error = Object.assign(new Error('x'), { socket: {}, body: KEY })
    expect(Object.keys(causeOf(error))).toStrictEqual(['name', 'code', 'message'])
  })
})
