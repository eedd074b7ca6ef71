import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { seededTaskId, seededToken } from './seeded.js'
import { MAX_TIMER_MS, actAfter, onceClosed, sendHtml, sendJson } from './faults.js'
import * as ledger from './ledger.js'
import * as protocol from './protocol.js'
import { readRules, type FaultRule, type ReadFault, type ReadRule } from './rules.js'

export type { Counters, TaskRecord } from './ledger.js'
export { faultNames, type Fault, type FaultRule, type When } from './rules.js'

/**
 * The only client key an emulator accepts, unless it is given another one. Nobody's account.
 *
 * @since 0.1.0
 */
export const EMULATOR_KEY = 'emulator-client-key-of-nobody'

/**
 * How an emulator behaves. Durations are in milliseconds.
 *
 * @since 0.1.0
 */
export interface EmulatorOptions {
  /** Port on 127.0.0.1. @defaultValue `0`, any free one */
  readonly port?: number | undefined
  /** What the paths of the calls start with, such as `/v1`. @defaultValue `''` */
  readonly basePath?: string | undefined
  /** The only key that is accepted. @defaultValue {@link EMULATOR_KEY} */
  readonly clientKey?: string | undefined
  /** From accepting a task to having its solution; of a range, each task draws its own. @defaultValue `[5_000, 15_000]` */
  readonly readyAfterMs?: number | readonly [min: number, max: number] | undefined
  /** From accepting a task to knowing nothing of it any more. @defaultValue `Infinity` */
  readonly forgetAfterMs?: number | undefined
  /** The same seed gives the same ids, tokens, waits and shares, task by task. @defaultValue a random one */
  readonly seed?: number | undefined
  /** What goes wrong, as rules or in the form of the command line (`createTask:1:reset`). @defaultValue nothing */
  readonly faults?: ReadonlyArray<FaultRule | string> | undefined
  /** How long an idle connection is kept (0: for ever); it is closed without notice. @defaultValue `5_000` */
  readonly idleMs?: number | undefined
  /** Delay of every answer. @defaultValue `0` */
  readonly latencyMs?: number | undefined
  /** Further types of tasks, each with what makes its solution from the task as it was sent. @defaultValue none */
  readonly solutions?: Readonly<Record<string, (task: Readonly<Record<string, unknown>>) => unknown>> | undefined
}

/**
 * A running emulator.
 *
 * @since 0.1.0
 */
export interface Emulator {
  /** What a client takes as its base URL. */
  readonly url: string
  /** The seed in use: given again, everything drawn is drawn again. */
  readonly seed: number
  readonly counters: () => ledger.Counters
  /** All tasks since the start, oldest first. */
  readonly tasks: () => ReadonlyArray<ledger.TaskRecord>
  /** Ends every connection and timer. May be called again. */
  readonly close: () => Promise<void>
}

const resolveOptions = (given: EmulatorOptions) => {
  const { port = 0, basePath = '', clientKey = EMULATOR_KEY, forgetAfterMs = Infinity, idleMs = 5_000 } = given
  const {
    readyAfterMs = [5_000, 15_000],
    latencyMs = 0,
    seed = randomInt(2 ** 32),
    faults = [],
    solutions = {}
  } = given
  const [min, max] = typeof readyAfterMs === 'number' ? [readyAfterMs, readyAfterMs] : readyAfterMs
  if (!/^(\/[^/?#]+)*$/.test(basePath)) throw new Error(`basePath is '' or like '/v1', not '${basePath}'`)
  if (!(min >= 0 && min <= max)) throw new Error('readyAfterMs is a number from 0 on, or such a [min, max]')
  if (![idleMs, latencyMs].every((ms) => ms >= 0 && ms <= MAX_TIMER_MS))
    throw new Error(`idleMs and latencyMs go from 0 to ${MAX_TIMER_MS}`)
  return {
    port,
    basePath,
    clientKey,
    readyAfterMs: [min, max] as const,
    forgetAfterMs,
    seed,
    faults,
    idleMs,
    latencyMs,
    solutions
  }
}

// Whichever comes first: handed over completely, or the client is gone.
const onceSettled = (res: ServerResponse, over: (complete: boolean) => void) => {
  let open = true
  const end = (complete: boolean) => () => {
    if (open) over(complete)
    open = false
  }
  res.once('finish', end(true))
  onceClosed(res, end(false))
}

// Node's own keepAliveTimeout announces itself in a header, and is a second longer than told in a way that not every
// version lets us change.
const closeWhenIdle = (idleMs: number) => {
  const latest = new WeakMap<Socket, ServerResponse>()
  return (res: ServerResponse): void => {
    const { socket } = res.req
    latest.set(socket, res)
    socket.setTimeout(0)
    // A client that pipelines may have asked on.
    res.once('close', () => latest.get(socket) === res && socket.setTimeout(idleMs))
  }
}

type Service = ReturnType<typeof openService>

// The two calls as the service answers them: what stands in its books decides, and a rule may say otherwise.
const openService = (options: ReturnType<typeof resolveOptions>) => {
  const { clientKey, latencyMs, seed, solutions } = options
  const isKnownType = (type: string) => type === protocol.RECAPTCHA_V2 || Object.hasOwn(solutions, type)
  const account = { clientKey, isKnownType }
  const books = ledger.openLedger(options)
  const ruleFor = readRules(options.faults, seed)

  const solutionOf = ({ task, nth }: { task: protocol.Document; nth: number }) =>
    solutions[String(task.type)]?.(task) ?? { gRecaptchaResponse: seededToken(seed, nth) }

  const answer = (res: ServerResponse, correctReply: protocol.Document, fault?: ReadFault) =>
    actAfter(res, latencyMs, () => (fault ? fault.play({ res, correctReply, clientKey }) : sendJson(res, correctReply)))

  const createTask = (
    res: ServerResponse,
    body: protocol.Document,
    count: number,
    rule: ReadRule | undefined
  ): void => {
    const refusal = protocol.refuse('createTask', body, account)
    if (refusal || (rule && !rule.fault.valid && !rule.billed)) {
      books.totals.refused += 1
      // A fault that hides or spoils an answer still has one to spoil: with the id of no task.
      return answer(res, refusal ?? protocol.created(seededTaskId(seed, -count)), rule?.fault)
    }
    const end = (nth: number) => ruleFor('task', nth)?.fault
    const task = ledger.accept(books, protocol.taskOf(body), end, rule?.fault.text === 'numeric-id')
    onceSettled(res, (complete) => ledger.createEnded(books, task, complete && rule?.fault.valid !== false))
    answer(res, protocol.created(task.taskId), rule?.fault)
  }

  const getTaskResult = (res: ServerResponse, body: protocol.Document, arrivedAt: number): void => {
    const refusal = protocol.refuse('getTaskResult', body, account)
    const task = ledger.findTask(books, body.taskId)
    if (refusal || !task)
      return answer(res, refusal ?? protocol.refusal('ERROR_TASKID_INVALID', 'there is no such task'))
    ledger.pollArrived(books, task, arrivedAt)
    const isReady = task.readyAt <= ledger.now()
    const fault = ruleFor('getTaskResult', task.polls, task.nth)?.fault ?? (isReady ? task.end : undefined)
    onceSettled(res, (complete) => ledger.pollEnded(books, task, complete && isReady && fault?.valid !== false))
    answer(res, isReady ? protocol.ready(solutionOf(task)) : protocol.inState('processing'), fault)
  }

  return { books, ruleFor, createTask, getTaskResult }
}

const calls: ReadonlyMap<string, protocol.Call> = new Map([
  ['/createTask', 'createTask'],
  ['/getTaskResult', 'getTaskResult']
])

const handler = ({ books, ruleFor, createTask, getTaskResult }: Service, basePath: string, latencyMs: number) => {
  let creates = 0
  return (req: IncomingMessage, res: ServerResponse): void => {
    const arrivedAt = ledger.now()
    const [path = ''] = (req.url ?? '').split('?')
    const call = path.startsWith(basePath) ? calls.get(path.slice(basePath.length)) : undefined
    const turnAway = ({ status, reason }: protocol.HttpRefusal) => {
      if (call === 'createTask') books.totals.refused += 1
      actAfter(res, latencyMs, () => sendHtml(res, status, reason))
    }
    books.requests[call ?? 'other'] += 1
    const broken = protocol.refuseHead(req, call)
    if (broken) return turnAway(broken)
    const rule = call === 'createTask' ? ruleFor(call, (creates += 1)) : undefined
    const count = creates
    if (rule?.fault.text === 'reset-unread' && !rule.billed) {
      books.totals.refused += 1
      return void req.socket.resetAndDestroy()
    }
    protocol.readBody(req, (body, unreadable) => {
      if (!body) turnAway(unreadable)
      else if (call === 'createTask') createTask(res, body, count, rule)
      else getTaskResult(res, body, arrivedAt)
    })
  }
}

/**
 * Starts the service on 127.0.0.1: a real HTTP server that is strict about the documented protocol, keeps books, and
 * fails as told. Nothing leaves the machine and nothing is paid for.
 *
 * Rejects with an `Error` that names the mistake for a bad option or fault rule, and with node's own for a port in use.
 *
 * @see docs/protocol.md for the documented shapes
 * @since 0.1.0
 */
export const startEmulator = async (options: EmulatorOptions = {}): Promise<Emulator> => {
  const resolved = resolveOptions(options)
  const { port, basePath, latencyMs, idleMs, seed } = resolved
  const service = openService(resolved)
  const handle = handler(service, basePath, latencyMs)
  const watch = closeWhenIdle(idleMs)
  const server = createServer({ keepAliveTimeout: 0 }, (req, res) => {
    watch(res)
    handle(req, res)
  })
  let connections = 0
  server.on('connection', (socket) => {
    const rule = service.ruleFor('connection', (connections += 1))
    if (rule?.fault.text === 'reset') socket.resetAndDestroy()
    else if (rule) socket.destroySoon()
  })
  await once(server.listen(port, '127.0.0.1'), 'listening')
  let closed: Promise<unknown> | undefined
  const close = async () => {
    closed ??= once(server.close(), 'close')
    server.closeAllConnections()
    await closed
  }
  const url = `http://127.0.0.1:${portOf(server.address())}${basePath}`
  const { books } = service
  return { url, seed, counters: () => ledger.counters(books), tasks: () => ledger.records(books), close }
}

const portOf = (address: ReturnType<Server['address']>) =>
  typeof address === 'object' && address !== null ? address.port : 0
