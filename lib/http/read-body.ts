import { isUtf8 } from 'node:buffer'
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'
import { causeOf } from '../core/model/network.js'

/**
 * The text of a reply, decompressed and decoded. A body that does not match its `content-encoding` is read as plain text, or as
 * far as it can be decompressed, because a spoiled reply may hold the id of a paid task. A body that was compressed with gzip
 * more often than its `content-encoding` says is decompressed up to three more times.
 *
 * @throws an error with the code `TOO_LARGE` for a text that is larger than `maxBytes` after any of its decompressions
 */
export const readBody = (bytes: Buffer, contentEncoding: string, maxBytes: number): string => {
  // Decompresses at once: a reply is small by its limit, and a stream would cost more.
  return decodeText(decompressed(bytes, contentEncoding, (data, name) => decompressWhole(data, name, maxBytes)))
}

/** As {@link readBody}, for what has arrived of a broken reply; if it is too large, its beginning is read. */
export const readPart = (bytes: Buffer, contentEncoding: string, maxBytes: number): string => {
  const beginning = bytes.subarray(0, maxBytes)
  return decodeText(decompressed(beginning, contentEncoding, (data, name) => decompressPart(data, name, maxBytes)))
}

/** Why a reply is not read. */
export const tooLarge = (maxBytes: number): Error =>
  Object.assign(new Error(`the reply is larger than maxReplyBytes, ${String(maxBytes)} bytes`), {
    name: 'ReplyTooLarge',
    code: 'TOO_LARGE'
  })

type Decompress = (data: Buffer, options: { readonly maxOutputLength: number; readonly finishFlush?: number }) => Buffer

/** For servers that leave out the zlib header. Without it nearly any bytes look like deflate, so all of them must be decodable. */
const inflateRaw: Decompress = (data, options) => {
  const { buffer, engine } = inflateRawSync(data, { ...options, info: true }) as unknown as {
    readonly buffer: Buffer
    readonly engine: { readonly bytesWritten: number }
  }
  if (isPlain(data) || engine.bytesWritten < data.length) throw new Error('no raw deflate')
  return buffer
}

const decompressors: ReadonlyMap<string, ReadonlyArray<Decompress>> = new Map([
  ['gzip', [gunzipSync]],
  ['x-gzip', [gunzipSync]],
  ['deflate', [inflateSync, inflateRaw]],
  ['br', [brotliDecompressSync]]
])

/** Whether data is not compressed: it is text, or holds a name that occurs in every document. */
const isPlain = (data: Buffer): boolean => isUtf8(data) || data.includes('"errorId"') || data.includes('"taskId"')

const isGzip = (data: Buffer): boolean => data[0] === 0x1f && data[1] === 0x8b

const MAX_NAMES = 4
const MAX_UNNAMED = 3

/** Undoes the named encodings, the last one first, then gzip as often as it was applied without a name. */
const decompressed = (bytes: Buffer, contentEncoding: string, undo: (data: Buffer, name: string) => Buffer): Buffer => {
  let data = encodingsOf(contentEncoding).reduceRight(undo, bytes)
  for (let unnamed = 0; unnamed < MAX_UNNAMED && isGzip(data); unnamed += 1) data = undo(data, 'gzip')
  return data
}

/** The encodings of a body in the order in which they were applied; none if there are implausibly many. */
const encodingsOf = (contentEncoding: string): ReadonlyArray<string> => {
  const names = contentEncoding.split(',', MAX_NAMES + 1).map((name) => name.trim().toLowerCase())
  return contentEncoding === '' || names.length > MAX_NAMES ? [] : names
}

/** The decompressors of an encoding. The signature of gzip takes precedence over the name. */
const decompressorsOf = (data: Buffer, name: string): ReadonlyArray<Decompress> =>
  decompressors.get(isGzip(data) ? 'gzip' : name) ?? []

const decompressWhole = (data: Buffer, name: string, maxBytes: number): Buffer => {
  for (const decompress of decompressorsOf(data, name)) {
    try {
      return decompress(data, { maxOutputLength: maxBytes })
    } catch (error) {
      if (isTooLarge(error)) throw tooLarge(maxBytes)
    }
  }
  return decompressPart(data, name, maxBytes)
}

const isTooLarge = (error: unknown): boolean => causeOf(error).code === 'ERR_BUFFER_TOO_LARGE'

/** What can be decompressed; the data itself if it is a text, or if nothing can be. */
const decompressPart = (data: Buffer, name: string, maxBytes: number): Buffer => {
  if (isPlain(data)) return data
  const isBrotli = name === 'br' && !isGzip(data)
  const finishFlush = isBrotli ? constants.BROTLI_OPERATION_FLUSH : constants.Z_SYNC_FLUSH
  const parts = decompressorsOf(data, name).map((decompress) =>
    longestOf(data, (part) => decompress(part, { maxOutputLength: maxBytes, finishFlush }))
  )
  return parts.find((part) => part !== undefined && part.length > 0) ?? data
}

/** Decompresses the longest beginning that can be decompressed, found by halving. */
const longestOf = (data: Buffer, decompress: (part: Buffer) => Buffer): Buffer | undefined => {
  let longest: Buffer | undefined
  let [good, bad] = [0, data.length + 1]
  while (bad - good > 1) {
    // The whole is tried first, because usually the data is only cut short.
    const length = bad > data.length ? data.length : Math.floor((good + bad) / 2)
    try {
      longest = decompress(data.subarray(0, length))
      good = length
    } catch {
      bad = length
    }
  }
  return longest
}

/** UTF-8, or UTF-16 by its byte order mark or by the zeros within two first ASCII characters. */
const decodeText = (bytes: Buffer): string => {
  // Destructuring a Buffer would make an iterator for each reply.
  const first = bytes[0]
  const second = bytes[1]
  if (first === 0xff && second === 0xfe) return utf16le(bytes.subarray(2))
  if (first === 0xfe && second === 0xff) return utf16be(bytes.subarray(2))
  if (second === 0 && isZeroFrom(bytes, 1)) return utf16le(bytes)
  if (first === 0 && isZeroFrom(bytes, 0)) return utf16be(bytes)
  return bytes.toString()
}

/** Whether every other one of the first four bytes is zero, as far as there are any: one alone may be a stray NUL byte. */
const isZeroFrom = (bytes: Buffer, start: number): boolean =>
  bytes.subarray(0, 4).every((byte, at) => (byte === 0) === (at % 2 === start))

const utf16le = (bytes: Buffer): string => bytes.toString('utf16le')

const utf16be = (bytes: Buffer): string => utf16le(Buffer.from(bytes.subarray(0, bytes.length & ~1)).swap16())
