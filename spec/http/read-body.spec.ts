import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { readBody, readPart, tooLarge } from '../../lib/http/read-body.js'

const LIMIT = 262_144
const TEXT = '{"errorId":0,"errorCode":"","errorDescription":"déjà vu","taskId":"61138bb6-19fb-11ec-a9c8-0242ac110006"}'

/** For tests that read it once for each of its bytes. */
const SHORT_TEXT = '{"errorId":0,"errorCode":"","note":"déjà vu","taskId":"61138bb6"}'

/** Every way to compress, with the names that announce it. */
const COMPRESSED: ReadonlyArray<[name: string, compress: (text: string | Buffer) => Buffer]> = [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['deflate', deflateRawSync],
  ['br', brotliCompressSync]
]
const named = COMPRESSED.map(([name, compress]) => [name, compress.name, compress] as const)

const gzipTimes = (times: number, text: string): Buffer =>
  Array.from({ length: times }).reduce<Buffer>((data) => gzipSync(data), Buffer.from(text))

const both = [
  ['whole', readBody],
  ['part of a', readPart]
] as const

describe.each(both)('a %s body', (_, read) => {
  it.each(named)('is decompressed if it is %s (%s)', (name, _compress, compress) => {
    expect(read(compress(TEXT), name, LIMIT)).toBe(TEXT)
  })

  it.each(['GZip', 'x-gzip', 'X-GZIP', ' gzip ', ''])('is gzip under the name "%s"', (name) => {
    expect(read(gzipSync(TEXT), name, LIMIT)).toBe(TEXT)
  })

  it.each<[string, Buffer]>([
    ['gzip, gzip', gzipSync(gzipSync(TEXT))],
    ['deflate,br', brotliCompressSync(deflateSync(TEXT))],
    ['br , gzip, gzip', gzipSync(gzipSync(brotliCompressSync(TEXT)))],
    ['identity, gzip', gzipSync(TEXT)],
    ['gzip, identity', gzipSync(TEXT)],
    ['zstd, gzip', gzipSync(TEXT)]
  ])('is decompressed in the reverse order of the list %s', (names, bytes) => {
    expect(read(bytes, names, LIMIT)).toBe(TEXT)
  })

  it.each([2, 3, 4])('is decompressed if it was compressed by gzip %d times under one name', (times) => {
    for (const name of ['gzip', 'x-gzip', 'identity', 'br', 'deflate', 'zstd'])
      expect(read(gzipTimes(times, TEXT), name, LIMIT)).toBe(TEXT)
  })

  it.each<[string, string, Buffer]>([
    ['by gzip without a name', '', gzipTimes(3, TEXT)],
    ['by gzip within deflate', 'deflate', deflateSync(gzipTimes(3, TEXT))],
    ['by gzip within br', 'br', brotliCompressSync(gzipSync(TEXT))],
    ['by gzip within two names', 'gzip, br', brotliCompressSync(gzipTimes(4, TEXT))]
  ])('is decompressed if it was compressed %s', (_, name, bytes) => {
    expect(read(bytes, name, LIMIT)).toBe(TEXT)
  })

  it('is not decompressed more than three times more than its names say', () => {
    expect(read(gzipTimes(4, TEXT), '', LIMIT)).toBe(gzipSync(TEXT).toString())
    expect(read(gzipTimes(6, TEXT), 'gzip, gzip', LIMIT)).toBe(gzipSync(TEXT).toString())
  })

  it('is as much of the text as the bytes of gzip in gzip hold', () => {
    const text = Array.from({ length: 4_000 }, (_, i) => i * 7_919).join()
    const bytes = gzipTimes(2, text)
    const part = read(bytes.subarray(0, bytes.length / 2), 'gzip', LIMIT)
    expect(text.startsWith(part)).toBe(true)
    expect(part.length).toBeGreaterThan(text.length / 4)
  })

  it('is decompressed by a list of four names', () => {
    const bytes = deflateSync(gzipSync(brotliCompressSync(deflateSync(TEXT))))
    expect(read(bytes, 'deflate, br, gzip, deflate', LIMIT)).toBe(TEXT)
  })

  it.each([
    ['five names', 'br, br, br, br, br'],
    ['five empty names', ',,,,'],
    ['a hundred thousand names', 'br,'.repeat(100_000)]
  ])('is read as under an unknown name if it has %s', (_, names) => {
    expect(read(Buffer.from(TEXT), names, LIMIT)).toBe(TEXT)
    expect(read(gzipSync(TEXT), names, LIMIT)).toBe(TEXT)
    expect(read(brotliCompressSync(TEXT), names, LIMIT)).toBe(brotliCompressSync(TEXT).toString())
  })

  it.each(['gzip, gzip', 'br, gzip', 'deflate, gzip'])(
    'is read if it was only compressed by gzip for "%s"',
    (names) => {
      expect(read(gzipSync(TEXT), names, LIMIT)).toBe(TEXT)
    }
  )

  it.each(['', 'identity', 'gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'UTF-8', 'none', 'gzip, br', ', ', ';'])(
    'is the plain text if that is what it is, under the name "%s"',
    (name) => {
      expect(read(Buffer.from(TEXT), name, LIMIT)).toBe(TEXT)
    }
  )

  it.each(['identity', 'UTF-8', 'br', 'deflate', 'zstd'])(
    'is decompressed if it is gzip under the name "%s"',
    (name) => {
      expect(read(gzipSync(TEXT), name, LIMIT)).toBe(TEXT)
    }
  )

  it.each(['', 'gzip', 'deflate', 'br', 'zstd'])('is the plain text in another charset under the name "%s"', (name) => {
    const bytes = Buffer.from(`{\x80"x":1,${TEXT.slice(1)}`, 'latin1')
    expect(read(bytes, name, LIMIT)).toContain('"taskId":"61138bb6-19fb-11ec-a9c8-0242ac110006"')
  })

  it.each(['', 'identity', 'gzip', 'deflate', 'br', 'zstd'])(
    'is the plain text in several lines under the name "%s"',
    (name) => {
      const text = JSON.stringify(JSON.parse(TEXT), null, 2)
      expect(read(Buffer.from(text), name, LIMIT)).toBe(text)
    }
  )

  it.each(['gzip', 'deflate', 'br', 'zstd'])('is empty if nothing arrived, under the name %s', (name) => {
    expect(read(Buffer.alloc(0), name, LIMIT)).toBe('')
  })

  it.each<[string, Buffer]>([
    ['little-endian, with a byte order mark', Buffer.from(`\uFEFF${TEXT}`, 'utf16le')],
    ['little-endian', Buffer.from(TEXT, 'utf16le')],
    ['big-endian, with a byte order mark', Buffer.from(`\uFEFF${TEXT}`, 'utf16le').swap16()],
    ['big-endian', Buffer.from(TEXT, 'utf16le').swap16()]
  ])('is read as UTF-16 if it is %s, plain or compressed', (_order, bytes) => {
    expect(read(bytes, '', LIMIT)).toBe(TEXT)
    for (const [name, , compress] of named) expect(read(compress(bytes), name, LIMIT)).toBe(TEXT)
  })

  it.each([true, false])('is read as UTF-16 up to half of a last character (little-endian: %p)', (isLittle) => {
    const bytes = Buffer.from(`\uFEFF${TEXT}`, 'utf16le')
    expect(read((isLittle ? bytes : bytes.swap16()).subarray(0, -1), '', LIMIT)).toBe(TEXT.slice(0, -1))
  })

  it.each(['{', '{}'])('is read as UTF-16 if it is no longer than %j', (text) => {
    const bytes = Buffer.from(text, 'utf16le')
    expect(read(bytes, '', LIMIT)).toBe(text)
    expect(read(Buffer.from(bytes).swap16(), '', LIMIT)).toBe(text)
    expect(read(Buffer.from(`${text} `, 'utf16le').swap16().subarray(0, -1), '', LIMIT)).toBe(text)
  })

  it.each(['\0', '\0\0', '\0\0\0', '\0\0\0\0', '{\0', '{\0\0'])('is read as UTF-8 if it begins with %j', (before) => {
    expect(read(Buffer.from(before + TEXT), '', LIMIT)).toBe(before + TEXT)
  })

  it('keeps a byte order mark of UTF-8, which the reader of documents skips', () => {
    expect(read(Buffer.from(`\uFEFF${TEXT}`), '', LIMIT)).toBe(`\uFEFF${TEXT}`)
  })

  it.each(['', 'gzip', 'deflate', 'br', 'zstd'])(
    'is legible but for its accents if it is Latin-1, under "%s"',
    (name) => {
      const text = read(Buffer.from(TEXT, 'latin1'), name === 'deflate' ? '' : name, LIMIT)
      expect(text).toBe(TEXT.replace('déjà', 'd\uFFFDj\uFFFD'))
    }
  )

  it.each(named)('is as much of the text as the bytes of %s (%s) hold, wherever they are cut', (name, _c, compress) => {
    const bytes = compress(SHORT_TEXT)
    let longest = 0
    for (let length = 1; length <= bytes.length; length += 1) {
      const cut = bytes.subarray(0, length)
      const text = read(cut, name, LIMIT)
      if (text === cut.toString()) continue // too little to decompress anything
      // Half of a last character is not legible.
      expect(SHORT_TEXT).toContain(text.replace(/\uFFFD$/, ''))
      expect(text.length).toBeGreaterThanOrEqual(longest)
      longest = text.length
    }
    expect(longest).toBe(SHORT_TEXT.length)
  })

  it.each([
    ['gzip', 8, gzipSync],
    ['deflate', 4, deflateSync]
  ] as const)('is the whole text of %s without any part of its checksum of %d bytes', (name, size, compress) => {
    for (let missing = 1; missing <= size; missing += 1)
      expect(read(compress(TEXT).subarray(0, -missing), name, LIMIT)).toBe(TEXT)
  })

  it.each([
    ['gzip', 8, gzipSync],
    ['deflate', 4, deflateSync]
  ] as const)('is the whole text of %s with a wrong checksum of %d bytes', (name, size, compress) => {
    for (let at = 1; at <= size; at += 1) {
      const bytes = Buffer.from(compress(TEXT))
      bytes[bytes.length - at]! ^= 0xff
      expect(read(bytes, name, LIMIT)).toBe(TEXT)
    }
  })

  it.each(named)('is a text, whichever bit of %s (%s) is wrong', (name, _compress, compress) => {
    const whole = compress(SHORT_TEXT)
    for (let bit = 0; bit < whole.length * 8; bit += 11) {
      const bytes = Buffer.from(whole)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => read(bytes, name, LIMIT)).not.toThrow()
    }
  })

  it('is the text before the damage', () => {
    const text = Array.from({ length: 4_000 }, (_, i) => i * 7_919).join()
    const bytes = gzipSync(text)
    bytes.fill(0xff, bytes.length / 2)
    const legible = read(bytes, 'gzip', LIMIT)
    expect(legible.slice(0, text.length / 4)).toBe(text.slice(0, text.length / 4))
  })

  it.each(['\r\n', '<!-- cached -->', '\u0000\u0000'])('is the text if %j follows the gzip', (after) => {
    expect(read(Buffer.concat([gzipSync(TEXT), Buffer.from(after)]), 'gzip', LIMIT)).toBe(TEXT)
  })

  it('is the text of several members of gzip', () => {
    const [one, two] = [TEXT.slice(0, 40), TEXT.slice(40)]
    expect(read(Buffer.concat([gzipSync(one), gzipSync(two)]), 'gzip', LIMIT)).toBe(TEXT)
  })
})

describe('a body that is larger than the limit once it is decompressed', () => {
  const exact = ' '.repeat(5_000)

  it.each(named)('is refused if it is %s (%s), and not a byte earlier', (name, _compress, compress) => {
    expect(readBody(compress(exact), name, 5_000)).toBe(exact)
    expect(() => readBody(compress(`${exact} `), name, 5_000)).toThrow(tooLarge(5_000))
  })

  it('is refused if any of several compressions goes beyond it', () => {
    const bomb = gzipSync(gzipSync(Buffer.alloc(3_000_000)))
    expect(() => readBody(bomb, 'gzip, gzip', 5_000)).toThrow('the reply is larger than maxReplyBytes, 5000 bytes')
  })

  it.each([
    ['the first', (text: string) => gzipTimes(1, text)],
    ['the second', (text: string) => gzipTimes(2, text)],
    ['the fourth', (text: string) => gzipTimes(4, text)]
  ])('is refused if %s decompression under one name goes beyond it, and not a byte earlier', (_, compress) => {
    expect(readBody(compress(exact), 'gzip', 5_000)).toBe(exact)
    expect(() => readBody(compress(`${exact} `), 'gzip', 5_000)).toThrow(tooLarge(5_000))
  })

  it('is refused if what lies between two decompressions goes beyond it', () => {
    const noise = randomBytes(20_000).toString('base64')
    const inner = gzipSync(noise, { level: 0 })
    expect(() => readBody(gzipSync(inner), 'gzip', inner.length - 1)).toThrow(tooLarge(inner.length - 1))
    expect(readBody(gzipSync(inner), 'gzip', inner.length)).toBe(noise)
  })

  it('is never larger than it if it is part of gzip in gzip', () => {
    const bomb = gzipSync(gzipSync(Buffer.alloc(30_000_000, ' ')))
    for (const names of ['', 'gzip', 'gzip, gzip', 'gzip, gzip, gzip, gzip'])
      expect(readPart(bomb, names, 5_000).length).toBeLessThanOrEqual(5_000)
  })

  it.each(named)('is read up to some place before the limit if it is part of %s (%s)', (name, _compress, compress) => {
    const text = Array.from({ length: 4_000 }, (_, i) => i * 7_919).join()
    const part = readPart(compress(text), name, 20_000)
    expect(text.startsWith(part)).toBe(true)
    expect(part.length).toBeGreaterThan(1_000)
    expect(part.length).toBeLessThanOrEqual(20_000)
  })

  it('is read up to the limit if it is part of a plain text', () => {
    expect(readPart(Buffer.from(`${exact}more`), '', 5_000)).toBe(exact)
  })
})
