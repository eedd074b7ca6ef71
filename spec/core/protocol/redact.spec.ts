import * as fc from 'fast-check'
import { excerptOf, scrubber } from '../../../lib/core/protocol/redact.js'

const asIs = (text: string): string => text
const ascii = (text: string): string =>
  text.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
const inJson = (key: string): string => JSON.stringify(key).slice(1, -1)

const forms: ReadonlyArray<readonly [form: string, write: (key: string) => string]> = [
  ['plain', asIs],
  ['in JSON', inJson],
  ['in JSON with escaped slashes', (key) => inJson(key).replaceAll('/', '\\/')],
  ['in JSON of ASCII alone', (key) => ascii(inJson(key))],
  ['in JSON of ASCII alone with escaped slashes', (key) => ascii(inJson(key)).replaceAll('/', '\\/')],
  ['in an address', (key) => encodeURIComponent(key.toWellFormed())],
  ['in an address with plus for a blank', (key) => encodeURIComponent(key.toWellFormed()).replaceAll('%20', '+')],
  ['in a form', (key) => new URLSearchParams({ k: key }).toString().slice(2)]
]

describe('scrubber', () => {
  it.each(forms)('takes out the key %s', (_, write) => {
    const key = `a "key"/with\\ all (of) it! é😀\u007f.*+?^$`
    expect(scrubber(key)(`before ${write(key)} after`)).toBe('before [client key] after')
  })

  it('takes out the key as often as it stands there, in any case of letters', () => {
    expect(scrubber('cc9c18d3')('cc9c18d3,CC9C18D3;cC9c18D3')).toBe('[client key],[client key];[client key]')
  })

  it('takes out a key beyond well-formed text', () => {
    const key = 'half\ud800-a-pair'
    expect(scrubber(key)(JSON.stringify({ key }))).toBe('{"key":"[client key]"}')
  })

  it('takes out the longest form of a key, and leaves no rest', () => {
    const key = 'cc9c18d3\\'
    expect(scrubber(key)(JSON.stringify({ key }))).toBe('{"key":"[client key]"}')
  })

  it.each(['', 'nothing to hide', 'cc9c18d', 'c9c18d3'])('leaves "%s" as it is', (text) => {
    expect(scrubber('cc9c18d3')(text)).toBe(text)
  })

  it('leaves no key, whichever it is and however it is written', () => {
    const keys = fc
      .oneof(fc.string({ unit: 'binary', minLength: 8 }), fc.string({ unit: 'grapheme', minLength: 8 }))
      .filter((key) => key.trim() === key && key.length >= 8 && !'[client key]'.includes(key.toLowerCase()))
    const around = fc.constantFrom('', ' ', '"', '\\', '{"clientKey":"', '%', 'key=')
    const isGone = (key: string, before: string, after: string): boolean => {
      const scrub = scrubber(key)
      return forms.every(([, write]) => !scrub(`${before}${write(key)}${after}`).includes(write(key)))
    }
    fc.assert(fc.property(keys, around, around, isGone), { numRuns: 500 })
  })
})

describe('excerptOf', () => {
  it('leaves a short text as it is', () => {
    expect(excerptOf(asIs, '{"errorId":0,"status":"idle"}')).toBe('{"errorId":0,"status":"idle"}')
  })

  it.each([
    ['a string of 40 characters', `"${'x'.repeat(40)}"`, `"${'x'.repeat(40)}"`],
    ['a string of 41 characters', `{"t":"${'x'.repeat(41)}"}`, `{"t":"${'x'.repeat(39)}…"}`],
    ['a long string with blanks', `"${'ab '.repeat(30)}",1`, `"${'ab '.repeat(13)}…",1`],
    ['a long string with escapes', `"${'\\"'.repeat(60)}",1`, `"${'\\"'.repeat(19)}\\…",1`],
    ['a long string without its end', `{"t":"${'ab '.repeat(30)}`, `{"t":"${'ab '.repeat(13)}…"`],
    ['a long string cut in an escape', `"${'ab '.repeat(30)}\\`, `"${'ab '.repeat(13)}…"`],
    ['a long word outside of strings', `token: ${'x'.repeat(60)} end`, `token: ${'x'.repeat(40)}… end`],
    ['a string that ends beyond what is looked at', `"${'a '.repeat(1_500)}"`, `"${'a '.repeat(19)}a…"`]
  ])('cuts as it has to: %s', (_, body, expected) => {
    expect(excerptOf(asIs, body)).toBe(expected)
  })

  it('is 200 characters long at most', () => {
    expect(excerptOf(asIs, 'word '.repeat(100))).toBe('word '.repeat(40))
  })

  it('takes out the key before it cuts', () => {
    const key = 'k'.repeat(50)
    expect(excerptOf(scrubber(key), `{"clientKey":"${key}"}`)).toBe('{"clientKey":"[client key]"}')
  })

  it('holds no JSON string over 40 characters', () => {
    const bodies = fc.tuple(
      fc.json({ stringUnit: 'binary' }),
      fc.string({ minLength: 41, unit: 'binary' }),
      fc.nat(300)
    )
    const isCut = ([json, token, at]: readonly [string, string, number]): boolean => {
      const body = `{"a":${json},"solution":{"gRecaptchaResponse":${JSON.stringify(token)}}}`.slice(0, 100 + at)
      return !/"(?:[^"\\]|\\[^]){41,}/.test(excerptOf(asIs, body))
    }
    fc.assert(fc.property(bodies, isCut), { numRuns: 500 })
  })

  it('survives a string of many megabytes', () => {
    expect(excerptOf(asIs, `"${'a '.repeat(10_000_000)}`)).toBe(`"${'a '.repeat(19)}a…"`)
  })

  it.each([
    ['quotes', '"'],
    ['backslashes', '\\'],
    ['open strings', '"a\\"'],
    ['words', 'a '],
    ['beginnings of keys', 'aaaaaaab']
  ])('is quick with hostile input: %s', (_, part) => {
    const body = part.repeat(300_000 / part.length)
    const from = performance.now()
    excerptOf(scrubber('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac'), body)
    expect(performance.now() - from).toBeLessThan(500)
  })
})
