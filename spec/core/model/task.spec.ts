import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import * as t from 'io-ts'
import type { JsonValue } from '../../../lib/core/model/network.js'
import {
  defineTask,
  problemsOf,
  readPayload,
  readRef,
  readSolution,
  recaptchaV2
} from '../../../lib/core/model/task.js'

const URL_PROBLEM = 'websiteURL: expected an address that begins with http:// or https://'
const KEY_PROBLEM = 'websiteKey: expected a string that is not empty'

const fields = { websiteURL: 'https://example.com/login', websiteKey: 'site-key' }
const payloadOf = (given: unknown) => recaptchaV2(given as typeof fields).payload

describe('recaptchaV2', () => {
  it.each([
    ['left out', {}],
    ['undefined', { isInvisible: undefined }],
    ['false', { isInvisible: false }]
  ])('sends what is documented, without isInvisible where that is %s', (_, more) => {
    expect(payloadOf({ ...fields, ...more })).toStrictEqual(E.right({ type: 'RecaptchaV2TaskProxyless', ...fields }))
  })

  it('sends isInvisible as the boolean true', () => {
    expect(payloadOf({ ...fields, isInvisible: true })).toStrictEqual(
      E.right({ type: 'RecaptchaV2TaskProxyless', ...fields, isInvisible: true })
    )
  })

  it('sends no other field, and no other type', () => {
    const more = { type: 'AnotherTask', proxy: 'x', clientKey: 'y' }
    expect(payloadOf({ ...fields, ...more })).toStrictEqual(E.right({ type: 'RecaptchaV2TaskProxyless', ...fields }))
  })

  it.each(['http://a', 'HTTPS://example.com', 'https://example.com:8443/a?b=c#d', 'https://bücher.example/ä'])(
    'takes the address %s',
    (websiteURL) => {
      expect(E.isRight(payloadOf({ ...fields, websiteURL }))).toBe(true)
    }
  )

  it('takes an address with an umlaut however often it is asked', () => {
    const taken = Array.from({ length: 20_000 }, () => payloadOf({ ...fields, websiteURL: 'https://bücher.example/ä' }))
    expect(taken.filter(E.isLeft)).toStrictEqual([])
  })

  it.each([
    ...['', 'example.com', '//example.com', 'ftp://example.com', 'file:///etc/passwd', 'https://', 'https:example.com'],
    ...['https:///path', 'https://exa mple.com', ' https://example.com', 'https://example.com ', 'https://[bad'],
    ...[null, undefined, 7, {}, ['https://example.com']]
  ])('refuses the address %p', (websiteURL) => {
    expect(payloadOf({ ...fields, websiteURL })).toStrictEqual(E.left([URL_PROBLEM]))
  })

  it.each(['', '  ', null, undefined, 7, {}])('refuses the site key %p', (websiteKey) => {
    expect(payloadOf({ ...fields, websiteKey })).toStrictEqual(E.left([KEY_PROBLEM]))
  })

  it.each(['true', 1, 0, null, {}])('refuses isInvisible %p', (isInvisible) => {
    expect(payloadOf({ ...fields, isInvisible })).toStrictEqual(E.left(['isInvisible: expected boolean']))
  })

  it('names all that is wrong', () => {
    expect(payloadOf({ isInvisible: 'yes' })).toStrictEqual(
      E.left([URL_PROBLEM, KEY_PROBLEM, 'isInvisible: expected boolean'])
    )
  })

  it.each([null, undefined, 7, 'https://example.com', []])('refuses %p as its fields', (given) => {
    expect(payloadOf(given)).toStrictEqual(E.left(['the whole: expected the fields of a reCAPTCHA v2 task']))
  })

  it('carries all that reading an answer needs, as a kind and in each of its tasks', () => {
    const reading = { solution: expect.any(t.Type) as t.Mixed, bestWithinMs: 60_000, validForMs: 120_000 }
    expect({ ...recaptchaV2 }).toStrictEqual(reading)
    const payload = expect.anything() as unknown
    expect(recaptchaV2(fields)).toStrictEqual({ ...reading, type: 'RecaptchaV2TaskProxyless', payload })
  })

  it('never throws, and tells of no value', () => {
    const secret = 'a-value-not-to-be-told'
    const values = fc.oneof(fc.anything(), fc.constant(secret), fc.constant({ [secret]: secret }))
    const anyFields = fc.record({ websiteURL: values, websiteKey: values, isInvisible: values }, { requiredKeys: [] })
    const isQuiet = (given: unknown): boolean => {
      const payload = payloadOf(given)
      return E.isRight(payload) || (payload.left.length > 0 && !payload.left.join().includes(secret))
    }
    fc.assert(fc.property(fc.oneof(anyFields, values), isQuiet), { numRuns: 500 })
  })

  it('survives fields that throw when they are read', () => {
    const hostile = new Proxy(fields, {
      get: () => {
        throw new Error('a-value-not-to-be-told')
      }
    })
    expect(payloadOf(hostile)).toStrictEqual(E.left(['the fields: its codec threw']))
  })
})

describe('defineTask', () => {
  const defined = <F>(codec: t.Type<F, JsonValue>) =>
    defineTask({ type: 'OtherTask', fields: codec, solution: t.string })
  const thrower = (): never => {
    throw new Error('a-value-not-to-be-told')
  }

  it('sends what the codec encodes, and its type', () => {
    const codec = new t.Type<Date, JsonValue>(
      'a date',
      (value): value is Date => value instanceof Date,
      (value) => t.success(value as Date),
      (date) => ({ from: date.getTime(), type: 'AnotherTask' })
    )
    expect(defined(codec)(new Date(17)).payload).toStrictEqual(E.right({ from: 17, type: 'OtherTask' }))
  })

  it('makes an invalid task of a codec that throws when it decodes', () => {
    const codec = new t.Type<string, JsonValue>('thrower', t.string.is, thrower, t.identity)
    expect(defined(codec)('x').payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it('makes an invalid task of a codec that throws when it encodes', () => {
    const codec = new t.Type<string, JsonValue>('thrower', t.string.is, t.string.validate, thrower)
    expect(defined(codec)('x').payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it.each<readonly [JsonValue]>([['text'], [7], [null], [true], [[1]]])(
    'makes an invalid task of fields sent as %j',
    (sent) => {
      const codec = new t.Type<string, JsonValue>('odd', t.string.is, t.string.validate, () => sent)
      expect(defined(codec)('x').payload).toStrictEqual(E.left(['the fields: expected an object']))
    }
  )

  it('has no times where none are given', () => {
    expect({ ...defined(t.type({ a: t.string })) }).toMatchObject({ bestWithinMs: undefined, validForMs: undefined })
  })

  it('hands its times on to its tasks', () => {
    const kind = defineTask({ type: 'T', fields: t.type({}), solution: t.string, bestWithinMs: 1, validForMs: 2 })
    expect(kind({})).toMatchObject({ type: 'T', solution: t.string, bestWithinMs: 1, validForMs: 2 })
  })
})

describe('problemsOf', () => {
  const problems = (codec: t.Mixed, value: unknown) => {
    const decoded = codec.decode(value)
    return E.isLeft(decoded) ? problemsOf(decoded.left) : []
  }

  it('names paths through objects and arrays', () => {
    expect(problems(t.type({ a: t.array(t.type({ b: t.number })) }), { a: [{ b: 1 }, { b: 'x' }] })).toStrictEqual([
      'a.1.b: expected number'
    ])
  })

  it.each<readonly [string, t.Mixed, unknown, ReadonlyArray<string>]>([
    [
      'a union',
      t.type({ a: t.union([t.string, t.number]) }),
      { a: null },
      ['a: expected string', 'a: expected number']
    ],
    [
      'an intersection',
      t.intersection([t.type({ a: t.string }), t.partial({ b: t.string })]),
      { b: 1 },
      ['a: expected string', 'b: expected string']
    ],
    ['a wrapped one', t.exact(t.intersection([t.type({ a: t.string }), t.partial({})])), {}, ['a: expected string']]
  ])('leaves out the numbers of the members of %s', (_, codec, value, expected) => {
    expect(problems(codec, value)).toStrictEqual(expected)
  })

  it('names no problem twice', () => {
    const codec = t.union([t.type({ a: t.string }), t.type({ a: t.string, b: t.number })])
    expect(problems(codec, { b: 1 })).toStrictEqual(['a: expected string'])
  })

  it('names eight at most', () => {
    expect(
      problems(
        t.array(t.string),
        Array.from({ length: 20 }, (_, at) => at)
      )
    ).toHaveLength(8)
  })

  it('speaks of the whole where there is no path', () => {
    expect(problems(t.string, 7)).toStrictEqual(['the whole: expected string'])
  })

  it('survives a context that is empty', () => {
    expect(problemsOf([{ value: 7, context: [] }])).toStrictEqual(['the whole: expected another value'])
  })
})

describe('readSolution', () => {
  it('reads what fits', () => {
    expect(readSolution(t.string, 'text')).toStrictEqual(E.right('text'))
  })

  it('names problems from solution on', () => {
    expect(readSolution(t.union([t.string, t.type({ a: t.string })]), { a: 7 })).toStrictEqual(
      E.left(['solution: expected string', 'solution.a: expected string'])
    )
  })
})

describe('readPayload', () => {
  it('hands out the payload, or what is wrong with it', () => {
    expect(readPayload({ payload: E.right({ type: 'T' }) })).toStrictEqual(E.right({ type: 'T' }))
    expect(readPayload({ payload: E.left(['a problem']) })).toStrictEqual(E.left(['a problem']))
  })

  it.each([{}, { payload: undefined }, { payload: { type: 'T' } }, fields])('refuses %j, made by no kind', (task) => {
    expect(readPayload(task as never)).toStrictEqual(
      E.left(['the task: expected what recaptchaV2({ … }) or another kind returns'])
    )
  })
})

describe('readRef', () => {
  const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }

  it('reads a reference that went through JSON', () => {
    expect(readRef(recaptchaV2, JSON.parse(JSON.stringify(ref)))).toStrictEqual(E.right(ref))
  })

  it('takes nothing from beside it, which may be the key', () => {
    expect(readRef(recaptchaV2, { ...ref, clientKey: 'a-client-key' })).toStrictEqual(E.right(ref))
  })

  it.each([
    ['an empty id', { ...ref, taskId: '' }, 'ref.taskId: expected a string that is not empty'],
    ['a number for its id', { ...ref, taskId: 7 }, 'ref.taskId: expected a string that is not empty'],
    ['a text for its instant', { ...ref, createdAt: '2020' }, 'ref.createdAt: expected a number of milliseconds'],
    ['no instant', { ...ref, createdAt: NaN }, 'ref.createdAt: expected a number of milliseconds']
  ])('refuses %s', (_, given, problem) => {
    expect(readRef(recaptchaV2, given)).toStrictEqual(E.left([problem]))
  })

  it.each([undefined, null, 'task-1', 7])('refuses %p', (given) => {
    const read = readRef(recaptchaV2, given)
    expect(E.isLeft(read) && read.left.join()).toMatch(/^ref\.the whole: expected \{/)
  })

  it('refuses a kind that reads no answers', () => {
    expect(readRef({}, ref)).toStrictEqual(E.left(['the task: expected recaptchaV2 or another kind']))
  })
})
