import { NEVER, Observable, Subject, Subscription } from 'rxjs'
import { subscribeWithin } from '../../../lib/core/rx/subscribe-within.js'

describe('subscribeWithin', () => {
  it('unsubscribes from the source if the parent is unsubscribed while it is being subscribed to', () => {
    const parent = new Subscription()
    const end = jest.fn()
    const source = new Observable<never>((subscriber) => {
      subscriber.add(end)
      parent.unsubscribe()
    })
    subscribeWithin(parent, source, {})

    expect(end).toHaveBeenCalledTimes(1)
  })

  it('does not subscribe to the source if the parent is unsubscribed already', () => {
    const subscribed = jest.fn(() => NEVER.subscribe())
    const parent = new Subscription()
    parent.unsubscribe()
    subscribeWithin(parent, new Observable(subscribed), {})

    expect(subscribed).not.toHaveBeenCalled()
  })

  it('passes on what the source emits, and its end', () => {
    const source = new Subject<string>()
    const seen: string[] = []
    subscribeWithin(new Subscription(), source, {
      next: (value) => seen.push(value),
      complete: () => seen.push('complete')
    })
    source.next('a')
    source.complete()

    expect(seen).toStrictEqual(['a', 'complete'])
  })
})
