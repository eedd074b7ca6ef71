import * as fc from 'fast-check'
import {
  count,
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
import { replies, type Scripted } from 'rx-captcha/testing'
import { marbles } from '../../support/marbles.js'
import {
  KEY,
  scriptedByKey,
  simulateOver,
  taskOf,
  type ScriptsByKey,
  type Simulation,
  type Trace
} from '../../support/simulate.js'

type BatchOutcome = Outcome<string, RecaptchaV2Solution>

/** An outcome as text: its item and token, or its item and tag with the reason or kind, if there is one. */
const summaryOf = ({ item, result }: BatchOutcome): string => {
  if (E.isRight(result)) return `${item} ${result.right.solution.gRecaptchaResponse}`
  const { left: error } = result
  const why = 'reason' in error ? ` ${error.reason}` : 'kind' in error ? ` ${error.kind}` : ''
  return `${item} ${error._tag}${why}`
}

const isOutcome = (value: unknown): value is BatchOutcome =>
  typeof value === 'object' && value !== null && 'result' in value

/** What a batch emitted, as text with its time. */
const emissionsOf = ({ results }: Trace, name = 'solve'): ReadonlyArray<string> =>
  results
    .filter(([, source]) => source === name)
    .map(([at, , value]) => `${at} ${isOutcome(value) ? summaryOf(value) : JSON.stringify(value)}`)

const creates = ({ calls }: Trace): ReadonlyArray<string> => calls.filter((call) => call.endsWith('createTask'))

const simulateBatch = (
  items: ReadonlyArray<string>,
  scripts: ScriptsByKey = {},
  options: BatchOptions<string> = {},
  solverOptions: Partial<CoreOptions> = {},
  act: (simulation: Simulation) => void = () => undefined
): Trace =>
  simulateOver(
    scriptedByKey(scripts),
    (simulation) => {
      simulation.record(simulation.solver.solveAll(items, taskOf, options))
      act(simulation)
    },
    solverOptions
  )

/** An iterable that counts the items pulled from it, and how often it ended. */
const countedItems = <T>(items: Iterable<T>) => {
  const seen = { pulled: 0, ended: 0 }
  const generate = function* () {
    try {
      for (const item of items) {
        seen.pulled += 1
        yield item
      }
    } finally {
      seen.ended += 1
    }
  }
  return { seen, items: { [Symbol.iterator]: generate } }
}

const endless = function* () {
  for (let nth = 0; ; nth += 1) yield `item-${nth}`
}

const processing = (times: number): ReadonlyArray<Scripted> => Array.from({ length: times }, replies.processing)

const readyAfter = (polls: number, key: string) => ({
  poll: [...processing(polls - 1), replies.ready(`token-${key}`)]
})

/** A network that replies synchronously. */
const instantPost: Post = (path, body) =>
  of(
    path === '/createTask'
      ? { _tag: 'Reply', status: 200, body: `{"taskId":"${JSON.stringify(body).length}"}` }
      : { _tag: 'Reply', status: 200, body: '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"t"}}' }
  )
const instantSolver = () => {
  const settings = resolveOptions({ clientKey: KEY, pollEveryMs: 1 })
  const ports = { post: instantPost, scheduler: asyncScheduler, random: () => 0.5, close: () => Promise.resolve() }
  return buildSolver(ports, settings)
}

describe('solveAll', () => {
  it('emits one outcome for each item, in the order in which they end, and completes', () => {
    const trace = simulateBatch(['a', 'b', 'c'], { a: readyAfter(2, 'a') })
    expect(emissionsOf(trace)).toStrictEqual(['3000 b token-b', '3000 c token-c', '6000 a token-a', '6000 "complete"'])
  })

  it('numbers the items in the order in which they are pulled', () => {
    const { results } = simulateBatch(['a', 'b'], { a: readyAfter(2, 'a') })
    expect(results.slice(0, 2).map(([, , value]) => value)).toMatchObject([{ index: 1 }, { index: 0 }])
  })

  it('pulls the next item when one has ended, with at most `concurrency` active', () => {
    const trace = simulateBatch(['a', 'b', 'c', 'd'], { b: readyAfter(2, 'b') }, { concurrency: 2 })
    expect(creates(trace)).toStrictEqual(['0 createTask', '0 createTask', '3000 createTask', '6000 createTask'])
  })

  it('solves ten items concurrently by default', () => {
    const trace = simulateBatch(Array.from({ length: 12 }, (_, nth) => `item-${nth}`))
    expect(creates(trace).filter((call) => call.startsWith('0 '))).toHaveLength(10)
  })

  it('does not end a task when another one fails', () => {
    const trace = simulateBatch(['a', 'b'], { a: { create: [replies.refused('ERROR_SITEKEY')] } })
    expect(emissionsOf(trace)).toStrictEqual(['0 a Refused request', '3000 b token-b', '3000 "complete"'])
  })

  it('completes at once if there are no items', () => {
    expect(emissionsOf(simulateBatch([]))).toStrictEqual(['0 "complete"'])
  })

  it('creates tasks for every subscription, and none before', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, at, record }) => {
      const all = solver.solveAll(['a'], taskOf)
      at(1_000, () => record(all))
      at(2_000, () => record(all))
    })
    expect(creates(trace)).toStrictEqual(['1000 createTask', '2000 createTask'])
  })

  it('puts the label of withOptions on every event', () => {
    const { events } = simulateOver(scriptedByKey(), ({ solver, record }) => {
      record(solver.withOptions({ label: 'shop' }).solveAll(['a'], taskOf))
    })
    expect([...new Set(events.map(({ label }) => label))]).toStrictEqual(['shop'])
  })
})

describe('the items of a batch', () => {
  it.each<readonly [string, Iterable<string>]>([
    ['a finite iterable', ['a', 'b', 'c', 'd', 'e']],
    ['an endless iterable', endless()]
  ])('are pulled from %s only when there is room', (_, source) => {
    const { seen, items } = countedItems(source)
    simulateOver(scriptedByKey(), ({ solver, record, at }) => {
      const solving = record(solver.solveAll(items, taskOf, { concurrency: 3 }))
      at(2_999, () => {
        expect(seen.pulled).toBe(3)
        solving.unsubscribe()
      })
    })
    expect(seen).toStrictEqual({ pulled: 3, ended: 1 })
  })

  it('are buffered from an Observable until there is room', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, record, scheduler }) => {
      const items = scheduler.createHotObservable('(abc)--d|')
      record(solver.solveAll(items, taskOf, { concurrency: 1 }))
    })
    expect(creates(trace)).toStrictEqual(['0 createTask', '3000 createTask', '6000 createTask', '9000 createTask'])
    expect(emissionsOf(trace).at(-1)).toBe('12000 "complete"')
  })

  it(
    'are awaited from an Observable, which is unsubscribed from together with the batch',
    marbles(({ cold, expectSubscriptions }, scheduler) => {
      const items = cold('--a--')
      const ports = { post: scriptedByKey()(scheduler), scheduler, random: () => 0.5, close: () => Promise.resolve() }
      const solver = buildSolver(ports, resolveOptions({ clientKey: KEY }))
      solver.solveAll(items, taskOf).pipe(take(1)).subscribe()
      expectSubscriptions(items.subscriptions).toBe('^ 2999ms --!')
    })
  )

  it('are pulled from an async iterable only when there is room', async () => {
    const seen = { pulled: 0, ended: 0 }
    const items = async function* () {
      try {
        for (const item of endless()) {
          seen.pulled += 1
          yield await Promise.resolve(item)
        }
      } finally {
        seen.ended += 1
      }
    }
    await lastValueFrom(instantSolver().solveAll(items(), taskOf, { concurrency: 2 }).pipe(take(5)))
    await new Promise((resolve) => setImmediate(resolve))
    expect(seen.ended).toBe(1)
    expect(seen.pulled).toBeLessThanOrEqual(7)
  })

  it('may end with an error of an async iterable, which is passed on', async () => {
    const error = new Error('the file ends here')
    const items: AsyncIterable<string> = { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }
    await expect(lastValueFrom(instantSolver().solveAll(items, taskOf))).rejects.toBe(error)
  })

  it('are solved even if the `return` of an async iterable rejects', async () => {
    const items: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false, value: 'a' }),
        return: () => Promise.reject(new Error('still in use'))
      })
    }
    const outcomes = await lastValueFrom(instantSolver().solveAll(items, taskOf).pipe(take(2), toArray()))
    expect(outcomes).toHaveLength(2)
  })

  it('may be a single one, given as a promise', async () => {
    expect(await firstValueFrom(instantSolver().solveAll(Promise.resolve('a'), taskOf).pipe(toArray()))).toHaveLength(1)
  })

  it('may all end synchronously, in any number, without a stack overflow', async () => {
    const items = Array.from({ length: 20_000 }, () => '')
    expect(await lastValueFrom(instantSolver().solveAll(items, taskOf).pipe(count()))).toBe(20_000)
  })
})

describe('the arguments of solveAll', () => {
  it.each<readonly [string, unknown]>([
    ['a string', 'https://example.com'],
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['an object', { items: [] }]
  ])('throws for %s as the source', (_, items) => {
    const wrong = () => instantSolver().solveAll(items as string[], taskOf)
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
  ])('throws "%s" for %j', (problem, given) => {
    const { toTask = taskOf, ...options } = { ...(given as object) } as { toTask?: typeof taskOf }
    const chosen = 'toTask' in (given as object) ? (given as { toTask: typeof taskOf }).toTask : toTask
    expect(() => instantSolver().solveAll(['a'], chosen, options)).toThrow(problem)
  })
})

describe('an item for which toTask throws', () => {
  it('ends as InvalidTask with the message of the error, without the client key', () => {
    const { results } = simulateOver(scriptedByKey(), ({ solver, record }) => {
      const toTask = (item: string) => {
        if (item === 'b') throw new Error(`no task for ${KEY}`)
        return taskOf(item)
      }
      record(solver.solveAll(['a', 'b'], toTask))
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

  it('is passed on when the active tasks have ended', () => {
    const { results } = simulateOver(scriptedByKey(), ({ solver, record }) =>
      record(solver.solveAll(failing(), taskOf))
    )
    expect(results).toMatchObject([
      [3_000, 'solve', { item: 'a' }],
      [3_000, 'solve', { error }]
    ])
  })

  it('drops the buffered items of an Observable', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, record, scheduler }) => {
      record(solver.solveAll(scheduler.createColdObservable('ab#', { a: 'a', b: 'b' }), taskOf, { concurrency: 1 }))
    })
    expect(emissionsOf(trace)).toStrictEqual(['3000 a token-a', '3000 {"error":"error"}'])
  })

  it('is passed on if it is thrown by `Symbol.iterator`', () => {
    const broken = {
      [Symbol.iterator]: (): Iterator<string> => {
        throw error
      }
    }
    const { results } = simulateOver(scriptedByKey(), ({ solver, record }) => record(solver.solveAll(broken, taskOf)))
    expect(results).toStrictEqual([[0, 'solve', { error }]])
  })
})

describe('until', () => {
  it('stops the pulling, and active tasks are finished', () => {
    const { seen, items } = countedItems(endless())
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      record(solver.solveAll(items, taskOf, { concurrency: 2, until: timer(4_000) }))
    })
    expect(emissionsOf(trace)).toHaveLength(5)
    expect(emissionsOf(trace).at(-1)).toBe('6000 "complete"')
    expect(seen).toStrictEqual({ pulled: 4, ended: 1 })
  })

  it('stops the pulling before the first item if it emits synchronously', () => {
    const { seen, items } = countedItems(['a'])
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) =>
      record(solver.solveAll(items, taskOf, { until: of(1) }))
    )
    expect([emissionsOf(trace), seen.pulled]).toStrictEqual([['0 "complete"'], 0])
  })

  it('changes nothing if it completes without emitting', () => {
    expect(emissionsOf(simulateBatch(['a'], {}, { until: [] }))).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })

  it('stops the pulling if it errors, and its error is passed on when the active tasks have ended', () => {
    const trace = simulateBatch(
      ['a', 'b'],
      {},
      { concurrency: 1, until: new Observable((subscriber) => timer(1_000).subscribe(() => subscriber.error('gone'))) }
    )
    expect(emissionsOf(trace)).toStrictEqual(['3000 a token-a', '3000 {"error":"gone"}'])
  })

  it('ends the batch while an item is awaited', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      record(solver.solveAll(NEVER, taskOf, { until: timer(10) }))
    })
    expect(emissionsOf(trace)).toStrictEqual(['10 "complete"'])
  })
})

describe('an item whose arrival ends the batch', () => {
  const arriving = (act: () => void): Iterable<string> => ({
    [Symbol.iterator]: () => ({
      next: () => {
        act()
        return { done: false, value: 'a' }
      }
    })
  })

  it('is still solved if `until` has emitted', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      const until = new Subject<void>()
      const items = arriving(() => {
        until.next()
      })
      record(solver.solveAll(items, taskOf, { until }))
    })
    expect(emissionsOf(trace)).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })

  it('is not created if the subscriber has unsubscribed', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      const leave = new Subject<void>()
      const items = arriving(() => {
        leave.next()
      })
      record(solver.solveAll(items, taskOf).pipe(takeUntil(leave)))
    })
    expect(trace.calls).toStrictEqual([])
  })
})

describe('unsubscribing from a batch', () => {
  it('emits the active tasks on orphans and stops polling', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, at, record }) => {
      record(solver.orphans, 'orphans')
      const solving = record(solver.solveAll(['a', 'b'], taskOf))
      at(1_000, () => {
        solving.unsubscribe()
      })
    })
    expect(trace.results.map(([at, name, value]) => [at, name, value])).toMatchObject([
      [1_000, 'orphans', { ref: { taskId: 'id-a' } }],
      [1_000, 'orphans', { ref: { taskId: 'id-b' } }]
    ])
    expect(trace.calls).toStrictEqual(['0 createTask', '0 createTask'])
  })

  it('pulls no other item if it happens while an outcome is emitted', () => {
    const { seen, items } = countedItems(['', '', ''])
    simulateOver(scriptedByKey(), ({ solver, record }) => record(solver.solveAll(items, taskOf).pipe(take(1))))
    expect(seen).toStrictEqual({ pulled: 1, ended: 1 })
  })

  it("ignores an error of the iterator's `return`", () => {
    const items: Iterable<string> = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 'a' }),
        return: () => {
          throw new Error('still in use')
        }
      })
    }
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      record(solver.solveAll(items, taskOf, { concurrency: 1 }).pipe(take(1)))
    })
    expect(emissionsOf(trace)).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })
})

describe('a refusal of the account', () => {
  const noBalance = { create: [{ ...replies.refused('ERROR_ZERO_BALANCE'), afterMs: 1_000 }] }
  const unavailable = (afterMs: number) => ({ ...replies.refused('ERROR_NO_SLOT_AVAILABLE'), afterMs })
  const items = ['a', 'b', 'c', 'd', 'e']

  it('stops the pulling and creating, and active tasks are polled to completion', () => {
    const trace = simulateBatch(items, { a: readyAfter(3, 'a'), b: noBalance }, { concurrency: 2 })
    expect(emissionsOf(trace)).toStrictEqual(['1000 b Refused account', '9000 a token-a', '9000 "complete"'])
    expect(creates(trace)).toHaveLength(2)
  })

  it('ends a task that waits for a permit as NotCreated', () => {
    const trace = simulateBatch(items, { b: noBalance }, { concurrency: 4 }, { createsPerSecond: 1 })
    expect(emissionsOf(trace)).toStrictEqual([
      '2000 c NotCreated account',
      '2000 d NotCreated account',
      '2000 b Refused account',
      '3000 a token-a',
      '3000 "complete"'
    ])
  })

  it('ends a task that waits for its next try as NotCreated', () => {
    const trace = simulateBatch(['a', 'b'], { a: { create: [unavailable(10)] }, b: noBalance })
    expect(emissionsOf(trace)).toStrictEqual(['1000 a NotCreated account', '1000 b Refused account', '1000 "complete"'])
    expect(trace.results[0]?.[2]).toMatchObject({ result: { left: { paid: 'no' } } })
  })

  it('ends a task as NotCreated that is refused for now after it', () => {
    const trace = simulateBatch(['a', 'b'], { a: { create: [unavailable(2_000)] }, b: noBalance })
    expect(emissionsOf(trace)).toStrictEqual(['1000 b Refused account', '2000 a NotCreated account', '2000 "complete"'])
  })

  it('ends a task after an assumed HTTP 503 as Refused with `paid` unknown', () => {
    const trace = simulateBatch(['a', 'b'], { a: { create: [{ body: '', status: 503, afterMs: 10 }] }, b: noBalance })
    expect(emissionsOf(trace)[0]).toBe('1000 a Refused unavailable')
    expect(trace.results[0]?.[2]).toMatchObject({ result: { left: { paid: 'unknown' } } })
  })

  it('lets a createTask that was sent end, and polls its task', () => {
    const slow = { create: [{ ...replies.created('id-a'), afterMs: 5_000 }] }
    const trace = simulateBatch(['a', 'b'], { a: slow, b: noBalance })
    expect(emissionsOf(trace)).toStrictEqual(['1000 b Refused account', '8000 a token-a', '8000 "complete"'])
  })

  it('does not stop a solve outside the batch', () => {
    const trace = simulateBatch(['b'], { b: noBalance }, {}, {}, ({ at, solver, record }) => {
      at(2_000, () => record(solver.solve(taskOf('z')), 'z'))
    })
    expect(trace.results.at(-2)).toMatchObject([5_000, 'z', { _tag: 'Right' }])
  })

  it('does not end tasks outside the batch that wait for a permit', () => {
    const act = ({ solver, record }: Simulation) => {
      record(solver.solve(taskOf('y')), 'y')
      record(solver.solveAll(['z'], taskOf), 'z')
    }
    const trace = simulateBatch(['b'], { b: noBalance }, {}, { createsPerSecond: 0.5 }, act)
    expect(trace.results.find(([, name]) => name === 'y')?.[2]).toMatchObject({ _tag: 'Right' })
    expect(emissionsOf(trace, 'z')[0]).toBe('7000 z token-z')
  })

  it('does not stop the batch if it ends a task that is paid for', () => {
    const failed = { poll: [replies.refused('ERROR_ZERO_BALANCE')] }
    const trace = simulateBatch(['b', 'a'], { b: failed }, { concurrency: 1 })
    expect(emissionsOf(trace)).toStrictEqual(['3000 b TaskFailed account', '6000 a token-a', '6000 "complete"'])
  })

  it('does not stop the batch if `stopOnAccountError` is false', () => {
    const trace = simulateBatch(['b', 'a'], { b: noBalance }, { concurrency: 1, stopOnAccountError: false })
    expect(emissionsOf(trace)).toStrictEqual(['1000 b Refused account', '4000 a token-a', '4000 "complete"'])
  })
})

describe('close of the solver', () => {
  it('stops the pulling and interrupts active tasks', () => {
    const trace = simulateBatch(['a', 'b', 'c'], {}, { concurrency: 2 }, {}, ({ at, solver }) => {
      at(1_000, () => void solver.close())
    })
    expect(emissionsOf(trace)).toStrictEqual(['1000 a Interrupted', '1000 b Interrupted', '1000 "complete"'])
  })

  it('ends a batch that is waiting for its source', () => {
    const trace = simulateOver(scriptedByKey(), ({ solver, at, record }) => {
      record(solver.solveAll(NEVER, taskOf))
      at(1_000, () => void solver.close())
    })
    expect(emissionsOf(trace)).toStrictEqual(['1000 "complete"'])
  })

  it('lets a batch that starts afterwards complete without pulling', () => {
    const { seen, items } = countedItems(endless())
    const trace = simulateOver(scriptedByKey(), ({ solver, at, record }) => {
      void solver.close()
      at(10, () => record(solver.solveAll(items, taskOf)))
    })
    expect([emissionsOf(trace), seen.pulled]).toStrictEqual([['10 "complete"'], 0])
  })
})

describe('solveAll with any outcomes', () => {
  const script = fc.constantFrom<ScriptsByKey[string]>(
    {},
    { poll: [...processing(2), replies.ready('t')] },
    { create: [replies.refused('ERROR_SITEKEY')] },
    { create: [{ ...replies.created('id-x'), afterMs: 700 }] },
    { create: [{ failed: {} }] },
    { poll: [{ body: '<html>' }] }
  )

  it('emits one outcome for each pulled item, with at most `concurrency` active', () => {
    fc.assert(
      fc.property(
        fc.array(script, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        fc.option(fc.integer({ min: 0, max: 20_000 })),
        (drawn, concurrency, stopAt) => {
          const names = drawn.map((_, nth) => `n${nth}`)
          const scripts = Object.fromEntries(names.map((name, nth) => [name, drawn[nth] ?? {}]))
          const { seen, items } = countedItems(names)
          let [emitted, most] = [0, 0]
          const trace = simulateOver(scriptedByKey(scripts), ({ solver, record }) => {
            const toTask = (item: string) => {
              most = Math.max(most, seen.pulled - emitted)
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
            record(counted)
          })
          const indexes = trace.results.flatMap(([, , value]) => (isOutcome(value) ? [value.index] : []))
          const all = indexes.sort((a, b) => a - b).every((index, nth) => index === nth)
          const complete = trace.results.at(-1)?.[2] === 'complete'
          return all && complete && most <= concurrency && indexes.length === seen.pulled
        }
      )
    )
  })
})
