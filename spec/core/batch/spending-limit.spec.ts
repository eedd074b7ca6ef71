import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { NEVER, map, of, timer } from 'rxjs'
import { replies, type Scripted } from 'rx-captcha/testing'
import type { Journal, JournalEntry } from '../../../lib/core/model/journal.js'
import type { BatchOptions, Outcome } from '../../../lib/core/model/batch.js'
import { InvalidOptions } from '../../../lib/core/model/options.js'
import { pullMergeMap } from '../../../lib/core/rx/pull-merge-map.js'
import { SpendingLimit } from '../../../lib/core/batch/spending-limit.js'
import { marbles } from '../../support/marbles.js'
import { scriptedByKey, simulateOver, taskOf, type ScriptsByKey, type Trace } from '../../support/simulate.js'

const { created, refused } = replies
const ITEMS = ['a', 'b', 'c', 'd', 'e']

const page503: Scripted = { body: '<html>', status: 503 }
const lost: Scripted = { body: '<html>', status: 500 }

const batch = (options: BatchOptions<string>, scripts: ScriptsByKey = {}, items: Iterable<string> = ITEMS): Trace =>
  simulateOver(scriptedByKey(scripts), ({ solver, record }) => {
    record(solver.solveAll(items, taskOf, options))
  })

const isOutcome = (value: unknown): value is Outcome<string, unknown> =>
  typeof value === 'object' && value !== null && 'result' in value

/** The items with their outcomes. */
const outcomesOf = ({ results }: Trace): ReadonlyArray<string> =>
  results.flatMap(([, , value]) =>
    isOutcome(value) ? [`${value.item} ${E.isRight(value.result) ? 'Solved' : value.result.left._tag}`] : []
  )

const countCreates = ({ calls }: Trace): number => calls.filter((call) => call.endsWith('createTask')).length

describe('maxCreates', () => {
  it('pulls no more items once so many tasks are created, and finishes the active ones', () => {
    const trace = batch({ maxCreates: 3 })
    expect(countCreates(trace)).toBe(3)
    expect(outcomesOf(trace)).toStrictEqual(['a Solved', 'b Solved', 'c Solved'])
    expect(trace.results.at(-1)).toMatchObject([3_000, 'solve', 'complete'])
  })

  it('is not reached by tasks that are refused or not sent, whatever the concurrency', () => {
    const scripts = {
      a: { create: [{ ...refused('ERROR_SITEKEY'), afterMs: 100 }] },
      b: { create: [{ failed: { code: 'CERT_HAS_EXPIRED' }, sent: false, afterMs: 200 }] }
    }
    const trace = batch({ maxCreates: 2, concurrency: 5 }, scripts)
    expect(trace.calls.filter((call) => call.endsWith('createTask'))).toStrictEqual([
      ...['0 createTask', '0 createTask', '100 createTask', '200 createTask']
    ])
    expect(outcomesOf(trace)).toStrictEqual(['a Refused', 'b NotCreated', 'c Solved', 'd Solved'])
  })

  it('pulls the next item at the moment when a place is given back', () => {
    const trace = batch(
      { maxCreates: 1, concurrency: 5 },
      { a: { create: [{ ...refused('ERROR_SITEKEY'), afterMs: 100 }] } }
    )
    expect(trace.calls[1]).toBe('100 createTask')
  })

  it('counts a createTask that may have been accepted', () => {
    const trace = batch({ maxCreates: 2, concurrency: 1 }, { a: { create: [lost] } })
    expect(outcomesOf(trace)).toStrictEqual(['a CreateUnknown', 'b Solved'])
  })

  it('counts a createTask whose id arrives after the deadline once', () => {
    const late = { create: [{ ...created('id-a'), afterMs: 10_000 }] }
    const trace = simulateOver(scriptedByKey({ a: late }), ({ solver, record }) => {
      record(solver.withOptions({ giveUpAfterMs: 5_000 }).solveAll(ITEMS, taskOf, { maxCreates: 2, concurrency: 1 }))
      record(solver.orphans, 'orphans')
    })
    expect(outcomesOf(trace)).toStrictEqual(['a CreateUnknown', 'b Solved'])
    expect(trace.results.filter(([, name]) => name === 'orphans')).toHaveLength(1)
  })

  it('counts a createTask that is repeated after an assumed refusal twice', () => {
    const trace = batch({ maxCreates: 2, concurrency: 1 }, { a: { create: [page503, created('id-a')] } })
    expect(outcomesOf(trace)).toStrictEqual(['a Solved'])
    expect(countCreates(trace)).toBe(2)
  })

  it('does not repeat a createTask after an assumed refusal that has used up the limit', () => {
    const trace = batch({ maxCreates: 1, concurrency: 1 }, { a: { create: [page503, created('id-a')] } })
    expect(countCreates(trace)).toBe(1)
    expect(trace.results[0]).toMatchObject([0, 'solve', { result: { left: { _tag: 'Refused', paid: 'unknown' } } }])
    expect(trace.results[1]).toMatchObject([0, 'solve', 'complete'])
  })

  it('gives the second place back if the repeated createTask is refused', () => {
    const scripts = { a: { create: [page503, refused('ERROR_SITEKEY')] } }
    const trace = batch({ maxCreates: 2, concurrency: 1 }, scripts)
    expect(outcomesOf(trace)).toStrictEqual(['a Refused', 'b Solved'])
  })

  it('gives the place of an invalid item back', () => {
    const toTask = (item: string) => {
      if (item === 'a') throw new Error('no task')
      return taskOf(item)
    }
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      record(solver.solveAll(ITEMS, toTask, { maxCreates: 1 }))
    })
    expect(outcomesOf(trace)).toStrictEqual(['a InvalidTask', 'b Solved'])
  })

  it('does not count what a journal resumes or skips, or leaves in doubt', () => {
    const entries: Readonly<Record<string, JournalEntry>> = {
      a: { _tag: 'Known', ref: { taskId: 'id-a', createdAt: 0 } },
      b: { _tag: 'Known', ref: { taskId: 'id-b', createdAt: 0 } },
      c: { _tag: 'Finished' },
      d: { _tag: 'InDoubt' }
    }
    const entryOf = (key: string) => of(entries[key] ?? { _tag: 'Fresh' as const })
    const done = () => of(undefined)
    const journal: Journal = { find: entryOf, begin: entryOf, created: done, ended: done }
    const slow = { poll: [replies.processing(), replies.ready()] }
    const options = { maxCreates: 1, concurrency: 5, journal, keyOf: (item: string) => item }
    const trace = batch(options, { a: slow, b: slow })

    expect(outcomesOf(trace)).toStrictEqual(['d CreateUnknown', 'e Solved', 'a Solved', 'b Solved'])
    expect(trace.calls.slice(0, 3)).toStrictEqual(['0 createTask', '0 getTaskResult', '0 getTaskResult'])
  })

  it('is never exceeded by what the service accepts, in any order of replies', () => {
    const replyTo = fc.oneof(
      fc.nat(9_000).map((afterMs): ReadonlyArray<Scripted> => [{ ...created('id'), afterMs }]),
      fc.constantFrom<ReadonlyArray<Scripted>>(
        [refused('ERROR_SITEKEY')],
        [lost],
        [page503, created('id')],
        [page503, page503, lost],
        [refused('ERROR_NO_SLOT_AVAILABLE'), created('id')],
        [{ failed: { code: 'ECONNRESET' } }]
      )
    )
    const holds = ([maxCreates, concurrency, scripts]: readonly [
      number,
      number,
      ReadonlyArray<ReadonlyArray<Scripted>>
    ]) => {
      const byKey = Object.fromEntries(scripts.map((create, nth) => [`k${nth}`, { create }]))
      let accepted = 0
      const counting = simulateOver(
        (scheduler) => {
          const post = scriptedByKey(byKey)(scheduler)
          const tries = new Map<string, number>()
          return (path, body) => {
            const [, nth = ''] = /"k(\d+)"/.exec(JSON.stringify(body)) ?? []
            const attempt = tries.get(nth) ?? 0
            tries.set(nth, attempt + 1)
            const create = scripts[Number(nth)] ?? []
            if (path === '/createTask' && !isRefusal(create[Math.min(attempt, create.length - 1)])) accepted += 1
            return post(path, body)
          }
        },
        ({ solver, record }) => {
          const options = { maxCreates, concurrency, stopOnAccountError: false }
          record(solver.withOptions({ giveUpAfterMs: 8_000 }).solveAll(Object.keys(byKey), taskOf, options))
        }
      )
      return accepted <= maxCreates && counting.results.at(-1)?.[2] === 'complete'
    }
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }), fc.array(replyTo, { maxLength: 12 })),
        holds
      ),
      { numRuns: 60 }
    )
  })

  it.each([0, 1.5, 1_000_000_001])('is refused if it is %p', (maxCreates) => {
    expect(() => batch({ maxCreates })).toThrow(InvalidOptions)
    expect(() => batch({ maxCreates })).toThrow(
      'maxCreates: expected a whole number of createTask calls from 1 to 1000000000'
    )
  })
})

/** Whether a reply certainly means that nothing was created. */
const isRefusal = (reply: Scripted | undefined): boolean =>
  reply !== undefined && 'document' in reply && JSON.stringify(reply.document).includes('ERROR_')

describe('the room of pullMergeMap', () => {
  it(
    'is taken before an item is pulled, and the next item is pulled when it changes',
    marbles(({ expectObservable }, scheduler) => {
      const limit = new SpendingLimit(1)
      const work = (item: string) => timer(2, scheduler).pipe(map(() => item))
      const pulled = pullMergeMap(['a', 'b'], work, { concurrency: 2, scheduler, takeUntil: NEVER, room: limit })
      scheduler.schedule(() => limit.forItem().giveBack(), 5)

      expectObservable(pulled, '10ms !').toBe('--a----b')
    })
  )
})
