import * as fc from 'fast-check'
import * as t from 'io-ts'
import { InvalidOptions, checkOptions, type OptionCodecs } from '../../../lib/core/validation/check-options.js'
import { optional, refined } from '../../../lib/core/validation/problems.js'

interface Options {
  readonly label: string
  readonly count?: number | undefined
}

const codecs: OptionCodecs<Options> = { label: t.string, count: optional(t.number) }

const check = (options: unknown) => checkOptions<Options>(codecs, options as Options)

const problemsOf = (options: unknown): ReadonlyArray<string> => {
  try {
    check(options)
    return []
  } catch (error) {
    if (error instanceof InvalidOptions) return error.problems
    throw error
  }
}

const thrower = (): never => {
  throw new Error('a-secret-value')
}
const throwing = new Proxy({}, { get: thrower, has: thrower, ownKeys: thrower, getPrototypeOf: thrower })
const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

describe('checkOptions', () => {
  it('returns the options that have a codec', () => {
    expect(check({ label: 'a' })).toStrictEqual({ label: 'a', count: undefined })
  })

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['a number', 7],
    ['a string', 'label'],
    ['a symbol', Symbol('label')],
    ['an array', [{ label: 'a' }]],
    ['a function', () => ({ label: 'a' })]
  ])('refuses %s, which is no object', (_, options) => {
    expect(problemsOf(options)).toStrictEqual(['the options: expected an object'])
  })

  it.each<[string, unknown]>([
    ['a Proxy that throws', throwing],
    ['a revoked Proxy', revoked()],
    ['a getter that throws', { label: 'a', get count() { return thrower() } }] // prettier-ignore
  ])('refuses %s, without the message of the error', (_, options) => {
    expect(problemsOf(options)).toStrictEqual(['the options: threw an error when read'])
  })

  it('refuses an option whose value throws when it is looked into', () => {
    const Port = refined('a port', (value): value is object => typeof value === 'object' && 'open' in value!)
    expect(() => checkOptions<{ port: object }>({ port: Port }, { port: throwing })).toThrow('port: expected a port')
  })

  it.each<[string, string, string]>([
    ['near a known one', 'lable', 'lable: unknown option (did you mean label?)'],
    ['near no known one', 'size', 'size: unknown option'],
    ['named like a member of every object', 'constructor', 'constructor: unknown option'],
    ['named __proto__', '__proto__', '__proto__: unknown option'],
    ['named with a line break', 'a\nb', String.raw`"a\nb": unknown option`],
    ['very long', 'x'.repeat(1_000), `"${'x'.repeat(40)}": unknown option`]
  ])('refuses an unknown option that is %s', (_, name, problem) => {
    const known: [string, unknown] = ['label', 'a']
    expect(problemsOf(Object.fromEntries([known, [name, 'a-secret-value']]))).toStrictEqual([problem])
    expect(problemsOf(Object.fromEntries([known, [name, undefined]]))).toStrictEqual([problem])
  })

  it('names the first eight unknown options, and all problems of the known ones', () => {
    const unknown = Object.fromEntries(Array.from({ length: 100 }, (_, nth) => [`field${nth}`, nth]))
    expect(problemsOf({ ...unknown, label: 7, count: '7' })).toStrictEqual([
      ...Array.from({ length: 8 }, (_, nth) => `field${nth}: unknown option`),
      'label: expected string',
      'count: expected number'
    ])
  })

  it('accepts inherited options', () => {
    expect(check(Object.create({ label: 'a', other: 1 }))).toMatchObject({ label: 'a' })
  })

  it('reads every option once, so that the returned ones are those that were checked', () => {
    let reads = 0
    const options = { get label() { return ['a', 7][reads++] } } // prettier-ignore
    expect(check(options)).toMatchObject({ label: 'a' })
    expect(reads).toBe(1)
  })

  it('uses the codecs that depend on other options in place of the others', () => {
    const checkBoth = (options: Options) =>
      checkOptions(codecs, options, ({ label }) => (label === 'a' ? { count: t.number } : {}))
    expect(() => checkBoth({ label: 'a' })).toThrow('count: expected number')
    expect(checkBoth({ label: 'b' })).toMatchObject({ label: 'b' })
  })

  it('returns the options or throws InvalidOptions, whatever it is given', () => {
    const anything = fc.oneof(
      fc.anything({ withNullPrototype: true, withBigInt: true, withSparseArray: true }),
      fc.record({ label: fc.anything(), count: fc.anything() }),
      fc.record({ label: fc.string(), count: fc.double() })
    )
    fc.assert(
      fc.property(anything, (options) => {
        const problems = problemsOf(options) // throws anything but InvalidOptions
        return problems.length > 0 || typeof check(options).label === 'string'
      })
    )
  })
})
