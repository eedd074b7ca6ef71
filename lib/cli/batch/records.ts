import { Readable, pipeline } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { WrongUsage } from '../shared/context.js'

/** One record of the input: its value, or what is wrong with it. Lines count from 1. */
export type InputRecord = { readonly line: number; readonly content: string } & (
  { readonly value: unknown } | { readonly problem: string }
)

/** Far more than a task needs; a longer record is not kept in memory. */
const MAX_RECORD_LENGTH = 65_536

/** Reads one JSON value per line, and skips blank lines. */
export const jsonRecords = async function* (text: AsyncIterable<string>): AsyncGenerator<InputRecord> {
  for await (const { line, content } of splitLines(text)) {
    if (content.trim() === '') continue
    if (content.length > MAX_RECORD_LENGTH)
      yield { line, content, problem: 'expected a task, this is too long for one' }
    else yield readJson(line, content)
  }
}

const readJson = (line: number, content: string): InputRecord => {
  try {
    return { line, content, value: JSON.parse(content) }
  } catch {
    // The parser's message would repeat the text.
    return { line, content, problem: 'expected JSON' }
  }
}

/** Splits text into lines. Of a line that never ends no more is kept than shows that it is too long. */
const splitLines = async function* (text: AsyncIterable<string>) {
  let [rest, line] = ['', 0]
  for await (const chunk of text) {
    const parts = (rest + chunk).split(/\r\n|\n|\r(?!$)/)
    rest = (parts.pop() ?? '').slice(0, MAX_RECORD_LENGTH + 1)
    for (const content of parts) yield { line: (line += 1), content }
  }
  yield { line: line + 1, content: rest }
}

const REQUIRED_COLUMNS = ['websiteURL', 'websiteKey']

/** Reads CSV with a header. Cells that are empty are left out. */
export const csvRecords = async function* (text: AsyncIterable<string>): AsyncGenerator<InputRecord> {
  let lastLine = 1
  const parser = parse({
    columns: checkedHeader,
    info: true,
    // A record with another number of cells, or a quote inside a cell, concerns that record alone.
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    trim: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: MAX_RECORD_LENGTH
  })
  // The loop below gets every error; the callback only keeps it from being thrown a second time.
  pipeline(Readable.from(text), parser, () => undefined)
  try {
    for await (const { record, info } of parser as AsyncIterable<ParsedRecord>) {
      lastLine = info.lines
      yield recordOf(record, info)
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new WrongUsage(
      `the input, after line ${lastLine}: a quote is never closed, or a record is longer than ${MAX_RECORD_LENGTH} ` +
        'characters; nothing after that line was read'
    )
  }
}

interface ParsedRecord {
  readonly record: Readonly<Record<string, string>>
  readonly info: { readonly lines: number; readonly error?: CsvError; readonly columns?: unknown }
}

const checkedHeader = (names: ReadonlyArray<string>): string[] => {
  const missing = REQUIRED_COLUMNS.filter((name) => !names.includes(name))
  if (missing.length === 0) return [...names]
  throw new WrongUsage(
    `the input: its first line has no column ${missing.join(' and ')}; expected a header such as ` +
      'websiteURL,websiteKey,isInvisible,id'
  )
}

const recordOf = (record: ParsedRecord['record'], { lines, error }: ParsedRecord['info']): InputRecord => {
  const cells = Object.entries(record).filter(([, cell]) => cell !== '')
  const content = JSON.stringify(record)
  // A multi-line record is known by its first line.
  const line = lines - (content.match(/\\r\\n|\\n|\\r/g)?.length ?? 0)
  if (error && hasMoreCells(error)) return { line, content, problem: 'expected as many cells as columns' }
  return { line, content, value: { ...Object.fromEntries(cells), isInvisible: flagOf(record.isInvisible) } }
}

/** Fewer cells leave the last columns empty; with more, all cells may be in the wrong columns. */
const hasMoreCells = ({ record, columns }: CsvError): boolean =>
  Array.isArray(record) && Array.isArray(columns) && record.length > columns.length

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false]
])

const flagOf = (cell: string | undefined): unknown =>
  cell === undefined || cell === '' ? undefined : (FLAGS.get(cell.toLowerCase()) ?? cell)
