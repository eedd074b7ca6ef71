import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { decodeSafely, optional, problemsOf, refined } from '../../../lib/core/validation/problems.js'

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

  it('says "the value" where there is no path', () => {
    expect(problems(t.string, 7)).toStrictEqual(['the value: expected string'])
  })

  it('survives a context that is empty', () => {
    expect(problemsOf([{ value: 7, context: [] }])).toStrictEqual(['the value: expected another value'])
  })
})

describe('optional', () => {
  const Even = refined('an even number', (value): value is number => typeof value === 'number' && value % 2 === 0)

  it.each([
    [undefined, true],
    [2, true],
    [3, false],
    [null, false]
  ])('accepts what its codec accepts, and undefined: %p', (value, accepted) => {
    expect(optional(Even).is(value)).toBe(accepted)
    expect(E.isRight(optional(Even).decode(value))).toBe(accepted)
  })

  it('reports the problems of its codec, without undefined as a second expected type', () => {
    const codec = t.type({ a: optional(t.intersection([Even, t.number])) })
    const decoded = codec.decode({ a: '3' })
    expect(E.isLeft(decoded) && problemsOf(decoded.left)).toStrictEqual([
      'a: expected an even number',
      'a: expected number'
    ])
  })
})

describe('decodeSafely', () => {
  it('refuses the value if its codec throws', () => {
    const decoded = decodeSafely('solution', () => {
      throw new Error('a defect of the codec')
    })
    expect(decoded).toStrictEqual(E.left(['solution: its codec threw']))
  })
})
