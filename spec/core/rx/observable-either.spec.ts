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
    'goes on with the Right',
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
    'hands on the value',
    marbles(({ cold, expectObservable }) => {
      const source = cold('  --(r|)', values)
      const expected = '     --(l|)'

      expectObservable(source.pipe(OE.flatMap((value) => OE.left(value)))).toBe(expected, { l: E.left('yes') })
    })
  )

  it(
    'lets a Left pass and begins nothing',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --(l|)', values)
      const next = cold('    ---(R|)', values)
      const expected = '     --(l|)'

      expectObservable(source.pipe(OE.flatMap(() => next))).toBe(expected, values)
      expectSubscriptions(next.subscriptions).toBe([])
    })
  )

  it(
    'ends what it began when it is left',
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
    'goes on with what follows, and ends it when it is left',
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
    'completes with a source that has no value',
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('--|').pipe(OE.andThen(() => cold('a|')))).toBe('--|')
    })
  )

  it(
    'passes on a defect of what was to follow',
    marbles(({ cold, expectObservable }) => {
      const next = () => {
        throw 'error' as unknown
      }
      expectObservable(cold('--a|').pipe(OE.andThen(next))).toBe('--#')
    })
  )

  it(
    'passes on a defect of its source',
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('--#').pipe(OE.andThen(() => cold('a|')))).toBe('--#')
    })
  )
})

describe('map', () => {
  it(
    'changes the Right and lets a Left pass',
    marbles(({ cold, expectObservable }) => {
      const source = cold('  r-l|', values)
      const expected = '     d-l|'

      expectObservable(source.pipe(OE.map((value) => `${value}!`))).toBe(expected, values)
    })
  )
})
