import { StringDecoder } from 'node:string_decoder'

/** One line of the input, or one record of it that goes over several lines. */
export interface Line {
  /** Counted from 1; of a record, its first line. */
  readonly number: number
  readonly text: string
  /** Too long to be a task: `text` is its beginning. */
  readonly isCut: boolean
}

export type Chunks = AsyncIterable<Buffer | string>

/** Far more than a task needs; what is longer is not kept in memory. */
export const LONGEST_LINE = 65_536

/** Cuts text into lines; of a line without an end no more is kept than says that it is too long. */
class Cutter {
  #rest = ''
  #number = 0;

  *take(text: string): Generator<Line> {
    const parts = text.split('\n')
    for (const part of parts.slice(0, -1)) yield this.#line(this.#rest + part)
    this.#keep(this.#rest + (parts.at(-1) ?? ''))
  }

  *end(): Generator<Line> {
    if (this.#rest !== '') yield this.#line(this.#rest)
  }

  #line(text: string): Line {
    this.#number += 1
    this.#rest = ''
    const isCut = text.length > LONGEST_LINE
    return { number: this.#number, text: isCut ? text.slice(0, LONGEST_LINE) : text.replace(/\r$/, ''), isCut }
  }

  #keep(text: string): void {
    this.#rest = text.length > LONGEST_LINE ? text.slice(0, LONGEST_LINE + 1) : text
  }
}

const notBlank = function* (lines: Iterable<Line>): Generator<Line> {
  for (const line of lines) if (line.text.trim() !== '') yield line
}

/** The lines that are not blank, read as they are asked for. */
export const linesOf = async function* (chunks: Chunks): AsyncGenerator<Line> {
  const [decoder, cutter] = [new StringDecoder('utf8'), new Cutter()]
  let isFirst = true
  for await (const chunk of chunks) {
    const text = typeof chunk === 'string' ? chunk : decoder.write(chunk)
    if (text === '') continue
    yield* notBlank(cutter.take(isFirst ? text.replace(/^\uFEFF/, '') : text))
    isFirst = false
  }
  yield* notBlank(cutter.take(decoder.end()))
  yield* notBlank(cutter.end())
}

const NEWLINE = 10
const SPACE = 32

/** How many lines are not blank: of a file of a million lines in a fraction of a second. */
export const countLines = async (chunks: AsyncIterable<Buffer>): Promise<number> => {
  let [count, isCounted] = [0, false]
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? NEWLINE
      if (byte === NEWLINE) isCounted = false
      else if (byte > SPACE && !isCounted) {
        count += 1
        isCounted = true
        // On to the end of the line, or of what there is of it.
        const end = chunk.indexOf(NEWLINE, at)
        at = (end === -1 ? chunk.length : end) - 1
      }
    }
  }
  return count
}
