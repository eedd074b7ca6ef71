import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import {
  acceptTask,
  createEnded,
  findTask,
  openLedger,
  pollArrived,
  pollEnded,
  stillProcessing,
  tokenGiven,
  verifyEnded,
  type Ledger,
  type LedgerTask
} from './ledger.js'
import type { ResolvedOptions } from './options.js'
import {
  RECAPTCHA_V2,
  created,
  inState,
  jsonOf,
  readRequestBody,
  readRequestObject,
  ready,
  refusal,
  refuse,
  refuseHead,
  taskOf,
  withBalance,
  type Account,
  type CallName,
  type HttpRefusal,
  type JsonObject
} from './protocol.js'
import { actAfter, onceSettled, sendHtml, sendJson, sendPage, sendText } from './response.js'
import { readRules, type CheckedFault, type CheckedRule, type Rules } from './faults/rules.js'
import { seededNumericTaskId, seededTaskId, seededToken } from './seeded.js'
import { hasFailed, solutionGiven, type FailedToSolve, type GivenSolution } from './solution.js'
import { verify } from './siteverify.js'
import { STATUS_PAGE } from './status-page.js'
import { statusOf } from './status.js'

/** The emulated service: the ledger determines the correct reply, and a fault may replace it. */
export class EmulatedService {
  readonly ledger: Ledger
  readonly #options: ResolvedOptions
  readonly #account: Account
  readonly #rules: Rules
  #connections = 0
  #creates = 0
  #balances = 0
  #verifies = 0

  constructor(options: ResolvedOptions) {
    const { clientKey, faults, seed, solutions, now } = options
    const isKnownType = (type: string) => type === RECAPTCHA_V2 || Object.hasOwn(solutions, type)
    this.ledger = openLedger(options)
    this.#options = options
    this.#account = { clientKey, isKnownType }
    this.#rules = readRules(faults, seed, now)
  }

  connect(socket: Socket): void {
    const rule = this.#rules.find('connection', (this.#connections += 1))
    if (rule?.fault.name === 'reset') socket.resetAndDestroy()
    else if (rule) socket.destroySoon()
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    const arrivedAt = this.#options.now()
    const path = this.#pathOf(String(req.url))
    if (req.method === 'GET' && (path === '' || path === '/')) return sendPage(res, STATUS_PAGE)
    if (req.method === 'GET' && path === '/status')
      return sendJson(res, JSON.stringify(statusOf(this.ledger, this.#rules.applied())))
    const call = CALLS.get(path)
    this.ledger.requests[call ?? 'other'] += 1
    const refuseByHttp = ({ status, reason }: HttpRefusal) => {
      if (call === 'createTask') this.ledger.totals.refused += 1
      if (call === 'siteverify') verifyEnded(this.ledger, undefined)
      actAfter(res, this.#options.latencyMs, () => sendHtml(res, status, reason))
    }
    const refused = refuseHead(req, call)
    if (refused) return refuseByHttp(refused)
    if (call === 'siteverify') return this.#siteverify(req, res)
    if (call === 'getTaskResult')
      return readRequestObject(req, (body) => this.#getTaskResult(res, body, arrivedAt), refuseByHttp)
    if (call === 'getBalance') return readRequestObject(req, (body) => this.#getBalance(res, body), refuseByHttp)
    const nth = (this.#creates += 1)
    const rule = this.#rules.find('outage') ?? this.#rules.find('createTask', nth)
    if (rule?.fault.name === 'reset-unread' && !rule.billed) {
      this.ledger.totals.refused += 1
      return void req.socket.resetAndDestroy()
    }
    readRequestObject(req, (body) => this.#createTask(res, body, nth, rule), refuseByHttp)
  }

  /** The path of a URL after the base path, without the query. */
  #pathOf(url: string): string | undefined {
    const { basePath } = this.#options
    const path = url.replace(/\?.*$/s, '')
    return path.startsWith(basePath) ? path.slice(basePath.length) : undefined
  }

  #createTask(res: ServerResponse, body: JsonObject, nth: number, rule: CheckedRule | undefined): void {
    const { ledger } = this
    const fault = rule?.fault
    const refused = refuse('createTask', body, this.#account)
    if (refused || (rule && !rule.fault.isReadable && !rule.billed)) {
      ledger.totals.refused += 1
      // The fault still gets a correct reply, with an id that belongs to no task.
      return this.#reply(res, refused ?? created(this.#idOfNoTask(nth)), fault)
    }
    const finalFaultOf = (taskNth: number) => this.#rules.find('task', taskNth)?.fault
    const task = acceptTask(ledger, taskOf(body), finalFaultOf, fault?.name)
    const solved = fault?.name === 'ready-at-once' ? this.#solve(task, fault) : undefined
    onceSettled(res, (isComplete) => {
      createEnded(ledger, task, !hasFailed(solved) && isSent(res, isComplete, fault), solved !== undefined)
    })
    if (hasFailed(solved)) return this.#fail(res, solved.failure)
    const correctReply = created(this.#options.numericIds ? BigInt(task.taskId) : task.taskId)
    this.#reply(res, solved ? { ...correctReply, status: 'ready', ...solved } : correctReply, fault)
  }

  #idOfNoTask(nth: number): string | bigint {
    const { numericIds, seed } = this.#options
    return (numericIds ? seededNumericTaskId : seededTaskId)(seed, -nth)
  }

  #getTaskResult(res: ServerResponse, body: JsonObject, arrivedAt: number): void {
    const { ledger } = this
    const refused = refuse('getTaskResult', body, this.#account)
    const task = findTask(ledger, body.taskId)
    const outage = this.#rules.find('outage')?.fault
    if (refused || !task)
      return this.#reply(res, refused ?? refusal('ERROR_TASKID_INVALID', 'there is no such task'), outage)
    pollArrived(ledger, task, arrivedAt)
    const isReady = task.readyAt <= this.#options.now()
    const fault =
      outage ??
      this.#rules.find('getTaskResult', task.polls, task.nth)?.fault ??
      (isReady ? task.finalFault : undefined)
    if (isReady && fault?.name === 'never') stillProcessing(ledger, task)
    const solved = isReady ? this.#solve(task, fault) : undefined
    const isShown = isReady && !hasFailed(solved)
    onceSettled(res, (isComplete) => pollEnded(ledger, task, isShown && isSent(res, isComplete, fault)))
    if (hasFailed(solved)) return this.#fail(res, solved.failure)
    this.#reply(res, solved ? ready(solved.solution) : inState('processing'), fault)
  }

  /** Each task that is accepted costs 0.001 of 10. */
  #getBalance(res: ServerResponse, body: JsonObject): void {
    const balance = (10_000 - this.ledger.tasks.size) / 1_000
    const reply = refuse('getBalance', body, this.#account) ?? withBalance(balance)
    const rule = this.#rules.find('outage') ?? this.#rules.find('getBalance', (this.#balances += 1))
    this.#reply(res, reply, rule?.fault)
  }

  #solve(task: LedgerTask, fault: CheckedFault | undefined): GivenSolution | FailedToSolve {
    const { seed, solutions } = this.#options
    const given = solutionGiven(solutions, task.task)
    if (hasFailed(given)) return given
    const solution = given.solution ?? { gRecaptchaResponse: seededToken(seed, task.nth) }
    if (fault?.isReadable !== false) tokenGiven(this.ledger, task, solution)
    return { solution }
  }

  #fail(res: ServerResponse, failure: string): void {
    actAfter(res, this.#options.latencyMs, () => sendText(res, 500, failure))
  }

  #siteverify(req: IncomingMessage, res: ServerResponse): void {
    const { ledger } = this
    const fault = this.#rules.find('siteverify', (this.#verifies += 1))?.fault
    readRequestBody(req, (body) => {
      const { task, reply } = verify(ledger, this.#options.siteSecret, req, body)
      // A fault that hides the reply uses up no token.
      verifyEnded(ledger, fault?.isReadable === false ? undefined : task)
      this.#reply(res, reply, fault)
    })
  }

  #reply(res: ServerResponse, correctReply: JsonObject, fault?: CheckedFault): void {
    const { clientKey, latencyMs } = this.#options
    const correctJson = jsonOf(correctReply)
    actAfter(res, latencyMs, () =>
      fault ? fault.send({ res, correctReply, correctJson, clientKey }) : sendJson(res, correctJson)
    )
  }
}

/** Whether the client could read a reply that ended. An unfinished one never completes, but its body is sent with its head. */
const isSent = (res: ServerResponse, isComplete: boolean, fault: CheckedFault | undefined): boolean =>
  fault?.isReadable !== false && (isComplete || (fault?.name === 'reply-unfinished' && res.headersSent))

const CALLS: ReadonlyMap<string | undefined, CallName> = new Map([
  ['/createTask', 'createTask'],
  ['/getTaskResult', 'getTaskResult'],
  ['/getBalance', 'getBalance'],
  ['/siteverify', 'siteverify']
])
