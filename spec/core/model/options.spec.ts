import type { CodeMeaning } from '../../../lib/core/protocol/error-codes.js'
import {
  InvalidOptions,
  isFunction,
  problemsIn,
  problemsOfClose,
  problemsOfOptions,
  problemsOfScope,
  resolveOptions,
  throwIfAny,
  integerBetween,
  type SolveOptions
} from '../../../lib/core/model/options.js'

const KEY = 'a-client-key'
const LONGEST = 2_147_483_647

const problemsWith = (name: string, value: unknown) => problemsOfOptions({ clientKey: KEY, [name]: value })

const durations = ['pollEveryMs', 'giveUpAfterMs', 'createTimeoutMs', 'resultTimeoutMs']

describe.each(durations)('%s', (name) => {
  it.each([undefined, 1, 2_500, LONGEST])('takes %p', (value) => {
    expect(problemsWith(name, value)).toStrictEqual([])
  })

  it.each([0, -1, 1.5, LONGEST + 1, NaN, Infinity, '3000', null, 3000n, [3000]])('refuses %p', (value) => {
    expect(problemsWith(name, value)).toStrictEqual([
      `${name}: expected a whole number of milliseconds from 1 to 2147483647`
    ])
  })
})

describe('createsPerSecond', () => {
  it.each([undefined, 0.001, 0.5, 20, 1_000])('takes %p', (value) => {
    expect(problemsWith('createsPerSecond', value)).toStrictEqual([])
  })

  it.each([0, 0.0009, 1_000.5, -1, NaN, Infinity, '5', null])('refuses %p', (value) => {
    expect(problemsWith('createsPerSecond', value)).toStrictEqual([
      'createsPerSecond: expected a number from 0.001 to 1000'
    ])
  })
})

describe('meaningOf', () => {
  it.each([undefined, () => undefined])('takes %p', (value) => {
    expect(problemsWith('meaningOf', value)).toStrictEqual([])
  })

  it.each([null, 'account', {}, new Map()])('refuses %p', (value) => {
    expect(problemsWith('meaningOf', value)).toStrictEqual(['meaningOf: expected a function'])
  })
})

describe('clientKey', () => {
  it('takes eight characters', () => {
    expect(problemsWith('clientKey', '12345678')).toStrictEqual([])
  })

  it.each([undefined, null, 12345678, '', '1234567', '        ', ' 1234567 '])('refuses %p', (value) => {
    expect(problemsWith('clientKey', value)).toStrictEqual(['clientKey: expected a string of at least 8 characters'])
  })

  it.each([' 12345678', '12345678\n', '\t12345678'])('refuses %j, as it stands in no echo that way', (value) => {
    expect(problemsWith('clientKey', value)).toStrictEqual([
      'clientKey: expected no white space at its beginning or end'
    ])
  })
})

describe('the options of a scope', () => {
  it.each([{}, { label: undefined, giveUpAfterMs: undefined }, { label: '', giveUpAfterMs: 1 }])(
    'may be %j',
    (options) => {
      expect(problemsOfScope(options)).toStrictEqual([])
    }
  )

  it('are a text and a duration', () => {
    expect(problemsOfScope({ label: 7 as never, giveUpAfterMs: 0 })).toStrictEqual([
      'label: expected a string',
      'giveUpAfterMs: expected a whole number of milliseconds from 1 to 2147483647'
    ])
  })
})

describe('the options of close', () => {
  it.each([undefined, 0, 1, LONGEST])('may be a grace of %p ms', (graceMs) => {
    expect(problemsOfClose({ graceMs })).toStrictEqual([])
  })

  it.each([-1, 0.5, LONGEST + 1, NaN, '0'])('refuse a grace of %p', (graceMs) => {
    expect(problemsOfClose({ graceMs: graceMs as number })).toStrictEqual([
      'graceMs: expected a whole number of milliseconds from 0 to 2147483647'
    ])
  })
})

describe('problemsIn', () => {
  it('names every problem, and a field that is not there as undefined', () => {
    const options: { readonly a?: unknown; readonly b?: unknown } = { a: 0 }
    const isThere = (name: string, value: unknown) => (value === undefined ? [`${name} is missing`] : [])
    expect(problemsIn(options, { a: integerBetween(1, 2, 'things'), b: isThere })).toStrictEqual([
      'a: expected a whole number of things from 1 to 2',
      'b is missing'
    ])
  })

  it('skips a field without a check', () => {
    expect(problemsIn({ a: 'x' }, { a: undefined as never })).toStrictEqual([])
  })

  it('takes no value from a prototype', () => {
    expect(problemsIn(Object.create({ a: 'no function' }) as { a?: unknown }, { a: isFunction })).toStrictEqual([])
  })
})

describe('InvalidOptions', () => {
  const secret = 'short'
  const refused = (): unknown => {
    try {
      throwIfAny(problemsOfOptions({ clientKey: secret, pollEveryMs: -77 }))
    } catch (error) {
      return error
    }
    return undefined
  }

  it('is an Error of its own name that lists the problems', () => {
    const error = refused()
    expect(error).toBeInstanceOf(Error)
    expect(error).toBeInstanceOf(InvalidOptions)
    expect(error).toMatchObject({
      name: 'InvalidOptions',
      problems: [
        'clientKey: expected a string of at least 8 characters',
        'pollEveryMs: expected a whole number of milliseconds from 1 to 2147483647'
      ]
    })
  })

  it('says in its message each field and bound, and that nothing was sent', () => {
    expect(String(refused())).toBe(
      'InvalidOptions: Invalid options: clientKey: expected a string of at least 8 characters; ' +
        'pollEveryMs: expected a whole number of milliseconds from 1 to 2147483647. Nothing was sent.'
    )
  })

  it('never repeats a value', () => {
    const error = refused()
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/short|77/)
  })

  it('is not thrown for no problems', () => {
    expect(() => throwIfAny([])).not.toThrow()
  })
})

describe('resolveOptions', () => {
  const defaults = {
    clientKey: KEY,
    pollEveryMs: 3_000,
    giveUpAfterMs: 300_000,
    createTimeoutMs: 25_000,
    resultTimeoutMs: 10_000,
    createsPerSecond: undefined,
    meaningOf: expect.any(Function) as () => undefined
  }

  it('fills in the documented defaults', () => {
    expect(resolveOptions({ clientKey: KEY })).toStrictEqual(defaults)
  })

  it('fills in the defaults of fields that are undefined', () => {
    const none = Object.fromEntries([...durations, 'createsPerSecond', 'meaningOf'].map((name) => [name, undefined]))
    expect(resolveOptions({ clientKey: KEY, ...none })).toStrictEqual(defaults)
  })

  it('keeps what is given, and nothing else', () => {
    const given = { pollEveryMs: 1, giveUpAfterMs: 2, createTimeoutMs: 3, resultTimeoutMs: 4, createsPerSecond: 5 }
    const more = { baseUrl: 'https://example.com' }
    expect(resolveOptions({ clientKey: KEY, ...given, ...more })).toStrictEqual({ ...defaults, ...given })
  })

  const kindOf = (kind: SolveOptions['meaningOf']) =>
    resolveOptions({ clientKey: KEY, meaningOf: kind }).meaningOf('ERROR_X')

  it('gives a code no meaning by default', () => {
    expect(kindOf(undefined)).toBeUndefined()
  })

  it.each<readonly [CodeMeaning]>([
    ['account'],
    ['request'],
    ['unavailable'],
    ['task'],
    ['unknown'],
    ['notFound'],
    ['pending']
  ])('lets kindOf answer %s', (meaning) => {
    expect(kindOf(() => meaning)).toBe(meaning)
  })

  it.each(['broken', 'Account', '', null, 7, {}, Promise.resolve('account')])(
    'takes %p of kindOf for nothing',
    (nonsense) => {
      expect(kindOf(() => nonsense as CodeMeaning)).toBeUndefined()
    }
  )

  it('takes a kindOf that throws for nothing', () => {
    const thrown = (): never => {
      throw new Error('no such code')
    }
    expect(kindOf(thrown)).toBeUndefined()
  })

  it('asks kindOf for the code', () => {
    const asked = jest.fn()
    kindOf(asked)
    expect(asked.mock.calls).toStrictEqual([['ERROR_X']])
  })
})
