import * as E from 'fp-ts/lib/Either.js'
import * as OE from '../../../lib/core/rx/observable-either.js'
import { marbles } from '../../support/marbles.js'

const values: Readonly<Record<string, E.Either<string, string>>> = {
  l: E.left('no'),
  r: E.right('yes'),
  R: E.right('next'),
  d: E.right('yes!')
}

describe('left', () => {
  it(
    'emits one Left at once',
    marbles(({ expectObservable }) => {
      expectObservable(OE.left('no')).toBe('(l|)', values)
    })
  )
})

describe('flatMap', () => {
  it(
    'subscribes to the next source after a Right',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --(r|)', values)
      const next = cold('      ---(R|)', values)
      const subs = '         --^--!'
      const expected = '     -----(R|)'

      expectObservable(source.pipe(OE.flatMap(() => next))).toBe(expected, values)
      expectSubscriptions(next.subscriptions).toBe(subs)
    })
  )

  it(
    'calls its function with the value of the Right',
    marbles(({ cold, expectObservable }) => {
      const source = cold('  --(r|)', values)
      const expected = '     --(l|)'

      expectObservable(source.pipe(OE.flatMap((value) => OE.left(value)))).toBe(expected, { l: E.left('yes') })
    })
  )

  it(
    'passes on a Left and subscribes to nothing',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --(l|)', values)
      const next = cold('    ---(R|)', values)
      const expected = '     --(l|)'

      expectObservable(source.pipe(OE.flatMap(() => next))).toBe(expected, values)
      expectSubscriptions(next.subscriptions).toBe([])
    })
  )

  it(
    'unsubscribes from the next source when its subscriber unsubscribes',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --r', values)
      const next = cold('      -----', values)
      const unsub = '        ----!'
      const subs = '         --^-!'
      const expected = '     -----'

      expectObservable(source.pipe(OE.flatMap(() => next)), unsub).toBe(expected)
      expectSubscriptions(next.subscriptions).toBe(subs)
    })
  )
})

describe('andThen', () => {
  it(
    'mirrors the next source, and unsubscribes from it when its subscriber unsubscribes',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --(a|)')
      const next = cold('      --c---|')
      const unsub = '        -----!'
      const expected = '     ----c-'

      expectObservable(source.pipe(OE.andThen(() => next)), unsub).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe('^-!')
      expectSubscriptions(next.subscriptions).toBe('--^--!')
    })
  )

  it(
    'completes if its source completes without a value',
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('--|').pipe(OE.andThen(() => cold('a|')))).toBe('--|')
    })
  )

  it(
    'passes on an error that its function throws',
    marbles(({ cold, expectObservable }) => {
      const next = () => {
        throw 'error' as unknown
      }
      expectObservable(cold('--a|').pipe(OE.andThen(next))).toBe('--#')
    })
  )

  it(
    'passes on an error of its source',
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('--#').pipe(OE.andThen(() => cold('a|')))).toBe('--#')
    })
  )
})

describe('map', () => {
  it(
    'maps a Right and passes on a Left',
    marbles(({ cold, expectObservable }) => {
      const source = cold('  r-l|', values)
      const expected = '     d-l|'

      expectObservable(source.pipe(OE.map((value) => `${value}!`))).toBe(expected, values)
    })
  )
})
