import { TextDecoder } from 'node:util'

export type Chunks = AsyncIterable<Buffer | string>

/** Decodes UTF-8 and UTF-16, with or without a byte order mark, which is dropped. Editors and shells write all of them. */
export const decode = async function* (chunks: Chunks): AsyncGenerator<string> {
  let start = Buffer.alloc(0)
  let decoder: TextDecoder | undefined
  for await (const chunk of chunks) {
    let bytes = Buffer.from(chunk)
    if (!decoder) {
      start = bytes = Buffer.concat([start, bytes])
      if (start.length < ENOUGH_BYTES) continue
      decoder = new TextDecoder(encodingOf(start))
    }
    yield decoder.decode(bytes, { stream: true })
  }
  yield decoder ? decoder.decode() : new TextDecoder(encodingOf(start)).decode(start)
}

const ENOUGH_BYTES = 4

/** A file begins with a brace, a column or a key, so in UTF-16 every second one of its first bytes is 0, whatever its language. */
const encodingOf = (start: Buffer): string => {
  const begins = (...bytes: ReadonlyArray<number>) => bytes.every((byte, at) => start[at] === byte)
  if (begins(0xff, 0xfe)) return 'utf-16le'
  if (begins(0xfe, 0xff)) return 'utf-16be'
  const pattern = Array.from(start.subarray(0, ENOUGH_BYTES), (byte) => (byte === 0 ? '0' : 'x')).join('')
  return pattern === 'x0x0' ? 'utf-16le' : pattern === '0x0x' ? 'utf-16be' : 'utf-8'
}

/** White space, and invisible characters, such as a zero-width space or a byte order mark. */
const BLANK = /[\s\p{Default_Ignorable_Code_Point}]/u

/** Whether white space or an invisible character is in the text. */
export const hasBlank = (text: string): boolean => BLANK.test(text)

/** The text without white space and invisible characters around it; copied text often has them. */
export const trimmed = (text: string): string => {
  let [start, end] = [0, text.length]
  // Not one pattern for both: its search for the end takes quadratic time.
  while (start < end && BLANK.test(text.charAt(start))) start += 1
  while (end > start && BLANK.test(text.charAt(end - 1))) end -= 1
  return text.slice(start, end)
}

/** Whether every byte of the text could be decoded. */
export const isDecoded = (text: string): boolean => !text.includes('\uFFFD')
