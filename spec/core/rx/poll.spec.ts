import { VirtualTimeScheduler, defer, of } from 'rxjs'
import { pollUntilFinal } from '../../../lib/core/rx/poll.js'
import { marbles } from '../../support/marbles.js'

const isFinal = (state: string): state is 'f' => state === 'f'

describe('pollUntilFinal', () => {
  it(
    'waits, polls once, and emits a final state',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -(f|)')
      const subs = '     ---^!'
      const expected = ' ----(f|)'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(subs)
    })
  )

  it(
    'lets a whole wait pass between the end of a poll and the next poll, however long the poll took',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const slow = cold('      ----(p|)')
      const quick = cold('             -(p|)')
      const last = cold('                  (f|)')
      const subs1 = '       ---^---!'
      const subs2 = '       ----------^!'
      const subs3 = '       --------------(^!)'
      const expected = '    --------------(f|)'

      const polls = [slow, quick, last]
      const poll = defer(() => polls.shift() ?? last)
      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(slow.subscriptions).toBe(subs1)
      expectSubscriptions(quick.subscriptions).toBe(subs2)
      expectSubscriptions(last.subscriptions).toBe(subs3)
    })
  )

  it(
    'reads the wait again before every poll',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const first = cold('   (p|)')
      const second = cold('        (f|)')
      const subs1 = '     -(^!)'
      const subs2 = '     ------(^!)'
      const expected = '  ------(f|)'

      const waits = [1, 5]
      const polls = [first, second]
      const poll = defer(() => polls.shift() ?? second)
      expectObservable(pollUntilFinal(() => waits.shift() ?? 1, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(first.subscriptions).toBe(subs1)
      expectSubscriptions(second.subscriptions).toBe(subs2)
    })
  )

  it(
    'unsubscribes from the poll in flight when its subscriber leaves',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -----(f|)')
      const unsub = '    -----!'
      const subs = '     ---^-!'
      const expected = ' ------'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal), unsub).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(subs)
    })
  )

  it(
    'does not poll when its subscriber leaves during the wait',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    (f|)')
      const unsub = '    --!'
      const expected = ' ---'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal), unsub).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe([])
    })
  )

  it(
    'passes on an error and stops polling',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -#')
      const subs = '     ---^!'
      const expected = ' ----#'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(subs)
    })
  )

  it(
    'polls again after a poll that completes without a state',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const none = cold('      -|')
      const last = cold('           (f|)')
      const subs = '        ---^!'
      const expected = '    -------(f|)'

      const polls = [none, last]
      const poll = defer(() => polls.shift() ?? last)
      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(none.subscriptions).toBe(subs)
    })
  )

  it('uses the given scheduler for its wait, outside run mode too', () => {
    const scheduler = new VirtualTimeScheduler()
    const emitted: unknown[] = []

    pollUntilFinal(() => 3_000, scheduler)(of('f'), isFinal).subscribe((state) =>
      emitted.push([scheduler.now(), state])
    )
    scheduler.flush()

    expect(emitted).toStrictEqual([[3_000, 'f']])
  })
})
