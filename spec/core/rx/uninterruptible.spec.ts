import { Subject } from 'rxjs'
import { uninterruptible } from '../../../lib/core/rx/uninterruptible.js'
import { marbles } from '../../support/marbles.js'

const wrap = (isSent: boolean, calls: string[] = []) =>
  uninterruptible<string>({
    isSent: () => isSent,
    onLate: (value) => void calls.push(`late ${value}`),
    onEnd: () => void calls.push('end')
  })

describe('uninterruptible', () => {
  it(
    'mirrors its source',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --a--b--|')
      const subs = '         ^-------!'
      const expected = '     --a--b--|'

      expectObservable(source.pipe(wrap(true))).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'passes on an error',
    marbles(({ cold, expectObservable }) => {
      expectObservable(cold('--#').pipe(wrap(true))).toBe('--#')
    })
  )

  it(
    'unsubscribes from its source if nothing was sent',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --a--b--|')
      const unsub = '        ---!'
      const subs = '         ^--!'
      const expected = '     --a-'

      expectObservable(source.pipe(wrap(false)), unsub).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it(
    'stays subscribed to its source until it ends, once something was sent',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  --a--b--|')
      const unsub = '        ---!'
      const subs = '         ^-------!'
      const expected = '     --a-'

      expectObservable(source.pipe(wrap(true)), unsub).toBe(expected)
      expectSubscriptions(source.subscriptions).toBe(subs)
    })
  )

  it('calls onLate with what the source emits after the subscriber has unsubscribed, and onEnd when the source has ended', () => {
    const calls: string[] = []
    const source = new Subject<string>()
    const subscription = source.pipe(wrap(true, calls)).subscribe((value) => void calls.push(value))
    source.next('a')
    subscription.unsubscribe()
    source.next('b')
    source.complete()

    expect(calls).toStrictEqual(['a', 'late b', 'end'])
  })

  it('calls onEnd when the subscriber unsubscribes before anything was sent', () => {
    const calls: string[] = []
    new Subject<string>().pipe(wrap(false, calls)).subscribe().unsubscribe()

    expect(calls).toStrictEqual(['end'])
  })
})
