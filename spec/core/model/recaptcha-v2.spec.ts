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
    ['missing', {}],
    ['undefined', { isInvisible: undefined }],
    ['false', { isInvisible: false }]
  ])('makes the documented payload, without isInvisible if that is %s', (_, more) => {
    expect(payloadOf({ ...fields, ...more })).toStrictEqual(E.right({ type: 'RecaptchaV2TaskProxyless', ...fields }))
  })

  it('keeps isInvisible if it is true', () => {
    expect(payloadOf({ ...fields, isInvisible: true })).toStrictEqual(
      E.right({ type: 'RecaptchaV2TaskProxyless', ...fields, isInvisible: true })
    )
  })

  it('drops other fields, and another type', () => {
    const more = { type: 'AnotherTask', proxy: 'x', clientKey: 'y' }
    expect(payloadOf({ ...fields, ...more })).toStrictEqual(E.right({ type: 'RecaptchaV2TaskProxyless', ...fields }))
  })

  it.each(['http://a', 'HTTPS://example.com', 'https://example.com:8443/a?b=c#d', 'https://bücher.example/ä'])(
    'accepts the address %s',
    (websiteURL) => {
      expect(E.isRight(payloadOf({ ...fields, websiteURL }))).toBe(true)
    }
  )

  it('accepts an address with an umlaut 20,000 times', () => {
    const payloads = Array.from({ length: 20_000 }, () =>
      payloadOf({ ...fields, websiteURL: 'https://bücher.example/ä' })
    )
    expect(payloads.filter(E.isLeft)).toStrictEqual([])
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

  it('names every problem', () => {
    expect(payloadOf({ isInvisible: 'yes' })).toStrictEqual(
      E.left([URL_PROBLEM, KEY_PROBLEM, 'isInvisible: expected boolean'])
    )
  })

  it.each([null, undefined, 7, 'https://example.com', []])('refuses %p instead of fields', (given) => {
    expect(payloadOf(given)).toStrictEqual(E.left(['the value: expected the fields of a reCAPTCHA v2 task']))
  })

  it('has its name, decoder and times on the kind and on each of its tasks', () => {
    const type = 'RecaptchaV2TaskProxyless'
    const readable = { type, solution: expect.any(t.Type) as t.Mixed, bestWithinMs: 60_000, validForMs: 120_000 }
    expect({ ...recaptchaV2 }).toStrictEqual(readable)
    const payload = expect.anything() as unknown
    expect(recaptchaV2(fields)).toStrictEqual({ ...readable, payload })
  })

  it('never throws, and never repeats a value in a problem', () => {
    const secret = 'a-secret-value'
    const values = fc.oneof(fc.anything(), fc.constant(secret), fc.constant({ [secret]: secret }))
    const anyFields = fc.record({ websiteURL: values, websiteKey: values, isInvisible: values }, { requiredKeys: [] })
    const keepsSecret = (given: unknown): boolean => {
      const payload = payloadOf(given)
      return E.isRight(payload) || (payload.left.length > 0 && !payload.left.join().includes(secret))
    }
    fc.assert(fc.property(fc.oneof(anyFields, values), keepsSecret), { numRuns: 500 })
  })

  it('refuses fields that throw when they are read', () => {
    const hostile = new Proxy(fields, {
      get: () => {
        throw new Error('a-secret-value')
      }
    })
    expect(payloadOf(hostile)).toStrictEqual(E.left(['the fields: its codec threw']))
  })
})
