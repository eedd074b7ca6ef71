import { EMPTY, Subject, asyncScheduler, Subscription, of, takeUntil, throwError } from 'rxjs'
import type { BatchOptions } from '../../../lib/core/model/batch.js'
import type { SolverEvent } from '../../../lib/core/model/event.js'
import type { Journal, JournalEntry } from '../../../lib/core/model/journal.js'
import type { CoreOptions } from '../../../lib/core/model/options.js'
import { BatchEvents } from '../../../lib/core/batch/batch-events.js'
import { EventBus } from '../../../lib/core/in-flight/event-bus.js'
import { replies } from 'rx-captcha/testing'
import { scriptedByKey, simulateOver, taskOf, type ScriptsByKey, type Simulation } from '../../support/simulate.js'

type Options = BatchOptions<string>

interface Batch {
  readonly items?: Iterable<string>
  readonly scripts?: ScriptsByKey
  readonly batch?: Options
  readonly solver?: Partial<CoreOptions>
  readonly toTask?: typeof taskOf
  readonly act?: (simulation: Simulation, batch: Subscription) => void
}

const run = ({ items = ['a'], scripts = {}, batch = {}, solver: options = {}, toTask = taskOf, act }: Batch) =>
  simulateOver(
    scriptedByKey(scripts),
    (simulation) => {
      const { solver, record } = simulation
      const solving = new Subscription()
      act?.(simulation, solving)
      solving.add(record(solver.withOptions({ label: 'shop' }).solveAll(items, toTask, batch)))
    },
    options
  ).events

const ofBatch = (events: ReadonlyArray<SolverEvent>) => events.filter((event) => !('solveId' in event))

const endedOf = (events: ReadonlyArray<SolverEvent>) => events.filter((event) => event._tag === 'Ended')

const journalOf = (entries: Readonly<Record<string, JournalEntry>>, failing: Partial<Journal> = {}): Options => ({
  journal: {
    begin: (key) => of(entries[key] ?? { _tag: 'Fresh' }),
    created: () => EMPTY,
    ended: () => EMPTY,
    ...failing
  },
  keyOf: (item) => item
})

describe('the events of a batch', () => {
  it('begin with BatchStarted and end with BatchEnded, which counts the items', () => {
    const events = run({ items: ['a', 'b'], scripts: { b: { create: [replies.refused('ERROR_SITEKEY')] } } })

    expect(ofBatch(events)).toStrictEqual([
      { at: 0, label: 'shop', batchId: 1, _tag: 'BatchStarted', concurrency: 10 },
      {
        ...{ at: 3_000, label: 'shop', batchId: 1, _tag: 'BatchEnded', end: 'completed' },
        ...{ pulled: 2, solved: 1, failed: 1, skipped: 0, totalMs: 3_000 }
      }
    ])
  })

  it('include those of its solves, with the number of the batch', () => {
    const events = run({ items: ['a', 'b'] })

    expect(events.every((event) => event.batchId === 1)).toBe(true)
    expect(endedOf(events)).toMatchObject([
      { solveId: 2, tag: 'Solved' },
      { solveId: 3, tag: 'Solved' }
    ])
  })

  it('have the number of the batch also for a task that is resumed', () => {
    const events = run({ batch: journalOf({ a: { _tag: 'Known', ref: { taskId: 'id-a', createdAt: 0 } } }) })

    expect(endedOf(events)).toMatchObject([{ batchId: 1, tag: 'Solved' }])
  })

  it('name a skipped key', () => {
    const events = run({ batch: journalOf({ a: { _tag: 'Finished' } }) })

    expect(ofBatch(events).slice(1)).toMatchObject([
      { _tag: 'Skipped', key: 'a', batchId: 1 },
      { _tag: 'BatchEnded', pulled: 1, solved: 0, failed: 0, skipped: 1 }
    ])
  })

  it.each<readonly [string, string, Batch]>([
    [
      'the service refuses the account',
      'account',
      { scripts: { a: { create: [replies.refused('ERROR_ZERO_BALANCE')] } } }
    ],
    ['until emits', 'until', { batch: { until: of(1) } }],
    ['maxCreates is reached', 'maxCreates', { batch: { maxCreates: 2 } }],
    [
      'the solver is closed',
      'closed',
      { act: ({ solver, at }) => at(1_000, () => void solver.close({ graceMs: 60_000 })) }
    ]
  ])('report once that no item is pulled any more because %s', (_, reason, batch) => {
    const events = run({ ...batch, items: endless(), batch: { concurrency: 2, ...batch.batch } })

    expect(ofBatch(events).filter(({ _tag }) => _tag === 'BatchStopped')).toMatchObject([{ reason, label: 'shop' }])
    expect(ofBatch(events).at(-1)).toMatchObject({ _tag: 'BatchEnded', end: 'completed' })
  })

  it('report only the first reason', () => {
    const events = run({
      items: endless(),
      scripts: { 'item-2': { create: [replies.refused('ERROR_ZERO_BALANCE')] } },
      batch: { concurrency: 2 },
      act: ({ solver, at }) => at(2_000, () => void solver.close({ graceMs: 60_000 }))
    })

    expect(ofBatch(events).filter(({ _tag }) => _tag === 'BatchStopped')).toMatchObject([{ reason: 'account' }])
  })

  it('count the time of the batch from its start', () => {
    const { events } = simulateOver(scriptedByKey(), ({ solver, at, record }) => {
      at(500, () => record(solver.solveAll(['a'], taskOf)))
    })

    expect(events.at(-1)).toMatchObject({ at: 3_500, _tag: 'BatchEnded', totalMs: 3_000 })
  })

  it('report that the journal failed, and that this ended the batch', () => {
    const failing = { begin: () => throwError(() => new Error('no space left on device')) }
    const events = run({ batch: journalOf({}, failing) })

    expect(ofBatch(events).slice(1)).toMatchObject([
      { _tag: 'BatchStopped', reason: 'journal' },
      { _tag: 'BatchEnded', end: 'failed', pulled: 1, failed: 1 }
    ])
    expect(endedOf(events)).toMatchObject([{ tag: 'NotCreated', reason: 'journal' }])
  })

  it('end as unsubscribed after the events of the tasks that were active', () => {
    const events = run({
      act: ({ at }, batch) => {
        at(1_000, () => {
          batch.unsubscribe()
        })
      }
    })

    expect(events.slice(-3)).toMatchObject([
      { _tag: 'Ended', tag: 'Unsubscribed', paid: 'yes' },
      { _tag: 'Orphaned', batchId: 1 },
      { at: 1_000, _tag: 'BatchEnded', end: 'unsubscribed', solved: 0, failed: 0 }
    ])
  })

  it('end at once, and no item is pulled, if the subscriber unsubscribes during BatchStarted', () => {
    const pulled: string[] = []
    const items = function* () {
      pulled.push('a')
      yield 'a'
    }
    const { events, calls } = simulateOver(scriptedByKey(), ({ solver }) => {
      const left = new Subject<void>()
      solver.events.subscribe(({ _tag }) => {
        if (_tag === 'BatchStarted') left.next()
      })
      solver.solveAll(items(), taskOf).pipe(takeUntil(left)).subscribe()
    })

    expect([pulled, calls]).toStrictEqual([[], []])
    expect(events).toMatchObject([{ _tag: 'BatchStarted' }, { _tag: 'BatchEnded', end: 'unsubscribed', pulled: 0 }])
  })

  it.each<readonly [string, Batch, object]>([
    [
      'its key is in doubt',
      { batch: journalOf({ a: { _tag: 'InDoubt' } }) },
      { tag: 'CreateUnknown', paid: 'unknown' }
    ],
    [
      'toTask throws',
      {
        toTask: () => {
          throw new Error('no task')
        }
      },
      { tag: 'InvalidTask', paid: 'no' }
    ],
    ['it has no key', { batch: { ...journalOf({}), keyOf: () => '' } }, { tag: 'InvalidTask', paid: 'no' }]
  ])('include a start and an end for an item that is not solved because %s', (_, batch, expected) => {
    const events = run(batch)

    const about = { at: 0, label: 'shop', batchId: 1, solveId: 2 }
    expect(events.filter((event) => 'solveId' in event)).toStrictEqual([
      { ...about, _tag: 'Started', operation: 'solve' },
      { ...about, _tag: 'Ended', ...expected, polls: 0, totalMs: 0 }
    ])
  })

  it('are not made for an item without a solve if nothing reads them', () => {
    let last = 0
    const bus = new EventBus({ scheduler: asyncScheduler, elapsed: () => 0, nextId: () => (last += 1) })
    const events = new BatchEvents(bus, undefined)
    const error = { _tag: 'InvalidTask', paid: 'no', problems: [] } as const
    events.endedUnsolved(error)
    expect(last).toBe(1)
    bus.events.subscribe()
    events.endedUnsolved(error)
    expect(last).toBe(2)
  })
})

const endless = function* () {
  for (let nth = 1; ; nth += 1) yield nth === 1 ? 'a' : `item-${String(nth)}`
}
