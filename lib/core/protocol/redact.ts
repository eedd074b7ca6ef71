import { causeOf, type ErrorCause } from '../model/network.js'
import { unescaped } from './unescape.js'

/** Redacts the client key from a text, in every form in which it may stand there. */
export type Scrub = (text: string) => string

/**
 * Replaces the key in upper or lower case: plain, as JSON, URLs and forms write it, and in any mixture of the escapes of HTML,
 * JSON and URLs, even escaped twice. If a text is cut off within the key, the part that is left is replaced too.
 */
export const scrubber = (clientKey: string): Scrub => {
  const forms = [...new Set(formsOf(clientKey))].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(forms.map(escapeRegExp).join('|'), 'gi')
  const { text: unescapedKey } = unescaped(clientKey)
  return (text) => withoutEscapedKey(text.replace(pattern, REDACTED), unescapedKey)
}

/** The cause of a foreign error, without the client key. */
export const scrubbedCause = (scrub: Scrub, error: unknown): ErrorCause => {
  const { name, code, message } = causeOf(error)
  return { name: scrub(name), code: scrub(code), message: scrub(message) }
}

const REDACTED = '[client key]'
const MIN_PART_LENGTH = 6

/** Compares without escapes, because a key has too many escaped forms to list them. */
const withoutEscapedKey = (text: string, key: string): string => {
  if (key.length < MIN_PART_LENGTH) return text
  const { text: plain, placesOf } = unescaped(text)
  // Forms write a space as a plus sign.
  const pattern = new RegExp(escapeRegExp(key).replace(/ |\\\+/g, '[ +]'), 'gi')
  const found = [...plain.matchAll(pattern)].flatMap(({ 0: { length }, index }) => [index, index + length])
  const bounds = [0, ...placesOf([...found, ...cutKeyIn(plain, found.at(-1) ?? 0, key)]), text.length]
  return bounds.flatMap((from, i) => (i % 2 === 0 ? [text.slice(from, bounds[i + 1])] : [])).join(REDACTED)
}

const CUT_ESCAPE = /(?:&[#\w]{0,9}|%[\da-f%]{0,10}|\\[ux][\da-f]{0,3})?$/i

/** Where a part of the key stands at the end of a text, before an escape that may be cut as well. */
const cutKeyIn = (plain: string, from: number, key: string): ReadonlyArray<number> => {
  const end = plain.search(CUT_ESCAPE)
  const last = folded(plain.slice(Math.max(from, end - key.length), end))
  for (let length = key.length - 1; length >= MIN_PART_LENGTH; length -= 1)
    if (last.endsWith(folded(key.slice(0, length)))) return [end - length, plain.length]
  return []
}

const folded = (text: string): string => text.toLowerCase().replaceAll('+', ' ')

const formsOf = (key: string): ReadonlyArray<string> => {
  const json = JSON.stringify(key).slice(1, -1)
  const url = encodeURIComponent(key.toWellFormed())
  const form = new URLSearchParams([['', key]]).toString().slice('='.length)
  // Some servers escape the slash in JSON, and forms write a space as a plus sign.
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
    // A string without its closing quote counts too, and half an escape: the text may be cut.
    .replace(/"(?:[^"\\]|\\[^]|\\$){41,}(?:"|$)/g, (literal) => `${truncate(literal)}"`)
    .replace(/[^\s"]{41,}/g, truncate)
    .slice(0, MAX_EXCERPT_LENGTH)

const truncate = (text: string): string => `${text.slice(0, MAX_STRING_LENGTH)}…`
