import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, Observable, concat, defer, ignoreElements, map, of, throwError, timer } from 'rxjs'
import { entryAfter, journalTagOf, type JournalEntry, type Journal } from '../../../lib/core/model/journal.js'
import type { Outcome } from '../../../lib/core/model/batch.js'
import type { RecaptchaV2Solution } from '../../../lib/core/model/recaptcha-v2.js'
import { replies } from '../../../lib/testing.js'
import { planned, storyOver, taskOf, type Plan, type Story, type Told } from '../../support/simulate.js'

type Ended = Outcome<string, RecaptchaV2Solution>

const FRESH: JournalEntry = { _tag: 'Fresh' }
const known = (taskId: string): JournalEntry => ({ _tag: 'Known', ref: { taskId, createdAt: -60_000 } })

const DISK_FULL = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
const fails = () => throwError(() => DISK_FULL)

const heard = ({ results }: Told): ReadonlyArray<string> =>
  results.map(([at, , value]) => {
    if (typeof value !== 'object' || value === null || !('result' in value)) return `${at} ${JSON.stringify(value)}`
    const { item, result } = value as Ended
    if (E.isRight(result)) return `${at} ${item} ${result.right.solution.gRecaptchaResponse}`
    return `${at} ${item} ${result.left._tag}${'reason' in result.left ? ` ${result.left.reason}` : ''}`
  })

interface Setting {
  readonly items?: ReadonlyArray<string>
  readonly plan?: Plan
  readonly concurrency?: number
  readonly journal?: Partial<Journal>
  readonly entries?: Readonly<Record<string, JournalEntry>>
  readonly createsPerSecond?: number
  readonly act?: (story: Story, leave: () => void) => void
}

const WRITES_MS = 100

/** Runs a batch with a journal that takes 100 ms for each write, and notes what was written when, beside the calls. */
const run = ({ items = ['a'], plan = {}, concurrency = 10, journal = {}, entries = {}, ...rest }: Setting) => {
  const written: string[] = []
  const told = storyOver(
    planned(plan),
    (story) => {
      const { solver, scheduler, follow } = story
      const writes = <R>(what: string, value: R) =>
        defer(() => {
          const writing = timer(WRITES_MS, scheduler)
          written.push(`${scheduler.now()} ${what}`)
          return concat(writing.pipe(ignoreElements()), of(value))
        })
      const noted: Journal = {
        begin: (key) => writes(`begin ${key}`, entries[key] ?? FRESH),
        created: (key, ref) => writes(`created ${key} ${ref.taskId}`, undefined),
        ended: (key, tag) => writes(`ended ${key} ${tag}`, undefined),
        ...journal
      }
      const solving = follow(solver.solveAll(items, taskOf, { concurrency, journal: noted, keyOf: (item) => item }))
      rest.act?.(story, () => {
        solving.unsubscribe()
      })
    },
    { createsPerSecond: rest.createsPerSecond }
  )
  return { ...told, written, heard: heard(told) }
}

describe('a key that is fresh', () => {
  it('is written down before createTask, its id before the first poll, its outcome after it was handed on', () => {
    const { calls, written, heard } = run({})
    expect(calls).toStrictEqual(['100 createTask', '3200 getTaskResult'])
    expect(written).toStrictEqual(['0 begin a', '100 created a id-a', '3200 ended a Solved'])
    expect(heard).toStrictEqual(['3200 a token-a', '3300 "complete"'])
  })

  it('keeps its place until its end is written', () => {
    const { written } = run({ items: ['a', 'b'], concurrency: 1 })
    expect(written.filter((line) => line.includes('begin'))).toStrictEqual(['0 begin a', '3300 begin b'])
  })

  it('tells of its end by its tag', () => {
    const plan = { a: { create: [replies.refused('ERROR_SITEKEY')] } }
    expect(run({ plan }).written.at(-1)).toBe('100 ended a Refused')
  })

  it.each<readonly [string, string, Plan[string]]>([
    ['TaskFailed{account}', 'an account that fails', { poll: [replies.refused('ERROR_ZERO_BALANCE')] }],
    ['TaskFailed', 'a task that fails', { poll: [replies.refused('ERROR_CAPTCHA_UNSOLVABLE')] }],
    ['CreateUnknown', 'an answer that is lost', { create: [{ failed: {} }] }],
    [
      'Refused{unknown}',
      'a refusal after an assumed one',
      { create: [{ body: '', status: 503 }, replies.refused('ERROR_SITEKEY')] }
    ]
  ])('tells of %s for %s', (tag, _, plan) => {
    expect(run({ plan: { a: plan } }).written.at(-1)).toMatch(new RegExp(` ended a ${tag}$`))
  })
})

describe('a key that is known', () => {
  it('is gone on with at once, and buys nothing', () => {
    const { calls, heard } = run({ entries: { a: known('id-a') } })
    expect(calls).toStrictEqual(['100 getTaskResult'])
    expect(heard[0]).toBe('100 a token-a')
  })
})

describe('a key in doubt', () => {
  it('is a CreateUnknown that says why, and sends nothing', () => {
    const { calls, results } = run({ entries: { a: { _tag: 'InDoubt' } } })
    expect(calls).toStrictEqual([])
    expect(results[0]?.[2]).toMatchObject({
      result: { left: { _tag: 'CreateUnknown', paid: 'unknown', problems: [expect.stringMatching(/^the journal: /)] } }
    })
  })
})

describe('a key that is finished', () => {
  it('is skipped with an event, and has no outcome', () => {
    const { calls, heard, events } = run({ entries: { a: { _tag: 'Finished' } } })
    expect([calls, heard]).toStrictEqual([[], ['100 "complete"']])
    expect(events).toMatchObject([{ _tag: 'Skipped', key: 'a' }])
  })

  it('is what a key that is under way already is to a second item', () => {
    const { calls, heard, events } = run({ items: ['a', 'a'] })
    expect(calls.filter((call) => call.includes('createTask'))).toHaveLength(1)
    expect(heard).toStrictEqual(['3200 a token-a', '3300 "complete"'])
    expect(events[0]).toMatchObject({ _tag: 'Skipped', key: 'a' })
  })

  it('may begin anew when it is not under way any more', () => {
    const { heard } = run({ items: ['a', 'a'], concurrency: 1 })
    expect(heard).toStrictEqual(['3200 a token-a', '6500 a token-a', '6600 "complete"'])
  })
})

describe('a key that makes no sense', () => {
  it('is an InvalidTask when keyOf throws', () => {
    const { results } = storyOver(planned(), ({ solver, follow }) => {
      const keyOf = (): string => {
        throw new Error('no id')
      }
      const journal: Journal = { begin: () => of(FRESH), created: () => EMPTY, ended: () => EMPTY }
      follow(solver.solveAll(['a'], taskOf, { journal, keyOf }))
    })
    expect(results[0]?.[2]).toMatchObject({
      result: { left: { _tag: 'InvalidTask', problems: ['keyOf: threw no id'] } }
    })
  })
})

describe('a journal that can look', () => {
  const looking = (entry: JournalEntry): Partial<Journal> => ({ find: () => of(entry) })

  it('does not write down what waits for its turn', () => {
    const { written, calls } = run({ items: ['a', 'b'], journal: looking(FRESH), createsPerSecond: 1 })
    expect(written.filter((line) => line.includes('begin'))).toStrictEqual(['0 begin a', '1000 begin b'])
    expect(calls.filter((call) => call.endsWith('createTask'))).toStrictEqual(['100 createTask', '1100 createTask'])
  })

  it('lets what is known go on without a turn', () => {
    const { calls, written } = run({ journal: looking(known('id-a')) })
    expect(calls).toStrictEqual(['0 getTaskResult'])
    expect(written).toStrictEqual(['0 ended a Solved'])
  })

  it('buys nothing that somebody else began in the meantime', () => {
    const { calls, heard } = run({ journal: looking(FRESH), entries: { a: known('id-x') } })
    expect(calls).toStrictEqual([])
    expect(heard[0]).toBe('100 a CreateUnknown')
  })

  describe('at a gate that lets one through at a time', () => {
    const slow = { create: [{ ...replies.created(), afterMs: 2_000 }] }
    const plan = { z: { create: [replies.refused('ERROR_NO_SLOT_AVAILABLE')] }, a: slow, b: slow, c: slow }

    /** The creates after 15 s, where `a` of a batch is the first to go, before `b` and `c`. */
    const createsAfter = (begin?: Journal['begin'], leavesAt?: number) => {
      const { calls } = run({
        items: [],
        plan,
        act: ({ solver, scheduler, follow, at }) => {
          const z = follow(solver.solve(taskOf('z')), 'z') // shuts the gate until 5 s, then until 15 s
          at(6_000, () => {
            z.unsubscribe()
          })
          const written = () => timer(WRITES_MS, scheduler).pipe(map(() => FRESH))
          const journal = { ...looking(FRESH), begin: begin ?? written, created: () => EMPTY, ended: () => EMPTY }
          const solving = follow(solver.solveAll(['a'], taskOf, { journal, keyOf: String }), 'batch')
          if (leavesAt !== undefined)
            at(leavesAt, () => {
              solving.unsubscribe()
            })
          for (const name of ['b', 'c']) follow(solver.solve(taskOf(name)), name)
        }
      })
      return calls.filter((call) => call.endsWith('createTask')).slice(2)
    }

    it('keeps its turn while it is written down and created, then all others go', () => {
      expect(createsAfter()).toStrictEqual(['15100 createTask', '17100 createTask', '17100 createTask'])
    })

    it('gives back the turn of what is left while it is written down', () => {
      expect(createsAfter(() => new Observable(), 16_000)).toStrictEqual(['16000 createTask', '18000 createTask'])
    })

    it('gives back the turn of what cannot be written down', () => {
      expect(createsAfter(fails)).toStrictEqual(['15000 createTask', '17000 createTask'])
    })
  })

  it('is asked by its own name', () => {
    class Mine implements Journal {
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
    const told = storyOver(planned(), ({ solver, follow }) => {
      follow(solver.solveAll(['a'], taskOf, { journal: new Mine(), keyOf: String }))
    })
    expect(heard(told)).toStrictEqual(['3000 a token-a', '3000 "complete"'])
  })
})

describe('a journal that is still asked when the account fails', () => {
  const broke = { create: [{ ...replies.refused('ERROR_ZERO_BALANCE'), afterMs: 10 }] }
  const asked = (entry: JournalEntry) =>
    run({
      items: ['a', 'b'],
      plan: { b: broke },
      journal: { begin: (key) => (key === 'b' ? of(FRESH) : timer(1_000).pipe(map(() => entry))) }
    }).heard.find((line) => line.includes(' a '))

  it('lets what is known go on', () => {
    expect(asked(known('id-a'))).toBe('1000 a token-a')
  })

  it('has nothing created', () => {
    expect(asked(FRESH)).toBe('1000 a NotCreated account')
  })
})

describe('an id that comes late', () => {
  const slow = { create: [{ ...replies.created('id-a'), afterMs: 5_000 }] }

  it('is written down when the caller has left', () => {
    const { written } = run({
      plan: { a: slow },
      act: ({ at }, leave) => {
        at(1_000, leave)
      }
    })
    expect(written).toStrictEqual(['0 begin a', '5100 created a id-a'])
  })

  it('is written to its end when the caller leaves meanwhile', () => {
    let over = false
    const created = () =>
      new Observable<void>((subscriber) => {
        const writing = timer(WRITES_MS).subscribe(() => {
          over = true
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
    expect(over).toBe(true)
  })
})

describe('a journal that fails', () => {
  const cause = { name: 'Error', code: 'ENOSPC', message: 'no space left on device' }

  it('at the beginning sends nothing, takes no more, and passes its error on', () => {
    const { calls, heard, results } = run({ items: ['a', 'b'], concurrency: 1, journal: { begin: fails } })
    expect([calls, heard.length]).toStrictEqual([[], 2])
    expect(results[0]?.[2]).toMatchObject({
      item: 'a',
      result: E.left({ _tag: 'NotCreated', paid: 'no', reason: 'journal', attempts: 0, cause })
    })
    expect(results[1]?.[2]).toStrictEqual({ error: DISK_FULL })
  })

  it('in its turn sends nothing either', () => {
    const { calls, heard } = run({ journal: { find: () => of(FRESH), begin: fails } })
    expect([calls, heard[0]]).toStrictEqual([[], '0 a NotCreated journal'])
  })

  it('with an exception is no different', () => {
    const begin = () => {
      throw DISK_FULL
    }
    expect(run({ journal: { begin } }).heard[0]).toBe('0 a NotCreated journal')
  })

  it('without an entry is no different', () => {
    expect(run({ journal: { begin: () => EMPTY } }).heard[0]).toBe('0 a NotCreated journal')
  })

  it('at an id goes on with what is open, creates nothing more, and passes its error on at the end', () => {
    const { calls, heard } = run({
      items: ['a', 'b', 'c'],
      concurrency: 2,
      createsPerSecond: 1,
      journal: { find: () => of(FRESH), created: fails }
    })
    expect(calls).toStrictEqual(['100 createTask', '3100 getTaskResult'])
    expect(heard.slice(0, 2)).toStrictEqual(['100 b NotCreated journal', '3100 a token-a'])
    expect(heard).toHaveLength(3)
  })

  it('at an end has handed on the outcome', () => {
    const { heard } = run({ items: ['a', 'b'], concurrency: 1, journal: { ended: fails } })
    expect(heard[0]).toBe('3200 a token-a')
    expect(heard).toHaveLength(2)
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
    ['Refused{unknown}', 'InDoubt'],
    ['CreateUnknown', 'InDoubt']
  ])('of %s is %s', (tag, entry) => {
    expect(entryAfter(tag)).toBe(entry)
  })
})

describe('tagOfError', () => {
  it.each([
    ['TaskFailed{account}', { _tag: 'TaskFailed', paid: 'yes', kind: 'account' }],
    ['TaskFailed', { _tag: 'TaskFailed', paid: 'yes', kind: 'task' }],
    ['Refused', { _tag: 'Refused', paid: 'no', kind: 'account' }],
    ['Refused{unknown}', { _tag: 'Refused', paid: 'unknown', kind: 'account' }]
  ])('is %s of %j', (tag, error) => {
    expect(journalTagOf(error)).toBe(tag)
  })
})
