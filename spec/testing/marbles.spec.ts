import { concat, map, of, throwError, timer } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { InvalidOptions, recaptchaV2, type SolverEvent } from 'rx-captcha'
import { marbles, outcomes, replies, scriptedSolver, type MarbleHelpers } from 'rx-captcha/testing'

const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: 'site-key' })
const script = {
  '/createTask': [replies.created()],
  '/getTaskResult': [replies.processing(), replies.ready()]
}

/** The message of the error that a marble test throws. */
const failureOf = (test: (helpers: MarbleHelpers) => void): string => {
  try {
    marbles(test)()
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

describe('marbles', () => {
  it(
    'runs a whole solve in virtual time',
    marbles(({ scriptedSolver, expectObservable }) => {
      const { solver } = scriptedSolver(script)
      expectObservable(solver.solve(task)).toBe('6s (s|)', { s: outcomes.Solved() })
    })
  )

  it(
    'passes the options on to the solver',
    marbles(({ scriptedSolver, expectObservable }) => {
      const waiting = { ...script, '/getTaskResult': [replies.processing()] }
      const { solver } = scriptedSolver(waiting, { pollEveryMs: 1_000, giveUpAfterMs: 2_500, random: () => 0 })
      const timedOut = outcomes.TimedOut({ afterMs: 2_500, polls: 2 })
      expectObservable(solver.solve(task)).toBe('2500ms (t|)', { t: timedOut })
    })
  )

  it('counts the calls and the unsubscriptions after flush', () => {
    let counts: unknown
    marbles(({ scriptedSolver, expectObservable, flush }) => {
      const slow = { ...script, '/getTaskResult': [{ ...replies.ready(), afterMs: 2_000 }] }
      const scripted = scriptedSolver(slow)
      expectObservable(scripted.solver.solve(task), '4s !').toBe('')
      flush()
      counts = scripted.counts()
    })()
    expect(counts).toStrictEqual({
      '/createTask': { calls: 1, unsubscribed: 0 },
      '/getTaskResult': { calls: 1, unsubscribed: 1 }
    })
  })

  it(
    'gives two solvers networks of their own in the same virtual time',
    marbles(({ scriptedSolver, expectObservable }) => {
      const [fast, slow] = [scriptedSolver(script, { pollEveryMs: 10 }), scriptedSolver(script)]
      const both = concat(fast.solver.solve(task), slow.solver.solve(task)).pipe(map(({ _tag }) => _tag))
      expectObservable(both).toBe('20ms a 5999ms (a|)', { a: 'Right' })
    })
  )

  it(
    'has the helpers of RxJS and the scheduler',
    marbles(({ scheduler, cold, hot, time, expectObservable, expectSubscriptions }) => {
      expect(scheduler).toBeInstanceOf(TestScheduler)
      const source = cold('--a|')
      expectObservable(source).toBe('--a|')
      expectSubscriptions(source.subscriptions).toBe('^--!')
      expectObservable(hot('-b|')).toBe('-b|')
      expectObservable(timer(time('---|'), scheduler)).toBe('---(a|)', { a: 0 })
    })
  )

  it.each<readonly [string, (helpers: MarbleHelpers) => void, string]>([
    ['a late value', ({ expectObservable }) => expectObservable(timer(5)).toBe('4ms (a|)', { a: 0 }), 'atMs: 5'],
    [
      'a field that is undefined',
      ({ expectObservable }) => expectObservable(of({ a: 1, b: undefined })).toBe('(a|)', { a: { a: 1 } }),
      'b: undefined'
    ],
    [
      'an error',
      ({ expectObservable }) => expectObservable(throwError(() => new Error('e1'))).toBe('#', {}, new Error('e2')),
      'e1'
    ],
    ['an early end', ({ expectObservable }) => expectObservable(of(1)).toBe('a', { a: 1 }), 'complete: true'],
    [
      'a subscription',
      ({ cold, expectObservable, expectSubscriptions }) => {
        const source = cold('--|')
        expectObservable(source).toBe('--|')
        expectSubscriptions(source.subscriptions).toBe('^-!-')
        expectSubscriptions(source.subscriptions).toBe('^!')
      },
      'unsubscribedFrame: 2'
    ],
    [
      'an exception of the test',
      () => {
        throw new Error('broken')
      },
      'broken'
    ]
  ])('throws an error that shows the difference: %s', (_, test, shown) => {
    expect(failureOf(test)).toContain(shown)
  })

  it.each(['/createTask', '/getTaskResult'] as const)('fails if the script has no reply to a call of %s', (path) => {
    const message = failureOf(({ scriptedSolver, expectObservable }) => {
      const { solver } = scriptedSolver({ ...script, [path]: undefined }, { giveUpAfterMs: 4_000 })
      expectObservable(solver.solve(task)).toBe('6s (s|)', { s: outcomes.Solved() })
    })
    expect(message).toBe(`the script has no reply to ${path} (call 1 of this path); add one to the script`)
  })

  it('refuses an async test, which would pass without its expectations', () => {
    const test = async ({ expectObservable }: MarbleHelpers) => {
      await Promise.resolve()
      expectObservable(of(1)).toBe('never')
    }
    expect(failureOf(test as (helpers: MarbleHelpers) => void)).toBe(
      'a marble test cannot be async: promises do not run in virtual time'
    )
  })
})

describe('scriptedSolver', () => {
  it('goes by the fake timers of a test', () => {
    jest.useFakeTimers()
    try {
      const { solver, counts } = scriptedSolver(script)
      const tags: string[] = []
      solver.solve(task).subscribe(({ _tag }) => tags.push(_tag))
      jest.advanceTimersByTime(5_999)
      expect([tags, counts()['/getTaskResult'].calls]).toStrictEqual([[], 1])
      jest.advanceTimersByTime(1)
      expect([tags, counts()['/getTaskResult'].calls]).toStrictEqual([['Right'], 2])
    } finally {
      jest.useRealTimers()
    }
  })

  it('has a client key of its own, which the network receives', () => {
    const { solver, calls } = scriptedSolver(script)
    const events: SolverEvent[] = []
    solver.events.subscribe((event) => events.push(event))
    solver.solve(task).subscribe().unsubscribe()
    expect(calls).toMatchObject([{ path: '/createTask', body: { clientKey: 'key-for-tests' } }])
    expect(events.length).toBeGreaterThan(0)
  })

  it.each([
    ['an option of createSolver', () => scriptedSolver(script, { pollEveryMs: 0 }), 'pollEveryMs'],
    ['a script', () => scriptedSolver({ '/createTask': [7 as never] }), '/createTask: expected an array of replies']
  ])('throws InvalidOptions for %s that cannot work', (_, make, problem) => {
    expect(make).toThrow(InvalidOptions)
    expect(make).toThrow(problem)
  })
})
