import { NEVER, Subject, of, take, throwError, timer, map } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { isObservableInput, pullMergeMap } from '../../../lib/core/rx/pull-merge-map.js'

const item = { done: false, value: 'a' }

describe('pullMergeMap', () => {
  it('calls the `return` of an iterator once, although it stopped pulling before it was unsubscribed', () => {
    const returned = jest.fn(() => ({ done: true, value: undefined }))
    const items = { [Symbol.iterator]: () => ({ next: () => item, return: returned }) }
    const takeUntil = new Subject<void>()
    const subscription = pullMergeMap(items, () => NEVER, { concurrency: 1, takeUntil }).subscribe()
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
      pullMergeMap(items, (pulled) => of(pulled), { concurrency: 1, takeUntil: NEVER })
        .pipe(take(1))
        .subscribe({ next: resolve, error: (error: unknown) => errors.push(error) })
    })

    expect(await pulled).toBe('a')
    expect(errors).toStrictEqual([])
  })

  it('passes on an error of an inner Observable when the other active ones have ended', () => {
    const error = new Error('a defect')
    const scheduler = new TestScheduler((actual, expected) => {
      expect(actual).toStrictEqual(expected)
    })
    scheduler.run(({ expectObservable }) => {
      const project = (name: string) => (name === 'b' ? throwError(() => error) : timer(10).pipe(map(() => name)))
      const result = pullMergeMap(['a', 'b', 'c'], project, { concurrency: 2, takeUntil: NEVER })

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
