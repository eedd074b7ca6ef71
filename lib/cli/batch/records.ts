import { parse } from 'csv-parse/sync'
import { LONGEST_LINE, type Line } from './lines.js'
import { WrongUsage } from '../shared/context.js'

/** One record: its fields by column, or nothing where it is none. */
export interface CsvRecord {
  readonly line: Line
  readonly fields: Readonly<Record<string, string>> | undefined
}

const cellsOf = (text: string): ReadonlyArray<string> | undefined => {
  try {
    const [cells] = parse(text, { relax_column_count: true })
    return cells
  } catch {
    return undefined
  }
}

const hasOpenQuote = (text: string): boolean => text.split('"').length % 2 === 0

const joined = (lines: ReadonlyArray<Line>, [first] = lines): Line => ({
  number: first?.number ?? 0,
  text: lines.map(({ text }) => text).join('\n'),
  isCut: lines.some(({ isCut }) => isCut)
})

const NEEDED = ['websiteURL', 'websiteKey']

const columnsOf = ({ text }: Line): ReadonlyArray<string> => {
  const columns = cellsOf(text)?.map((name) => name.trim()) ?? []
  const missing = NEEDED.filter((name) => !columns.includes(name))
  if (missing.length === 0) return columns
  throw new WrongUsage(
    `the input: its first line has no column ${missing.join(' and ')}; expected a header such as ` +
      'websiteURL,websiteKey,isInvisible,id'
  )
}

/** Puts lines together to records. A quote that is never closed costs its own line, not those after it. */
class Joiner {
  #open: Line[] = []
  #columns: ReadonlyArray<string> | undefined;

  *take(line: Line): Generator<CsvRecord> {
    if (!this.#columns) {
      this.#columns = columnsOf(line)
      return
    }
    this.#open.push(line)
    const whole = joined(this.#open)
    if (whole.isCut || whole.text.length > LONGEST_LINE) yield* this.#giveUp()
    else if (!hasOpenQuote(whole.text)) yield* this.#close(whole)
  }

  *end(): Generator<CsvRecord> {
    while (this.#open.length > 0) yield* this.#giveUp()
  }

  *#close(line: Line): Generator<CsvRecord> {
    const cells = cellsOf(line.text)
    if (!cells) {
      yield* this.#giveUp()
      return
    }
    this.#open = []
    const named = this.#columns?.map((name, at) => [name, cells[at] ?? ''] as const) ?? []
    yield { line, fields: Object.fromEntries(named.filter(([, cell]) => cell !== '')) }
  }

  /** The first of the lines is none of a record; those after it are looked at anew. */
  *#giveUp(): Generator<CsvRecord> {
    const [first, ...rest] = this.#open
    this.#open = []
    if (first) yield { line: first, fields: undefined }
    for (const line of rest) yield* this.take(line)
  }
}

/** The records after the header. */
export const recordsOf = async function* (lines: AsyncIterable<Line>): AsyncGenerator<CsvRecord> {
  const joiner = new Joiner()
  for await (const line of lines) yield* joiner.take(line)
  yield* joiner.end()
}
