import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { EMPTY, NEVER, VirtualTimeScheduler, concat, defer, from, of, throwError, type Observable } from 'rxjs'
import type { CallFailed } from '../../lib/core/model/call.js'
import type { SolveError } from '../../lib/core/model/error.js'
import { explain } from '../../lib/core/model/explain.js'
import { SolveFailure, orThrow, retryLeft, toTaskEither, type RetryOptions } from '../../lib/core/interop.js'
import { InvalidOptions } from '../../lib/core/model/options.js'
import { marbles } from '../support/marbles.js'

type Outcome = E.Either<SolveError, string>

const busy: SolveError = { _tag: 'Refused', paid: 'no', status: 429, kind: 'unavailable' }
const timedOut: Extract<SolveError, { readonly _tag: 'TimedOut' }> = {
  _tag: 'TimedOut',
  paid: 'yes',
  ref: { taskId: 'task-1', createdAt: 0 },
  afterMs: 1,
  polls: 1,
  causes: []
}
const ref = timedOut.ref
const cause = { name: 'Error', code: 'ECONNRESET', message: 'read ECONNRESET' }
const callFailed: CallFailed = { _tag: 'CallFailed', path: '/getBalance', cause }
/** One error of each tag, with the fields that it always has. */
const outcomes: { readonly [Tag in SolveError['_tag']]: Extract<SolveError, { readonly _tag: Tag }> } = {
  InvalidTask: { _tag: 'InvalidTask', paid: 'no', problems: ['a: expected string'] },
  NotCreated: { _tag: 'NotCreated', paid: 'no', reason: 'connect', attempts: 4, cause },
  Refused: { _tag: 'Refused', paid: 'no', status: 429, kind: 'unavailable' },
  CreateUnknown: { _tag: 'CreateUnknown', paid: 'unknown' },
  TaskFailed: { _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorCode: '', errorDescription: '', kind: 'task' },
  BadReply: { _tag: 'BadReply', paid: 'yes', ref, status: 200, problems: [], excerpt: '' },
  TimedOut: { _tag: 'TimedOut', paid: 'yes', ref, afterMs: 1, polls: 1, causes: [{ cause }, { taskStatus: 'queued' }] },
  Interrupted: { _tag: 'Interrupted', paid: 'yes', ref }
}
const createUnknown: SolveError = { _tag: 'CreateUnknown', paid: 'unknown', status: 502 }
const values: Readonly<Record<string, Outcome>> = {
  R: E.right('solved'),
  L: E.left(busy),
  T: E.left(timedOut),
  U: E.left(createUnknown),
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

      expectObservable(source.pipe(orThrow())).toBe(expected, {}, new SolveFailure(timedOut))
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  const thrownBy = (source: Observable<E.Either<unknown, unknown>>): unknown => {
    let thrown: unknown
    source.pipe(orThrow()).subscribe({ error: (error: unknown) => (thrown = error) })
    return thrown
  }

  it('errors with a SolveFailure that holds the Left, with the text of explain as its message', () => {
    const thrown = thrownBy(of(E.left(timedOut)))
    expect(thrown).toBeInstanceOf(SolveFailure)
    expect(thrown).toBeInstanceOf(Error)
    expect(thrown).toMatchObject({ name: 'SolveFailure', error: timedOut, message: explain(timedOut) })
  })

  const thrower = (): never => {
    throw new Error('a getter')
  }
  const getter = Object.defineProperty({}, '_tag', { get: thrower, enumerable: true })
  const proxy = new Proxy({}, { get: thrower, has: thrower, getPrototypeOf: thrower, ownKeys: thrower })
  const changing = () => {
    let reads = 0
    return Object.defineProperty({ _tag: 'Interrupted', paid: 'yes' }, 'ref', {
      get: () => ((reads += 1) > 1 ? undefined : timedOut.ref)
    })
  }

  it.each<readonly [string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['a text', 'text'],
    ['a number', 7],
    ['a symbol', Symbol('left')],
    ['an array', [timedOut]],
    ['an object without a prototype', Object.create(null)],
    ['an object without a tag', { paid: 'no' }],
    ['an error of the application', { _tag: 'OrderFailed', paid: false }],
    ['a tag that is a name of Object.prototype', { _tag: 'toString', paid: 'no' }],
    ['an error of the application with a tag of this library', { _tag: 'CallFailed' }],
    ['another error of the application with a tag of this library', { _tag: 'Refused', paid: false, kind: 'task' }],
    ['a paid error without its reference', { _tag: 'Interrupted', paid: 'yes' }],
    ['a getter that throws', getter],
    ['a Proxy that throws', proxy],
    ['a field that is gone when it is read again', changing()]
  ])('errors with a SolveFailure that holds the Left and has the general message, for %s', (_, left) => {
    const thrown = thrownBy(of(E.left(left))) as SolveFailure<unknown>
    expect(thrown).toBeInstanceOf(SolveFailure)
    expect(thrown.error === left).toBe(true)
    expect(thrown.message).toBe('The source ended with a Left.')
  })

  it('errors with a SolveFailure that holds the Left, whatever it is', () => {
    const tag = fc.constantFrom(...Object.values(outcomes), callFailed)
    const damaged = fc
      .tuple(tag, fc.dictionary(fc.constantFrom('paid', 'ref', 'status', 'kind', 'problems', 'cause'), fc.anything()))
      .map(([error, changes]) => ({ ...error, ...changes }))
    fc.assert(
      fc.property(fc.oneof(fc.anything(), damaged), (left) => {
        const thrown = thrownBy(of(E.left(left)))
        return thrown instanceof SolveFailure && Object.is(thrown.error, left)
      })
    )
  })

  it.each(Object.values({ ...outcomes, CallFailed: callFailed }))('explains $_tag in its message', (error) => {
    expect(thrownBy(of(E.left(error)))).toMatchObject({ error, message: explain(error) })
  })
})

describe('toTaskEither', () => {
  it.each([values.R, values.L])('resolves with %j', async (either) => {
    await expect(toTaskEither(of(either!))()).resolves.toStrictEqual(either)
  })

  it('resolves with the first value of a source that never completes', async () => {
    await expect(toTaskEither(concat(of(values.R!), NEVER))()).resolves.toStrictEqual(values.R)
  })

  it('subscribes once for every run, and not before the first', async () => {
    let subscribed = 0
    const run = toTaskEither(defer(() => of(E.right((subscribed += 1)))))
    expect(subscribed).toBe(0)
    expect([await run(), await run()]).toStrictEqual([E.right(1), E.right(2)])
  })

  it('rejects if the source is empty', async () => {
    await expect(toTaskEither(EMPTY)()).rejects.toMatchObject({ name: 'EmptyError' })
  })

  it('rejects with an error of the source', async () => {
    const defect = new Error('a defect')
    await expect(toTaskEither(throwError(() => defect))()).rejects.toBe(defect)
  })
})

describe('retryLeft', () => {
  it(
    'completes with a source that completes without a value, and does not subscribe again',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  --|', values)
      const subs = '         ^-!'
      const expected = '     --|'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'mirrors a source that emits a Right',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  --(R|)', values)
      const subs = '         ^-!'
      const expected = '     --(R|)'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'subscribes again after a Left for which nothing was paid',
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
    'emits the last Left after `count` retries',
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
    'waits for `delayMs` milliseconds, also for a minute',
    marbles(({ cold, expectObservable }, scheduler) => {
      const source = cold('  -(L|)', values)
      const expected = '     1m 2ms (L|)'

      expectObservable(source.pipe(retryLeft({ count: 1, delayMs: 60_000, scheduler }))).toBe(expected, values)
    })
  )

  it(
    'subscribes again at once without `delayMs`',
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
    'never subscribes again if `count` is 0',
    marbles((helpers, scheduler) => {
      const { cold, expectObservable, expectSubscriptions } = helpers
      const source = cold('  -(L|)', values)
      const subs = '         ^!'
      const expected = '     -(L|)'

      expectObservable(source.pipe(retryLeft({ count: 0, delayMs: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it.each([
    ['TimedOut', 'T'],
    ['CreateUnknown', 'U'],
    ['Refused with `paid` unknown', 'D']
  ])('does not retry %s, because the task may be paid for', (_, name) =>
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold(`-(${name}|)`, values)
      const subs = '       ^!'
      const expected = `   -(${name}|)`

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })()
  )

  it(
    'retries exactly the errors that `when` accepts',
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
    'passes on an error of its source',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  --#', values, new Error('a defect'))
      const subs = '         ^-!'
      const expected = '     --#'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, {}, new Error('a defect'))
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'does not subscribe again to a source whose Left follows another value',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -R-L--|', values)
      const subs = '         ^-----!'
      const expected = '     -R-L--|'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'emits the Left that it holds before the next value of its source, and does not subscribe again',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -L--R---|', values)
      const subs = '         ^-------!'
      const expected = '     ----(LR)|'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'emits the Left that it holds before an error of its source',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -L--#', values, new Error('a defect'))
      const subs = '         ^---!'
      const expected = '     ----(L#)'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values, new Error('a defect'))
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'holds a Left until its source completes',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const sources = [cold('-L--|', values), cold('-(R|)', values)]
      const [first, second] = sources
      const subs1 = '        ^---!'
      const subs2 = '        ----^!'
      const expected = '     -----(R|)'

      expectObservable(defer(() => sources.shift()!).pipe(retryLeft({ count: 3, scheduler }))).toBe(expected, values)
      expectSubscriptions(first!.subscriptions).toBe(subs1)
      expectSubscriptions(second!.subscriptions).toBe(subs2)
    })
  )

  it(
    'unsubscribes from its source while it holds a Left',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -L----|', values)
      const unsub = '        ---!'
      const subs = '         ^--!'
      const expected = '     ----'

      expectObservable(source.pipe(retryLeft({ count: 3, scheduler })), unsub).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it('emits every value of a source of two or more, and subscribes to it once', () => {
    const several = fc.array(fc.constantFrom(...Object.values(values)), { minLength: 2 })
    fc.assert(
      fc.property(several, (results) => {
        let subscribed = 0
        const seen: unknown[] = []
        const source = defer(() => {
          subscribed += 1
          return from(results)
        })
        const scheduler = new VirtualTimeScheduler()
        source.pipe(retryLeft({ count: 2, scheduler })).subscribe((result) => seen.push(result))
        scheduler.flush()
        expect([subscribed, seen]).toStrictEqual([1, results])
      })
    )
  })

  it(
    'passes on an error that `when` throws',
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
    'cancels its wait when its subscriber unsubscribes',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const source = cold('  -(L|)', values)
      const unsub = '        ---!'
      const subs = '         ^!'
      const expected = '     ----'

      expectObservable(source.pipe(retryLeft({ count: 3, delayMs: 5, scheduler })), unsub).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it('counts retries from zero for every subscriber', () => {
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

  it('uses the given scheduler for its wait', () => {
    const scheduler = new VirtualTimeScheduler()
    const seen: [number, Outcome][] = []
    of(values.L!)
      .pipe(retryLeft({ count: 2, delayMs: 1_000, scheduler }))
      .subscribe((either) => seen.push([scheduler.now(), either]))
    scheduler.flush()
    expect(seen).toStrictEqual([[2_000, values.L]])
  })

  it(
    'uses the default scheduler if none is given',
    marbles(({ cold, expectObservable }) => {
      const source = cold<Outcome>('  -(L|)', values)
      const expected = '              -----(L|)'

      expectObservable(source.pipe(retryLeft({ count: 1, delayMs: 3 }))).toBe(expected, values)
    })
  )

  it.each<[string, Partial<RetryOptions>, ReadonlyArray<number>]>([
    ['stays the same without a maximum', { delayMs: 100 }, [0, 100, 200, 300, 400]],
    ['doubles up to the maximum', { delayMs: 100, maxDelayMs: 300 }, [0, 100, 300, 600, 900]],
    ['is the maximum if that is smaller', { delayMs: 100, maxDelayMs: 50 }, [0, 50, 100, 150, 200]]
  ])('waits for a delay that %s', (_, options, expected) => {
    const scheduler = new VirtualTimeScheduler()
    const times: number[] = []
    const source = defer(() => {
      times.push(scheduler.now())
      return of(values.L!)
    })
    source.pipe(retryLeft({ count: 4, scheduler, ...options })).subscribe()
    scheduler.flush()
    expect(times).toStrictEqual(expected)
  })

  it('waits no longer than the maximum at its thousandth retry', () => {
    const scheduler = new VirtualTimeScheduler(undefined, Infinity)
    of(values.L!)
      .pipe(retryLeft({ count: 2_000, delayMs: 1, maxDelayMs: 2, scheduler }))
      .subscribe()
    scheduler.flush()
    expect(scheduler.now()).toBe(1 + 1_999 * 2)
  })

  it.each([2 ** 31, -1, NaN, Infinity, 0.5, '5', null])('throws for a delay of %p ms', (delayMs) => {
    const wrong = () => retryLeft({ count: 1, delayMs: delayMs as number })
    expect(wrong).toThrow(InvalidOptions)
    expect(wrong).toThrow('delayMs: expected a whole number of milliseconds from 0')
  })

  it.each([undefined, null, -1, NaN, 1.5, 1e9, 2 ** 53, Infinity, '2', 2n, [2]])(
    'throws for a count of %p',
    (count) => {
      const wrong = () => retryLeft({ count: count as number })
      expect(wrong).toThrow(InvalidOptions)
      expect(wrong).toThrow('count: expected a whole number of retries from 0 to 1000000')
    }
  )

  it.each<[string, unknown, string]>([
    ['no options', undefined, 'the options: expected an object'],
    ['a number as options', 2, 'the options: expected an object'],
    ['empty options', {}, 'count: expected a whole number of retries'],
    ['a misspelt option', { count: 1, delayMS: 5 }, 'delayMS: unknown option (did you mean delayMs?)'],
    ['an unknown option', { count: 1, resetOnSuccess: true }, 'resetOnSuccess: unknown option'],
    ['a `when` that is no function', { count: 1, when: 'Refused' }, 'when: expected a function'],
    ['a scheduler that is none', { count: 1, scheduler: {} }, 'scheduler: expected a scheduler of RxJS']
  ])('throws for %s', (_, options, problem) => {
    const wrong = () => retryLeft(options as RetryOptions)
    expect(wrong).toThrow(InvalidOptions)
    expect(wrong).toThrow(problem)
  })

  it('retries twenty thousand times without a stack overflow', () => {
    let subscribed = 0
    const source = defer(() => of((subscribed += 1) > 20_000 ? values.R! : values.L!))
    const scheduler = new VirtualTimeScheduler(undefined, Infinity)
    const seen: Outcome[] = []
    source.pipe(retryLeft({ count: 100_000, scheduler })).subscribe((either) => seen.push(either))
    scheduler.flush()
    expect([subscribed, seen]).toStrictEqual([20_001, [values.R]])
  })

  it('completes when its source, subscribed to again, is empty', () => {
    const sources = [of(values.L!), EMPTY]
    const scheduler = new VirtualTimeScheduler()
    const seen: unknown[] = []
    defer(() => sources.shift()!)
      .pipe(retryLeft({ count: 9, scheduler }))
      .subscribe({ next: (either) => seen.push(either), complete: () => seen.push('complete') })
    scheduler.flush()
    expect(seen).toStrictEqual(['complete'])
  })
})
