const MAX_STRING_LENGTH = 40
const MAX_EXCERPT_LENGTH = 200
// Cutting works on a beginning of the text only: in one of many megabytes the engine throws at the patterns below.
const MAX_TRUNCATED_LENGTH = 2_000

/** Takes the client key out of a text, in every form in which it may stand there. */
export type Scrub = (text: string) => string

const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

const toAsciiJson = (text: string): string =>
  text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

const formsOf = (key: string): ReadonlyArray<string> => {
  const json = inJson(key)
  const url = encodeURIComponent(key.toWellFormed())
  const form = new URLSearchParams([['', key]]).toString().slice('='.length)
  // Some servers escape the slash in JSON, and forms write a blank as plus.
  const inBodies = [json, toAsciiJson(json)].flatMap((text) => [text, text.replaceAll('/', '\\/')])
  return [key, ...inBodies, url, url.replaceAll('%20', '+'), form]
}

/** Replaces the key, plain and as JSON and URLs write it, in any case of letters. */
export const scrubber = (clientKey: string): Scrub => {
  const forms = [...new Set(formsOf(clientKey))].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(forms.map(escapeRegExp).join('|'), 'gi')
  return (text) => text.replace(pattern, '[client key]')
}

const truncate = (text: string): string => `${text.slice(0, MAX_STRING_LENGTH)}…`

/** The beginning of a reply, fit for a log: no client key, no string, even an open one, long enough to be a token. */
export const excerptOf = (scrub: Scrub, body: string): string =>
  scrub(body)
    .slice(0, MAX_TRUNCATED_LENGTH)
    .replace(/"(?:[^"\\]|\\[^]){41,}(?:"|\\?$)/g, (literal) => `${truncate(literal)}"`)
    .replace(/[^\s"]{41,}/g, truncate)
    .slice(0, MAX_EXCERPT_LENGTH)
