import {
  NEVER,
  Subject,
  VirtualTimeScheduler,
  asyncScheduler,
  lastValueFrom,
  of,
  take,
  takeUntil,
  throwError,
  timer,
  map
} from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { isObservableInput, pullMergeMap } from '../../../lib/core/rx/pull-merge-map.js'

const item = { done: false, value: 'a' }

describe('pullMergeMap', () => {
  it('calls the `return` of an iterator once, although it stopped pulling before it was unsubscribed', () => {
    const returned = jest.fn(() => ({ done: true, value: undefined }))
    const items = { [Symbol.iterator]: () => ({ next: () => item, return: returned }) }
    const takeUntil = new Subject<void>()
    const subscription = pullMergeMap(items, () => NEVER, {
      concurrency: 1,
      scheduler: asyncScheduler,
      takeUntil
    }).subscribe()
    takeUntil.next()
    subscription.unsubscribe()

    expect(returned).toHaveBeenCalledTimes(1)
  })

  it.each<readonly [string, Iterable<string> | AsyncIterable<string>]>([
    ['an iterable', { [Symbol.iterator]: () => ({ next: () => item }) }],
    ['an async iterable', { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(item) }) }]
  ])('stops pulling from %s whose iterator has no `return`', async (_, items) => {
    const errors: unknown[] = []
    const pulled = new Promise((resolve) => {
      pullMergeMap(items, (pulled) => of(pulled), { concurrency: 1, scheduler: asyncScheduler, takeUntil: NEVER })
        .pipe(take(1))
        .subscribe({ next: resolve, error: (error: unknown) => errors.push(error) })
    })

    expect(await pulled).toBe('a')
    expect(errors).toStrictEqual([])
  })

  it('calls the `return` of an iterator once if the result is unsubscribed from during its item', () => {
    const returned = jest.fn(() => ({ done: true, value: undefined }))
    const items = { [Symbol.iterator]: () => ({ next: () => item, return: returned }) }
    pullMergeMap(items, (pulled) => of(pulled), { concurrency: 1, scheduler: asyncScheduler, takeUntil: NEVER })
      .pipe(take(1))
      .subscribe()

    expect(returned).toHaveBeenCalledTimes(1)
  })

  it('calls the `return` of an iterator once, and after its `next`, if that stops the pulling', () => {
    const takeUntil = new Subject<void>()
    const calls: string[] = []
    const next = () => {
      takeUntil.next()
      calls.push('next')
      return item
    }
    const close = () => {
      calls.push('return')
      return { done: true, value: undefined }
    }
    const items = { [Symbol.iterator]: () => ({ next, return: close }) }
    pullMergeMap(items, (pulled) => of(pulled), { concurrency: 1, scheduler: asyncScheduler, takeUntil }).subscribe()

    expect(calls).toStrictEqual(['next', 'return'])
  })

  it.each(['the result is unsubscribed from', 'takeUntil emits'])('ends a generator that runs when %s', (how) => {
    const stop = new Subject<void>()
    let isEnded = false
    const items = function* () {
      try {
        yield 'a'
        stop.next()
        yield 'b'
        yield 'c'
      } finally {
        isEnded = true
      }
    }
    const isUnsubscribed = how.includes('unsubscribed')
    const options = { concurrency: 1, scheduler: asyncScheduler, takeUntil: isUnsubscribed ? NEVER : stop }
    pullMergeMap(items(), (pulled) => of(pulled), options)
      .pipe(takeUntil(isUnsubscribed ? stop : NEVER))
      .subscribe()

    expect(isEnded).toBe(true)
  })

  const iteratorOf = (...results: ReadonlyArray<unknown>) => {
    const queue = [...results]
    return { next: () => queue.shift() as IteratorResult<string> }
  }
  const valuesOf = async (items: Iterable<string> | AsyncIterable<string>): Promise<ReadonlyArray<unknown>> => {
    const seen: unknown[] = []
    await new Promise<void>((resolve) => {
      pullMergeMap(items, (value) => of(value), {
        concurrency: 1,
        scheduler: asyncScheduler,
        takeUntil: NEVER
      }).subscribe({
        next: (value) => seen.push(value),
        error: (error: unknown) => {
          seen.push(error)
          resolve()
        },
        complete: resolve
      })
    })
    return seen
  }
  const sync = (...results: ReadonlyArray<unknown>) => ({ [Symbol.iterator]: () => iteratorOf(...results) })
  const async = (...results: ReadonlyArray<unknown>) => ({
    [Symbol.asyncIterator]: () => {
      const { next } = iteratorOf(...results)
      return { next: () => Promise.resolve(next()) }
    }
  })
  const unresolved = (...results: ReadonlyArray<unknown>) => ({
    [Symbol.asyncIterator]: () => iteratorOf(...results) as unknown as AsyncIterator<string>
  })

  it.each([1, 'yes', {}])('ends the iteration when `done` is %j, as for…of does', async (done) => {
    for (const iterable of [sync, async])
      expect(await valuesOf(iterable(item, { done, value: 'b' }, item))).toStrictEqual(['a'])
  })

  it.each([undefined, null, 5, 'text'])('passes on an error when an iterator returns %j', async (result) => {
    for (const iterable of [sync, async])
      expect(await valuesOf(iterable(item, result, item))).toStrictEqual(['a', expect.any(TypeError)])
  })

  it('passes on the error of a result that throws when it is read', async () => {
    const error = new Error('a getter')
    const broken = {
      get done(): boolean {
        throw error
      }
    }
    for (const iterable of [sync, async]) expect(await valuesOf(iterable(item, broken))).toStrictEqual(['a', error])
  })

  it('awaits no promise where an async iterator gives none, as for await…of does', async () => {
    expect(await valuesOf(unresolved(item, { done: true }))).toStrictEqual(['a'])
  })

  const LONG = 200_000
  const long = {
    *iterable() {
      for (let nth = 0; nth < LONG; nth += 1) yield nth
    },
    async *asyncIterable() {
      for (let nth = 0; nth < LONG; nth += 1) yield Promise.resolve(nth)
    }
  }

  it.each(['iterable', 'asyncIterable'] as const)(
    'lets timers run while the items of an %s end as soon as they are pulled',
    async (kind) => {
      const items: Iterable<number> | AsyncIterable<number> = long[kind]()
      const options = { concurrency: 1, scheduler: asyncScheduler, takeUntil: timer(1) }
      const last = await lastValueFrom(pullMergeMap(items, (value) => of(value), options))
      expect([last > 998, last < LONG - 1]).toStrictEqual([true, true])
    }
  )

  it('leaves nothing scheduled if the result is unsubscribed from between two turns', () => {
    const scheduler = new VirtualTimeScheduler()
    const options = { concurrency: 1, scheduler, takeUntil: NEVER }
    let pulled = 0
    const subscription = pullMergeMap(long.iterable(), (value) => of(value), options).subscribe(() => (pulled += 1))
    subscription.unsubscribe()
    scheduler.flush()
    expect(pulled).toBe(1_000)
  })

  it('passes on an error of an inner Observable when the other active ones have ended', () => {
    const error = new Error('a defect')
    const scheduler = new TestScheduler((actual, expected) => {
      expect(actual).toStrictEqual(expected)
    })
    scheduler.run(({ expectObservable }) => {
      const project = (name: string) => (name === 'b' ? throwError(() => error) : timer(10).pipe(map(() => name)))
      const result = pullMergeMap(['a', 'b', 'c'], project, {
        concurrency: 2,
        scheduler: asyncScheduler,
        takeUntil: NEVER
      })

      expectObservable(result).toBe('----------(a#)', undefined, error)
    })
  })
})

describe('isObservableInput', () => {
  it.each<readonly [string, unknown]>([
    ['an array', ['a']],
    ['a function that can be iterated', Object.assign(() => undefined, { [Symbol.iterator]: () => ['a'].values() })],
    ['an Observable of another library', { '@@observable': () => of('a') }],
    ['a stream that can only be read', { getReader: () => undefined }],
    ['an array-like object', { length: 1, 0: 'a' }]
  ])('accepts %s', (_, items) => {
    expect(isObservableInput(items)).toBe(true)
  })

  it.each(['text', 7, null, undefined, {}, () => undefined])('refuses %p', (items) => {
    expect(isObservableInput(items)).toBe(false)
  })
})
