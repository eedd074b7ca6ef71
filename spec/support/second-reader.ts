/**
 * Reads the text of a reply as docs/protocol.md says, by other means than the library; shares no code with it. What it reads is
 * what the library should have read.
 */

type Fields = ReadonlyMap<string, unknown>

/** The token of a reply, if the reply is a success: only a document with errorId 0 and `ready` is one. */
export const tokenIn = (text: string): string | undefined => {
  const document = documentIn(text) ?? new Map<string, unknown>()
  const errorId = document.get('errorId')
  const token = fieldsOf(document.get('solution'))?.get('gRecaptchaResponse')
  const isReady = (errorId === 0 || errorId === '0') && document.get('status') === 'ready'
  return isReady && typeof token === 'string' && token.trim() !== '' ? token : undefined
}

/** The token of a reply to createTask that holds the id and the result in one document. */
export const tokenAtOnceIn = (text: string): string | undefined =>
  ownIdIn(text) === undefined ? undefined : tokenIn(text)

/** The id of the task that a reply to createTask says to have created. */
export const createdIdIn = (text: string): string | undefined => {
  const own = ownIdIn(text)
  if (own !== undefined) return own
  const document = documentIn(text)
  const members = idMembersOf(text)
  if (isPositive(document?.get('errorId'))) return undefined
  if (members.length > 0 || document) return onlyOne(members)
  return onlyOne(idMembersOf(unquoted(text)))
}

/** The id that the document itself holds. Of a number only the text has all digits. */
const ownIdIn = (text: string): string | undefined => {
  const given = documentIn(text)?.get('taskId')
  if (typeof given === 'string' && !saysNoTask(given)) return given
  if (typeof given !== 'number' || given <= 0 || !Number.isInteger(given)) return undefined
  if (Number.isSafeInteger(given)) return String(given)
  return onlyOne(idMembersOf(text).filter(({ isNumber, id }) => isNumber && Number(id) === given))
}

const isPositive = (errorId: unknown) =>
  typeof errorId === 'number' ? errorId > 0 && errorId < Infinity : typeof errorId === 'string' && parseInt(errorId) > 0

/** A text that is quoted as a whole, or that quotes as other languages do. */
const unquoted = (text: string) =>
  text.replace(/\\(.)/gs, (all, char: string) => (char === '"' || char === '\\' ? char : all)).replaceAll("'", '"')

const onlyOne = (members: ReadonlyArray<IdMember>) => {
  const [id, ...others] = new Set(members.map((member) => member.id))
  return others.length === 0 ? id : undefined
}

const fieldsOf = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : undefined

/** The whole text as a JSON object; else the only object with an `errorId` that stands in it. The known mistakes of servers are corrected. */
const documentIn = (text: string): Fields | undefined => {
  const whole = text.replace(/^\ufeff/, '')
  const json = parsed(whole)
  if (json) return fieldsOf(json.value)
  const mendedWhole = mendedFields(whole)
  if (mendedWhole) return mendedWhole
  const documents = outermostObjectsIn(text).filter((fields) => fields.has('errorId'))
  return documents.length === 1 ? documents[0] : undefined
}

const parsed = (text: string): { readonly value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

/** The fields of an object that may have raw control characters in strings, no values, and commas before its brackets. */
const mendedFields = (text: string): Fields | undefined => {
  const tokens = text.match(/"(?:[^"\\]|\\[^])*"|[-+\w]+|\s+|[^]/g) ?? []
  const mended = tokens.filter((token, i) => token !== ',' || !isClosing(nextVisible(tokens, i))).map(asJson)
  return fieldsOf(parsed(mended.join(''))?.value)
}

const isClosing = (token: string | undefined) => token === '}' || token === ']'

const nextVisible = (tokens: ReadonlyArray<string>, i: number) =>
  tokens.slice(i + 1, i + 3).find((token) => token.trim() !== '')

const NO_VALUES = new Set('undefined nan inf infinity -nan -inf -infinity +nan +inf +infinity'.split(' '))

const asJson = (token: string) => {
  if (!token.startsWith('"')) return NO_VALUES.has(token.toLowerCase()) ? 'null' : token
  const units = token.match(/\\[^]|[^]/g) ?? []
  return units.map((unit) => (unit.charCodeAt(0) < 32 ? JSON.stringify(unit).slice(1, -1) : unit)).join('')
}

/** An object within another one, whole or broken, is not among them. */
const outermostObjectsIn = (text: string): ReadonlyArray<Fields> => {
  const found: Fields[] = []
  const isOpening = /\{\s*"/y
  let at = 0
  while (at < text.length) {
    isOpening.lastIndex = at
    const end = isOpening.test(text) ? closingIndex(text, at) : at
    if (end === undefined) return found
    const fields = end > at ? fieldsIn(text.slice(at, end + 1)) : undefined
    if (fields) found.push(fields)
    at = end + 1
  }
  return found
}

const fieldsIn = (text: string): Fields | undefined => {
  const json = parsed(text)
  return json ? fieldsOf(json.value) : mendedFields(text)
}

/** The index of the brace that closes the one at `from`; a brace in a string does not count. */
const closingIndex = (text: string, from: number): number | undefined => {
  let depth = 0
  let isInString = false
  for (let at = from; at < text.length; at += 1) {
    const char = text[at]
    if (isInString) {
      if (char === '\\') at += 1
      else if (char === '"') isInString = false
    } else if (char === '"') isInString = true
    else if (char === '{') depth += 1
    else if (char === '}' && (depth -= 1) === 0) return at
  }
  return undefined
}

interface IdMember {
  readonly id: string
  readonly isNumber: boolean
}

/** The legible `"taskId": …` members of a text. A string without its closing quote, and a number at the very end, may be cut. */
const idMembersOf = (text: string): ReadonlyArray<IdMember> => {
  const found: IdMember[] = []
  const name = /"taskId"\s*:\s*/g
  for (let match = name.exec(text); match; match = name.exec(text)) {
    const value = text.slice(name.lastIndex)
    const written = value.startsWith('"') ? stringAtStart(value) : numberAtStart(value)
    // Where no value is, the next name may share a quote with this one.
    name.lastIndex = written === '' ? match.index + 1 : name.lastIndex + written.length
    const id = written.startsWith('"') ? parsed(written)?.value : written
    if (typeof id === 'string' && !saysNoTask(id)) found.push({ id, isNumber: id === written })
  }
  return found
}

const saysNoTask = (id: string) =>
  ['null', 'undefined', 'none'].includes(id.trim().toLowerCase()) || id.trim().replaceAll('0', '') === ''

const stringAtStart = (text: string): string => {
  let end = 1
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end < text.length ? text.slice(0, end + 1) : ''
}

const numberAtStart = (text: string): string => /^(0|[1-9]\d*)(?=[\s,}\]])/.exec(text)?.[0] ?? ''
