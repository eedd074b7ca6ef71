import { createReadStream, fstatSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { WrongUsage, type CliContext } from '../shared/context.js'
import { reasonOf } from '../shared/text.js'
import { decode, trimmed, type Chunks } from '../shared/decode.js'
import { refuseOtherSeparators } from './fields.js'
import { itemOf, type Item } from './item.js'
import { csvRecords, jsonRecords, splitLines, type InputRecord } from './records.js'

export type Format = 'ndjson' | 'csv'

/** The tasks of a batch. */
export interface Input {
  /** Reads the items one by one; `clientKey`, if it is known, is refused as the key of a page. */
  readonly items: (clientKey: string | undefined) => AsyncGenerator<Item>
  /** Roughly how many items there are; unknown for a stream. */
  readonly total: number | undefined
  readonly close: () => void
}

/** Opens a file, or stdin for `-`. Nothing is read beyond what is asked for. */
export const openInput = async ({ stdin }: CliContext, path: string, format: Format | undefined): Promise<Input> => {
  if (path === '-') {
    // Node makes an empty stream of a folder.
    if (stdin.fd !== undefined && fstatSync(stdin.fd).isDirectory()) throw folderGiven('stdin')
    return inputOf(stdin, format, undefined)
  }
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw folderGiven(path)
    const knownFormat = format ?? formatOfName(path)
    // A pipe, for example, can be read only once.
    if (!found.isFile()) return inputOf(createReadStream(path), knownFormat, undefined)
    const lines = await countLines(decode(createReadStream(path)))
    const handle = await open(path)
    return inputOf(handle.createReadStream(), knownFormat, knownFormat === 'csv' ? Math.max(0, lines - 1) : lines)
  } catch (error) {
    if (error instanceof WrongUsage) throw error
    throw new WrongUsage(`${path}: the file cannot be read (${reasonOf(error)})`)
  }
}

const folderGiven = (name: string) => new WrongUsage(`${name}: this is a folder; expected a file`)

const inputOf = (
  source: Chunks & { readonly destroy: () => unknown },
  format: Format | undefined,
  total: number | undefined
): Input => ({
  items: (clientKey) => itemsOf(source, format, clientKey),
  total,
  close: () => void source.destroy()
})

const itemsOf = async function* (chunks: Chunks, format: Format | undefined, clientKey: string | undefined) {
  const { start, text } = await peek(decode(chunks))
  for await (const record of readRecords(start, text, format ?? formatOfText(start))) yield itemOf(record, clientKey)
}

const readRecords = (start: string, text: AsyncIterable<string>, format: Format): AsyncIterable<InputRecord> => {
  if (format === 'ndjson') return jsonRecords(text)
  refuseOtherSeparators(start)
  return csvRecords(text)
}

const formatOfName = (path: string): Format | undefined =>
  /\.csv$/i.test(path) ? 'csv' : /\.(ndjson|jsonl)$/i.test(path) ? 'ndjson' : undefined

const formatOfText = (start: string): Format => {
  if (start.startsWith('['))
    throw new WrongUsage('the input: this looks like a JSON array; expected one JSON object per line, or CSV')
  if (/^\{\s*[\r\n]/.test(start))
    throw new WrongUsage('the input: this looks like one JSON object over several lines; expected one object per line')
  return start.startsWith('{') || start === '' ? 'ndjson' : 'csv'
}

/** The first text that is not blank, and the whole text. */
const peek = async (texts: AsyncGenerator<string>) => {
  const first: string[] = []
  for (let next = await texts.next(); next.done !== true; next = await texts.next()) {
    first.push(next.value)
    if (trimmed(next.value) !== '') break
  }
  const text = async function* () {
    yield* first
    yield* texts
  }
  return { start: trimmed(first.join('')), text: text() }
}

const countLines = async (text: AsyncIterable<string>): Promise<number> => {
  let count = 0
  for await (const { content } of splitLines(text)) if (content.trim() !== '') count += 1
  return count
}
