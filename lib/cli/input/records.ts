import { Readable, pipeline } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { WrongUsage } from '../shared/context.js'
import { isDecoded, trimmed } from '../shared/decode.js'
import { checkedHeader } from './fields.js'

/** One record of the input: its value, or what is wrong with it. Lines count from 1. */
export type InputRecord = { readonly line: number; readonly content: string } & (
  { readonly value: unknown } | { readonly problem: string }
)

/** Far more than a task needs; a longer record is not kept in memory. */
const MAX_RECORD_LENGTH = 65_536

const NOT_DECODED = 'expected text in UTF-8 or UTF-16'

/** Reads one JSON value per line, and skips blank lines. */
export const jsonRecords = async function* (text: AsyncIterable<string>): AsyncGenerator<InputRecord> {
  for await (const { line, content } of splitLines(text)) {
    if (content.length > MAX_RECORD_LENGTH) yield { line, content, problem: 'this is too long for a task' }
    else if (trimmed(content) !== '') yield readJson(line, trimmed(content))
  }
}

const readJson = (line: number, content: string): InputRecord => {
  if (!isDecoded(content)) return { line, content, problem: NOT_DECODED }
  try {
    return { line, content, value: JSON.parse(content) }
  } catch {
    // The parser's message would repeat the text.
    return { line, content, problem: 'expected JSON' }
  }
}

/** Splits text into lines. If a line never ends, only enough of it is kept to show that it is too long. */
export const splitLines = async function* (text: AsyncIterable<string>) {
  let [rest, line] = ['', 0]
  for await (const chunk of text) {
    const parts = (rest + chunk).split(/\r\n|\n|\r(?!$)/)
    rest = (parts.pop() ?? '').slice(0, MAX_RECORD_LENGTH + 1)
    for (const content of parts) yield { line: (line += 1), content }
  }
  yield { line: line + 1, content: rest }
}

/** Reads CSV with a header. Cells that are empty are left out, and so are rows of empty cells. */
export const csvRecords = async function* (text: AsyncIterable<string>): AsyncGenerator<InputRecord> {
  const lines = new RowLines()
  let header: ReadonlyArray<string> | undefined
  // The loop below gets every error; the callback only keeps it from being thrown a second time.
  const parser = pipeline(Readable.from(text), parse(CSV_OPTIONS), () => undefined)
  try {
    for await (const { record: cells, info } of parser as AsyncIterable<ParsedRow>) {
      const line = lines.next(cells, info.lines)
      if (cells.every((cell) => trimmed(cell) === '')) continue
      if (header) yield recordOf(header, cells, line)
      else header = checkedHeader(cells)
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const why = error.code === 'CSV_QUOTE_NOT_CLOSED' ? 'a quote is never closed' : TOO_LONG
    throw new WrongUsage(`the input, after line ${lines.last}: ${why}; nothing after that line was read`)
  }
}

const TOO_LONG = `a record is longer than ${MAX_RECORD_LENGTH} characters, perhaps because a quote is never closed`

const CSV_OPTIONS = {
  info: true,
  // A record with another number of cells, or a quote inside a cell, concerns that record alone.
  relax_column_count: true,
  relax_quotes: true,
  skip_empty_lines: true,
  trim: true,
  record_delimiter: ['\r\n', '\n', '\r'],
  max_record_size: MAX_RECORD_LENGTH
}

interface ParsedRow {
  readonly record: ReadonlyArray<string>
  readonly info: { readonly lines: number }
}

/** The lines at which the rows of a CSV begin. The parser gives the last line, and counts each CRLF in a cell twice. */
class RowLines {
  #countedTwice = 0
  last = 1

  next(cells: ReadonlyArray<string>, parserLine: number): number {
    const breaks = cells.flatMap((cell) => cell.match(/\r\n|\n|\r/g) ?? [])
    this.#countedTwice += breaks.filter((text) => text === '\r\n').length
    return (this.last = parserLine - this.#countedTwice - breaks.length)
  }
}

const recordOf = (header: ReadonlyArray<string>, cells: ReadonlyArray<string>, line: number): InputRecord => {
  const content = JSON.stringify(cells)
  if (!isDecoded(content)) return { line, content, problem: NOT_DECODED }
  // With another number of cells, or with a cell below no name, all cells may be in the wrong columns.
  if (cells.length !== header.length) return { line, content, problem: wrongCount(cells.length, header.length) }
  if (cells.some((cell, at) => cell !== '' && header[at] === ''))
    return { line, content, problem: `expected no cell in a column without a name; ${NEEDS_QUOTES}` }
  const value = new Map(header.map((name, at) => [name, cells[at]] as const).filter(([, cell]) => cell !== ''))
  return { line, content, value: { ...Object.fromEntries(value), isInvisible: flagOf(value.get('isInvisible')) } }
}

const NEEDS_QUOTES = 'a cell that contains a comma needs quotes'

const wrongCount = (found: number, columns: number): string =>
  `expected one cell per column (${columns}), found ${found}${found > columns ? `; ${NEEDS_QUOTES}` : ''}`

const FLAGS = new Map<string, boolean>(Object.entries({ true: true, 1: true, false: false, 0: false }))

const flagOf = (cell: string | undefined): unknown => cell && (FLAGS.get(trimmed(cell).toLowerCase()) ?? cell)
