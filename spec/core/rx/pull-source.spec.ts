import { firstValueFrom, of } from 'rxjs'
import { isSource, pullFrom } from '../../../lib/core/rx/pull-source.js'

const item = { done: false, value: 'a' }

describe('a supply', () => {
  it.each<readonly [string, Iterable<string> | AsyncIterable<string>]>([
    ['an iterable', { [Symbol.iterator]: () => ({ next: () => item }) }],
    ['an async iterable', { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(item) }) }]
  ])('of %s that cannot be left early is left all the same', async (_, items) => {
    const supply = pullFrom(items)

    expect(await firstValueFrom(supply.next)).toBe('a')
    expect(supply.close).not.toThrow()
  })
})

describe('a source', () => {
  it.each<readonly [string, unknown]>([
    ['an array', ['a']],
    ['a function that can be iterated', Object.assign(() => undefined, { [Symbol.iterator]: () => ['a'].values() })],
    ['an Observable of another library', { '@@observable': () => of('a') }],
    ['a stream that can only be read', { getReader: () => undefined }],
    ['something like an array', { length: 1, 0: 'a' }]
  ])('is %s', (_, items) => {
    expect(isSource(items)).toBe(true)
  })
})
