import type { OutgoingHttpHeaders } from 'node:http'
import { FAULT_KINDS, type FaultKind } from './fault-kinds.js'
import type { FaultName, FaultReply, FaultRule, When } from './fault.js'
import { VERIFY_ERROR_CODES, jsonOf, refusal, rejected, type CallName } from '../protocol.js'
import { MAX_TIMER_MS, sendHtml, sendJson } from '../response.js'
import { seeded } from '../seeded.js'
import { appliesOf, isValidWhen, readWhen, whenText, type Applies } from './when.js'

/** The names of all faults that have one. */
export const faultNames: ReadonlyArray<FaultName> = Object.keys(FAULT_KINDS) as FaultName[]

/** A fault that was checked. */
export interface CheckedFault {
  readonly text: string
  /** The name of a named fault. */
  readonly name?: FaultName
  /** The calls to which it applies; all if left out. */
  readonly on?: ReadonlyArray<CallName> | undefined
  /** The client can read the correct reply from it. */
  readonly isReadable: boolean
  readonly send: (reply: FaultReply) => void
}

/** A rule that was checked. */
export interface CheckedRule {
  /** Its form on the command line; a function has none, and is named. */
  readonly text: string
  readonly on: string
  readonly applies: Applies
  readonly fault: CheckedFault
  readonly billed: boolean
}

/** Finds the first rule that applies at this count. `subject` separates the draws of one task from those of another. */
type FindRule = (on: FaultRule['on'], count?: number, subject?: number) => CheckedRule | undefined

/** A rule in the form of the command line, and how many requests, tasks or connections it was applied to. */
export interface AppliedRule {
  readonly rule: string
  readonly applied: number
}

export interface Rules {
  readonly find: FindRule
  readonly applied: () => ReadonlyArray<AppliedRule>
}

/** Checks the rules; throws an `Error` that names the first bad one and lists what is allowed. */
export const readRules = (rules: ReadonlyArray<FaultRule | string>, seed: number, now: () => number): Rules => {
  const checked = rules.map((rule) => readRule(rule, now))
  const counts = new Map<CheckedRule, number>()
  const find: FindRule = (on, count = 0, subject = 0) => {
    const draw = (i: number) => () => seeded(seed, 'rule', i, subject, count)
    const found = checked.find((rule, i) => rule.on === on && rule.applies(count, draw(i)))
    if (found) counts.set(found, (counts.get(found) ?? 0) + 1)
    return found
  }
  const applied = () => checked.map((rule) => ({ rule: rule.text, applied: counts.get(rule) ?? 0 }))
  return { find, applied }
}

const readRule = (rule: FaultRule | string, now: () => number): CheckedRule => {
  const bad = (reason: string) => new Error(`fault rule ${JSON.stringify(ruleText(rule))}: ${reason}`)
  const parts: RuleParts | undefined = typeof rule === 'string' ? split(rule) : rule
  if (!parts) throw bad('expected CALL:WHEN:FAULT, as in createTask:1:reset')
  const { on, when, fault: given, isReadable, billed = false } = parts
  const other = typeof rule === 'string' ? undefined : Object.keys(rule).find((name) => !RULE_FIELDS.includes(name))
  if (other !== undefined)
    throw bad(`${JSON.stringify(other)} is not a field of a rule; expected one of ${RULE_FIELDS.join(', ')}`)
  const fits = Object.hasOwn(FITS, on) ? FITS[on as FaultRule['on']] : undefined
  if (!fits)
    throw bad(
      'on: expected createTask, getTaskResult, task, getBalance, siteverify, connection or outage, as in createTask:1:reset'
    )
  if (when === undefined || !isValidWhen(when))
    throw bad(
      'when: expected always, N (the Nth time), firstN (the first N times), N%, or a duration such as 2s or 500ms'
    )
  if (on === 'outage' && !(typeof when === 'object' && 'forMs' in when))
    throw bad('when: an outage needs a duration, as in outage:2s:502')
  const fault =
    typeof given === 'function'
      ? ofFunction(given, isReadable)
      : (readNamed(given) ?? readReply(given) ?? readVerifyError(given))
  if (!fault || !fits(fault)) throw bad(`no such fault for ${on}; expected one of ${allowedFaults(on, fits)}`)
  if (billed && on !== 'createTask') throw bad('billed: only a createTask can be billed')
  if (isReadable !== undefined && typeof given !== 'function')
    throw bad('isReadable: only for a fault that is a function')
  const text = typeof rule === 'string' ? rule : `${on}:${whenText(when)}:${billed ? 'billed+' : ''}${fault.text}`
  return { text, on, applies: appliesOf(when, now), fault, billed }
}

/** The parts of a rule, not checked yet. */
interface RuleParts {
  readonly on: string
  readonly when: When | undefined
  readonly fault: string | ((reply: FaultReply) => void)
  readonly isReadable?: boolean | undefined
  readonly billed?: boolean | undefined
}

const RULE_FIELDS = ['on', 'when', 'fault', 'isReadable', 'billed']

const split = (text: string): RuleParts | undefined => {
  const [whole, on = '', when = '', billed, fault = ''] = /^([^:]*):([^:]*):(billed\+)?(.*)$/s.exec(text) ?? []
  return whole === undefined ? undefined : { on, when: readWhen(when), fault, billed: billed !== undefined }
}

const ruleText = (rule: FaultRule | string): string =>
  typeof rule === 'string'
    ? rule
    : JSON.stringify(rule, (_, value: unknown) => (typeof value === 'function' ? nameOf(value) : value))

const nameOf = ({ name }: { readonly name: string }): string => (name === '' ? 'a function' : `function ${name}`)

const fitting =
  (...calls: ReadonlyArray<CallName>) =>
  ({ on }: CheckedFault): boolean =>
    on === undefined || calls.every((call) => on.includes(call))

/** Which faults a rule may have, by what it counts. */
const FITS: Readonly<Record<FaultRule['on'], (fault: CheckedFault) => boolean>> = {
  createTask: fitting('createTask'),
  getTaskResult: fitting('getTaskResult'),
  task: fitting('getTaskResult'),
  getBalance: fitting('getBalance'),
  siteverify: fitting('siteverify'),
  connection: ({ name }) => name === 'reset' || name === 'close',
  outage: fitting('createTask', 'getTaskResult', 'getBalance')
}

const ofFunction = (send: (reply: FaultReply) => void, isReadable = false): CheckedFault => ({
  text: nameOf(send),
  isReadable,
  send
})

const readNamed = (text: string): CheckedFault | undefined => {
  const [, name = '', number] = /^([a-z0-9-]+?)(?:=(\d+))?$/.exec(text) ?? []
  if (!isFaultName(name)) return undefined
  const { on, isReadable = false, defaultNumber, send }: FaultKind = FAULT_KINDS[name]
  if (number !== undefined && (defaultNumber === undefined || Number(number) > MAX_TIMER_MS)) return undefined
  const value = Number(number ?? defaultNumber)
  return { text, name, on, isReadable, send: (reply) => send(reply, value) }
}

const isFaultName = (text: string): text is FaultName => Object.hasOwn(FAULT_KINDS, text)

const SUFFIX = '((?:;(?:retry-after|location)=[ -:<-~]+)*)' // printable ASCII without the semicolon
const STATUS_FORM = new RegExp(`^([2-9]\\d\\d)${SUFFIX}$`)
const CODE_FORM = new RegExp(`^([A-Z0-9]+(?:_[A-Z0-9]+)+)(?:@([2-9]\\d\\d))?${SUFFIX}$`)
const RIGHT_FORM = new RegExp(`^right@([2-9]\\d\\d)${SUFFIX}$`)

const readReply = (text: string): CheckedFault | undefined => {
  const [, page, pageSuffix = ''] = STATUS_FORM.exec(text) ?? []
  const [, code, codeStatus = '200', codeSuffix = ''] = CODE_FORM.exec(text) ?? []
  const [, right, rightSuffix = ''] = RIGHT_FORM.exec(text) ?? []
  if (page !== undefined) {
    // A redirect needs an address; the default one cannot exist.
    const headers = {
      ...(page.startsWith('3') && { location: 'https://elsewhere.invalid/' }),
      ...readHeaders(pageSuffix)
    }
    return { text, isReadable: false, send: ({ res }) => sendHtml(res, Number(page), INJECTED, headers) }
  }
  if (right !== undefined) {
    const headers = readHeaders(rightSuffix)
    return {
      text,
      isReadable: true,
      send: ({ res, correctJson }) => sendJson(res, correctJson, Number(right), headers)
    }
  }
  if (code === undefined) return undefined
  const error = jsonOf(refusal(code, `${code}, ${INJECTED}`))
  const headers = readHeaders(codeSuffix)
  return {
    text,
    on: ['createTask', 'getTaskResult', 'getBalance'],
    isReadable: false,
    send: ({ res }) => sendJson(res, error, Number(codeStatus), headers)
  }
}

const readVerifyError = (text: string): CheckedFault | undefined => {
  const code = VERIFY_ERROR_CODES.find((known) => known === text)
  return (
    code && { text, on: ['siteverify'], isReadable: false, send: ({ res }) => sendJson(res, jsonOf(rejected([code]))) }
  )
}

const INJECTED = 'injected by a fault rule'

const readHeaders = (suffix: string): OutgoingHttpHeaders =>
  Object.fromEntries(suffix.split(';').slice(1).map(parseHeader))

const parseHeader = (part: string): [name: string, value: string] => {
  const equals = part.indexOf('=')
  return [part.slice(0, equals), part.slice(equals + 1)]
}

const allowedFaults = (on: string, fits: (fault: CheckedFault) => boolean) =>
  [
    ...faultNames.filter((name) => [readNamed(name)].some((fault) => fault && fits(fault))),
    ...(on === 'connection'
      ? []
      : [
          'NAME=NUMBER for drip, drip-headers, slow and reply-unfinished (milliseconds), retry-after (seconds), large and gzip-bomb (bytes)',
          'right@STATUS or right@STATUS;retry-after=7',
          'an HTTP status such as 503 or 429;retry-after=7 or 302;location=URL',
          ...(on === 'siteverify' ? VERIFY_ERROR_CODES : ['an error code such as ERROR_FOO or ERROR_FOO@400'])
        ])
  ].join(', ')
