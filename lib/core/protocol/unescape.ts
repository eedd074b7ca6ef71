/** A text without escapes, and the way back to the text that it was made of. */
export interface Unescaped {
  readonly text: string
  /** Maps places in `text`, in ascending order, to their places in the escaped text. */
  readonly placesOf: (places: ReadonlyArray<number>) => ReadonlyArray<number>
}

// A text may be escaped three times, and a backslash in it may itself be escaped. Only hostile texts have more layers.
const MAX_LAYERS = 8

/** Undoes the escapes of HTML, URLs and JSON, including escapes of escapes. */
export const unescaped = (escaped: string): Unescaped => {
  let result: Unescaped = { text: escaped, placesOf: (places) => places }
  for (let layer = 0; layer < MAX_LAYERS; layer += 1) {
    const outer = result
    const inner = withoutLayer(outer.text)
    if (inner.text === outer.text) return outer
    result = { text: inner.text, placesOf: (places) => outer.placesOf(inner.placesOf(places)) }
  }
  return result
}

const HTML = /&(?:#x(?<hex>[\da-f]{1,8})|#(?<decimal>\d{1,8})|(?<name>[a-z]{2,8}));/
// One character in UTF-8. The place of a character within a longer match would be unknown.
const URL =
  /(?<url>%[0-7][\da-f]|%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-7](?:%[89ab][\da-f]){3})/
// Many backslashes in a row are read at once, because a text of nothing else would take long.
const BACKSLASHES = /(?<pairs>(?:\\\\){1,1000})/
const BACKSLASH = /\\(?:u(?<unit>[\da-f]{4})|x(?<byte>[\da-f]{2})|(?<char>[^ux])|$)/
const ESCAPE = new RegExp([HTML, URL, BACKSLASHES, BACKSLASH].map(({ source }) => source).join('|'), 'gi')

const withoutLayer = (escaped: string): Unescaped => {
  const ends: { readonly plain: number; readonly escaped: number }[] = []
  let text = ''
  let end = 0
  for (const match of escaped.matchAll(ESCAPE)) {
    text += escaped.slice(end, match.index) + plainOf(match)
    end = match.index + match[0].length
    ends.push({ plain: text.length, escaped: end })
  }
  return { text: text + escaped.slice(end), placesOf: (places) => placesAfter(ends, places) }
}

/** Maps places by the end of the last escape before each. */
const placesAfter = (
  ends: ReadonlyArray<{ readonly plain: number; readonly escaped: number }>,
  places: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const next = ends.values()
  let shift = 0
  let end = next.next()
  return places.map((place) => {
    for (; end.done !== true && end.value.plain <= place; end = next.next()) shift = end.value.escaped - end.value.plain
    return place + shift
  })
}

/** What an escape stands for; the escape itself if that is nothing. */
const plainOf = ({ 0: escape, groups }: RegExpMatchArray): string => {
  const {
    hex,
    decimal,
    name,
    url,
    pairs,
    unit,
    byte,
    char = ''
  }: Readonly<Record<string, string | undefined>> = { ...groups }
  if (url !== undefined) return decodedUrl(url)
  if (name !== undefined) return NAMED.get(name.toLowerCase()) ?? escape
  if (pairs !== undefined) return pairs.slice(pairs.length / 2)
  const code = decimal === undefined ? parseInt(hex ?? unit ?? byte ?? '', 16) : parseInt(decimal, 10)
  if (Number.isNaN(code)) return CONTROLS.get(char) ?? char
  return code <= 0x10ffff ? String.fromCodePoint(code) : escape
}

const decodedUrl = (url: string): string => {
  try {
    return decodeURIComponent(url)
  } catch {
    return url
  }
}

const CONTROLS = new Map(Object.entries({ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }))

/** The names that HTML has for ASCII punctuation. */
const NAMED = new Map(
  (
    `amp& lt< gt> quot" apos' sol/ bsol\\ plus+ equals= lowbar_ colon: semi; period. comma, excl! quest? num# dollar$ percnt% ` +
    'commat@ ast* hat^ grave` lpar( rpar) lsqb[ lbrack[ rsqb] rbrack] lcub{ lbrace{ rcub} rbrace} verbar| vert|'
  )
    .split(' ')
    .map((pair) => [pair.slice(0, -1), pair.slice(-1)])
)
