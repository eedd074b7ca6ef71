import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { EMPTY, NEVER, asyncScheduler, merge, of, type Observable } from 'rxjs'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { BatchOptions, Outcome } from '../../../lib/core/model/batch.js'
import { InvalidOptions, resolveOptions } from '../../../lib/core/model/options.js'
import { explain } from '../../../lib/core/model/explain.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { defineTask, type TaskRef, type TaskSpec } from '../../../lib/core/model/task.js'
import type { Solver } from '../../../lib/core/solver.js'
import { replies } from 'rx-captcha/testing'
import { KEY, aTask, scriptedByKey, simulateOver, taskOf } from '../../support/simulate.js'

const solver = () => {
  const ports = { post: () => NEVER, scheduler: asyncScheduler, random: () => 0.5, close: () => Promise.resolve() }
  return buildSolver(ports, resolveOptions({ clientKey: KEY }))
}

const thrower = (): never => {
  throw new Error(KEY)
}
const throwing = new Proxy({}, { get: thrower, has: thrower, ownKeys: thrower })

/** Calls that are mistakes, as a program in JavaScript can make them, and what is reported. */
const refused = (call: () => unknown): ReadonlyArray<string> => {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptions)
    return error instanceof InvalidOptions ? error.problems : []
  }
  throw new Error('not refused')
}

const OBJECT = 'the options: expected an object'
const JOURNAL = 'journal: expected a journal, such as that of fileJournal'
const SOURCE = 'expected an array, an iterable, a promise or an Observable'

const notObjects: ReadonlyArray<[string, unknown]> = [
  ['null', null],
  ['a number', 7],
  ['a string', 'options'],
  ['an array', []],
  ['a function', () => undefined]
]

describe('solveAll', () => {
  const solveAll = (options: unknown, items: unknown = ['a'], toTask: unknown = taskOf) =>
    refused(() => solver().solveAll(items as string[], toTask as typeof taskOf, options as BatchOptions<string>))
  const journal = { begin: () => NEVER, created: () => EMPTY, ended: () => EMPTY }

  it.each(notObjects)('throws InvalidOptions for %s as options', (_, options) => {
    expect(solveAll(options)).toStrictEqual([OBJECT])
  })

  it.each<[string, unknown, string]>([
    ['a misspelt option', { concurency: 5 }, 'concurency: unknown option (did you mean concurrency?)'],
    ['an option in another case', { keyof: String }, 'keyof: unknown option (did you mean keyOf?)'],
    ['an unknown option', { retries: 5 }, 'retries: unknown option'],
    ['an unknown option that is undefined', { retries: undefined }, 'retries: unknown option'],
    ['an option of createSolver', { clientKey: KEY }, 'clientKey: unknown option'],
    ['an argument among the options', { items: ['b'] }, 'items: unknown option'],
    ['a getter that throws', { get journal() { return thrower() } }, 'the options: threw an error when read'], // prettier-ignore
    ['a Proxy that throws', throwing, 'the options: threw an error when read'],
    ['a source of `until` that throws', { until: throwing }, `until: ${SOURCE}`],
    ['a journal that throws', { journal: throwing, keyOf: String }, JOURNAL],
    ['the promise of a journal', { journal: Promise.resolve(journal), keyOf: String }, JOURNAL],
    ['a journal without `ended`', { journal: { ...journal, ended: undefined }, keyOf: String }, JOURNAL],
    ['a journal whose `find` is no function', { journal: { ...journal, find: true }, keyOf: String }, JOURNAL],
    ['a journal without keyOf', { journal }, 'keyOf: expected a function']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    expect(solveAll(options)).toStrictEqual([problem])
  })

  it('throws InvalidOptions for a source that throws when it is looked into', () => {
    expect(solveAll({}, throwing)).toStrictEqual([`items: ${SOURCE}`])
  })

  it('throws InvalidOptions for no arguments', () => {
    const { solveAll } = solver()
    expect(refused(() => (solveAll as () => unknown)())).toStrictEqual([
      `items: ${SOURCE}`,
      'toTask: expected a function'
    ])
  })
})

describe('withOptions', () => {
  const withOptions = (options: unknown) => refused(() => solver().withOptions(options as object))

  it.each([...notObjects, ['undefined', undefined]])('throws InvalidOptions for %s as options', (_, options) => {
    expect(withOptions(options)).toStrictEqual([OBJECT])
  })

  it.each<[string, unknown, string]>([
    ['another client key', { clientKey: KEY }, 'clientKey: unknown option'],
    ['another service', { baseUrl: 'https://example.com' }, 'baseUrl: unknown option'],
    ['a misspelt option', { giveUpAfterMS: 1 }, 'giveUpAfterMS: unknown option (did you mean giveUpAfterMs?)'],
    ['a label that is a number', { label: 7 }, 'label: expected string'],
    ['a Proxy that throws', throwing, 'the options: threw an error when read']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    expect(withOptions(options)).toStrictEqual([problem])
  })
})

describe('withOptions({ pollEveryMs })', () => {
  const callsOf = (act: (solver: Solver) => Observable<unknown>, options = {}): ReadonlyArray<string> => {
    const polls = [replies.processing(), replies.processing(), replies.ready()]
    const post = scriptedByKey({ 'site-key': { poll: polls } })
    return simulateOver(post, ({ solver, record }) => record(act(solver)), options).calls
  }

  it('is the delay between the polls of its solves', () => {
    const calls = callsOf((solver) => solver.withOptions({ pollEveryMs: 500 }).solve(aTask))
    expect(calls).toStrictEqual(['0 createTask', '500 getTaskResult', '1000 getTaskResult', '1500 getTaskResult'])
  })

  it('leaves the pace of the solver as it is', () => {
    const calls = callsOf((solver) => {
      solver.withOptions({ pollEveryMs: 500 })
      return solver.solve(aTask)
    })
    expect(calls).toStrictEqual(['0 createTask', '3000 getTaskResult', '6000 getTaskResult', '9000 getTaskResult'])
  })

  it('is kept by a further withOptions without it', () => {
    const calls = callsOf((solver) => solver.withOptions({ pollEveryMs: 500 }).withOptions({ label: 'a' }).solve(aTask))
    expect(calls.at(-1)).toBe('1500 getTaskResult')
  })

  it('shares the limit of createTask calls with the solver', () => {
    const calls = callsOf(
      (solver) => merge(solver.createTask(aTask), solver.withOptions({ pollEveryMs: 500 }).createTask(aTask)),
      { createsPerSecond: 1 }
    )
    expect(calls).toStrictEqual(['0 createTask', '1000 createTask'])
  })
})

describe('close', () => {
  const close = (options: unknown) => refused(() => solver().close(options as object))

  it.each(notObjects)('throws InvalidOptions for %s as options', (_, options) => {
    expect(close(options)).toStrictEqual([OBJECT])
  })

  it.each<[string, unknown, string]>([
    ['a misspelt option', { gracems: 5 }, 'gracems: unknown option (did you mean graceMs?)'],
    ['an unknown option', { timeout: 5 }, 'timeout: unknown option'],
    ['a negative grace', { graceMs: -1 }, 'graceMs: expected a whole number of milliseconds from 0 to 2147483647'],
    ['a Proxy that throws', throwing, 'the options: threw an error when read']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    expect(close(options)).toStrictEqual([problem])
  })

  it('throws InvalidOptions the second time too', async () => {
    const { close } = solver()
    await close()
    expect(refused(() => close({ grace: 5 } as object))).toStrictEqual([
      'grace: unknown option (did you mean graceMs?)'
    ])
  })
})

type Task = TaskSpec<unknown>

/** Every call that takes a task or a reference, given a value in its place. */
const calls: ReadonlyArray<[string, (solver: Solver, value: unknown) => Observable<unknown>]> = [
  ['solve', ({ solve }, value) => solve(value as Task)],
  ['solveWithProgress', ({ solveWithProgress }, value) => solveWithProgress(value as Task)],
  ['createTask', ({ createTask }, value) => createTask(value as Task)],
  ['resume, as a task', ({ resume }, value) => resume(value as Task, REF)],
  ['resume, as a reference', ({ resume }, value) => resume(recaptchaV2, value as TaskRef)],
  ['resumeWithProgress, as a task', ({ resumeWithProgress }, value) => resumeWithProgress(value as Task, REF)],
  [
    'resumeWithProgress, as a reference',
    ({ resumeWithProgress }, value) => resumeWithProgress(aTask, value as TaskRef)
  ],
  ['getTaskResult, as a task', ({ getTaskResult }, value) => getTaskResult(value as Task, REF)],
  ['getTaskResult, as a reference', ({ getTaskResult }, value) => getTaskResult(aTask, value as TaskRef)],
  ['solveAll, from toTask', ({ solveAll }, value) => solveAll(['a'], () => value as Task)]
]

const REF: TaskRef = { taskId: 'id-a', createdAt: 0 }

/** What a call emits, with the requests that it sends. */
const emissionsOf = (call: (solver: Solver) => Observable<unknown>) => {
  const { calls: requests, results } = simulateOver(scriptedByKey(), ({ solver, record }) => record(call(solver)))
  return { requests, values: results.map(([, , value]) => value) }
}

/** The outcome in what a call emits: the value itself, a `Settled`, or an `Outcome` of a batch. */
const isInvalidTask = (value: unknown): boolean => {
  const { result = value } = value as { result?: unknown }
  const { left } = result as E.Left<Parameters<typeof explain>[0]>
  return left._tag === 'InvalidTask' && left.problems.length > 0 && explain(left).includes('Nothing was sent')
}

const throwingGetters = {
  get payload() { return thrower() }, // prettier-ignore
  get taskId() { return thrower() } // prettier-ignore
}

const values: ReadonlyArray<[string, unknown]> = [
  ['undefined', undefined],
  ['null', null],
  ['a number', 7],
  ['a string', 'task-1'],
  ['a symbol', Symbol('task')],
  ['an empty object', {}],
  ['an array', []],
  ['a function', () => aTask],
  ['the promise of a task', Promise.resolve(aTask)],
  ['a task whose solution is valid for NaN ms', { ...aTask, validForMs: NaN }],
  ['an object whose getters throw', throwingGetters],
  ['a Proxy that throws', throwing]
]

describe.each(calls)('a value given to %s', (_, call) => {
  it.each(values)('ends as InvalidTask and sends nothing: %s', (_, value) => {
    const emitted = emissionsOf((solver) => call(solver, value))
    expect(emitted).toStrictEqual({ requests: [], values: [expect.anything(), 'complete'] })
    expect(isInvalidTask(emitted.values[0])).toBe(true)
  })

  it('ends as InvalidTask, whatever it is', () => {
    const members = { payload: fc.anything(), solution: fc.anything(), taskId: fc.anything(), createdAt: fc.string() }
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
    fc.assert(
      fc.property(fc.oneof(anything, fc.record(members, { requiredKeys: [] })), (value) => {
        const { requests, values } = emissionsOf((solver) => call(solver, value))
        return requests.length === 0 && isInvalidTask(values[0]) && values[1] === 'complete' && values.length === 2
      })
    )
  })
})

const JOURNAL_OF_NOTHING = { begin: () => of({ _tag: 'Fresh' as const }), created: () => EMPTY, ended: () => EMPTY }

const containsItself = (): unknown => {
  const errors: unknown[] = []
  const error = { errors }
  errors.push(error, error)
  return error
}

describe('a batch', () => {
  const solved = { _tag: 'Right' }
  const invalid = (problem: string) => ({ _tag: 'InvalidTask', paid: 'no', problems: [problem] })
  const resultsOf = (outcomes: ReadonlyArray<unknown>) =>
    new Map(
      outcomes
        .filter((value): value is Outcome<string, unknown> => value !== 'complete')
        .map(({ item, result }) => [item, E.isLeft(result) ? result.left : { _tag: result._tag }])
    )

  it.each(values)('solves the other items when toTask returns this for one: %s', (_, value) => {
    const toTask = (item: string) => (item === 'b' ? (value as Task) : taskOf(item))
    const { values: emitted } = emissionsOf(({ solveAll }) => solveAll(['a', 'b', 'c'], toTask))
    expect(emitted).toHaveLength(4)
    expect(resultsOf(emitted)).toMatchObject(
      new Map<string, unknown>([
        ['b', { _tag: 'InvalidTask' }],
        ['a', solved],
        ['c', solved]
      ])
    )
  })

  it.each<[string, unknown, string]>([
    ['undefined', undefined, 'something without a message'],
    ['a string', 'no more', 'no more'],
    ['a symbol', Symbol('no more'), 'something without a message'],
    ['an error with the client key', new Error(`no ${KEY}`), 'no [client key]'],
    ['an object without a message', {}, 'something without a message'],
    ['an error whose message throws', { get message() { return thrower() } }, 'something without a message'], // prettier-ignore
    ['a Proxy that throws', throwing, 'something without a message'],
    ['an error that contains itself', containsItself(), 'something without a message']
  ])('solves the other items when toTask or keyOf throws this for one: %s', (_, thrown, text) => {
    const throwAt = (at: string) => (item: string) => {
      if (item === at) throw thrown
      return item
    }
    const [noTask, noKey] = [throwAt('b'), throwAt('c')]
    const { values: emitted } = emissionsOf(({ solveAll }) =>
      solveAll(['a', 'b', 'c'], (item) => taskOf(noTask(item)), { journal: JOURNAL_OF_NOTHING, keyOf: noKey })
    )
    expect(resultsOf(emitted)).toStrictEqual(
      new Map<string, unknown>([
        ['b', invalid(`toTask: threw ${text}`)],
        ['c', invalid(`keyOf: threw ${text}`)],
        ['a', solved]
      ])
    )
  })

  it('solves the other items when toTask or keyOf returns a promise for one, and handles its rejection', async () => {
    const unhandled = jest.fn()
    process.on('unhandledRejection', unhandled)
    const rejectAt = (at: string) => (item: string) =>
      item === at ? (Promise.reject(new Error('no more')) as unknown as string) : item
    const [noTask, noKey] = [rejectAt('b'), rejectAt('c')]
    const toTask = (item: string) => (item === 'b' ? (noTask(item) as unknown as Task) : taskOf(item))
    const { values: emitted } = emissionsOf(({ solveAll }) =>
      solveAll(['a', 'b', 'c'], toTask, { journal: JOURNAL_OF_NOTHING, keyOf: noKey })
    )
    await new Promise(setImmediate)
    process.off('unhandledRejection', unhandled)
    const promise = 'returned a promise; await in the source of the items what it waits for'
    expect(resultsOf(emitted)).toStrictEqual(
      new Map<string, unknown>([
        ['b', invalid(`toTask: ${promise}`)],
        ['c', invalid(`keyOf: ${promise}`)],
        ['a', solved]
      ])
    )
    expect(unhandled).not.toHaveBeenCalled()
  })

  it.each<[string, unknown]>([
    ...values.filter(([, key]) => key !== 'task-1' && !(key instanceof Promise)),
    ['an empty string', ''],
    ['blanks', '  ']
  ])('solves the other items when keyOf returns this for one: %s', (_, key) => {
    const keyOf = (item: string) => (item === 'b' ? (key as string) : item)
    const { values: emitted } = emissionsOf(({ solveAll }) =>
      solveAll(['a', 'b'], taskOf, { journal: JOURNAL_OF_NOTHING, keyOf })
    )
    expect(resultsOf(emitted)).toStrictEqual(
      new Map<string, unknown>([
        ['b', invalid('keyOf: expected a string that is not empty')],
        ['a', solved]
      ])
    )
  })
})

const scored = defineTask({ type: 'Scored', fields: t.type({ score: t.number }), solution: t.unknown })
const creating = calls.filter(([name]) => !/resume|getTaskResult/.test(name))

describe.each(creating)('a task given to %s', (_, call) => {
  it.each([
    ['made by a kind', scored({ score: NaN })],
    ['made by hand', { ...scored({ score: 1 }), payload: E.right({ type: 'Scored', score: NaN }) }]
  ])('ends as InvalidTask and sends nothing if JSON would change a field of it: %s', (_, task) => {
    const emitted = emissionsOf((solver) => call(solver, task))
    expect(emitted.requests).toStrictEqual([])
    expect(isInvalidTask(emitted.values[0])).toBe(true)
  })
})
