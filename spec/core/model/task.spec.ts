import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import type { JsonValue } from '../../../lib/core/model/network.js'
import { defineTask, readPayload, readRef, readSolution } from '../../../lib/core/model/task.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

const fields = { websiteURL: 'https://example.com/login', websiteKey: 'site-key' }

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
    expect(read).toStrictEqual(E.left(['ref: expected a reference { taskId, createdAt }']))
  })

  it('refuses a kind that reads no answers', () => {
    expect(readRef({}, ref)).toStrictEqual(E.left(['the task: expected recaptchaV2 or another kind']))
  })
})
