import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { JsonValue } from '../../../lib/core/model/network.js'
import { defineTask, readPayload, readRef, readSolution } from '../../../lib/core/model/task.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

const fields = { websiteURL: 'https://example.com/login', websiteKey: 'site-key' }

describe('defineTask', () => {
  const kindOf = <F>(codec: t.Type<F, JsonValue>) =>
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
    expect(kindOf(codec)(new Date(17)).payload).toStrictEqual(E.right({ from: 17, type: 'OtherTask' }))
  })

  it('makes an invalid task if the codec throws while decoding', () => {
    const codec = new t.Type<string, JsonValue>('throws', t.string.is, throws, t.identity)
    expect(kindOf(codec)('x').payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it('makes an invalid task if the codec throws while encoding', () => {
    const codec = new t.Type<string, JsonValue>('throws', t.string.is, t.string.validate, throws)
    expect(kindOf(codec)('x').payload).toStrictEqual(E.left(['the fields: its codec threw']))
  })

  it.each<readonly [JsonValue]>([['text'], [7], [null], [true], [[1]]])(
    'makes an invalid task if the fields are encoded as %j',
    (encoded) => {
      const codec = new t.Type<string, JsonValue>('odd', t.string.is, t.string.validate, () => encoded)
      expect(kindOf(codec)('x').payload).toStrictEqual(E.left(['the fields: expected an object']))
    }
  )

  it('has no times if none are given', () => {
    expect({ ...kindOf(t.type({ a: t.string })) }).toMatchObject({ bestWithinMs: undefined, validForMs: undefined })
  })

  it('copies its times to its tasks', () => {
    const kind = defineTask({ type: 'T', fields: t.type({}), solution: t.string, bestWithinMs: 1, validForMs: 2 })
    expect(kind({})).toMatchObject({ type: 'T', solution: t.string, bestWithinMs: 1, validForMs: 2 })
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

describe('readPayload', () => {
  it('returns the payload, or its problems', () => {
    expect(readPayload({ payload: E.right({ type: 'T' }) })).toStrictEqual(E.right({ type: 'T' }))
    expect(readPayload({ payload: E.left(['a problem']) })).toStrictEqual(E.left(['a problem']))
  })

  it.each([{}, { payload: undefined }, { payload: { type: 'T' } }, fields])(
    'refuses %j, which no kind has made',
    (task) => {
      expect(readPayload(task as never)).toStrictEqual(
        E.left(['the task: expected what recaptchaV2({ … }) or another kind returns'])
      )
    }
  )
})

describe('readRef', () => {
  const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }

  it('reads a reference after a round trip through JSON', () => {
    expect(readRef(recaptchaV2, JSON.parse(JSON.stringify(ref)))).toStrictEqual(E.right(ref))
  })

  it('drops other fields, because one of them may be the client key', () => {
    expect(readRef(recaptchaV2, { ...ref, clientKey: 'a-client-key' })).toStrictEqual(E.right(ref))
  })

  it.each([
    ['an empty id', { ...ref, taskId: '' }, 'ref.taskId: expected a string that is not empty'],
    ['a number as the id', { ...ref, taskId: 7 }, 'ref.taskId: expected a string that is not empty'],
    ['a string as the time', { ...ref, createdAt: '2020' }, 'ref.createdAt: expected a number of milliseconds'],
    ['NaN as the time', { ...ref, createdAt: NaN }, 'ref.createdAt: expected a number of milliseconds']
  ])('refuses %s', (_, given, problem) => {
    expect(readRef(recaptchaV2, given)).toStrictEqual(E.left([problem]))
  })

  it.each([undefined, null, 'task-1', 7])('refuses %p', (given) => {
    const read = readRef(recaptchaV2, given)
    expect(read).toStrictEqual(E.left(['ref: expected a reference { taskId, createdAt }']))
  })

  it('refuses a kind without a solution', () => {
    expect(readRef({}, ref)).toStrictEqual(E.left(['the task: expected recaptchaV2 or another kind']))
  })
})
