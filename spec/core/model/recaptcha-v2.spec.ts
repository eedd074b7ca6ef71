import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import * as t from 'io-ts'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'

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
    expect(payloadOf(given)).toStrictEqual(E.left(['the value: expected the fields of a reCAPTCHA v2 task']))
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
