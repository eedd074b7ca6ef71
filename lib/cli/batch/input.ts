import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { recordsOf } from './records.js'
import { itemOfCsv, itemOfJson, type Item } from './item.js'
import { countLines, linesOf, type Line } from './lines.js'
import { WrongUsage, codeOf, type World } from '../shared/context.js'

export type Format = 'ndjson' | 'csv'

export const FORMATS: ReadonlyArray<Format> = ['ndjson', 'csv']

/** Where the tasks come from. */
export interface Input {
  readonly items: (clientKey: string) => AsyncGenerator<Item>
  /** How many items there are, roughly; of what is read as it comes nobody knows. */
  readonly total: number | undefined
  readonly close: () => void
}

const formatOf = (path: string): Format | undefined =>
  /\.csv$/i.test(path) ? 'csv' : /\.(ndjson|jsonl)$/i.test(path) ? 'ndjson' : undefined

const formatOfLine = ({ text }: Line): Format => {
  const [first] = text.trim()
  if (first === '[')
    throw new WrongUsage('the input: this looks like a JSON array; expected one JSON object a line, or CSV')
  return first === '{' ? 'ndjson' : 'csv'
}

/** The first line, and all of them. */
const peek = async (lines: AsyncGenerator<Line>) => {
  const first = await lines.next()
  const all = async function* (): AsyncGenerator<Line> {
    if (first.done === true) return
    yield first.value
    yield* lines
  }
  return { first: first.done === true ? undefined : first.value, all: all() }
}

const itemsOf = async function* (source: Readable, known: Format | undefined, clientKey: string): AsyncGenerator<Item> {
  const { first, all } = await peek(linesOf(source))
  const format = known ?? (first && formatOfLine(first))
  if (format === 'csv') for await (const record of recordsOf(all)) yield itemOfCsv(record, clientKey)
  else for await (const line of all) yield itemOfJson(line, clientKey)
}

const reading = (source: Readable, format: Format | undefined, total: number | undefined): Input => ({
  items: (clientKey) => itemsOf(source, format, clientKey),
  total,
  close: () => void source.destroy()
})

const openFile = async (path: string, format: Format | undefined): Promise<Input> => {
  try {
    const about = await stat(path)
    if (about.isDirectory()) throw new WrongUsage(`${path}: expected a file, this is a folder`)
    const known = format ?? formatOf(path)
    // What is no plain file, a pipe for example, can be read only once.
    if (!about.isFile()) return reading(createReadStream(path), known, undefined)
    const lines = await countLines(createReadStream(path))
    const handle = await open(path)
    return reading(handle.createReadStream(), known, known === 'csv' && lines > 0 ? lines - 1 : lines)
  } catch (error) {
    if (error instanceof WrongUsage) throw error
    throw new WrongUsage(`${path}: the file cannot be read (${codeOf(error)})`)
  }
}

/** Opens the input: a file, or what comes in for `-`. */
export const openInput = ({ stdin }: World, path: string, format: Format | undefined): Promise<Input> =>
  path === '-' ? Promise.resolve(reading(stdin, format, undefined)) : openFile(path, format)
