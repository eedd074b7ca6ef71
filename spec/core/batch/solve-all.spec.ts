import * as fc from 'fast-check'
import {
  NEVER,
  Observable,
  Subject,
  asyncScheduler,
  firstValueFrom,
  lastValueFrom,
  of,
  take,
  takeUntil,
  timer,
  toArray
} from 'rxjs'
import * as E from 'fp-ts/lib/Either.js'
import type { BatchOptions, Outcome } from '../../../lib/core/model/batch.js'
import { InvalidOptions, resolveOptions, type CoreOptions } from '../../../lib/core/model/options.js'
import type { Post } from '../../../lib/core/model/network.js'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { RecaptchaV2Solution } from '../../../lib/core/model/recaptcha-v2.js'
import { replies, type Scripted } from '../../../lib/testing.js'
import { marbles } from '../../support/marbles.js'
import { KEY, planned, storyOver, taskOf, type Plan, type Story, type Told } from '../../support/simulate.js'

type Ended = Outcome<string, RecaptchaV2Solution>

/** An outcome in a word: its item, and its tag, with the reason or kind of those that have one. */
const inShort = ({ item, result }: Ended): string => {
  if (E.isRight(result)) return `${item} ${result.right.solution.gRecaptchaResponse}`
  const { left: error } = result
  const why = 'reason' in error ? ` ${error.reason}` : 'kind' in error ? ` ${error.kind}` : ''
  return `${item} ${error._tag}${why}`
}

const isOutcome = (value: unknown): value is Ended => typeof value === 'object' && value !== null && 'result' in value

/** What came of a batch, each with its instant. */
const heard = ({ results }: Told, name = 'solve'): ReadonlyArray<string> =>
  results
    .filter(([, who]) => who === name)
    .map(([at, , value]) => `${at} ${isOutcome(value) ? inShort(value) : JSON.stringify(value)}`)

const creates = ({ calls }: Told): ReadonlyArray<string> => calls.filter((call) => call.endsWith('createTask'))

const batchOf = (
  items: ReadonlyArray<string>,
  plan: Plan = {},
  options: BatchOptions<string> = {},
  solveOptions: Partial<CoreOptions> = {},
  act: (story: Story) => void = () => undefined
): Told =>
  storyOver(
    planned(plan),
    (told) => {
      told.follow(told.solver.solveAll(items, taskOf, options))
      act(told)
    },
    solveOptions
  )

/** An iterable that tells what was taken from it, and whether it was left. */
const watchedItems = <T>(items: Iterable<T>) => {
  const seen = { taken: 0, left: 0 }
  const watchedGenerator = function* () {
    try {
      for (const item of items) {
        seen.taken += 1
        yield item
      }
    } finally {
      seen.left += 1
    }
  }
  return { seen, items: { [Symbol.iterator]: watchedGenerator } }
}

const endless = function* () {
  for (let nth = 0; ; nth += 1) yield `item-${nth}`
}

const processing = (times: number): ReadonlyArray<Scripted> => Array.from({ length: times }, replies.processing)

const readyAfter = (polls: number, key: string) => ({
  poll: [...processing(polls - 1), replies.ready(`token-${key}`)]
})

describe('solveAll', () => {
  it('emits one outcome for each item, as they end, and completes', () => {
    const told = batchOf(['a', 'b', 'c'], { a: readyAfter(2, 'a') })
    expect(heard(told)).toStrictEqual(['3000 b token-b', '3000 c token-c', '6000 a token-a', '6000 "complete"'])
  })

  it('counts the items in the order in which they are taken', () => {
    const { results } = batchOf(['a', 'b'], { a: readyAfter(2, 'a') })
    expect(results.slice(0, 2).map(([, , value]) => value)).toMatchObject([{ index: 1 }, { index: 0 }])
  })

  it('takes the next item when one has ended, and never more than concurrency', () => {
    const told = batchOf(['a', 'b', 'c', 'd'], { b: readyAfter(2, 'b') }, { concurrency: 2 })
    expect(creates(told)).toStrictEqual(['0 createTask', '0 createTask', '3000 createTask', '6000 createTask'])
  })

  it('has ten under way if nobody says how many', () => {
    const told = batchOf(Array.from({ length: 12 }, (_, nth) => `item-${nth}`))
    expect(creates(told).filter((call) => call.startsWith('0 '))).toHaveLength(10)
  })

  it('ends no task for the failure of another', () => {
    const told = batchOf(['a', 'b'], { a: { create: [replies.refused('ERROR_SITEKEY')] } })
    expect(heard(told)).toStrictEqual(['0 a Refused request', '3000 b token-b', '3000 "complete"'])
  })

  it('completes at once without items', () => {
    expect(heard(batchOf([]))).toStrictEqual(['0 "complete"'])
  })

  it('is cold: buys nothing before, and anew for each subscription', () => {
    const told = storyOver(planned(), ({ solver, at, follow }) => {
      const all = solver.solveAll(['a'], taskOf)
      at(1_000, () => follow(all))
      at(2_000, () => follow(all))
    })
    expect(creates(told)).toStrictEqual(['1000 createTask', '2000 createTask'])
  })

  it('carries the label of withOptions', () => {
    const { events } = storyOver(planned(), ({ solver, follow }) => {
      follow(solver.withOptions({ label: 'shop' }).solveAll(['a'], taskOf))
    })
    expect(events.map(({ label }) => label)).toStrictEqual(events.map(() => 'shop'))
  })
})

describe('the items', () => {
  it.each(['an array', 'a set', 'a generator'])('of %s are asked for only when there is room', (kind) => {
    const { seen, items } = watchedItems(kind === 'a generator' ? endless() : ['a', 'b', 'c', 'd', 'e'])
    const given = kind === 'a set' ? { [Symbol.iterator]: () => items[Symbol.iterator]() } : items
    storyOver(planned(), ({ solver, follow, at }) => {
      const solving = follow(solver.solveAll(given, taskOf, { concurrency: 3 }))
      at(2_999, () => {
        expect(seen.taken).toBe(3)
        solving.unsubscribe()
      })
    })
    expect(seen).toStrictEqual({ taken: 3, left: 1 })
  })

  it('of an Observable are kept until there is room', () => {
    const told = storyOver(planned(), ({ solver, follow, scheduler }) => {
      const items = scheduler.createHotObservable('(abc)--d|')
      follow(solver.solveAll(items, taskOf, { concurrency: 1 }))
    })
    expect(creates(told)).toStrictEqual(['0 createTask', '3000 createTask', '6000 createTask', '9000 createTask'])
    expect(heard(told).at(-1)).toBe('12000 "complete"')
  })

  it(
    'of an Observable are waited for, and the Observable is left with the batch',
    marbles(({ cold, expectSubscriptions }, scheduler) => {
      const items = cold('--a--')
      const ports = { post: planned()(scheduler), scheduler, random: () => 0.5, close: () => Promise.resolve() }
      const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
      solver.solveAll(items, taskOf).pipe(take(1)).subscribe()
      expectSubscriptions(items.subscriptions).toBe('^ 2999ms --!')
    })
  )

  const atOnce: Post = (path, body) =>
    of(
      path === '/createTask'
        ? { _tag: 'Reply', status: 200, body: `{"taskId":"${JSON.stringify(body).length}"}` }
        : { _tag: 'Reply', status: 200, body: '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"t"}}' }
    )
  const hasty = () => {
    const settings = resolveOptions({ clientKey: KEY, pollEveryMs: 1 })
    const ports = { post: atOnce, scheduler: asyncScheduler, random: () => 0.5, close: () => Promise.resolve() }
    return buildSolver(ports, settings)
  }

  it('of an async iterable are asked for only when there is room', async () => {
    const seen = { taken: 0, left: 0 }
    const items = async function* () {
      try {
        for (const item of endless()) {
          seen.taken += 1
          yield await Promise.resolve(item)
        }
      } finally {
        seen.left += 1
      }
    }
    await lastValueFrom(hasty().solveAll(items(), taskOf, { concurrency: 2 }).pipe(take(5)))
    await new Promise((resolve) => setImmediate(resolve))
    expect(seen.left).toBe(1)
    expect(seen.taken).toBeLessThanOrEqual(7)
  })

  it('of an async iterable that fails end the taking, and its error is passed on', async () => {
    const error = new Error('the file ends here')
    const items: AsyncIterable<string> = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }
    await expect(lastValueFrom(hasty().solveAll(items, taskOf))).rejects.toBe(error)
  })

  it('of an async iterable that fails to end are no less wanted', async () => {
    const items: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false, value: 'a' }),
        return: () => Promise.reject(new Error('still in use'))
      })
    }
    const outcomes = await lastValueFrom(hasty().solveAll(items, taskOf).pipe(take(2), toArray()))
    expect(outcomes).toHaveLength(2)
  })

  it('may be a promise of one', async () => {
    expect(await firstValueFrom(hasty().solveAll(Promise.resolve('a'), taskOf).pipe(toArray()))).toHaveLength(1)
  })

  it.each<readonly [string, unknown]>([
    ['a string', 'https://example.com'],
    ['nothing', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', { items: [] }]
  ])('are not taken from %s', (_, items) => {
    const wrong = () => hasty().solveAll(items as string[], taskOf)
    expect(wrong).toThrow(InvalidOptions)
    expect(wrong).toThrow('items: expected an array, an iterable, a promise or an Observable')
  })

  it.each<readonly [string, unknown]>([
    ['toTask: expected a function', { toTask: undefined }],
    ['toTask: expected a function', { toTask: 'task' }],
    ['concurrency: expected a whole number of tasks from 1 to 1000000', { concurrency: 0 }],
    ['concurrency: expected a whole number of tasks from 1 to 1000000', { concurrency: 1.5 }],
    ['stopOnAccountError: expected true or false', { stopOnAccountError: 'no' }],
    ['until: expected an array, an iterable, a promise or an Observable', { until: 'soon' }],
    ['journal: expected a journal', { journal: 'a.journal', keyOf: String }],
    ['journal: expected a journal', { journal: null, keyOf: String }],
    ['keyOf: expected a function', { journal: { begin: NEVER } }],
    ['keyOf: expected a function', { keyOf: 'id' }]
  ])('are not taken with %s (%j)', (problem, given) => {
    const { toTask = taskOf, ...options } = { ...(given as object) } as { toTask?: typeof taskOf }
    const chosen = 'toTask' in (given as object) ? (given as { toTask: typeof taskOf }).toTask : toTask
    expect(() => hasty().solveAll(['a'], chosen, options)).toThrow(problem)
  })

  it('of any number may end at once, without a call for each on the stack', () => {
    const count = 20_000
    let outcomes = 0
    const items = Array.from({ length: count }, () => '')
    hasty()
      .solveAll(items, taskOf)
      .subscribe(() => (outcomes += 1))
    expect(outcomes).toBe(count)
  })
})

describe('an item that has no task', () => {
  it('is an InvalidTask, which says what toTask threw, without the client key', () => {
    const { results } = storyOver(planned(), ({ solver, follow }) => {
      const toTask = (item: string) => {
        if (item === 'b') throw new Error(`no task for ${KEY}`)
        return taskOf(item)
      }
      follow(solver.solveAll(['a', 'b'], toTask))
    })
    const problems = ['toTask: threw no task for [client key]']
    expect(results[0]?.[2]).toStrictEqual({
      index: 1,
      item: 'b',
      result: E.left({ _tag: 'InvalidTask', paid: 'no', problems })
    })
    expect(results).toHaveLength(3)
  })
})

describe('an error of the source', () => {
  const failing = function* () {
    yield 'a'
    throw new Error('the file ends here')
  }
  const error = new Error('the file ends here')

  it('is passed on when what is open has ended', () => {
    const { results } = storyOver(planned(), ({ solver, follow }) => follow(solver.solveAll(failing(), taskOf)))
    expect(results).toMatchObject([
      [3_000, 'solve', { item: 'a' }],
      [3_000, 'solve', { error }]
    ])
  })

  it('of an Observable drops what was not taken yet', () => {
    const told = storyOver(planned(), ({ solver, follow, scheduler }) => {
      follow(solver.solveAll(scheduler.createColdObservable('ab#', { a: 'a', b: 'b' }), taskOf, { concurrency: 1 }))
    })
    expect(heard(told)).toStrictEqual(['3000 a token-a', '3000 {"error":"error"}'])
  })

  it('comes from an iterable that cannot be opened, too', () => {
    const broken = {
      [Symbol.iterator]: (): Iterator<string> => {
        throw error
      }
    }
    const { results } = storyOver(planned(), ({ solver, follow }) => follow(solver.solveAll(broken, taskOf)))
    expect(results).toStrictEqual([[0, 'solve', { error }]])
  })
})

describe('until', () => {
  it('ends the taking, and what is open is finished', () => {
    const { seen, items } = watchedItems(endless())
    const told = storyOver(planned(), ({ solver, follow }) => {
      follow(solver.solveAll(items, taskOf, { concurrency: 2, until: timer(4_000) }))
    })
    expect(heard(told)).toHaveLength(5)
    expect(heard(told).at(-1)).toBe('6000 "complete"')
    expect(seen).toStrictEqual({ taken: 4, left: 1 })
  })

  it('that has come already takes nothing', () => {
    const { seen, items } = watchedItems(['a'])
    const told = storyOver(planned(), ({ solver, follow }) => follow(solver.solveAll(items, taskOf, { until: of(1) })))
    expect([heard(told), seen.taken]).toStrictEqual([['0 "complete"'], 0])
  })

  it('that ends without a word changes nothing', () => {
    expect(heard(batchOf(['a'], {}, { until: [] }))).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })

  it('that fails ends the taking, and is passed on when what is open has ended', () => {
    const told = batchOf(
      ['a', 'b'],
      {},
      { concurrency: 1, until: new Observable((subscriber) => timer(1_000).subscribe(() => subscriber.error('gone'))) }
    )
    expect(heard(told)).toStrictEqual(['3000 a token-a', '3000 {"error":"gone"}'])
  })

  it('does not wait for an item that is asked for', () => {
    const told = storyOver(planned(), ({ solver, follow }) => {
      follow(solver.solveAll(NEVER, taskOf, { until: timer(10) }))
    })
    expect(heard(told)).toStrictEqual(['10 "complete"'])
  })
})

describe('an item that ends the batch by its arrival', () => {
  const arriving = (act: () => void): Iterable<string> => ({
    [Symbol.iterator]: () => ({
      next: () => {
        act()
        return { done: false, value: 'a' }
      }
    })
  })

  it('is still solved, if nothing more is to be taken', () => {
    const told = storyOver(planned(), ({ solver, follow }) => {
      const until = new Subject<void>()
      const items = arriving(() => {
        until.next()
      })
      follow(solver.solveAll(items, taskOf, { until }))
    })
    expect(heard(told)).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })

  it('is not bought, if nobody listens any more', () => {
    const told = storyOver(planned(), ({ solver, follow }) => {
      const left = new Subject<void>()
      const items = arriving(() => {
        left.next()
      })
      follow(solver.solveAll(items, taskOf).pipe(takeUntil(left)))
    })
    expect(told.calls).toStrictEqual([])
  })
})

describe('leaving a batch', () => {
  it('puts open tasks on orphans and asks no more', () => {
    const told = storyOver(planned(), ({ solver, at, follow }) => {
      follow(solver.orphans, 'orphans')
      const solving = follow(solver.solveAll(['a', 'b'], taskOf))
      at(1_000, () => {
        solving.unsubscribe()
      })
    })
    expect(told.results.map(([at, name, value]) => [at, name, value])).toMatchObject([
      [1_000, 'orphans', { ref: { taskId: 'id-a' } }],
      [1_000, 'orphans', { ref: { taskId: 'id-b' } }]
    ])
    expect(told.calls).toStrictEqual(['0 createTask', '0 createTask'])
  })

  it('in the middle of an outcome takes no other item', () => {
    const { seen, items } = watchedItems(['', '', ''])
    storyOver(planned(), ({ solver, follow }) => follow(solver.solveAll(items, taskOf).pipe(take(1))))
    expect(seen).toStrictEqual({ taken: 1, left: 1 })
  })

  it('does not stumble over an iterator that fails to end', () => {
    const items: Iterable<string> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 'a' }),
        return: () => {
          throw new Error('still in use')
        }
      })
    }
    const told = storyOver(planned(), ({ solver, follow }) => {
      follow(solver.solveAll(items, taskOf, { concurrency: 1 }).pipe(take(1)))
    })
    expect(heard(told)).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })
})

describe('an account that cannot be used', () => {
  const broke = { create: [{ ...replies.refused('ERROR_ZERO_BALANCE'), afterMs: 1_000 }] }
  const toldLater = (afterMs: number) => ({ ...replies.refused('ERROR_NO_SLOT_AVAILABLE'), afterMs })
  const items = ['a', 'b', 'c', 'd', 'e']

  it('ends the taking and the creating; what is open is asked for to its end', () => {
    const told = batchOf(items, { a: readyAfter(3, 'a'), b: broke }, { concurrency: 2 })
    expect(heard(told)).toStrictEqual(['1000 b Refused account', '9000 a token-a', '9000 "complete"'])
    expect(creates(told)).toHaveLength(2)
  })

  it('ends what waits for its turn as NotCreated', () => {
    const told = batchOf(items, { b: broke }, { concurrency: 4 }, { createsPerSecond: 1 })
    expect(heard(told)).toStrictEqual([
      '2000 c NotCreated account',
      '2000 d NotCreated account',
      '2000 b Refused account',
      '3000 a token-a',
      '3000 "complete"'
    ])
  })

  it('ends what was told to come later as NotCreated', () => {
    const told = batchOf(['a', 'b'], { a: { create: [toldLater(10)] }, b: broke })
    expect(heard(told)).toStrictEqual(['1000 a NotCreated account', '1000 b Refused account', '1000 "complete"'])
    expect(told.results[0]?.[2]).toMatchObject({ result: { left: { paid: 'no' } } })
  })

  it('ends what is told to come later afterwards as NotCreated', () => {
    const told = batchOf(['a', 'b'], { a: { create: [toldLater(2_000)] }, b: broke })
    expect(heard(told)).toStrictEqual(['1000 b Refused account', '2000 a NotCreated account', '2000 "complete"'])
  })

  it('leaves in doubt what met a 503 that was only assumed to be a no', () => {
    const told = batchOf(['a', 'b'], { a: { create: [{ body: '', status: 503, afterMs: 10 }] }, b: broke })
    expect(heard(told)[0]).toBe('1000 a Refused unavailable')
    expect(told.results[0]?.[2]).toMatchObject({ result: { left: { paid: 'unknown' } } })
  })

  it('reads a createTask that has left to its end', () => {
    const slow = { create: [{ ...replies.created('id-a'), afterMs: 5_000 }] }
    const told = batchOf(['a', 'b'], { a: slow, b: broke })
    expect(heard(told)).toStrictEqual(['1000 b Refused account', '8000 a token-a', '8000 "complete"'])
  })

  it('of one batch is no matter to other solves', () => {
    const told = batchOf(['b'], { b: broke }, {}, {}, ({ at, solver, follow }) => {
      at(2_000, () => follow(solver.solve(taskOf('z')), 'z'))
    })
    expect(told.results.at(-2)).toMatchObject([5_000, 'z', { _tag: 'Right' }])
  })

  it('of one batch is no matter to what waits for its turn elsewhere', () => {
    const act = ({ solver, follow }: Story) => {
      follow(solver.solve(taskOf('y')), 'y')
      follow(solver.solveAll(['z'], taskOf), 'z')
    }
    const told = batchOf(['b'], { b: broke }, {}, { createsPerSecond: 0.5 }, act)
    expect(told.results.find(([, name]) => name === 'y')?.[2]).toMatchObject({ _tag: 'Right' })
    expect(heard(told, 'z')[0]).toBe('7000 z token-z')
  })

  it('stops nothing where it ends a task that was paid for', () => {
    const gone = { poll: [replies.refused('ERROR_ZERO_BALANCE')] }
    const told = batchOf(['b', 'a'], { b: gone }, { concurrency: 1 })
    expect(heard(told)).toStrictEqual(['3000 b TaskFailed account', '6000 a token-a', '6000 "complete"'])
  })

  it('stops nothing if it is told not to', () => {
    const told = batchOf(['b', 'a'], { b: broke }, { concurrency: 1, stopOnAccountError: false })
    expect(heard(told)).toStrictEqual(['1000 b Refused account', '4000 a token-a', '4000 "complete"'])
  })
})

describe('close', () => {
  it('ends the taking; what is open is interrupted', () => {
    const told = batchOf(['a', 'b', 'c'], {}, { concurrency: 2 }, {}, ({ at, solver }) => {
      at(1_000, () => void solver.close())
    })
    expect(heard(told)).toStrictEqual(['1000 a Interrupted', '1000 b Interrupted', '1000 "complete"'])
  })

  it('ends a batch that waits for its source', () => {
    const told = storyOver(planned(), ({ solver, at, follow }) => {
      follow(solver.solveAll(NEVER, taskOf))
      at(1_000, () => void solver.close())
    })
    expect(heard(told)).toStrictEqual(['1000 "complete"'])
  })

  it('before the batch takes nothing', () => {
    const { seen, items } = watchedItems(endless())
    const told = storyOver(planned(), ({ solver, at, follow }) => {
      void solver.close()
      at(10, () => follow(solver.solveAll(items, taskOf)))
    })
    expect([heard(told), seen.taken]).toStrictEqual([['10 "complete"'], 0])
  })
})

describe('over any source', () => {
  const fate = fc.constantFrom<Plan[string]>(
    {},
    { poll: [...processing(2), replies.ready('t')] },
    { create: [replies.refused('ERROR_SITEKEY')] },
    { create: [{ ...replies.created('id-x'), afterMs: 700 }] },
    { create: [{ failed: {} }] },
    { poll: [{ body: '<html>' }] }
  )

  it('each item taken has one outcome, and taken minus emitted is never more than concurrency', () => {
    fc.assert(
      fc.property(
        fc.array(fate, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.option(fc.integer({ min: 0, max: 20_000 })),
        (fates, concurrency, stopAt) => {
          const names = fates.map((_, nth) => `n${nth}`)
          const plan = Object.fromEntries(names.map((name, nth) => [name, fates[nth] ?? {}]))
          const { seen, items } = watchedItems(names)
          let [emitted, most] = [0, 0]
          const told = storyOver(planned(plan), ({ solver, follow }) => {
            const toTask = (item: string) => {
              most = Math.max(most, seen.taken - emitted)
              return taskOf(item)
            }
            const until = stopAt === null ? NEVER : timer(stopAt)
            const counted = new Observable((subscriber) =>
              solver.solveAll(items, toTask, { concurrency, until }).subscribe({
                next: (outcome) => {
                  emitted += 1
                  subscriber.next(outcome)
                },
                complete: () => {
                  subscriber.complete()
                }
              })
            )
            follow(counted)
          })
          const indexes = told.results.flatMap(([, , value]) => (isOutcome(value) ? [value.index] : []))
          const all = indexes.sort((a, b) => a - b).every((index, nth) => index === nth)
          const complete = told.results.at(-1)?.[2] === 'complete'
          return all && complete && most <= concurrency && indexes.length === seen.taken
        }
      )
    )
  })
})
