import type { OutgoingHttpHeaders } from 'node:http'
import { seeded } from './seeded.js'
import { MAX_TIMER_MS, faultKinds, sendHtml, sendJson, type FaultKind, type DueReply } from './faults.js'
import { refusal, type Call } from './protocol.js'

type Code = `${Uppercase<string>}_${Uppercase<string>}`
type Reply = `${number}` | Code | `${Code}@${number}`

/**
 * What goes wrong, under the names of the command line: a name of {@link faultNames}; `name=NUMBER` for those with a
 * duration in milliseconds or a size in bytes; `right@STATUS`, the right answer under another HTTP status; an HTTP
 * status with an HTML page, or an error code with an error document (`ERROR_FOO`, `ERROR_FOO@400`), both also with
 * `;retry-after=SECONDS-OR-DATE` and `;location=URL`.
 *
 * @since 0.1.0
 */
export type Fault =
  | keyof typeof faultKinds
  | `${'drip' | 'drip-headers' | 'slow' | 'large' | 'gzip-bomb'}=${number}`
  | `right@${number}`
  | Reply
  | `${Reply};${'retry-after' | 'location'}=${string}`

/**
 * When a fault strikes: always, at the nth time, the first times, or at a share (0 to 1) of the times.
 *
 * @since 0.1.0
 */
export type When = 'always' | { readonly nth: number } | { readonly first: number } | { readonly share: number }

/**
 * A fault, and when it strikes. The first rule that matches wins.
 *
 * @since 0.1.0
 */
export interface FaultRule {
  /**
   * Counted are the creates of the server, the polls of each task, the accepted tasks (what they end with once
   * their time has come, instead of a solution), and the accepted connections (only `reset` and `close`).
   */
  readonly on: 'createTask' | 'getTaskResult' | 'task' | 'connection'
  readonly when: When
  readonly fault: Fault
  /** For createTask faults that hide the answer: the task is created, and billed, all the same. */
  readonly billed?: boolean | undefined
}

/** The names of all faults that have one. @since 0.1.0 */
export const faultNames: ReadonlyArray<string> = Object.keys(faultKinds)

/** A fault, ready to answer. */
export interface ReadFault {
  readonly text: string
  readonly on?: Call
  /** The client can read the right answer out of it. */
  readonly valid: boolean
  readonly play: (due: DueReply) => void
}

/** A rule, read and checked. */
export interface ReadRule {
  readonly on: string
  readonly when: When
  readonly fault: ReadFault
  readonly billed: boolean
}

const find = <A>(table: Readonly<Record<string, A>>, name: string): A | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

const readNamed = (text: string): ReadFault | undefined => {
  const [, name = '', number] = /^([a-z0-9-]+?)(?:=(\d+))?$/.exec(text) ?? []
  const kind = find<FaultKind>(faultKinds, name)
  if (!kind || (number !== undefined && kind.otherwise === undefined)) return undefined
  const value = Number(number ?? kind.otherwise)
  if (value > MAX_TIMER_MS) return undefined
  const { on, valid = false, play } = kind
  return { text, ...(on && { on }), valid, play: (due) => play(due, value) }
}

const readHeader = (part: string): [name: string, value: string] => {
  const equals = part.indexOf('=')
  return [part.slice(0, equals), part.slice(equals + 1)]
}
const readHeaders = (suffix: string): OutgoingHttpHeaders =>
  Object.fromEntries(suffix.split(';').slice(1).map(readHeader))

const SUFFIX = '((?:;(?:retry-after|location)=[ -:<-~]+)*)' // printable ASCII, without the semicolon
const statusForm = new RegExp(`^([2-9]\\d\\d)${SUFFIX}$`)
const codeForm = new RegExp(`^([A-Z0-9]+(?:_[A-Z0-9]+)+)(?:@([2-9]\\d\\d))?${SUFFIX}$`)
const rightForm = /^right@([2-9]\d\d)$/

const readReply = (text: string): ReadFault | undefined => {
  const [, page, pageSuffix = ''] = statusForm.exec(text) ?? []
  const [, code, codeStatus = '200', codeSuffix = ''] = codeForm.exec(text) ?? []
  const [, right] = rightForm.exec(text) ?? []
  // A redirect leads somewhere: by default to an address that can never be anybody's.
  const headers = {
    ...(page?.startsWith('3') && { location: 'https://elsewhere.invalid/' }),
    ...readHeaders(pageSuffix)
  }
  if (page !== undefined)
    return { text, valid: false, play: ({ res }) => sendHtml(res, Number(page), undefined, headers) }
  if (right !== undefined)
    return { text, valid: true, play: (due) => sendJson(due.res, due.correctReply, Number(right)) }
  if (code === undefined) return undefined
  const answer = refusal(code, `${code}, as ordered by a fault rule`)
  return { text, valid: false, play: ({ res }) => sendJson(res, answer, Number(codeStatus), readHeaders(codeSuffix)) }
}

const placesOf: Readonly<Record<FaultRule['on'], (fault: ReadFault) => boolean>> = {
  createTask: ({ on }) => on !== 'getTaskResult',
  getTaskResult: ({ on }) => on !== 'createTask',
  task: ({ on }) => on !== 'createTask',
  connection: ({ text }) => text === 'reset' || text === 'close'
}

const readWhen = (text: string): When | undefined => {
  const [, first, number = '', percent] = /^(first)?(\d+(?:\.\d+)?)(%)?$/.exec(text) ?? []
  if (text === 'always') return text
  if (number === '' || (first && percent)) return undefined
  return percent ? { share: Number(number) / 100 } : first ? { first: Number(number) } : { nth: Number(number) }
}

const isCount = (count: number) => Number.isSafeInteger(count) && count > 0
const isSane = (when: When) =>
  when === 'always' ||
  ('nth' in when
    ? isCount(when.nth)
    : 'first' in when
      ? isCount(when.first)
      : 'share' in when && when.share >= 0 && when.share <= 1)

const allowedFaults = (on: string, fits: (fault: ReadFault) => boolean) =>
  [
    ...faultNames.filter((name) => [readNamed(name)].some((fault) => fault && fits(fault))),
    ...(on === 'connection'
      ? []
      : [
          'NAME=NUMBER for drip, drip-headers and slow (milliseconds), large and gzip-bomb (bytes)',
          'right@STATUS',
          'an HTTP status such as 503 or 429;retry-after=7 or 302;location=URL',
          'an error code such as ERROR_FOO or ERROR_FOO@400'
        ])
  ].join(', ')

// The parts of a rule, still as they were written.
interface WrittenRule {
  readonly on: string
  readonly when: When | undefined
  readonly fault: string
  readonly billed: boolean
}

const split = (text: string): WrittenRule => {
  const [, on = '', when = '', billed, fault = ''] = /^([^:]*):([^:]*):(billed\+)?(.*)$/s.exec(text) ?? []
  return { on, when: readWhen(when), fault, billed: billed !== undefined }
}

const readRule = (rule: FaultRule | string): ReadRule => {
  const written = typeof rule === 'string' ? split(rule) : { ...rule, billed: rule.billed === true }
  const { on, when, billed } = written
  const shown = typeof rule === 'string' ? rule : JSON.stringify(rule)
  const bad = (reason: string) => new Error(`fault rule ${JSON.stringify(shown)}: ${reason}`)
  const fits = find(placesOf, on)
  if (!fits) throw bad(`starts with one of ${Object.keys(placesOf).join(', ')}, as in createTask:1:reset`)
  if (when === undefined || !isSane(when))
    throw bad('strikes always, N (the Nth time), firstN (the first N times) or N%')
  const fault = readNamed(written.fault) ?? readReply(written.fault)
  if (!fault || !fits(fault)) throw bad(`no such fault of ${on}; allowed are ${allowedFaults(on, fits)}`)
  if (billed && on !== 'createTask') throw bad('only a createTask can be billed')
  return { on, when, fault, billed }
}

const strikes = (when: When, count: number, drawn: () => number) =>
  when === 'always' ||
  ('nth' in when ? count === when.nth : 'first' in when ? count <= when.first : drawn() < when.share)

/** The rules, read and checked: throws an Error that names the first bad one and says what is allowed. */
export const readRules = (rules: ReadonlyArray<FaultRule | string>, seed: number) => {
  const read = rules.map(readRule)
  /** The first rule that strikes at this count; `subject` keeps the draws of one task apart from those of another. */
  return (on: FaultRule['on'], count: number, subject = 0): ReadRule | undefined =>
    read.find((rule, i) => rule.on === on && strikes(rule.when, count, () => seeded(seed, 'rule', i, subject, count)))
}
