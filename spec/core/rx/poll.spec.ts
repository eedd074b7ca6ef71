import { VirtualTimeScheduler, defer, of } from 'rxjs'
import { pollUntilFinal } from '../../../lib/core/rx/poll.js'
import { marbles } from '../../support/marbles.js'

const isFinal = (state: string): state is 'f' => state === 'f'

describe('pollUntilFinal', () => {
  it(
    'waits, asks once, and emits a final answer',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -(f|)')
      const asked = '    ---^!'
      const expected = ' ----(f|)'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(asked)
    })
  )

  it(
    'lets a whole wait pass between an answer and the next poll, however slow the answer was',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const slow = cold('      ----(p|)')
      const quick = cold('             -(p|)')
      const last = cold('                  (f|)')
      const subs1 = '       ---^---!'
      const subs2 = '       ----------^!'
      const subs3 = '       --------------(^!)'
      const expected = '    --------------(f|)'

      const answers = [slow, quick, last]
      const poll = defer(() => answers.shift() ?? last)
      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(slow.subscriptions).toBe(subs1)
      expectSubscriptions(quick.subscriptions).toBe(subs2)
      expectSubscriptions(last.subscriptions).toBe(subs3)
    })
  )

  it(
    'reads the wait anew before every poll',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const first = cold('   (p|)')
      const second = cold('        (f|)')
      const subs1 = '     -(^!)'
      const subs2 = '     ------(^!)'
      const expected = '  ------(f|)'

      const waits = [1, 5]
      const answers = [first, second]
      const poll = defer(() => answers.shift() ?? second)
      expectObservable(pollUntilFinal(() => waits.shift() ?? 1, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(first.subscriptions).toBe(subs1)
      expectSubscriptions(second.subscriptions).toBe(subs2)
    })
  )

  it(
    'aborts the poll in flight when the subscriber leaves',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -----(f|)')
      const unsub = '    -----!'
      const asked = '    ---^-!'
      const expected = ' ------'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal), unsub).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(asked)
    })
  )

  it(
    'asks nothing when the subscriber leaves during the wait',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    (f|)')
      const unsub = '    --!'
      const expected = ' ---'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal), unsub).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe([])
    })
  )

  it(
    'passes on a defect and asks no more',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const poll = cold('    -#')
      const asked = '    ---^!'
      const expected = ' ----#'

      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(poll.subscriptions).toBe(asked)
    })
  )

  it(
    'asks again after a poll without an answer',
    marbles(({ cold, expectObservable, expectSubscriptions }, scheduler) => {
      const none = cold('      -|')
      const last = cold('           (f|)')
      const subs = '        ---^!'
      const expected = '    -------(f|)'

      const answers = [none, last]
      const poll = defer(() => answers.shift() ?? last)
      expectObservable(pollUntilFinal(() => 3, scheduler)(poll, isFinal)).toBe(expected)
      expectSubscriptions(none.subscriptions).toBe(subs)
    })
  )

  it('waits by the scheduler it was given, outside of run mode too', () => {
    const scheduler = new VirtualTimeScheduler()
    const seen: unknown[] = []

    pollUntilFinal(() => 3_000, scheduler)(of('f'), isFinal).subscribe((state) => seen.push([scheduler.now(), state]))
    scheduler.flush()

    expect(seen).toStrictEqual([[3_000, 'f']])
  })
})
