/** The id of an item. */
export interface ItemId {
  readonly key: string
  /** As it stood in the input, because a number cannot hold the digits of every id. */
  readonly json: string
}

/** The id in the text of a JSON object, given its parsed value. */
export const itemIdOf = (text: string, id: string | number): ItemId => {
  if (typeof id === 'string') return { key: id, json: JSON.stringify(id) }
  // A copy, because V8 keeps the whole text in memory as long as a part of it.
  const digits = Buffer.from(idTextOf(text) ?? String(id)).toString()
  return { key: digits, json: digits }
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/g

/** The last member `id` of the object itself, which is the one that `JSON.parse` takes. */
const idTextOf = (text: string): string | undefined => {
  const tokens = text.match(TOKEN) ?? []
  let depth = 0
  let found: string | undefined
  tokens.forEach((token, at) => {
    if (token === '{' || token === '[') depth += 1
    else if (token === '}' || token === ']') depth -= 1
    else if (depth === 1 && token === '"id"' && tokens[at + 1] === ':') found = tokens[at + 2]
  })
  return found
}
