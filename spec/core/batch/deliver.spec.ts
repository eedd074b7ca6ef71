import * as E from 'fp-ts/lib/Either.js'
import { NEVER, defer, of, throwError, timer, type ObservableInput } from 'rxjs'
import type { TestScheduler } from 'rxjs/testing'
import type { Outcome } from '../../../lib/core/model/batch.js'
import type { Journal } from '../../../lib/core/model/journal.js'
import { replies } from 'rx-captcha/testing'
import { scriptedByKey, simulateOver, taskOf, type ScriptsByKey, type Simulation } from '../../support/simulate.js'

const SAVE_MS = 500

interface Delivery {
  readonly items?: ReadonlyArray<string>
  readonly concurrency?: number
  readonly scripts?: ScriptsByKey
  readonly hasJournal?: boolean
  readonly deliver?: (outcome: Outcome<string, unknown>, scheduler: TestScheduler) => ObservableInput<unknown>
  readonly act?: (simulation: Simulation, leave: () => void) => void
}

/** Runs a batch and logs, with their times: pulled items, deliveries, emissions, and what the journal records as ended. */
const run = ({ items = ['a'], concurrency = 1, scripts = {}, hasJournal = true, ...rest }: Delivery): string[] => {
  const log: string[] = []
  simulateOver(scriptedByKey(scripts), (simulation) => {
    const { solver, scheduler } = simulation
    const note = (line: string): void => void log.push(`${scheduler.now()} ${line}`)
    const journal: Journal = {
      begin: () => of({ _tag: 'Fresh' }),
      created: () => of(undefined),
      ended: (key, tag) =>
        defer(() => {
          note(`ended ${key} ${tag}`)
          return of(undefined)
        })
    }
    const { deliver: save = () => timer(SAVE_MS, scheduler) } = rest
    const deliver = (outcome: Outcome<string, unknown>): ObservableInput<unknown> => {
      note(`delivering ${outcome.item} ${outcome.result._tag}`)
      return save(outcome, scheduler)
    }
    const pulled = function* () {
      for (const item of items) {
        note(`pulled ${item}`)
        yield item
      }
    }
    const options = { concurrency, deliver }
    const batch = hasJournal
      ? solver.solveAll(pulled(), taskOf, { ...options, journal, keyOf: (item) => item })
      : solver.solveAll(pulled(), taskOf, options)
    const running = batch.subscribe({
      next: ({ item, result }) => {
        note(`emitted ${item} ${E.isRight(result) ? 'Right' : result.left._tag}`)
      },
      error: (error: unknown) => {
        note(String(error))
      },
      complete: () => {
        note('complete')
      }
    })
    rest.act?.(simulation, () => {
      running.unsubscribe()
    })
  })
  return log
}

const diskFull = () => throwError(() => new Error('disk full'))

describe('deliver', () => {
  it('completes before the outcome is emitted, and the end of the key is recorded after that', () => {
    expect(run({})).toStrictEqual([
      '0 pulled a',
      '3000 delivering a Right',
      '3500 emitted a Right',
      '3500 ended a Solved',
      '3500 complete'
    ])
  })

  it('counts its item as active until it completes', () => {
    const log = run({ items: ['a', 'b'] })
    expect(log.filter((line) => line.includes('pulled'))).toStrictEqual(['0 pulled a', '3500 pulled b'])
  })

  it('gets failures as well', () => {
    const scripts = { a: { create: [replies.refused('ERROR_SITEKEY')] } }
    expect(run({ scripts })).toContain('0 delivering a Left')
  })

  it('works without a journal', () => {
    expect(run({ hasJournal: false })).toStrictEqual([
      '0 pulled a',
      '3000 delivering a Right',
      '3500 emitted a Right',
      '3500 complete'
    ])
  })

  it.each<readonly [string, ObservableInput<unknown>]>([
    ['an array', [1, 2]],
    ['an Observable that emits', of(1, 2)],
    ['an empty array', []]
  ])('may be given as %s', (_, saved) => {
    expect(run({ deliver: () => saved })).toContain('3000 emitted a Right')
  })

  it('has no outcome emitted and no end recorded for a key whose saving never ends', () => {
    const log = run({
      deliver: () => NEVER,
      act: ({ at }, leave) => {
        at(10_000, leave)
      }
    })
    expect(log).toStrictEqual(['0 pulled a', '3000 delivering a Right'])
  })
})

describe('an error of deliver', () => {
  it('leaves the key as it is, stops the pulling and is passed on', () => {
    const log = run({ items: ['a', 'b'], deliver: diskFull })
    expect(log).toStrictEqual(['0 pulled a', '3000 delivering a Right', '3000 Error: disk full'])
  })

  it('may be thrown', () => {
    const log = run({
      deliver: () => {
        throw new Error('no database')
      }
    })
    expect(log).toStrictEqual(['0 pulled a', '3000 delivering a Right', '3000 Error: no database'])
  })

  it.each<unknown>([undefined, null, 7, 'saved', {}])('says what to return if it is %p', (returned) => {
    const log = run({ deliver: () => returned as ObservableInput<unknown> })
    expect(log.at(-1)).toBe(
      '3000 TypeError: deliver: expected a promise or an Observable that completes once the outcome is saved'
    )
  })

  it('is passed on when the active tasks have ended, and these are delivered', () => {
    const scripts = { b: { poll: [replies.processing(), replies.ready('token-b')] } }
    const log = run({
      items: ['a', 'b', 'c'],
      concurrency: 2,
      scripts,
      deliver: ({ item }, scheduler) => (item === 'a' ? diskFull() : timer(SAVE_MS, scheduler))
    })
    expect(log).toStrictEqual([
      '0 pulled a',
      '0 pulled b',
      '3000 delivering a Right',
      '6000 delivering b Right',
      '6500 emitted b Right',
      '6500 ended b Solved',
      '6500 Error: disk full'
    ])
  })

  it('stops a batch without a journal in the same way', () => {
    const log = run({ items: ['a', 'b'], deliver: diskFull, hasJournal: false })
    expect(log).toStrictEqual(['0 pulled a', '3000 delivering a Right', '3000 Error: disk full'])
  })
})
