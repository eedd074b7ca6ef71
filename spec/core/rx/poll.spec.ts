import { EMPTY, NEVER, Observable, VirtualTimeScheduler, defer, finalize, of, type SchedulerLike } from 'rxjs'
import { pollUntilFinal } from '../../../lib/core/rx/poll.js'
import { marbles } from '../../support/marbles.js'

const values = { p: 'poll again', f: 'f' } as const
type State = (typeof values)[keyof typeof values]

/** Polls with the given waits; the last one is repeated. */
const polling = (scheduler: SchedulerLike, poll: () => Observable<State>, ...waits: ReadonlyArray<number>) => {
  const left = [...waits]
  return pollUntilFinal<'f'>(
    {
      get waitMs() {
        return left.length > 1 ? left.shift()! : left[0]!
      },
      poll
    },
    scheduler
  )
}

describe('pollUntilFinal', () => {
  it(
    'waits, polls once, and emits a final state',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -(f|)', values)
      const subs = '     ---^!'
      const expected = ' ----(f|)'

      expectObservable(polling(scheduler, () => poll, 3)).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(subs)
    })
  )

  it(
    'lets a whole wait pass between the end of a poll and the next poll, however long the poll took',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const slow = cold('      ----(p|)', values)
      const quick = cold('             -(p|)', values)
      const last = cold('                  (f|)', values)
      const subs1 = '       ---^---!'
      const subs2 = '       ----------^!'
      const subs3 = '       --------------(^!)'
      const expected = '    --------------(f|)'

      const polls = [slow, quick, last]
      const poll = () => polls.shift() ?? last
      expectObservable(polling(scheduler, poll, 3)).toBe(expected)
      expectSubscriptions(slow.subscriptions).toBe(subs1)
      expectSubscriptions(quick.subscriptions).toBe(subs2)
      expectSubscriptions(last.subscriptions).toBe(subs3)
    })
  )

  it(
    'reads the wait again before every poll',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const first = cold('   (p|)', values)
      const second = cold('        (f|)', values)
      const subs1 = '     -(^!)'
      const subs2 = '     ------(^!)'
      const expected = '  ------(f|)'

      const polls = [first, second]
      const poll = () => polls.shift() ?? second
      expectObservable(polling(scheduler, poll, 1, 5)).toBe(expected)
      expectSubscriptions(first.subscriptions).toBe(subs1)
      expectSubscriptions(second.subscriptions).toBe(subs2)
    })
  )

  it(
    'unsubscribes from the poll in flight when its subscriber unsubscribes',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -----(f|)', values)
      const unsub = '    -----!'
      const subs = '     ---^-!'
      const expected = ' ------'

      expectObservable(
        polling(scheduler, () => poll, 3),
        unsub
      ).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(subs)
    })
  )

  it(
    'does not poll when its subscriber unsubscribes during the wait',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    (f|)', values)
      const unsub = '    --!'
      const expected = ' ---'

      expectObservable(
        polling(scheduler, () => poll, 3),
        unsub
      ).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe([])
    })
  )

  it(
    'passes on an error and stops polling',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -#', values)
      const subs = '     ---^!'
      const expected = ' ----#'

      expectObservable(polling(scheduler, () => poll, 3)).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(subs)
    })
  )

  it(
    'polls again after a poll that completes without a state',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const none = cold('      -|', values)
      const last = cold('           (f|)', values)
      const subs = '        ---^!'
      const expected = '    -------(f|)'

      const polls = [none, last]
      const poll = () => polls.shift() ?? last
      expectObservable(polling(scheduler, poll, 3)).toBe(expected)
      expectSubscriptions(none.subscriptions).toBe(subs)
    })
  )

  it(
    'passes on what the beginning of a poll throws',
    marbles(({ expectObservable }, scheduler) => {
      const broken = new Error('broken')
      const poll = (): never => {
        throw broken
      }

      expectObservable(polling(scheduler, poll, 3)).toBe('---#', undefined, broken)
    })
  )

  it('does not subscribe to a poll whose beginning unsubscribes', () => {
    const scheduler = new VirtualTimeScheduler()
    let subscribed = 0
    const polls = polling(
      scheduler,
      () => {
        subscription.unsubscribe()
        return new Observable(() => void (subscribed += 1))
      },
      3
    )
    const subscription = polls.subscribe()
    scheduler.flush()

    expect(subscribed).toBe(0)
  })

  it.each([
    ['a poll that unsubscribes while it is subscribed to', NEVER],
    ['a poll that unsubscribes and completes', EMPTY]
  ])('leaves neither a wait nor a subscription after %s', (_, rest) => {
    const scheduler = new VirtualTimeScheduler()
    let active = 0
    const poll = defer(() => {
      active += 1
      subscription.unsubscribe()
      return rest
    }).pipe(finalize(() => (active -= 1)))
    const subscription = polling(scheduler, () => poll, 3).subscribe()
    scheduler.flush()

    expect([active, scheduler.now()]).toStrictEqual([0, 3])
  })

  it('ends its wait when its subscriber unsubscribes after a poll that completed at once', () => {
    const scheduler = new VirtualTimeScheduler()
    const polls = { begun: 0 }
    const subscription = polling(
      scheduler,
      () => {
        polls.begun += 1
        return of('poll again')
      },
      3
    ).subscribe()
    scheduler.schedule(() => subscription.unsubscribe(), 4)
    scheduler.flush()

    expect(polls.begun).toBe(1)
  })

  it('uses the given scheduler for its wait, outside run mode too', () => {
    const scheduler = new VirtualTimeScheduler()
    const emitted: unknown[] = []

    polling(scheduler, () => of('f'), 3_000).subscribe((state) => emitted.push([scheduler.now(), state]))
    scheduler.flush()

    expect(emitted).toStrictEqual([[3_000, 'f']])
  })
})
