import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, NEVER, VirtualTimeScheduler, concat, defer, of, throwError, type Observable } from 'rxjs'
import type { SolveError } from '../../lib/core/model/error.js'
import { explain } from '../../lib/core/model/explain.js'
import { SolveFailure, orThrow, retryLeft, toTaskEither } from '../../lib/core/interop.js'
import { InvalidOptions } from '../../lib/core/model/options.js'
import { marbles } from '../support/marbles.js'

type Outcome = E.Either<SolveError, string>

const busy: SolveError = { _tag: 'Refused', paid: 'no', status: 429, kind: 'unavailable' }
const late: SolveError = {
  _tag: 'TimedOut',
  paid: 'yes',
  ref: { taskId: 'task-1', createdAt: 0 },
  afterMs: 1,
  polls: 1,
  causes: []
}
const doubtful: SolveError = { _tag: 'CreateUnknown', paid: 'unknown', status: 502 }
const values: Readonly<Record<string, Outcome>> = {
  R: E.right('solved'),
  L: E.left(busy),
  T: E.left(late),
  U: E.left(doubtful),
  D: E.left({ ...busy, paid: 'unknown' })
}

describe('orThrow', () => {
  it(
    'emits the Right',
    marbles(({ cold, expectObservable }) => {
      const source = cold('  --(R|)', values)
      const expected = '     --(r|)'

      expectObservable(source.pipe(orThrow())).toBe(expected, { r: 'solved' })
    })
  )

  it(
    'errors with the Left',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --T--|', values)
      const subs = '         ^-!'
      const expected = '     --#'

      expectObservable(source.pipe(orThrow())).toBe(expected, {}, new SolveFailure(late))
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  const thrownBy = (source: Observable<E.Either<unknown, unknown>>): unknown => {
    let thrown: unknown
    source.pipe(orThrow()).subscribe({ error: (error: unknown) => (thrown = error) })
    return thrown
  }

  it('errors with an Error that holds the Left and is explained', () => {
    const thrown = thrownBy(of(E.left(late)))
    expect(thrown).toBeInstanceOf(SolveFailure)
    expect(thrown).toBeInstanceOf(Error)
    expect(thrown).toMatchObject({ name: 'SolveFailure', error: late, message: explain(late) })
  })

  it.each([null, undefined, 'text', 7, {}, { _tag: 'Other' }, { paid: 'no' }])('takes %p as a Left too', (left) => {
    expect(thrownBy(of(E.left(left)))).toMatchObject({ error: left, message: 'The source ended with a Left.' })
  })
})

describe('toTaskEither', () => {
  it.each([values.R, values.L])('gives the Either of %j', async (either) => {
    await expect(toTaskEither(of(either!))()).resolves.toStrictEqual(either)
  })

  it('takes the first and leaves', async () => {
    await expect(toTaskEither(concat(of(values.R!), NEVER))()).resolves.toStrictEqual(values.R)
  })

  it('subscribes once for every run, and not before', async () => {
    let subscribed = 0
    const run = toTaskEither(defer(() => of(E.right((subscribed += 1)))))
    expect(subscribed).toBe(0)
    expect([await run(), await run()]).toStrictEqual([E.right(1), E.right(2)])
  })

  it('rejects for a source that is empty', async () => {
    await expect(toTaskEither(EMPTY)()).rejects.toMatchObject({ name: 'EmptyError' })
  })

  it('rejects for a defect', async () => {
    const defect = new Error('a defect')
    await expect(toTaskEither(throwError(() => defect))()).rejects.toBe(defect)
  })
})

describe('retryLeft', () => {
  it(
    'lets a Right pass',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  --(R|)', values)
      const subs = '         ^-!'
      const expected = '     --(R|)'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'subscribes again on a Left after which nothing was paid',
    marbles((helpers, scheduler) => {
      const { cold, expectObservable, expectSubscriptions } = helpers
      const first = cold('   --(L|)', values)
      const second = cold('       --(R|)', values)
      const subs1 = '        ^-!'
      const subs2 = '        -----^-!'
      const expected = '     -------(R|)'
      const sources = [first, second]
      const source = defer(() => sources.shift()!)

      expectObservable(source.pipe(retryLeft({ count: 3, delayMs: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(first.subscriptions).toBe(subs1)
      expectSubscriptions(second.subscriptions).toBe(subs2)
    })
  )

  it(
    'emits the last Left when it has subscribed often enough',
    marbles((helpers, scheduler) => {
      const { cold, expectObservable, expectSubscriptions } = helpers
      const source = cold('  -(L|)', values)
      const subs1 = '        ^!'
      const subs2 = '        ----^!'
      const subs3 = '        --------^!'
      const expected = '     ---------(L|)'

      expectObservable(source.pipe(retryLeft({ count: 2, delayMs: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe([subs1, subs2, subs3])
    })
  )

  it(
    'waits in whole seconds of virtual time',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  -(L|)', values)
      const expected = '     1m 2ms (L|)'

      expectObservable(source.pipe(retryLeft({ count: 1, delayMs: 60_000, scheduler }))).toBe(expected, values)
    })
  )

  it(
    'subscribes at once without a delay',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -(L|)', values)
      const subs1 = '        ^!'
      const subs2 = '        -^!'
      const expected = '     --(L|)'

      expectObservable(source.pipe(retryLeft({ count: 1, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe([subs1, subs2])
    })
  )

  it(
    'never subscribes again with the count 0',
    marbles((helpers, scheduler) => {
      const { cold, expectObservable, expectSubscriptions } = helpers
      const source = cold('  -(L|)', values)
      const subs = '         ^!'
      const expected = '     -(L|)'

      expectObservable(source.pipe(retryLeft({ count: 0, delayMs: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it.each(['T', 'U', 'D'])('never repeats by itself what may have been paid for: %s', (name) =>
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold(`-(${name}|)`, values)
      const subs = '       ^!'
      const expected = `   -(${name}|)`

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })()
  )

  it(
    'repeats what `when` says, and no more',
    marbles((helpers, scheduler) => {
      const { cold, expectObservable, expectSubscriptions } = helpers
      const sources = [cold('-(T|)', values), cold('-(L|)', values)]
      const [first, second] = sources
      const subs1 = '        ^!'
      const subs2 = '        -^!'
      const expected = '     --(L|)'
      const source = defer(() => sources.shift()!)
      const when = (error: SolveError) => error._tag === 'TimedOut'

      expectObservable(source.pipe(retryLeft({ count: 9, when, scheduler }))).toBe(expected, values)
      expectSubscriptions(first!.subscriptions).toBe(subs1)
      expectSubscriptions(second!.subscriptions).toBe(subs2)
    })
  )

  it(
    'lets a defect pass',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  --#', values, new Error('a defect'))
      const subs = '         ^-!'
      const expected = '     --#'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, {}, new Error('a defect'))
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'lets a defect of `when` pass',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold<Outcome>('  --(L|)', values)
      const expected = '              --#'
      const when = (): never => {
        throw new Error('a defect')
      }

      expectObservable(source.pipe(retryLeft({ count: 3, when, scheduler }))).toBe(expected, {}, new Error('a defect'))
    })
  )

  it(
    'ends its wait when it is left',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -(L|)', values)
      const unsub = '        ---!'
      const subs = '         ^!'
      const expected = '     ----'

      expectObservable(source.pipe(retryLeft({ count: 3, delayMs: 5, scheduler })), unsub).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it('counts from the start for every subscriber', () => {
    let subscribed = 0
    const source = defer(() => {
      subscribed += 1
      return of(values.L!)
    })
    const scheduler = new VirtualTimeScheduler()
    const retrying = source.pipe(retryLeft({ count: 2, scheduler }))
    retrying.subscribe()
    retrying.subscribe()
    scheduler.flush()
    expect(subscribed).toBe(6)
  })

  it('waits on its scheduler alone', () => {
    const scheduler = new VirtualTimeScheduler()
    const seen: [number, Outcome][] = []
    of(values.L!)
      .pipe(retryLeft({ count: 2, delayMs: 1_000, scheduler }))
      .subscribe((either) => seen.push([scheduler.now(), either]))
    scheduler.flush()
    expect(seen).toStrictEqual([[2_000, values.L]])
  })

  it(
    'waits on the usual clock where none is given',
    marbles(({ cold, expectObservable }) => {
      const source = cold<Outcome>('  -(L|)', values)
      const expected = '              -----(L|)'

      expectObservable(source.pipe(retryLeft({ count: 1, delayMs: 3 }))).toBe(expected, values)
    })
  )

  it.each([2 ** 31, -1, NaN, Infinity])('refuses a delay of %d ms, which no timer can hold', (delayMs) => {
    expect(() => retryLeft({ count: 1, delayMs })).toThrow(InvalidOptions)
    expect(() => retryLeft({ count: 1, delayMs })).toThrow('delayMs: expected a whole number of milliseconds from 0')
  })
})
