import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, Observable, concat, defer, ignoreElements, map, of, throwError, timer } from 'rxjs'
import type { SolverEvent } from '../../../lib/core/model/event.js'
import { entryAfter, journalTagOf, type JournalEntry, type Journal } from '../../../lib/core/model/journal.js'
import type { Outcome } from '../../../lib/core/model/batch.js'
import type { RecaptchaV2Solution } from '../../../lib/core/model/recaptcha-v2.js'
import { replies } from 'rx-captcha/testing'
import {
  scriptedByKey,
  simulateOver,
  taskOf,
  type ScriptsByKey,
  type Simulation,
  type Trace
} from '../../support/simulate.js'

type BatchOutcome = Outcome<string, RecaptchaV2Solution>

type Script = ScriptsByKey[string]

const FRESH: JournalEntry = { _tag: 'Fresh' }
const known = (taskId: string): JournalEntry => ({ _tag: 'Known', ref: { taskId, createdAt: -60_000 } })

const DISK_FULL = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
const fails = () => throwError(() => DISK_FULL)

/** What a batch emitted, as text with its time. */
const emissionsOf = ({ results }: Trace): ReadonlyArray<string> =>
  results.map(([at, , value]) => {
    if (typeof value !== 'object' || value === null || !('result' in value)) return `${at} ${JSON.stringify(value)}`
    const { item, result } = value as BatchOutcome
    if (E.isRight(result)) return `${at} ${item} ${result.right.solution.gRecaptchaResponse}`
    return `${at} ${item} ${result.left._tag}${'reason' in result.left ? ` ${result.left.reason}` : ''}`
  })

interface Batch {
  readonly items?: ReadonlyArray<string>
  readonly scripts?: ScriptsByKey
  readonly concurrency?: number
  readonly journal?: Partial<Journal>
  readonly entries?: Readonly<Record<string, JournalEntry>>
  readonly createsPerSecond?: number
  readonly act?: (simulation: Simulation, leave: () => void) => void
}

const WRITE_MS = 100

/** Runs a batch with a journal that takes 100 ms for each write; `written` lists the writes with their times. */
const run = ({ items = ['a'], scripts = {}, concurrency = 10, journal = {}, entries = {}, ...rest }: Batch) => {
  const written: string[] = []
  const trace = simulateOver(
    scriptedByKey(scripts),
    (simulation) => {
      const { solver, scheduler, record } = simulation
      const write = <R>(line: string, value: R) =>
        defer(() => {
          const writing = timer(WRITE_MS, scheduler)
          written.push(`${scheduler.now()} ${line}`)
          return concat(writing.pipe(ignoreElements()), of(value))
        })
      const recorded: Journal = {
        begin: (key) => write(`begin ${key}`, entries[key] ?? FRESH),
        created: (key, ref) => write(`created ${key} ${ref.taskId}`, undefined),
        ended: (key, tag) => write(`ended ${key} ${tag}`, undefined),
        ...journal
      }
      const solving = record(solver.solveAll(items, taskOf, { concurrency, journal: recorded, keyOf: (item) => item }))
      rest.act?.(simulation, () => {
        solving.unsubscribe()
      })
    },
    { createsPerSecond: rest.createsPerSecond }
  )
  return { ...trace, written, emissions: emissionsOf(trace) }
}

describe('a fresh key', () => {
  it('is recorded before createTask, its task id before the first poll, and its end after its outcome was emitted', () => {
    const { calls, written, emissions } = run({})
    expect(calls).toStrictEqual(['100 createTask', '3200 getTaskResult'])
    expect(written).toStrictEqual(['0 begin a', '100 created a id-a', '3200 ended a Solved'])
    expect(emissions).toStrictEqual(['3200 a token-a', '3300 "complete"'])
  })

  it('counts as active until its end is recorded', () => {
    const { written } = run({ items: ['a', 'b'], concurrency: 1 })
    expect(written.filter((line) => line.includes('begin'))).toStrictEqual(['0 begin a', '3300 begin b'])
  })

  it('has its end recorded with the tag of its error', () => {
    const scripts = { a: { create: [replies.refused('ERROR_SITEKEY')] } }
    expect(run({ scripts }).written.at(-1)).toBe('100 ended a Refused')
  })

  it('has its end recorded once if nothing was created', () => {
    const { written } = run({ scripts: { a: { create: [{ failed: { code: 'EPROTO' }, sent: false }] } } })
    expect(written.map((line) => line.replace(/^\d+ /, ''))).toStrictEqual(['begin a', 'ended a NotCreated'])
  })

  it.each<readonly [string, string, ScriptsByKey[string]]>([
    [
      'TaskFailed{account}',
      'a task that ends with an account error',
      { poll: [replies.refused('ERROR_ZERO_BALANCE')] }
    ],
    ['TaskFailed', 'a task that ends with a task error', { poll: [replies.refused('ERROR_CAPTCHA_UNSOLVABLE')] }],
    ['CreateUnknown', 'a lost reply', { create: [{ failed: {} }] }],
    [
      'Refused{paid: unknown}',
      'a refusal after an assumed HTTP 503',
      { create: [{ body: '', status: 503 }, replies.refused('ERROR_SITEKEY')] }
    ]
  ])('has its end recorded as %s: %s', (tag, _, scripts) => {
    expect(run({ scripts: { a: scripts } }).written.at(-1)).toMatch(new RegExp(` ended a ${tag}$`))
  })
})

describe('a key with a known task', () => {
  it('is resumed at once, without a createTask', () => {
    const { calls, emissions } = run({ entries: { a: known('id-a') } })
    expect(calls).toStrictEqual(['100 getTaskResult'])
    expect(emissions[0]).toBe('100 a token-a')
  })
})

describe('a key in doubt', () => {
  it('ends as CreateUnknown with the reason, and sends nothing', () => {
    const { calls, results } = run({ entries: { a: { _tag: 'InDoubt' } } })
    expect(calls).toStrictEqual([])
    expect(results[0]?.[2]).toMatchObject({
      result: { left: { _tag: 'CreateUnknown', paid: 'unknown', problems: [expect.stringMatching(/^the journal /)] } }
    })
  })
})

describe('a finished key', () => {
  it('is skipped with an event and without an outcome', () => {
    const { calls, emissions, events } = run({ entries: { a: { _tag: 'Finished' } } })
    expect([calls, emissions]).toStrictEqual([[], ['100 "complete"']])
    expect(events.map(({ _tag }) => _tag)).toStrictEqual(['BatchStarted', 'Skipped', 'BatchEnded'])
  })
})

describe('a key that occurs twice', () => {
  it('is skipped for the second item while the first one is active', () => {
    const { calls, emissions, events } = run({ items: ['a', 'a'] })
    expect(calls.filter((call) => call.includes('createTask'))).toHaveLength(1)
    expect(emissions).toStrictEqual(['3200 a token-a', '3300 "complete"'])
    expect(events).toContainEqual(expect.objectContaining({ _tag: 'Skipped', key: 'a' }))
  })

  it('is solved again if the journal calls it fresh after the first item has ended', () => {
    const { emissions } = run({ items: ['a', 'a'], concurrency: 1 })
    expect(emissions).toStrictEqual(['3200 a token-a', '6500 a token-a', '6600 "complete"'])
  })
})

describe('an item for which keyOf throws', () => {
  it('ends as InvalidTask', () => {
    const { results } = simulateOver(scriptedByKey(), ({ solver, record }) => {
      const keyOf = (): string => {
        throw new Error('no id')
      }
      const journal: Journal = { begin: () => of(FRESH), created: () => EMPTY, ended: () => EMPTY }
      record(solver.solveAll(['a'], taskOf, { journal, keyOf }))
    })
    expect(results[0]?.[2]).toMatchObject({
      result: { left: { _tag: 'InvalidTask', problems: ['keyOf: threw no id'] } }
    })
  })
})

describe('a batch whose journal has `find`', () => {
  const finding = (entry: JournalEntry): Partial<Journal> => ({ find: () => of(entry) })

  it('records a key only when its task has a permit', () => {
    const { written, calls } = run({ items: ['a', 'b'], journal: finding(FRESH), createsPerSecond: 1 })
    expect(written.filter((line) => line.includes('begin'))).toStrictEqual(['0 begin a', '1000 begin b'])
    expect(calls.filter((call) => call.endsWith('createTask'))).toStrictEqual(['100 createTask', '1100 createTask'])
  })

  it('resumes a known task without a permit', () => {
    const { calls, written } = run({ journal: finding(known('id-a')) })
    expect(calls).toStrictEqual(['0 getTaskResult'])
    expect(written).toStrictEqual(['0 ended a Solved'])
  })

  it('creates nothing for a key that another owner has begun since', () => {
    const { calls, emissions } = run({ journal: finding(FRESH), entries: { a: known('id-x') } })
    expect(calls).toStrictEqual([])
    expect(emissions[0]).toBe('100 a CreateUnknown')
  })

  describe('while the limiter is probing', () => {
    const slow = { create: [{ ...replies.created(), afterMs: 2_000 }] }
    const scripts = {
      z: { create: [{ ...replies.refused('ERROR_NO_SLOT_AVAILABLE'), retryAfterMs: 5_000 }] },
      a: slow,
      b: slow,
      c: slow
    }

    /** The createTask calls from 10 s on. `a`, of a batch, is the first in the queue of the limiter, before `b` and `c`. */
    const createsAfter = (begin?: Journal['begin'], unsubscribeAt?: number) => {
      const { calls } = run({
        items: [],
        scripts,
        act: ({ solver, scheduler, record, at }) => {
          const z = record(solver.solve(taskOf('z')), 'z') // pauses the limiter until 5 s, then until 10 s
          at(6_000, () => {
            z.unsubscribe()
          })
          const write = () => timer(WRITE_MS, scheduler).pipe(map(() => FRESH))
          const journal = { ...finding(FRESH), begin: begin ?? write, created: () => EMPTY, ended: () => EMPTY }
          const solving = record(solver.solveAll(['a'], taskOf, { journal, keyOf: String }), 'batch')
          if (unsubscribeAt !== undefined)
            at(unsubscribeAt, () => {
              solving.unsubscribe()
            })
          for (const name of ['b', 'c']) record(solver.solve(taskOf(name)), name)
        }
      })
      return calls.filter((call) => call.endsWith('createTask')).slice(2)
    }

    it('keeps the permit while the key is recorded and its task is created', () => {
      expect(createsAfter()).toStrictEqual(['10100 createTask', '12100 createTask', '12100 createTask'])
    })

    it('releases the permit if the subscriber unsubscribes while the key is recorded', () => {
      expect(createsAfter(() => new Observable(), 11_000)).toStrictEqual(['11000 createTask', '13000 createTask'])
    })

    it('releases the permit if the key cannot be recorded', () => {
      expect(createsAfter(fails)).toStrictEqual(['10000 createTask', '12000 createTask'])
    })
  })

  it('calls the methods of the journal on the journal', () => {
    class ClassJournal implements Journal {
      readonly #entry = FRESH
      find(): Observable<JournalEntry> {
        return of(this.#entry)
      }
      begin(): Observable<JournalEntry> {
        return of(this.#entry)
      }
      created(): Observable<void> {
        return EMPTY
      }
      ended(): Observable<void> {
        return EMPTY
      }
    }
    const trace = simulateOver(scriptedByKey(), ({ solver, record }) => {
      record(solver.solveAll(['a'], taskOf, { journal: new ClassJournal(), keyOf: String }))
    })
    expect(emissionsOf(trace)).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })
})

describe('a batch with `createsPerSecond` whose journal stalls', () => {
  const journal = { find: () => of(FRESH), begin: () => timer(new Date(5_000)).pipe(map(() => FRESH)) }
  const createsOf = (calls: ReadonlyArray<string>) => calls.filter((call) => call.includes('createTask'))

  it('sends createTask at the same interval when the journal goes on', () => {
    const { calls } = run({ items: ['a', 'b', 'c'], createsPerSecond: 2, journal })
    expect(createsOf(calls)).toStrictEqual(['5000 createTask', '5500 createTask', '6000 createTask'])
  })

  it('sends nothing for a task that ends while it waits for its turn, records that, and gives back its permit', () => {
    const { calls, written } = run({
      items: ['a', 'b'],
      createsPerSecond: 2,
      journal,
      act: ({ at, solver }, leave) => {
        at(5_100, leave)
        at(6_000, () => {
          expect(solver.counts()).toStrictEqual({ open: 0, waiting: 0 })
        })
      }
    })
    expect([createsOf(calls), written.at(-1)]).toStrictEqual([['5000 createTask'], '5100 ended b NotCreated'])
  })
})

describe('a batch whose journal is still reading when the account is refused', () => {
  const noBalance = { create: [{ ...replies.refused('ERROR_ZERO_BALANCE'), afterMs: 10 }] }
  const outcomeAfter = (entry: JournalEntry, createsPerSecond?: number) =>
    run({
      items: ['a', 'b'],
      scripts: { b: noBalance },
      ...(createsPerSecond !== undefined && { createsPerSecond }),
      journal: { begin: (key) => (key === 'b' ? of(FRESH) : timer(1_000).pipe(map(() => entry))) }
    }).emissions.find((line) => line.includes(' a '))

  it('resumes a known task', () => {
    expect(outcomeAfter(known('id-a'))).toBe('1000 a token-a')
  })

  it('creates no task for a fresh key', () => {
    expect(outcomeAfter(FRESH)).toBe('1000 a NotCreated account')
  })

  it('waits for no permit for a fresh key', () => {
    expect(outcomeAfter(FRESH, 0.1)).toBe('1000 a NotCreated account')
  })
})

describe('a task id that arrives late', () => {
  const slow = { create: [{ ...replies.created('id-a'), afterMs: 5_000 }] }

  it('is recorded although the subscriber has unsubscribed', () => {
    const { written } = run({
      scripts: { a: slow },
      act: ({ at }, leave) => {
        at(1_000, leave)
      }
    })
    expect(written).toStrictEqual(['0 begin a', '5100 created a id-a'])
  })

  it('is recorded although the subscriber unsubscribes during the write', () => {
    let isWritten = false
    const created = () =>
      new Observable<void>((subscriber) => {
        const writing = timer(WRITE_MS).subscribe(() => {
          isWritten = true
          subscriber.complete()
        })
        return writing
      })
    run({
      journal: { created },
      act: ({ at }, leave) => {
        at(150, leave)
      }
    })
    expect(isWritten).toBe(true)
  })
})

describe('unsubscribing from a batch with a journal', () => {
  const leaveOn =
    (tag: SolverEvent['_tag']) =>
    ({ solver }: Simulation, leave: () => void) => {
      solver.events.subscribe(({ _tag }) => {
        if (_tag === tag) leave()
      })
    }
  const leaveAt =
    (ms: number) =>
    ({ at }: Simulation, leave: () => void) => {
      at(ms, leave)
    }

  it.each(['CreateSent', 'CreateEnded', 'Created', 'PollEnded', 'Polled'] as const)(
    'on the event %s, has the task id recorded',
    (tag) => {
      const scripts = { a: { poll: [replies.processing()] } }
      expect(run({ scripts, act: leaveOn(tag) }).written).toStrictEqual(['0 begin a', '100 created a id-a'])
    }
  )

  const refusedLater = { ...replies.refused('ERROR_ZERO_BALANCE'), afterMs: 5_000 }
  it.each<readonly [string, Script, number, string]>([
    ['while it connects', { create: [{ failed: {}, sent: false, afterMs: 9_000 }] }, 200, '200'],
    ['between two tries', { create: [{ failed: {}, sent: false }] }, 200, '200'],
    ['after a temporary refusal', { create: [replies.refused('ERROR_NO_SLOT_AVAILABLE')] }, 200, '200'],
    ['before a refusal', { create: [refusedLater] }, 200, '5100']
  ])('%s, has the key fresh again, because nothing was created', (_, script, ms, end) => {
    const { written } = run({ scripts: { a: script }, act: leaveAt(ms) })
    expect(written).toStrictEqual(['0 begin a', `${end} ended a NotCreated`])
  })

  const assumed = { body: '', status: 503 }
  it.each<readonly [string, Script, number]>([
    ['after an HTTP 503 without a document', { create: [assumed] }, 200],
    ['while it connects after one', { create: [assumed, { failed: {}, sent: false, afterMs: 9_000 }] }, 3_000],
    ['before a refusal after one', { create: [assumed, refusedLater] }, 3_000],
    ['before an HTTP 503 without a document', { create: [{ ...assumed, afterMs: 5_000 }] }, 200],
    ['before a reply that is lost', { create: [{ failed: {}, afterMs: 5_000 }] }, 200]
  ])('%s, leaves the key in doubt', (_, script, ms) => {
    expect(run({ scripts: { a: script }, act: leaveAt(ms) }).written).toStrictEqual(['0 begin a'])
  })

  it('while the key is recorded, leaves it in doubt, because the entry may be of another run', () => {
    expect(run({ act: leaveAt(50) }).written).toStrictEqual(['0 begin a'])
    expect(run({ journal: { find: () => of(FRESH) }, act: leaveAt(50) }).written).toStrictEqual(['0 begin a'])
  })

  it('records nothing for a key that was only read', () => {
    const find = () => of(FRESH)
    const scripts = { a: { create: [{ failed: {}, sent: false, afterMs: 9_000 }] } }
    const { written } = run({ items: ['a', 'b'], scripts, createsPerSecond: 0.1, journal: { find }, act: leaveAt(150) })
    expect(written).toStrictEqual(['0 begin a', '150 ended a NotCreated'])
  })
})

describe('a batch whose journal fails', () => {
  const cause = { name: 'Error', code: 'ENOSPC', message: 'no space left on device' }

  it('sends nothing, stops pulling and passes the error on if `begin` fails', () => {
    const { calls, emissions, results } = run({ items: ['a', 'b'], concurrency: 1, journal: { begin: fails } })
    expect([calls, emissions.length]).toStrictEqual([[], 2])
    expect(results[0]?.[2]).toMatchObject({
      item: 'a',
      result: E.left({ _tag: 'NotCreated', paid: 'no', reason: 'journal', attempts: 0, cause })
    })
    expect(results[1]?.[2]).toStrictEqual({ error: DISK_FULL })
  })

  it('records no end for a key that could not be read: an earlier run may have paid for it', () => {
    const { written, calls } = run({ journal: { find: fails } })
    expect([written, calls]).toStrictEqual([[], []])
  })

  it('sends nothing if `begin` fails after `find`', () => {
    const { calls, emissions } = run({ journal: { find: () => of(FRESH), begin: fails } })
    expect([calls, emissions[0]]).toStrictEqual([[], '0 a NotCreated journal'])
  })

  it('ends the item as NotCreated if `begin` throws', () => {
    const begin = () => {
      throw DISK_FULL
    }
    expect(run({ journal: { begin } }).emissions[0]).toBe('0 a NotCreated journal')
  })

  it('ends the item as NotCreated if `begin` completes without an entry', () => {
    expect(run({ journal: { begin: () => EMPTY } }).emissions[0]).toBe('0 a NotCreated journal')
  })

  it.each([
    [
      'a date that is text',
      { taskId: 't', createdAt: '1764500000000' },
      'ref.createdAt: expected a number of milliseconds'
    ],
    ['an id that is a number', { taskId: 7, createdAt: 0 }, 'ref.taskId: expected a string that is not empty'],
    ['nothing', undefined, 'ref: expected']
  ])('records no end for a task with a reference that cannot be read, which is paid for: %s', (_, ref, problem) => {
    const known = () => of({ _tag: 'Known', ref } as unknown as JournalEntry)
    const { written, calls, emissions, results } = run({ journal: { begin: known } })
    expect([written, calls, emissions[0]]).toStrictEqual([[], [], '0 a NotCreated journal'])
    expect(String((results.at(-1)?.[2] as { error: Error }).error)).toContain(problem)
  })

  it('ends the item as NotCreated if `begin` gives an entry that is none', () => {
    const begin = () => of({ _tag: 'Gone' } as unknown as JournalEntry)
    expect(run({ journal: { begin } }).emissions[0]).toBe('0 a NotCreated journal')
  })

  it('finishes the active tasks, creates no other and passes the error on at the end if `created` fails', () => {
    const { calls, emissions } = run({
      items: ['a', 'b', 'c'],
      concurrency: 2,
      createsPerSecond: 1,
      journal: { find: () => of(FRESH), created: fails }
    })
    expect(calls).toStrictEqual(['100 createTask', '3100 getTaskResult'])
    expect(emissions.slice(0, 2)).toStrictEqual(['100 b NotCreated journal', '3100 a token-a'])
    expect(emissions).toHaveLength(3)
  })

  it('emits the outcome before the error if `ended` fails', () => {
    const { emissions } = run({ items: ['a', 'b'], concurrency: 1, journal: { ended: fails } })
    expect(emissions[0]).toBe('3200 a token-a')
    expect(emissions).toHaveLength(2)
  })
})

describe('entryAfter', () => {
  it.each([
    ['Solved', 'Finished'],
    ['TaskFailed', 'Finished'],
    ['TaskFailed{account}', 'Known'],
    ['TimedOut', 'Known'],
    ['Interrupted', 'Known'],
    ['BadReply', 'Known'],
    ['InvalidTask', 'Fresh'],
    ['NotCreated', 'Fresh'],
    ['Refused', 'Fresh'],
    ['Refused{paid: unknown}', 'InDoubt'],
    ['CreateUnknown', 'InDoubt'],
    ['a tag of a later version', 'InDoubt']
  ])('maps the tag %s to %s', (tag, entry) => {
    expect(entryAfter(tag)).toBe(entry)
  })
})

describe('journalTagOf', () => {
  const KINDS = ['account', 'request', 'unavailable', 'task', 'unknown'] as const

  it.each(KINDS)('distinguishes a refusal of kind %s that was not paid for from one that may have been', (kind) => {
    const refused = { _tag: 'Refused', kind }
    expect(journalTagOf({ ...refused, paid: 'no' })).toBe('Refused')
    expect(journalTagOf({ ...refused, paid: 'unknown' })).toBe('Refused{paid: unknown}')
  })

  it('names the kind of a failed task only if it is `account`', () => {
    const tags = KINDS.map((kind) => journalTagOf({ _tag: 'TaskFailed', paid: 'yes', kind }))
    expect(tags).toStrictEqual(['TaskFailed{account}', 'TaskFailed', 'TaskFailed', 'TaskFailed', 'TaskFailed'])
  })
})

describe('a batch whose journal fails for a task that has no outcome any more', () => {
  it('passes the error on, although it ends the last active item', () => {
    const journal: Journal = { begin: () => of(FRESH), created: fails, ended: () => of(undefined) }
    const connecting = { create: [{ failed: {}, sent: false, afterMs: 60_000 }] }
    const late = { create: [{ ...replies.created('id-a'), afterMs: 8_000 }] }
    const { results } = simulateOver(scriptedByKey({ a: late, b: connecting }), ({ solver, record }) => {
      const items = concat(of('a'), timer(4_000).pipe(map(() => 'b')))
      record(solver.withOptions({ giveUpAfterMs: 5_000 }).solveAll(items, taskOf, { journal, keyOf: (key) => key }))
    })

    expect(results.at(-1)).toStrictEqual([8_000, 'solve', { error: DISK_FULL }])
  })
})
