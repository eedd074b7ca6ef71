import { EMPTY, NEVER, asyncScheduler } from 'rxjs'
import { buildSolver } from '../../../lib/core/build-solver.js'
import type { BatchOptions } from '../../../lib/core/model/batch.js'
import { InvalidOptions, resolveOptions } from '../../../lib/core/model/options.js'
import { KEY, taskOf } from '../../support/simulate.js'

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
    ['a misspelt option', { concurency: 5 }, 'concurency: unknown option, did you mean concurrency?'],
    ['an option in another case', { keyof: String }, 'keyof: unknown option, did you mean keyOf?'],
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
    ['a misspelt option', { giveUpAfterMS: 1 }, 'giveUpAfterMS: unknown option, did you mean giveUpAfterMs?'],
    ['a label that is a number', { label: 7 }, 'label: expected string'],
    ['a Proxy that throws', throwing, 'the options: threw an error when read']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    expect(withOptions(options)).toStrictEqual([problem])
  })
})

describe('close', () => {
  const close = (options: unknown) => refused(() => solver().close(options as object))

  it.each(notObjects)('throws InvalidOptions for %s as options', (_, options) => {
    expect(close(options)).toStrictEqual([OBJECT])
  })

  it.each<[string, unknown, string]>([
    ['a misspelt option', { gracems: 5 }, 'gracems: unknown option, did you mean graceMs?'],
    ['an unknown option', { timeout: 5 }, 'timeout: unknown option'],
    ['a negative grace', { graceMs: -1 }, 'graceMs: expected a whole number of milliseconds from 0 to 2147483647'],
    ['a Proxy that throws', throwing, 'the options: threw an error when read']
  ])('throws InvalidOptions for %s', (_, options, problem) => {
    expect(close(options)).toStrictEqual([problem])
  })

  it('throws InvalidOptions the second time too', async () => {
    const { close } = solver()
    await close()
    expect(refused(() => close({ grace: 5 } as object))).toStrictEqual(['grace: unknown option, did you mean graceMs?'])
  })
})
