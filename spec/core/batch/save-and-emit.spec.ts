import {
  NEVER,
  Subject,
  concat,
  config,
  defer,
  ignoreElements,
  of,
  take,
  tap,
  throwError,
  timer,
  type Observable,
  type Subscription
} from 'rxjs'
import type { Outcome } from '../../../lib/core/model/batch.js'
import type { Orphan } from '../../../lib/core/model/event.js'
import type { Journal } from '../../../lib/core/model/journal.js'
import { replies } from 'rx-captcha/testing'
import { scriptedByKey, simulateOver, taskOf, type ScriptsByKey, type Simulation } from '../../support/simulate.js'

type BatchOutcome = Outcome<string, unknown>

interface Batch {
  readonly items?: ReadonlyArray<string>
  readonly scripts?: ScriptsByKey
  readonly hasJournal?: boolean
  /** Replaces the end of a write, which takes 100 ms. */
  readonly ended?: () => Observable<void>
  /** `none`: the batch has no `deliver`. By default a save takes 500 ms. */
  readonly deliver?: 'none' | ((item: string) => Observable<unknown>)
  /** What the subscriber pipes the batch through. */
  readonly through?: (outcomes: Observable<BatchOutcome>) => Observable<unknown>
  readonly onNext?: (simulation: Simulation, leave: () => void) => void
  readonly act?: (simulation: Simulation, leave: () => void) => void
}

/** Runs a batch; its log has the saves, the emissions and the ends in the journal, each with its time, and the orphans. */
const run = ({ items = ['a'], scripts = {}, hasJournal = true, deliver, ...rest }: Batch) => {
  const log: string[] = []
  const { end, events } = simulateOver(scriptedByKey(scripts), (simulation) => {
    const { solver, scheduler } = simulation
    const note = (line: string): void => void log.push(`${scheduler.now()} ${line}`)
    const write = (line: string, ms: number, writing: Observable<unknown> = timer(ms, scheduler)) =>
      defer(() => {
        note(line)
        return writing.pipe(
          ignoreElements(),
          tap({
            complete: () => {
              note(`${line}: done`)
            }
          })
        )
      })
    const journal: Journal = {
      begin: () => of({ _tag: 'Fresh' }),
      created: () => of(undefined),
      ended: (key, tag) => write(`end ${key} ${tag}`, 100, rest.ended?.())
    }
    const save = ({ item }: BatchOutcome) => write(`save ${item}`, 500, deliver === 'none' ? NEVER : deliver?.(item))
    const options = deliver === 'none' ? {} : { deliver: save }
    const outcomes = hasJournal
      ? solver.solveAll(items, taskOf, { ...options, journal, keyOf: (item) => item })
      : solver.solveAll(items, taskOf, options)
    solver.orphans.subscribe(({ ref }) => {
      note(`orphan ${ref.taskId}`)
    })
    const subscription: Subscription = (rest.through?.(outcomes) ?? outcomes).subscribe({
      next: () => {
        note('emitted')
        rest.onNext?.(simulation, () => {
          subscription.unsubscribe()
        })
      },
      error: (error: unknown) => {
        note(String(error))
      },
      complete: () => {
        note('complete')
      }
    })
    rest.act?.(simulation, () => {
      subscription.unsubscribe()
    })
  })
  return { log, end, events }
}

const leaveAt =
  (ms: number): NonNullable<Batch['act']> =>
  ({ at }, leave) => {
    at(ms, leave)
  }
const failsAfter = (ms: number) => () => concat(timer(ms).pipe(ignoreElements()), fails())
const fails = () => throwError(() => new Error('disk full'))

/** What rxjs throws in a timer of its own, because nothing handles it. */
const unhandledIn = (act: () => void): unknown[] => {
  const unhandled: unknown[] = []
  config.onUnhandledError = (error) => unhandled.push(error)
  act()
  config.onUnhandledError = null
  return unhandled
}

describe('the end of an outcome is recorded if the subscriber unsubscribes because of it', () => {
  const first: NonNullable<Batch['through']> = (outcomes) => outcomes.pipe(take(1))

  it('by `take(1)`, after `deliver`', () => {
    expect(run({ through: first }).log).toStrictEqual([
      '3000 save a',
      '3500 save a: done',
      '3500 emitted',
      '3500 complete',
      '3500 end a Solved',
      '3600 end a Solved: done'
    ])
  })

  it('by `take(1)`, without `deliver`', () => {
    expect(run({ through: first, deliver: 'none' }).log).toStrictEqual([
      '3000 emitted',
      '3000 complete',
      '3000 end a Solved',
      '3100 end a Solved: done'
    ])
  })

  it('in its `next`', () => {
    const { log } = run({
      deliver: 'none',
      onNext: (_, leave) => {
        leave()
      }
    })
    expect(log).toStrictEqual(['3000 emitted', '3000 end a Solved', '3100 end a Solved: done'])
  })

  it('by an operator that throws', () => {
    const { log } = run({
      deliver: 'none',
      through: tap(() => {
        throw new Error('no such row')
      })
    })
    expect(log).toStrictEqual(['3000 Error: no such row', '3000 end a Solved', '3100 end a Solved: done'])
  })

  it('after a failure too', () => {
    const scripts = { a: { create: [replies.refused('ERROR_SITEKEY')] } }
    expect(run({ scripts, through: first, deliver: 'none' }).log).toContain('100 end a Refused: done')
  })

  it('and a record that fails is an event, and no unhandled error', () => {
    const unhandled = unhandledIn(() => {
      const { log, events } = run({ through: first, ended: fails })
      expect(log.slice(-2)).toStrictEqual(['3500 complete', '3500 end a Solved'])
      expect(events.at(-1)).toMatchObject({ _tag: 'BatchStopped', reason: 'journal' })
    })
    expect(unhandled).toStrictEqual([])
  })

  it('and not for an item that has no outcome: its task is an orphan', () => {
    const scripts = { b: { poll: [replies.processing()] } }
    const { log } = run({ items: ['a', 'b'], scripts, through: first, deliver: 'none' })
    expect(log).toStrictEqual([
      '3000 emitted',
      '3000 complete',
      '3000 orphan id-b',
      '3000 end a Solved',
      '3100 end a Solved: done'
    ])
  })

  it('by another outcome that its account refusal causes: nothing was created, so the key is fresh again', () => {
    const zeroBalance = { ...replies.refused('ERROR_ZERO_BALANCE'), afterMs: 50 }
    const connecting = { failed: {}, sent: false, afterMs: 9_000 }
    const scripts = { a: { create: [zeroBalance] }, b: { create: [connecting] } }
    const { log } = run({ items: ['a', 'b'], scripts, through: first, deliver: 'none' })
    expect(log).toContain('150 end b NotCreated: done')
    expect(log).toContain('150 end a Refused: done')
  })
})

describe('a subscriber whose `next` throws', () => {
  it('gets the outcome, the end is recorded, and rxjs throws the error elsewhere', () => {
    const defect = new Error('no such row')
    const unhandled = unhandledIn(() => {
      const { log } = run({
        deliver: 'none',
        onNext: () => {
          throw defect
        }
      })
      expect(log).toStrictEqual(['3000 emitted', '3000 end a Solved', '3100 end a Solved: done', '3100 complete'])
    })
    expect(unhandled).toStrictEqual([defect])
  })
})

describe('a save whose subscriber unsubscribes', () => {
  it('runs to its end, and then the end of the key is recorded', () => {
    expect(run({ act: leaveAt(3_200) }).log).toStrictEqual([
      '3000 save a',
      '3500 save a: done',
      '3500 end a Solved',
      '3600 end a Solved: done'
    ])
  })

  it('runs to its end without a journal', () => {
    const { log } = run({ hasJournal: false, act: leaveAt(3_200) })
    expect(log).toStrictEqual(['3000 save a', '3500 save a: done'])
  })

  it('runs to its end if `deliver` itself unsubscribes', () => {
    const leaving = new Subject<void>()
    const { log } = run({
      hasJournal: false,
      deliver: () => {
        leaving.next()
        return of(1)
      },
      act: (_, leave) => {
        leaving.subscribe(leave)
      }
    })
    expect(log).toStrictEqual(['3000 save a', '3000 save a: done'])
  })

  it('runs to its end for the other items of `take(1)`', () => {
    const scripts = { b: { poll: [{ ...replies.ready('token-b'), afterMs: 300 }] } }
    const { log } = run({ items: ['a', 'b'], scripts, through: take(1) })
    expect(log.filter((line) => line.includes(' b'))).toStrictEqual([
      '3300 save b',
      '3800 save b: done',
      '3800 end b Solved',
      '3900 end b Solved: done'
    ])
  })

  it.each([true, false])('emits the task on `orphans` if it fails; with a journal: %p', (hasJournal) => {
    const unhandled = unhandledIn(() => {
      const { log, events } = run({ hasJournal, deliver: failsAfter(400), act: leaveAt(3_200) })
      expect(log).toStrictEqual(['3000 save a', '3400 orphan id-a'])
      expect(events.at(-1)).toMatchObject({ _tag: 'Orphaned', batchId: 1 })
    })
    expect(unhandled).toStrictEqual([])
  })

  it('has nothing to emit on `orphans` if nothing was paid', () => {
    const scripts = { a: { create: [replies.refused('ERROR_SITEKEY')] } }
    expect(run({ scripts, deliver: fails, hasJournal: false }).log).toStrictEqual(['0 save a', '0 Error: disk full'])
  })
})

describe('a save that fails', () => {
  it('emits its task on `orphans` before the error, which waits for the active tasks', () => {
    const scripts = {
      a: { poll: [replies.refused('ERROR_CAPTCHA_UNSOLVABLE')] },
      b: { poll: [replies.processing(), replies.ready('token-b')] }
    }
    const deliver = (item: string) => (item === 'a' ? fails() : of(1))
    const { log } = run({ items: ['a', 'b'], scripts, deliver, hasJournal: false })
    expect(log).toStrictEqual([
      '3000 save a',
      '3000 orphan id-a',
      '6000 save b',
      '6000 save b: done',
      '6000 emitted',
      '6000 Error: disk full'
    ])
  })
})

describe('close', () => {
  const tick = () => new Promise((resolve) => setImmediate(resolve))

  /** Closes the solver as `batch` says; gives the promise of `close`, and what it has resolved with. */
  const closing = (batch: (close: (simulation: Simulation, graceMs?: number) => void) => Batch) => {
    const resolved: string[][] = []
    let closed: Promise<unknown> = Promise.resolve()
    const idsOf = (orphans: ReadonlyArray<Orphan>) => orphans.map(({ ref }) => ref.taskId)
    const trace = run(
      batch(({ solver }, graceMs = 0) => {
        closed = solver.close({ graceMs }).then((orphans) => resolved.push(idsOf(orphans)))
      })
    )
    return { ...trace, resolved, closed: () => closed }
  }

  it.each([
    ['is called in `next`', false],
    ['is called after unsubscribing in `next`', true]
  ])('waits for the record of an end if it %s', async (_, leaves) => {
    const written = new Subject<void>()
    const { resolved, closed } = closing((close) => ({
      // Asynchronous, so that the task is no longer active when its outcome is emitted.
      deliver: () => timer(10),
      ended: () => written,
      onNext: (simulation, leave) => {
        if (leaves) leave()
        close(simulation)
      }
    }))
    await tick()
    expect(resolved).toStrictEqual([])

    written.complete()
    await closed()
    expect(resolved).toStrictEqual([[]])
  })

  it('waits within its grace for a save whose subscriber has unsubscribed, and for the record after it', async () => {
    const { log, end, resolved, closed } = closing((close) => ({
      act: (simulation, leave) => {
        simulation.at(3_200, leave)
        simulation.at(3_300, () => {
          close(simulation, 60_000)
        })
      }
    }))
    await closed()
    expect([log.at(-1), end, resolved]).toStrictEqual(['3600 end a Solved: done', 3_600, [[]]])
  })

  it('returns the task of such a save that never ends', async () => {
    const { log, resolved, closed } = closing((close) => ({
      hasJournal: false,
      deliver: () => NEVER,
      act: (simulation, leave) => {
        simulation.at(3_200, leave)
        simulation.at(3_300, () => {
          close(simulation, 1_000)
        })
      }
    }))
    await closed()
    expect([log, resolved]).toStrictEqual([['3000 save a', '4300 orphan id-a'], [['id-a']]])
  })

  it('returns the task of a save once if it fails later, while a createTask is in flight', async () => {
    const scripts = { b: { create: [{ ...replies.created('id-b'), afterMs: 8_000 }] } }
    const { log, resolved, closed } = closing((close) => ({
      items: ['a', 'b'],
      scripts,
      hasJournal: false,
      deliver: failsAfter(2_000),
      act: (simulation, leave) => {
        simulation.at(3_200, leave)
        simulation.at(3_300, () => {
          close(simulation)
        })
      }
    }))
    await closed()
    expect([log, resolved]).toStrictEqual([['3000 save a', '3300 orphan id-a', '8000 orphan id-b'], [['id-a', 'id-b']]])
  })

  it('does not return the task of a save that failed before', async () => {
    const { log, resolved, closed } = closing((close) => ({
      hasJournal: false,
      deliver: () => fails(),
      act: (simulation) => {
        simulation.at(3_300, () => {
          close(simulation)
        })
      }
    }))
    await closed()
    expect([log, resolved]).toStrictEqual([['3000 save a', '3000 orphan id-a', '3000 Error: disk full'], [[]]])
  })

  it('waits within its grace for a save whose subscriber waits for it, and for the record after it', async () => {
    const { log, end, resolved, closed } = closing((close) => ({
      act: (simulation) => {
        simulation.at(3_200, () => {
          close(simulation, 60_000)
        })
      }
    }))
    await closed()
    expect([log.slice(1), end, resolved]).toStrictEqual([
      ['3500 save a: done', '3500 emitted', '3500 end a Solved', '3600 end a Solved: done', '3600 complete'],
      3_600,
      [[]]
    ])
  })

  it('returns the task of such a save that has not ended by then, and the subscriber still gets its outcome', async () => {
    const { log, resolved, closed } = closing((close) => ({
      hasJournal: false,
      act: (simulation) => {
        simulation.at(3_200, () => {
          close(simulation, 100)
        })
      }
    }))
    await closed()
    expect([log, resolved]).toStrictEqual([
      ['3000 save a', '3500 save a: done', '3500 emitted', '3500 complete'],
      [['id-a']]
    ])
  })

  it('returns the task of such a save that fails later once, and emits it on `orphans` no more', async () => {
    const { log, resolved, closed } = closing((close) => ({
      hasJournal: false,
      deliver: failsAfter(2_000),
      act: (simulation) => {
        simulation.at(3_200, () => {
          close(simulation, 100)
        })
      }
    }))
    await closed()
    expect([log, resolved]).toStrictEqual([['3000 save a', '5000 Error: disk full'], [['id-a']]])
  })
})
