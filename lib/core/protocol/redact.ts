/** Redacts the client key from a text, in every form in which it may stand there. */
export type Scrub = (text: string) => string

/** Replaces the key, plain and as JSON and URLs write it, in any case of letters; also a part of it at which the text is cut. */
export const scrubber = (clientKey: string): Scrub => {
  const forms = [...new Set(formsOf(clientKey))].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(forms.map(escapeRegExp).join('|'), 'gi')
  return (text) => withoutCutKey(text.replace(pattern, REDACTED), forms)
}

const REDACTED = '[client key]'
const MIN_PART_LENGTH = 6

const withoutCutKey = (text: string, forms: ReadonlyArray<string>): string => {
  for (const form of forms) {
    for (let length = form.length - 1; length >= MIN_PART_LENGTH; length -= 1) {
      const isCut = text.slice(-length).toLowerCase() === form.slice(0, length).toLowerCase()
      if (isCut) return text.slice(0, -length) + REDACTED
    }
  }
  return text
}

const formsOf = (key: string): ReadonlyArray<string> => {
  const json = JSON.stringify(key).slice(1, -1)
  const url = encodeURIComponent(key.toWellFormed())
  const form = new URLSearchParams([['', key]]).toString().slice('='.length)
  // Some servers escape the slash in JSON, and forms write a blank as plus.
  const inJson = [json, toAsciiJson(json)].flatMap((text) => [text, text.replaceAll('/', '\\/')])
  return [key, ...inJson, url, url.replaceAll('%20', '+'), form]
}

const toAsciiJson = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

const MAX_STRING_LENGTH = 40
const MAX_EXCERPT_LENGTH = 200
// Only the beginning of a text is searched: on many megabytes the engine throws at the patterns below.
const MAX_SEARCHED_LENGTH = 2_000

/** The beginning of a reply for a log: the client key is redacted, and strings long enough to be a token are truncated. */
export const excerptOf = (scrub: Scrub, body: string): string =>
  scrub(body)
    .slice(0, MAX_SEARCHED_LENGTH)
    // A string without its closing quote counts too: the text may be cut.
    .replace(/"(?:[^"\\]|\\[^]){41,}(?:"|\\?$)/g, (literal) => `${truncate(literal)}"`)
    .replace(/[^\s"]{41,}/g, truncate)
    .slice(0, MAX_EXCERPT_LENGTH)

const truncate = (text: string): string => `${text.slice(0, MAX_STRING_LENGTH)}…`
