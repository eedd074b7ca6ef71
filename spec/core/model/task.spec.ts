import { isDeepStrictEqual } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import * as t from 'io-ts'
import { InvalidOptions } from '../../../lib/core/validation/check-options.js'
import type { JsonValue } from '../../../lib/core/model/network.js'
import { defineTask, readRef, readSolution, readTask, type TaskSpec } from '../../../lib/core/model/task.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

const fields = { websiteURL: 'https://example.com/login', websiteKey: 'site-key' }

const thrower = (): never => {
  throw new Error('a-secret-value')
}
const throwing = new Proxy({}, { get: thrower, has: thrower, ownKeys: thrower })

describe('defineTask', () => {
  const taskKindWith = <F>(codec: t.Type<F, JsonValue>) =>
    defineTask({ type: 'OtherTask', fields: codec, solution: t.string })
  const throws = (): never => {
    throw new Error('a-secret-value')
  }

  it('makes a payload of what the codec encodes, with its own type', () => {
    const codec = new t.Type<Date, JsonValue>(
      'a date',
      (value): value is Date => value instanceof Date,
      (value) => t.success(value as Date),
      (date) => ({ from: date.getTime(), type: 'AnotherTask' })
    )
    expect(taskKindWith(codec)(new Date(17)).payload).toStrictEqual(E.right({ from: 17, type: 'OtherTask' }))
  })

  class WithGetter {
    readonly #text = 'text'
    get body(): string {
      return this.#text
    }
  }
  const Body = t.type({ body: t.string })

  it.each<readonly [string, { readonly body: string }]>([
    ['a getter of a class', new WithGetter()],
    ['a prototype', Object.create({ body: 'text' }) as { readonly body: string }]
  ])('makes an invalid task if a field is in %s, because it would not be sent', (_, fields) => {
    expect(taskKindWith(Body)(fields).payload).toMatchObject({ left: [expect.stringContaining('own properties')] })
  })

  class WithField {
    readonly body = 'text'
  }
  it('takes the own fields of a class', () => {
    expect(taskKindWith(Body)(new WithField()).payload).toStrictEqual(E.right({ body: 'text', type: 'OtherTask' }))
  })

  it('makes an invalid task if the codec throws while decoding', () => {
    const codec = new t.Type<string, JsonValue>('throws', t.string.is, throws, t.identity)
    expect(taskKindWith(codec)('x').payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it('makes an invalid task if the codec throws while encoding', () => {
    const codec = new t.Type<string, JsonValue>('throws', t.string.is, t.string.validate, throws)
    expect(taskKindWith(codec)('x').payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it.each<readonly [JsonValue]>([['text'], [7], [null], [true], [[1]]])(
    'makes an invalid task if the fields are encoded as %j',
    (encoded) => {
      const codec = new t.Type<string, JsonValue>('odd', t.string.is, t.string.validate, () => encoded)
      expect(taskKindWith(codec)('x').payload).toStrictEqual(E.left(['the fields: expected an object']))
    }
  )

  it('has no times if none are given', () => {
    expect({ ...taskKindWith(t.type({ a: t.string })) }).toMatchObject({
      bestWithinMs: undefined,
      validForMs: undefined
    })
  })

  it('copies its times to its tasks', () => {
    const kind = defineTask({ type: 'T', fields: t.type({}), solution: t.string, bestWithinMs: 1, validForMs: 2 })
    expect(kind({})).toMatchObject({ type: 'T', solution: t.string, bestWithinMs: 1, validForMs: 2 })
  })
})

describe('the definition of a kind', () => {
  const definition = { type: 'T', fields: t.type({}), solution: t.string }

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'the options: expected an object'],
    ['no type', { ...definition, type: undefined }, 'type: expected a string that is not empty'],
    ['no codec of the fields', { ...definition, fields: {} }, 'fields: expected a codec of io-ts'],
    [
      'a decoder of the fields alone',
      { ...definition, fields: { decode: () => 0 } },
      'fields: expected a codec of io-ts'
    ],
    ['no decoder of the solution', { ...definition, solution: undefined }, 'solution: expected a decoder of io-ts'],
    ['a function as decoder', { ...definition, solution: String }, 'solution: expected a decoder of io-ts'],
    ['a text as duration', { ...definition, validForMs: '60' }, 'validForMs: expected a number of milliseconds'],
    ['NaN as duration', { ...definition, bestWithinMs: NaN }, 'bestWithinMs: expected a number of milliseconds from 0'],
    ['an endless duration', { ...definition, validForMs: Infinity }, 'validForMs: expected a number of milliseconds'],
    ['a negative duration', { ...definition, validForMs: -5 }, 'validForMs: expected a number of milliseconds from 0'],
    [
      'a misspelt member',
      { ...definition, bestWithinMS: 1 },
      'bestWithinMS: unknown option (did you mean bestWithinMs?)'
    ],
    ['a Proxy that throws', throwing, 'the options: threw an error when read']
  ])('is refused with InvalidOptions if it is %s', (_, wrong, problem) => {
    const define = () => defineTask(wrong as typeof definition)
    expect(define).toThrow(InvalidOptions)
    expect(define).toThrow(problem)
  })
})

describe('readSolution', () => {
  it('reads a value that its decoder accepts', () => {
    expect(readSolution(t.string, 'text')).toStrictEqual(E.right('text'))
  })

  it('names problems with paths that start at solution', () => {
    expect(readSolution(t.union([t.string, t.type({ a: t.string })]), { a: 7 })).toStrictEqual(
      E.left(['solution: expected string', 'solution.a: expected string'])
    )
  })
})

/** A copy without the fields of objects that are `undefined`, which JSON leaves out. */
const withoutUndefined = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (Object.prototype.toString.call(value) !== '[object Object]') return value
  const kept = Object.entries(value as object).filter(([, field]) => field !== undefined)
  return Object.fromEntries(kept.map(([name, field]) => [name, withoutUndefined(field)]))
}

describe('readTask', () => {
  const solution = t.string
  const taskWith = (members: object) => ({ type: 'T', payload: E.right({ type: 'T' }), solution, ...members })
  const read = (task: unknown) => readTask(task as TaskSpec<unknown>)
  const problemsOf = (task: unknown) => E.swap(read(task))

  it('returns the payload, and what reads the results', () => {
    expect(read(taskWith({ bestWithinMs: 1, validForMs: 2 }))).toStrictEqual(
      E.right({ payload: { type: 'T' }, kind: { solution, bestWithinMs: 1, validForMs: 2 } })
    )
  })

  it('returns the problems of its fields', () => {
    expect(read(taskWith({ payload: E.left(['a problem']) }))).toStrictEqual(E.left(['a problem']))
  })

  const NO_TASK = 'the task: expected what recaptchaV2({ … }) or another kind returns'
  const NO_KIND = 'the task: expected recaptchaV2 or another kind'
  const ANOTHER = 'a value that JSON can hold'
  const NO_JSON = 'the fields: expected an object that JSON can hold'
  const NO_TIMES = 'the task: expected numbers of milliseconds from 0 as bestWithinMs and validForMs'
  const circular: Record<string, unknown> = {}
  circular.self = circular

  it.each<[string, unknown, string]>([
    ['undefined', undefined, NO_TASK],
    ['null', null, NO_TASK],
    ['a number', 7, NO_TASK],
    ['a string', 'task', NO_TASK],
    ['a symbol', Symbol('task'), NO_TASK],
    ['fields', fields, NO_TASK],
    ['a kind', recaptchaV2, NO_TASK],
    ['the promise of a task', Promise.resolve(recaptchaV2(fields)), NO_TASK],
    ['an undefined payload', taskWith({ payload: undefined }), NO_TASK],
    ['a payload that is no Either', taskWith({ payload: { type: 'T' } }), NO_TASK],
    ['a payload with another tag', taskWith({ payload: { _tag: 'Both', right: {} } }), NO_TASK],
    ['problems that are no texts', taskWith({ payload: E.left('a problem') }), NO_TASK],
    ['a text as payload', taskWith({ payload: E.right('text') }), NO_JSON],
    ['an array as payload', taskWith({ payload: E.right([]) }), NO_JSON],
    ['a date as payload', taskWith({ payload: E.right(new Date(0)) }), NO_JSON],
    ['a BigInt in the payload', taskWith({ payload: E.right({ id: 7n }) }), NO_JSON],
    ['a circular payload', taskWith({ payload: E.right(circular) }), NO_JSON],
    ['a payload without a JSON text', taskWith({ payload: E.right({ toJSON: () => undefined }) }), NO_JSON],
    ['a payload that throws', taskWith({ payload: E.right(throwing) }), NO_JSON],
    ['no solution', taskWith({ solution: undefined }), NO_KIND],
    ['null as solution', taskWith({ solution: null }), NO_KIND],
    ['a solution that decodes nothing', taskWith({ solution: { token: 'string' } }), NO_KIND],
    ['a text as bestWithinMs', taskWith({ bestWithinMs: '60' }), NO_TIMES],
    ['a BigInt as validForMs', taskWith({ validForMs: 60n }), NO_TIMES],
    ['NaN as validForMs', taskWith({ validForMs: NaN }), NO_TIMES],
    ['an endless bestWithinMs', taskWith({ bestWithinMs: Infinity }), NO_TIMES],
    ['a negative validForMs', taskWith({ validForMs: -5 }), NO_TIMES],
    ['a Proxy that throws', throwing, 'the task: threw an error when read'],
    ['a solution that throws', taskWith({ solution: throwing }), 'the task: threw an error when read']
  ])('refuses %s', (_, task, problem) => {
    expect(problemsOf(task)).toStrictEqual(E.right([problem]))
  })

  it.each<[string, unknown, string]>([
    ['NaN', NaN, 'a finite number'],
    ['Infinity', Infinity, 'a finite number'],
    ['a function', () => 1, ANOTHER],
    ['a symbol', Symbol('a-secret-value'), ANOTHER],
    ['a Map', new Map([[1, 2]]), ANOTHER],
    ['a Set', new Set([1]), ANOTHER],
    ['a WeakMap', new WeakMap(), ANOTHER],
    ['a WeakSet', new WeakSet(), ANOTHER],
    ['a typed array', new Uint8Array([1, 2]), ANOTHER],
    ['an ArrayBuffer', new ArrayBuffer(2), ANOTHER],
    ['a RegExp', /a-secret-value/, ANOTHER],
    ['a Promise', Promise.resolve(1), ANOTHER],
    ['a number object of NaN', Object(NaN), ANOTHER],
    ['a date that is none', new Date(NaN), 'a valid date'],
    ['an object whose toJSON returns NaN', { toJSON: () => NaN }, 'a finite number']
  ])('refuses %s in a payload, and names its path', (_, value, expected) => {
    expect(problemsOf(taskWith({ payload: E.right({ outer: { list: ['text', value] } }) }))).toStrictEqual(
      E.right([`outer.list.1: expected ${expected}`])
    )
  })

  it.each([[[undefined]], [new Array<number>(1)]])('refuses undefined in an array of the payload: %p', (list) => {
    expect(problemsOf(taskWith({ payload: E.right({ list }) }))).toStrictEqual(E.right([`list.0: expected ${ANOTHER}`]))
  })

  it('refuses a Map as payload', () => {
    expect(problemsOf(taskWith({ payload: E.right(new Map()) }))).toStrictEqual(E.right([NO_JSON]))
  })

  it('names the first eight places at which JSON would change a payload', () => {
    const list = new Array<number>(9).fill(NaN)
    expect(problemsOf(taskWith({ payload: E.right({ score: NaN, list }) }))).toStrictEqual(
      E.right(
        ['score', 0, 1, 2, 3, 4, 5, 6].map((at, row) => `${row === 0 ? at : `list.${at}`}: expected a finite number`)
      )
    )
  })

  const shared = { a: [1] }
  class Point {
    readonly x = 1
    readonly [Symbol.toStringTag] = 'Point'
  }

  it.each<[string, object]>([
    ['a field that is undefined', { a: undefined, b: { c: undefined } }],
    ['a date', { at: new Date(0) }],
    ['an object whose toJSON returns null', { a: { toJSON: () => null } }],
    ['a Buffer, which has toJSON', { body: Buffer.from('text') }],
    ['an object without a prototype', { a: Object.create(null) as object }],
    ['an instance of a class with a tag of its own', { at: new Point() }],
    ['the same object twice', { a: shared, b: [shared, shared] }],
    ['a toJSON that returns an object', { toJSON: () => ({ a: 1 }) }]
  ])('accepts %s in a payload', (_, payload) => {
    expect(read(taskWith({ payload: E.right(payload) }))).toMatchObject({ right: { payload } })
  })

  it('accepts every payload that is the same after a round trip through JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (payload) =>
        E.isRight(read(taskWith({ payload: E.right(payload) })))
      )
    )
  })

  it('accepts no payload of plain values that JSON changes', () => {
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(NaN, -Infinity, undefined, Symbol('x'), new Map(), new Set([1]), 'text', 1, true, null),
        fc.array(tie('value')),
        fc.dictionary(fc.string(), tie('value'))
      )
    }))
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (payload) => {
        const isSame = isDeepStrictEqual(JSON.parse(JSON.stringify(payload)), withoutUndefined(payload))
        return E.isRight(read(taskWith({ payload: E.right(payload) }))) === isSame
      })
    )
  })

  it('reads every member once, so that what it returns is what was checked', () => {
    const reads: string[] = []
    const counting = new Proxy(taskWith({}), {
      get: (target, name, receiver) => {
        reads.push(String(name))
        return Reflect.get(target, name, receiver) as unknown
      }
    })
    expect(E.isRight(read(counting))).toBe(true)
    expect(reads).toStrictEqual(['payload', 'solution', 'bestWithinMs', 'validForMs'])
  })

  it('returns an Either, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.record({ payload: fc.anything(), solution: fc.anything() })),
        (task) => E.isLeft(read(task)) && E.isLeft(read({ payload: E.right({}), ...Object(task) }))
      )
    )
  })
})

describe('readRef', () => {
  const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }
  const refOf = (given: unknown) => E.map(({ ref }: { ref: unknown }) => ref)(readRef(recaptchaV2, given))

  it('reads a reference after a round trip through JSON', () => {
    expect(refOf(JSON.parse(JSON.stringify(ref)))).toStrictEqual(E.right(ref))
  })

  it('drops other fields, because one of them may be the client key', () => {
    expect(refOf({ ...ref, clientKey: 'a-client-key' })).toStrictEqual(E.right(ref))
  })

  it.each(['7', '123456789012345678901234567890'])('reads a numeric reference: %s', (taskId) => {
    const numeric = { taskId, createdAt: 7, numeric: true }
    expect(refOf(JSON.parse(JSON.stringify(numeric)))).toStrictEqual(E.right(numeric))
  })

  it.each([undefined, false])('drops %p as `numeric`', (numeric) => {
    expect(refOf({ ...ref, numeric })).toStrictEqual(E.right(ref))
  })

  it.each(['task-1', '', ' 7', '07', '-1', '1.5e+30', '7,"a":1', '0x7', 'NaN', 7])(
    'refuses %j as the id of a numeric reference',
    (taskId) => {
      expect(refOf({ ...ref, taskId, numeric: true })).toStrictEqual(
        E.left(['ref.taskId: expected digits, because the reference is numeric'])
      )
    }
  )

  it.each([null, 1, 'true'])('refuses %p as `numeric`', (numeric) => {
    expect(refOf({ ...ref, numeric })).toStrictEqual(E.left(['ref.numeric: expected true']))
  })

  it('returns a plain object, which the caller cannot change', () => {
    const given = { ...ref }
    const read = refOf(given)
    given.taskId = 'task-2'
    expect(read).toStrictEqual(E.right(ref))
  })

  it.each([
    ['an empty id', { ...ref, taskId: '' }, 'ref.taskId: expected a string that is not empty'],
    ['a number as the id', { ...ref, taskId: 7 }, 'ref.taskId: expected a string that is not empty'],
    ['a string as the time', { ...ref, createdAt: '2020' }, 'ref.createdAt: expected a number of milliseconds'],
    ['NaN as the time', { ...ref, createdAt: NaN }, 'ref.createdAt: expected a number of milliseconds'],
    ['an id that throws', { ...ref, taskId: throwing }, 'ref.taskId: expected a string that is not empty'],
    ['a Proxy that throws', throwing, 'ref: threw an error when read'],
    ['an array', [ref], 'ref: expected a reference { taskId, createdAt }']
  ])('refuses %s', (_, given, problem) => {
    expect(refOf(given)).toStrictEqual(E.left([problem]))
  })

  it.each([undefined, null, 'task-1', 7, Symbol('task-1'), () => ref])('refuses %p', (given) => {
    expect(refOf(given)).toStrictEqual(E.left(['ref: expected a reference { taskId, createdAt }']))
  })

  it.each<[string, unknown, string]>([
    ['undefined', undefined, 'the task: expected recaptchaV2 or another kind'],
    ['null', null, 'the task: expected recaptchaV2 or another kind'],
    ['a kind without a solution', {}, 'the task: expected recaptchaV2 or another kind'],
    ['a Proxy that throws', throwing, 'the task: threw an error when read']
  ])('refuses %s as the kind', (_, kind, problem) => {
    expect(readRef(kind as typeof recaptchaV2, ref)).toStrictEqual(E.left([problem]))
  })

  it('returns an Either, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything(), fc.record({ taskId: fc.anything(), createdAt: fc.anything() })),
        (given) => E.isLeft(refOf(given)) || Number.isFinite((given as typeof ref).createdAt)
      )
    )
  })
})

describe('the kinds of tasks', () => {
  const AnyFields = new t.Type<object, JsonValue>(
    'anything',
    (_value): _value is object => true,
    (value) => t.success(value as object),
    (value) => value as JsonValue
  )
  const record = defineTask({ type: 'T', fields: AnyFields, solution: t.string })
  const anything = fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true })

  it('make a task of any fields, without throwing', () => {
    fc.assert(
      fc.property(anything, (given) => {
        const payloads = [recaptchaV2(given as typeof fields).payload, record(given as object).payload]
        return payloads.every((payload) => E.isLeft(payload) || payload.right !== null)
      })
    )
  })

  const getterThatThrows = { get websiteURL() { return thrower() } } // prettier-ignore
  const getterThatThrowsNextTime = () => {
    const reads = [() => 'https://example.com/', thrower]
    return { ...fields, get websiteURL() { return reads.shift()!() } } // prettier-ignore
  }

  it.each([
    ['a Proxy that throws', throwing],
    ['a getter that throws', getterThatThrows],
    ['a getter that throws when it is read again', getterThatThrowsNextTime()]
  ])('make an invalid task of %s', (_, given) => {
    expect(recaptchaV2(given as typeof fields).payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it('make an invalid task of a getter that throws after the codec has accepted it', () => {
    expect(record(getterThatThrows).payload).toStrictEqual(E.left(['the fields: threw an error when read']))
  })
})
