import type { CodeMeaning } from '../../../lib/core/model/error.js'
import {
  InvalidOptions,
  checkOptions,
  coreOptionCodecs,
  durationFrom,
  resolveOptions,
  scopeOptionCodecs,
  type CoreOptions
} from '../../../lib/core/model/options.js'

const KEY = 'a-client-key'
const MAX_TIMER_MS = 2_147_483_647

const problemsOfCheck = (check: () => void): ReadonlyArray<string> => {
  try {
    check()
    return []
  } catch (error) {
    if (error instanceof InvalidOptions) return error.problems
    throw error
  }
}

const problemsWith = (name: string, value: unknown) =>
  problemsOfCheck(() => checkOptions(coreOptionCodecs, { clientKey: KEY, [name]: value }))

const durations = ['pollEveryMs', 'giveUpAfterMs', 'createTimeoutMs', 'resultTimeoutMs']

describe.each(durations)('option %s', (name) => {
  it.each([undefined, 1, 2_500, MAX_TIMER_MS])('accepts %p', (value) => {
    expect(problemsWith(name, value)).toStrictEqual([])
  })

  it.each([0, -1, 1.5, MAX_TIMER_MS + 1, NaN, Infinity, '3000', null, 3000n, [3000]])('refuses %p', (value) => {
    expect(problemsWith(name, value)).toStrictEqual([
      `${name}: expected a whole number of milliseconds from 1 to 2147483647`
    ])
  })
})

describe('option createsPerSecond', () => {
  it.each([undefined, 0.001, 0.5, 20, 1_000])('accepts %p', (value) => {
    expect(problemsWith('createsPerSecond', value)).toStrictEqual([])
  })

  it.each([0, 0.0009, 1_000.5, -1, NaN, Infinity, '5', null])('refuses %p', (value) => {
    expect(problemsWith('createsPerSecond', value)).toStrictEqual([
      'createsPerSecond: expected a number from 0.001 to 1000'
    ])
  })
})

describe('option meaningOf', () => {
  it.each([undefined, () => undefined])('accepts %p', (value) => {
    expect(problemsWith('meaningOf', value)).toStrictEqual([])
  })

  it.each([null, 'account', {}, new Map()])('refuses %p', (value) => {
    expect(problemsWith('meaningOf', value)).toStrictEqual(['meaningOf: expected a function'])
  })
})

describe('option clientKey', () => {
  it('accepts eight characters', () => {
    expect(problemsWith('clientKey', '12345678')).toStrictEqual([])
  })

  it.each([
    ...[null, 12345678, '1234567', '        ', ' 1234567 '],
    ...[' 12345678', '12345678\n', '\t12345678'] // the service would echo it without the white space
  ])('refuses %j', (value) => {
    expect(problemsWith('clientKey', value)).toStrictEqual([
      'clientKey: expected a string of at least 8 characters, without white space around it'
    ])
  })

  it.each([undefined, ''])('is missing if it is %j, as from a variable that is not set', (value) => {
    expect(problemsWith('clientKey', value)).toStrictEqual([
      'clientKey: expected the key of the account, but there is none (is its environment variable set?)'
    ])
  })
})

describe('options of withOptions', () => {
  it.each([
    {},
    { label: undefined, giveUpAfterMs: undefined, pollEveryMs: undefined },
    { label: '', giveUpAfterMs: 1, pollEveryMs: 1 }
  ])('may be %j', (options) => {
    expect(problemsOfCheck(() => checkOptions(scopeOptionCodecs, options))).toStrictEqual([])
  })

  it('are refused unless they are a string and durations', () => {
    expect(
      problemsOfCheck(() => checkOptions(scopeOptionCodecs, { label: 7, giveUpAfterMs: 0, pollEveryMs: 0 }))
    ).toStrictEqual([
      'label: expected string',
      'giveUpAfterMs: expected a whole number of milliseconds from 1 to 2147483647',
      'pollEveryMs: expected a whole number of milliseconds from 1 to 2147483647'
    ])
  })
})

describe('durationFrom(0)', () => {
  it.each([0, 1, MAX_TIMER_MS])('accepts %p', (value) => {
    expect(durationFrom(0).is(value)).toBe(true)
  })

  it.each([-1, 0.5, MAX_TIMER_MS + 1, NaN, '0', undefined])('refuses %p', (value) => {
    expect(durationFrom(0).is(value)).toBe(false)
  })
})

describe('InvalidOptions', () => {
  const refused = (): unknown => {
    try {
      checkOptions(coreOptionCodecs, { clientKey: 'short', pollEveryMs: -77 })
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
        'clientKey: expected a string of at least 8 characters, without white space around it',
        'pollEveryMs: expected a whole number of milliseconds from 1 to 2147483647'
      ]
    })
  })

  it('names each field and what it expects in its message, and that the call sent nothing', () => {
    expect(String(refused())).toBe(
      'InvalidOptions: Invalid options: clientKey: expected a string of at least 8 characters, without white space ' +
        'around it; pollEveryMs: expected a whole number of milliseconds from 1 to 2147483647. This call sent nothing.'
    )
  })

  it('never repeats a value', () => {
    const error = refused()
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toMatch(/short|77/)
  })

  it('lists every problem, however many there are', () => {
    const codecs = Object.fromEntries(Array.from({ length: 20 }, (_, nth) => [`field${nth}`, durationFrom(1)]))
    expect(problemsOfCheck(() => checkOptions(codecs, {}))).toHaveLength(20)
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
    maxOpenTasks: undefined,
    meaningOf: expect.any(Function) as () => undefined
  }

  it('fills in the documented defaults', () => {
    expect(resolveOptions({ clientKey: KEY })).toStrictEqual(defaults)
  })

  it('fills in the defaults of fields that are undefined', () => {
    const none = Object.fromEntries(
      [...durations, 'createsPerSecond', 'maxOpenTasks', 'meaningOf'].map((name) => [name, undefined])
    )
    expect(resolveOptions({ clientKey: KEY, ...none })).toStrictEqual(defaults)
  })

  it('keeps the given values, and drops other fields', () => {
    const given = { pollEveryMs: 1, giveUpAfterMs: 2, createTimeoutMs: 3, resultTimeoutMs: 4, createsPerSecond: 5 }
    const more = { baseUrl: 'https://example.com' }
    expect(resolveOptions({ clientKey: KEY, ...given, ...more })).toStrictEqual({ ...defaults, ...given })
  })

  const meaningWith = (meaningOf: CoreOptions['meaningOf']) =>
    resolveOptions({ clientKey: KEY, meaningOf }).meaningOf('ERROR_X')

  it('gives a code no meaning by default', () => {
    expect(meaningWith(undefined)).toBeUndefined()
  })

  it.each<readonly [CodeMeaning]>([
    ['account'],
    ['request'],
    ['unavailable'],
    ['task'],
    ['unknown'],
    ['notFound'],
    ['pending']
  ])('lets meaningOf return %s', (meaning) => {
    expect(meaningWith(() => meaning)).toBe(meaning)
  })

  it.each(['serverError', 'Account', '', null, 7, {}, Promise.resolve('account')])(
    'ignores a meaningOf that returns %p',
    (returned) => {
      expect(meaningWith(() => returned as CodeMeaning)).toBeUndefined()
    }
  )

  it('ignores a meaningOf that throws', () => {
    const thrown = (): never => {
      throw new Error('no such code')
    }
    expect(meaningWith(thrown)).toBeUndefined()
  })

  it('calls meaningOf with the code', () => {
    const meaningOf = jest.fn()
    meaningWith(meaningOf)
    expect(meaningOf.mock.calls).toStrictEqual([['ERROR_X']])
  })
})
