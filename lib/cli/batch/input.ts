import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { WrongUsage, type CliContext } from '../shared/context.js'
import { codeOf } from '../shared/text.js'
import { itemOf, type Item } from './item.js'
import { csvRecords, jsonRecords, type InputRecord } from './records.js'

export type Format = 'ndjson' | 'csv'

type Chunks = AsyncIterable<Buffer | string>

/** The tasks of a batch. */
export interface Input {
  /** Reads the items one by one; `clientKey` is refused as the key of a page. */
  readonly items: (clientKey: string) => AsyncGenerator<Item>
  /** Roughly how many items there are; unknown for a stream. */
  readonly total: number | undefined
  readonly close: () => void
}

/** Opens a file, or stdin for `-`. Nothing is read beyond what is asked for. */
export const openInput = async ({ stdin }: CliContext, path: string, format: Format | undefined): Promise<Input> => {
  if (path === '-') return inputOf(stdin, format, undefined)
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new WrongUsage(`${path}: expected a file, this is a folder`)
    const knownFormat = format ?? formatOfName(path)
    // A pipe, for example, can be read only once.
    if (!found.isFile()) return inputOf(createReadStream(path), knownFormat, undefined)
    const lines = await countLines(createReadStream(path))
    const handle = await open(path)
    return inputOf(handle.createReadStream(), knownFormat, knownFormat === 'csv' ? Math.max(0, lines - 1) : lines)
  } catch (error) {
    if (error instanceof WrongUsage) throw error
    throw new WrongUsage(`${path}: the file cannot be read (${codeOf(error)})`)
  }
}

const inputOf = (
  source: Chunks & { readonly destroy: () => unknown },
  format: Format | undefined,
  total: number | undefined
): Input => ({
  items: (clientKey) => itemsOf(source, format, clientKey),
  total,
  close: () => void source.destroy()
})

const itemsOf = async function* (chunks: Chunks, format: Format | undefined, clientKey: string) {
  const { start, text } = await peek(decode(chunks))
  for await (const record of recordsOf(text, format ?? formatOfText(start))) yield itemOf(record, clientKey)
}

const recordsOf = (text: AsyncIterable<string>, format: Format): AsyncIterable<InputRecord> =>
  format === 'csv' ? csvRecords(text) : jsonRecords(text)

const formatOfName = (path: string): Format | undefined =>
  /\.csv$/i.test(path) ? 'csv' : /\.(ndjson|jsonl)$/i.test(path) ? 'ndjson' : undefined

const formatOfText = (start: string): Format => {
  if (start.startsWith('['))
    throw new WrongUsage('the input: this looks like a JSON array; expected one JSON object per line, or CSV')
  return start.startsWith('{') || start === '' ? 'ndjson' : 'csv'
}

/** The first text that is not blank, and the whole text. */
const peek = async (texts: AsyncGenerator<string>) => {
  const first: string[] = []
  for (let next = await texts.next(); next.done !== true; next = await texts.next()) {
    first.push(next.value)
    if (next.value.trim() !== '') break
  }
  const text = async function* () {
    yield* first
    yield* texts
  }
  return { start: first.join('').trimStart(), text: text() }
}

/** Decodes UTF-8, and drops a byte order mark. */
const decode = async function* (chunks: Chunks): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  for await (const chunk of chunks) yield decoder.decode(Buffer.from(chunk), { stream: true })
  yield decoder.decode()
}

const NEWLINE = 10

/** Counts lines, blank ones too: a million in a tenth of a second. */
const countLines = async (chunks: AsyncIterable<Buffer>): Promise<number> => {
  let [lines, last] = [0, NEWLINE]
  for await (const chunk of chunks) {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1
    last = chunk.at(-1) ?? last
  }
  return last === NEWLINE ? lines : lines + 1
}
