import { Observable, type Observer, type Subscription } from 'rxjs'

/**
 * Subscribes with an observer until `parent` is unsubscribed. `parent.add(source.subscribe(observer))` would not notice if that
 * happens while the source is being subscribed to: an event of a task, or a function of the caller, may unsubscribe synchronously.
 */
export const subscribeWithin = <A>(
  parent: Subscription,
  source: Observable<A>,
  observer: Partial<Observer<A>>
): void => {
  new Observable<A>((subscriber) => {
    parent.add(subscriber)
    if (!subscriber.closed) source.subscribe(subscriber)
  }).subscribe(observer)
}
