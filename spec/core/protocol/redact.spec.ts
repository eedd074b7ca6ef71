import * as fc from 'fast-check'
import { excerptOf, scrubber } from '../../../lib/core/protocol/redact.js'

const unchanged = (text: string): string => text
const toAscii = (text: string): string =>
  text.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
const toJson = (key: string): string => JSON.stringify(key).slice(1, -1)

const forms: ReadonlyArray<readonly [form: string, write: (key: string) => string]> = [
  ['plain', unchanged],
  ['in JSON', toJson],
  ['in JSON with escaped slashes', (key) => toJson(key).replaceAll('/', '\\/')],
  ['in JSON of ASCII only', (key) => toAscii(toJson(key))],
  ['in JSON of ASCII only with escaped slashes', (key) => toAscii(toJson(key)).replaceAll('/', '\\/')],
  ['in a URL', (key) => encodeURIComponent(key.toWellFormed())],
  ['in a URL with a plus for each space', (key) => encodeURIComponent(key.toWellFormed()).replaceAll('%20', '+')],
  ['in form data', (key) => new URLSearchParams({ k: key }).toString().slice(2)]
]

describe('scrubber', () => {
  it.each(forms)('redacts the key: %s', (_, write) => {
    const key = `a "key"/with\\ all (of) it! é😀\u007f.*+?^$`
    expect(scrubber(key)(`before ${write(key)} after`)).toBe('before [client key] after')
  })

  it('redacts every occurrence of the key, in upper and lower case', () => {
    expect(scrubber('cc9c18d3')('cc9c18d3,CC9C18D3;cC9c18D3')).toBe('[client key],[client key];[client key]')
  })

  it('redacts a key that is not well-formed Unicode', () => {
    const key = 'half\ud800-a-pair'
    expect(scrubber(key)(JSON.stringify({ key }))).toBe('{"key":"[client key]"}')
  })

  it('redacts the longest form of a key, without a remainder', () => {
    const key = 'cc9c18d3\\'
    expect(scrubber(key)(JSON.stringify({ key }))).toBe('{"key":"[client key]"}')
  })

  it.each(['', 'nothing to hide', 'cc9c18d at the start', 'c9c18d3', 'cc9c1'])('does not change "%s"', (text) => {
    expect(scrubber('cc9c18d3')(text)).toBe(text)
  })

  it.each(['cc9c18', 'CC9C18D'])('redacts a part of the key at which the text is cut: %s', (part) => {
    expect(scrubber('cc9c18d3')(`{"key":"${part}`)).toBe('{"key":"[client key]')
  })

  it('redacts any key in every form', () => {
    const keys = fc
      .oneof(fc.string({ unit: 'binary', minLength: 8 }), fc.string({ unit: 'grapheme', minLength: 8 }))
      .filter((key) => key.trim() === key && key.length >= 8 && !'[client key]'.includes(key.toLowerCase()))
    const around = fc.constantFrom('', ' ', '"', '\\', '{"clientKey":"', '%', 'key=')
    const isRedacted = (key: string, before: string, after: string): boolean => {
      const scrub = scrubber(key)
      return forms.every(([, write]) => !scrub(`${before}${write(key)}${after}`).includes(write(key)))
    }
    fc.assert(fc.property(keys, around, around, isRedacted), { numRuns: 500 })
  })
})

describe('excerptOf', () => {
  it('does not change a short text', () => {
    expect(excerptOf(unchanged, '{"errorId":0,"status":"idle"}')).toBe('{"errorId":0,"status":"idle"}')
  })

  it.each([
    ['a string of 40 characters', `"${'x'.repeat(40)}"`, `"${'x'.repeat(40)}"`],
    ['a string of 41 characters', `{"t":"${'x'.repeat(41)}"}`, `{"t":"${'x'.repeat(39)}…"}`],
    ['a long string with spaces', `"${'ab '.repeat(30)}",1`, `"${'ab '.repeat(13)}…",1`],
    ['a long string with escapes', `"${'\\"'.repeat(60)}",1`, `"${'\\"'.repeat(19)}\\…",1`],
    ['a long string without a closing quote', `{"t":"${'ab '.repeat(30)}`, `{"t":"${'ab '.repeat(13)}…"`],
    ['a long string that ends within an escape', `"${'ab '.repeat(30)}\\`, `"${'ab '.repeat(13)}…"`],
    ['a long word outside strings', `token: ${'x'.repeat(60)} end`, `token: ${'x'.repeat(40)}… end`],
    ['a string that ends beyond the searched length', `"${'a '.repeat(1_500)}"`, `"${'a '.repeat(19)}a…"`]
  ])('truncates strings to 40 characters: %s', (_, body, expected) => {
    expect(excerptOf(unchanged, body)).toBe(expected)
  })

  it('is at most 200 characters long', () => {
    expect(excerptOf(unchanged, 'word '.repeat(100))).toBe('word '.repeat(40))
  })

  it('redacts the key before it truncates', () => {
    const key = 'k'.repeat(50)
    expect(excerptOf(scrubber(key), `{"clientKey":"${key}"}`)).toBe('{"clientKey":"[client key]"}')
  })

  it('holds no JSON string over 40 characters, for any reply', () => {
    const bodies = fc.tuple(
      fc.json({ stringUnit: 'binary' }),
      fc.string({ minLength: 41, unit: 'binary' }),
      fc.nat(300)
    )
    const isTruncated = ([json, token, at]: readonly [string, string, number]): boolean => {
      const body = `{"a":${json},"solution":{"gRecaptchaResponse":${JSON.stringify(token)}}}`.slice(0, 100 + at)
      return !/"(?:[^"\\]|\\[^]){41,}/.test(excerptOf(unchanged, body))
    }
    fc.assert(fc.property(bodies, isTruncated), { numRuns: 500 })
  })

  it('does not throw for a string of many megabytes', () => {
    expect(excerptOf(unchanged, `"${'a '.repeat(10_000_000)}`)).toBe(`"${'a '.repeat(19)}a…"`)
  })

  it.each([
    ['quotes', '"'],
    ['backslashes', '\\'],
    ['unclosed strings', '"a\\"'],
    ['words', 'a '],
    ['prefixes of the key', 'aaaaaaab']
  ])('takes less than 500 ms for hostile input: %s', (_, part) => {
    const body = part.repeat(300_000 / part.length)
    const startedAt = performance.now()
    excerptOf(scrubber('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac'), body)
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})
