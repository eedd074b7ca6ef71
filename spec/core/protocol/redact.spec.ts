import * as fc from 'fast-check'
import { excerptOf, scrubber } from '../../../lib/core/protocol/redact.js'
import { anyCharacter } from '../../support/characters.js'

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
  describe.each([
    ['the key', `a "key"/with\\ all (of) it! é😀\u007f.*+?^$`],
    ['a key that is too short to be compared without escapes', 'é/ "!']
  ])('redacts %s', (_key, key) => {
    it.each(forms)('%s', (_form, write) => {
      expect(scrubber(key)(`before ${write(key)} after`)).toBe('before [client key] after')
    })
  })

  it.each([
    ['in JSON of ASCII only with a small code', 'k\u0001\u00e9', 'k\\u0001\\u00e9'],
    ['of six characters', "k'yzab", 'k&#39;yzab'],
    ['in a URL of UTF-8 within HTML', "né'bcde", 'n%C3%A9&#39;bcde'],
    ['in JSON with a control character within HTML', "a\bb'cde", 'a\\bb&#39;cde'],
    ['by the name of a bracket', "a(b'cde", 'a&lpar;b&#39;cde']
  ])('redacts a key that is escaped %s', (_, key, written) => {
    expect(scrubber(key)(`before ${written} after`)).toBe('before [client key] after')
  })

  it.each([
    ['my key+of blanks', 'my+key+of'],
    ['my+key of blanks', 'my key of']
  ])('redacts a part of the key "%s" that is cut, with a plus for a blank: %s', (key, part) => {
    expect(scrubber(key)(`k=${part}`)).toBe('k=[client key]')
  })

  it.each([
    ['by name', '&lt;k&quot;y&#39;s&gt;&amp;/'],
    ['by the other names', '&LT;k&QUOT;y&apos;s&GT;&AMP;&sol;'],
    ['by number', '&#60;k&#34;y&#039;s&#0062;&#38;&#47;'],
    ['by hexadecimal number', '&#x3C;k&#x22;y&#x27;s&#x3e;&#X0026;&#x2F;'],
    ['in every character', '&#60;&#107;&#34;&#121;&#39;&#115;&#62;&#38;&#47;'],
    ['twice', '&amp;lt;k&amp;quot;y&amp;#39;s&amp;gt;&amp;amp;/'],
    ['in JSON, which escapes HTML', '\\u003ck\\"y\\u0027s\\u003e\\u0026\\/'],
    ['in JSON, which escapes HTML, of HTML', '\\u0026lt;k\\u0026quot;y\\u0026#39;s\\u0026gt;\\u0026amp;/'],
    ['in a URL within HTML', '%3Ck%22y&#39;s%3E%26/'],
    ['twice in a URL', '%253Ck%2522y%2527s%253E%2526%252F'],
    ['in JSON within JSON', JSON.stringify(JSON.stringify(`<k"y's>&/`)).slice(3, -3)],
    ['in a script', `\\x3ck\\"y\\'s\\x3e\\x26\\/`]
  ])('redacts a key that is escaped %s', (_, written) => {
    const scrub = scrubber(`<k"y's>&/`)
    expect(scrub(`<b>5 &gt; 4</b> "${written}" %20\\n${written}&nbsp;`)).toBe(
      '<b>5 &gt; 4</b> "[client key]" %20\\n[client key]&nbsp;'
    )
  })

  it('redacts a key with blanks in form data within HTML', () => {
    expect(scrubber('my "+" key')('<a href="?k=my+&quot;%2B&quot;+key&amp;x=1">')).toBe(
      '<a href="?k=[client key]&amp;x=1">'
    )
  })

  it.each([
    ['before an escape', 'a&#39;bcde'],
    ['in upper case', 'A&#39;BCDE'],
    ['within an escape by number', 'a&#39;bcde&#3'],
    ['within an escape by name', 'a&#39;bcde&quo'],
    ['within an escape of an escape', 'a&amp;#39;bcde&amp;#3'],
    ['within an escape of JSON', 'a\\u0027bcde\\u00'],
    ['after a backslash', 'a\\u0027bcde\\'],
    ['within an escape of a URL', 'a%2527bcde%25'],
    ['after the whole key', "a&#39;bcde'fg a&#39;bcde&"]
  ])('redacts a part of an escaped key that is cut %s', (_, part) => {
    expect(scrubber("a'bcde'fg")(`&copy; <b>${part}`)).toMatch(/^&copy; <b>(\[client key\] )?\[client key\]$/)
  })

  it.each(['cc9c18&#3', 'cc9c18&a', 'cc9c18%2', 'cc9c18\\u0', 'cc9c18\\'])(
    'redacts a part of the key that is cut in its first escape: %s',
    (part) => {
      expect(scrubber("cc9c18'd3")(`key ${part}`)).toBe('key [client key]')
    }
  )

  it('redacts a key once that ends as it begins', () => {
    const scrub = scrubber("cc9c18'cc9c18")
    expect(scrub('key cc9c18&#39;cc9c18')).toBe('key [client key]')
    expect(scrub('key cc9c18&#39;cc9c18&#39;cc9c18&#39;cc9c18')).toBe('key [client key]&#39;[client key]')
  })

  it.each([
    ...[
      'a&#39;bcd',
      'a&#39;bcde -',
      '&#39;bcde&#39;fg',
      "a&rsquo;bcde'fg",
      'a&#x110000;bcde',
      'a%c0%a7bcde%27fg',
      'a&#39bcde'
    ],
    '&lt;p&gt; &quot;nothing&quot; %2F \\n'
  ])('does not change the escapes of "%s"', (text) => {
    expect(scrubber("a'bcde'fg")(text)).toBe(text)
  })

  it('does not take a short text for a key of escapes', () => {
    expect(scrubber('%41%42%43')('%41%42%43 ABC &amp; A&#66;C')).toBe('[client key] ABC &amp; A&#66;C')
  })

  it('redacts any key, however it is escaped', () => {
    const hex = (char: string) => char.codePointAt(0)!.toString(16)
    const html = (text: string, escape: (char: string) => string) =>
      Array.from(text, (char) => (/[a-z\d]/i.test(char) ? char : escape(char))).join('')
    const names = new Map([
      ['&', '&amp;'],
      ['<', '&lt;'],
      ['>', '&gt;'],
      ['"', '&quot;'],
      ["'", '&#039;']
    ])
    const escapes: ReadonlyArray<(text: string) => string> = [
      toJson,
      (text) => toAscii(toJson(text)).replaceAll('/', '\\/'),
      (text) => toJson(text).replace(/[<>&'\u2028]/g, (char) => `\\u${hex(char).padStart(4, '0')}`),
      (text) => html(text, (char) => names.get(char) ?? char),
      (text) => html(text, (char) => `&#${char.codePointAt(0)};`),
      (text) => html(text, (char) => `&#x${hex(char).toUpperCase()};`),
      (text) => Array.from(text, (char) => `&#x${hex(char).padStart(6, '0')};`).join(''),
      encodeURIComponent,
      (text) => encodeURIComponent(text).replaceAll('%20', '+'),
      encodeURI,
      (text) => Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
    ]
    const asciiOrAny = fc.oneof(
      fc.string({ minLength: 8, maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...Array.from(`&<>"'/\\%+ aB1;#=`)), minLength: 12, maxLength: 20 }),
      fc.string({ unit: anyCharacter, minLength: 8 })
    )
    // The escape of a character at the edge may stay, so that the edges have none.
    const keys = asciiOrAny.filter((key) => key.isWellFormed()).map((key) => `k${key}k`)
    const layers = fc.array(fc.constantFrom(...escapes), { minLength: 1, maxLength: 3 })
    const isRedacted = (key: string, chosen: ReadonlyArray<(text: string) => string>): boolean => {
      const written = chosen.reduce((text, escape) => escape(text), key)
      return scrubber(key)(`<b>${written}</b>`) === '<b>[client key]</b>'
    }
    fc.assert(fc.property(keys, layers, isRedacted), { numRuns: 1_000 })
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
      .oneof(fc.string({ unit: anyCharacter, minLength: 8 }), fc.string({ unit: 'grapheme', minLength: 8 }))
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
    ['41 characters, of which the last is half an escape', `"${'x'.repeat(40)}\\`, `"${'x'.repeat(39)}…"`],
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
      fc.json({ stringUnit: anyCharacter }),
      fc.string({ minLength: 41, unit: anyCharacter }),
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
    ['prefixes of the key', 'aaaaaaab'],
    ['escaped prefixes of the key', 'aaaaaa&#97;b'],
    ['escaped keys', `${'a'.repeat(31)}&#99;`],
    ['escapes of escapes', '&amp;'],
    ['broken escapes', '&a'],
    ['escapes of URLs', '%25']
  ])('takes no quadratic time for hostile input: %s', (_, part) => {
    const body = part.repeat(300_000 / part.length)
    const startedAt = performance.now()
    excerptOf(scrubber('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac'), body)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})
