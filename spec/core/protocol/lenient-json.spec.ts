import * as fc from 'fast-check'
import { NOT_JSON, parseLenient, parseStrict } from '../../../lib/core/protocol/lenient-json.js'
import { anyCharacter } from '../../support/characters.js'

/** A quarter of a megabyte takes at most 0.1 s; a quadratic pass that takes more than 10 s for a megabyte takes longer than this. */
const MAX_CPU_US = 625_000

describe('parseLenient', () => {
  it.each([...['NaN', 'Infinity', '-Infinity', '+Infinity', '-NaN', 'nan', '-nan', 'inf', '-inf', 'undefined']])(
    'reads the value %s as null, in every place',
    (value) => {
      expect(parseLenient(`{"a":${value},"b":[${value}, 1,\n${value}\n],"c":{"d":${value}}}`)).toStrictEqual({
        a: null,
        b: [null, 1, null],
        c: { d: null }
      })
    }
  )

  it('reads every control character in a string as it stands', () => {
    const controls = Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('')
    expect(parseLenient(`{"a":"<${controls}>","${controls}":1}`)).toStrictEqual({ a: `<${controls}>`, [controls]: 1 })
  })

  it.each([',}', ' ,}', ',\r\n\t }'])('skips a comma before a bracket: %j', (end) => {
    expect(parseLenient(`{"a":[1,[2${end.replace('}', ']')}${end.replace('}', ']')},"b":{}${end}`)).toStrictEqual({
      a: [1, [2]],
      b: {}
    })
  })

  it('does not change what stands in strings', () => {
    const text = 'NaN, ,} ,] undefined -Infinity \\" \\\\ " \\ud83d'
    const object = { [text]: text, list: [text, text] }
    const json = JSON.stringify(object).replace(/}$/, ',"cost":NaN,}')
    expect(parseLenient(json)).toStrictEqual({ ...object, cost: null })
  })

  it.each([
    ...['{"a":NaNs}', '{"a":xNaN}', '{"a":1NaN}', '{"a":--Infinity}', '{"a":1-Infinity}', '{"a":NaN 1}', '{NaN:1}'],
    ...['{"a":nullNaN}', '{"a":1.NaN}', '{"a":1eInfinity}', '{"a":-undefined}', '{"a":info}', '{"a":none}'],
    ...['{"a":1,,}', '{"a":1,,"b":2}', '{,"a":1}', '{"a":,}', '{"a",}', '{"a":1,]', '{"a":[1,}}', '{"a":1},'],
    ...['{"a":"x', '{"a":"\n', '{"a":"x\\"}', '{"a":"\\\n"}', '{"a":"\\x41"}', '{\u0001"a":1}', '{"a":1}\u0000'],
    ...['{"a":\\n}', '{"a":\\"}', '{"a":1\\,}'],
    ...['{\\"a\\":NaN}', "{'a':NaN}", '', ' ', '<html>NaN</html>', '{"a":1', '"a":NaN']
  ])('cannot parse %j', (text) => {
    expect(parseLenient(text)).toBe(NOT_JSON)
  })

  it.each(['NaN', 'undefined', '[{"a":1},]', '[NaN]', '"a\nb"'])(
    'returns NOT_JSON for %j, which has a mistake and is no object',
    (text) => {
      expect(parseLenient(text)).toBe(NOT_JSON)
    }
  )

  it('reads JSON as JSON.parse does', () => {
    const readsAlike = (text: string): boolean =>
      JSON.stringify(parseLenient(text)) === JSON.stringify(parseStrict(text))
    fc.assert(fc.property(fc.json({ stringUnit: anyCharacter }), readsAlike))
  })

  it('parses any object whose values and strings have these mistakes', () => {
    const mistakes = fc.record({
      cost: fc.constantFrom('NaN', '-Infinity', 'undefined'),
      comma: fc.constantFrom('', ',', ' ,\n')
    })
    const objects = fc.dictionary(fc.string({ unit: anyCharacter }), fc.string({ unit: anyCharacter }))
    const raw = (text: string): string =>
      JSON.stringify(text).replace(/\\[bfnrt]|\\u00[01]./g, (escape) => JSON.parse(`"${escape}"`) as string)
    const isRead = (object: Record<string, string>, { cost, comma }: { cost: string; comma: string }): boolean => {
      const members = Object.entries(object).map(([name, value]) => `${raw(name)}:${raw(value)}`)
      const read = parseLenient(`{${[...members, `"":${cost}`].join(',')}${comma}}`)
      return JSON.stringify(read) === JSON.stringify({ ...object, '': null })
    }
    fc.assert(fc.property(objects, mistakes, isRead))
  })

  it.each([
    ['commas and blanks', ', '],
    ['blanks', ' '],
    ['quotes', '"'],
    ['escaped quotes', '\\"'],
    ['backslashes', '\\'],
    ['control characters', '\n'],
    ['no values', 'NaN,'],
    ['parts of no values', '-infinit'],
    ['strings', '"a\\"",'],
    ['brackets', ',]']
  ])('takes no quadratic time for a hostile quarter of a megabyte: %s', (_, part) => {
    for (const start of ['{"a":', '{"a":"', '']) {
      const text = start + part.repeat(250_000 / part.length)
      // Not the time that has passed, most of which other processes may have used.
      const before = process.cpuUsage()
      parseLenient(text)
      expect(process.cpuUsage(before).user).toBeLessThan(MAX_CPU_US)
    }
  })

  it('reads a string of megabytes', () => {
    const long = 'a"\\\n'.repeat(300_000)
    expect(parseLenient(`{"a":${JSON.stringify(long).replaceAll('\\n', '\n')}}`)).toStrictEqual({ a: long })
  })
})
