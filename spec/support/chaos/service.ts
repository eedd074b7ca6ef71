import { EMPTY, NEVER, Observable, concat, defer, map, of, throwError, timer, type SchedulerLike } from 'rxjs'
import type { JsonValue, NetworkEvent, Post } from '../../../lib/core/model/network.js'
import type { Settings } from '../../../lib/core/model/options.js'
import { KEY } from '../simulate.js'
import { tokenOf, type Caller, type Ledger, type Task } from './ledger.js'
import { between, pick, type Draw } from './seeded.js'

/** The network of one solver, and how many of its calls are open. */
export interface Network {
  readonly settings: Settings
  readonly post: Post
  open: number
}

/** A service that fails at random, in every way that the protocol allows. It records all calls in the ledger. */
export const chaosService = (draw: Draw, scheduler: SchedulerLike, ledger: Ledger) => {
  const LATE = 0.03

  const delayed = (reply: Reply, limitMs: number): Observable<NetworkEvent> => {
    if (reply === 'silence') return NEVER
    const afterMs = between(draw, 0, draw() < LATE ? limitMs * 2 : Math.min(limitMs, 4_000))
    const due = timer(afterMs, scheduler)
    return reply === 'broken'
      ? concat(due.pipe(map(() => SENT)), draw() < 0.5 ? EMPTY : throwError(() => new Error(`broken, with ${KEY}`)))
      : due.pipe(map(() => reply))
  }

  const charge = (caller: Caller): readonly [Task, NetworkEvent] => {
    const now = scheduler.now()
    const [id, json] = nextId(draw, ledger.tasks.size + 1)
    const readyAt = now + draw() * 40_000
    const isSpoiled = draw() < 0.05
    const task: Task = { id, creator: caller, poller: caller, createdAt: now, readyAt, isSpoiled, isDelivered: false }
    ledger.tasks.set(id, task)
    caller.charges += 1
    // A reply with a task id means that a task was created, whatever else it says.
    const [errorId, status] = draw() < 0.03 ? [1, 500] : [0, 200]
    return [task, text(`{"errorId":${errorId},"errorCode":"","taskId":${json}}`, status)]
  }

  /** Passes on the events of a call, and checks for how long the call is open. */
  const checked = (
    network: Network,
    events: Observable<NetworkEvent>,
    limitMs: number,
    onEvent: (event: NetworkEvent) => void,
    onEnd: (openMs: number) => void
  ): Observable<NetworkEvent> =>
    new Observable((subscriber) => {
      const startedAt = scheduler.now()
      ledger.openCalls += 1
      network.open += 1
      subscriber.add(() => {
        const openMs = scheduler.now() - startedAt
        ledger.openCalls -= 1
        network.open -= 1
        if (openMs > limitMs) ledger.breach(`a call was open for ${openMs} ms, and ${limitMs} is the limit`)
        onEnd(openMs)
      })
      subscriber.add(
        events.subscribe({
          next: (event) => {
            onEvent(event)
            subscriber.next(event)
          },
          error: (error: unknown) => {
            subscriber.error(error)
          },
          complete: () => {
            subscriber.complete()
          }
        })
      )
    })

  const create = (network: Network, body: JsonValue): Observable<NetworkEvent> => {
    const { createTimeoutMs, pollEveryMs } = network.settings
    const caller = ledger.callers.get(callerIn(body))
    if (caller?.state !== 'open' || caller.isAfterClose) {
      ledger.breach(`a createTask for ${callerIn(body)}, which is ${caller?.state}, or started after the close`)
      return NEVER
    }
    caller.deadlineFrom ??= scheduler.now()
    const fate = pick<CreateFate>(draw, createFates(draw), { isCharged: true, reply: (created) => created })
    const [task, created] = fate.isCharged ? charge(caller) : [undefined, SENT]
    const reply = fate.reply(created)
    let phase: 'connecting' | 'sent' | 'ended' = 'connecting'
    const onEvent = (event: NetworkEvent): void => {
      if (phase === 'connecting' && caller.state !== 'open')
        ledger.breach(`${caller.name} is ${caller.state}, and its createTask was still connecting`)
      phase = event._tag === 'Sent' ? 'sent' : 'ended'
      if (!task || event !== created) return
      task.isDelivered = true
      caller.task = task
      caller.mayPollAt = scheduler.now() + pollEveryMs
    }
    const onEnd = (openMs: number): void => {
      if (phase === 'sent' && reply !== 'broken' && openMs < createTimeoutMs)
        ledger.breach(`${caller.name}: a createTask that was sent was aborted after ${openMs} ms`)
    }
    const events = concat(fate.isSent === false ? EMPTY : of(SENT), delayed(reply, createTimeoutMs))
    return checked(network, events, createTimeoutMs, onEvent, onEnd)
  }

  const poll = (network: Network, body: JsonValue): Observable<NetworkEvent> => {
    const { resultTimeoutMs, pollEveryMs } = network.settings
    const now = scheduler.now()
    const task = ledger.tasks.get(textIn(body, 'taskId'))
    if (!task?.isDelivered) {
      ledger.breach(`a poll for ${textIn(body, 'taskId')}, whose id was never delivered`)
      return NEVER
    }
    const { id, poller } = task
    if (poller.state !== 'open' || poller.isAfterClose)
      ledger.breach(`${poller.name} polls ${id}, and is ${poller.state}, or started after the close`)
    if (poller.isPolling) ledger.breach(`${poller.name}: two polls at once`)
    if (now < poller.mayPollAt) ledger.breach(`${poller.name} polls ${poller.mayPollAt - now} ms too early`)
    const state = task.readyAt <= now ? { status: 'ready', solution: { gRecaptchaResponse: tokenOf(id) } } : undefined
    const correct = document({ errorId: 0, ...(state ?? { status: 'processing' }) })
    const reply = pick<PollFate>(draw, pollFates(draw, correct, task), (event) => event)(correct)
    poller.isPolling = true
    let retryAfterMs = 0
    const onEvent = (event: NetworkEvent): void => {
      if (event._tag === 'Reply' && Number.isFinite(event.retryAfterMs)) retryAfterMs = event.retryAfterMs ?? 0
    }
    const onEnd = (): void => {
      poller.isPolling = false
      poller.mayPollAt = scheduler.now() + Math.max(pollEveryMs, retryAfterMs)
    }
    return checked(network, concat(of(SENT), delayed(reply, resultTimeoutMs)), resultTimeoutMs, onEvent, onEnd)
  }

  /** Opens the network of one solver. */
  return (settings: Settings): Network => {
    const spacingMs = settings.createsPerSecond === undefined ? 0 : 1_000 / settings.createsPerSecond
    let nextAt = 0
    const checkRate = (): void => {
      const now = scheduler.now()
      if (now < nextAt) ledger.breach(`a createTask was sent ${nextAt - now} ms too early for the rate`)
      nextAt = now + spacingMs
    }
    const post: Post = (path, body) =>
      defer(() => {
        if (path === '/getTaskResult') return poll(network, body)
        checkRate()
        return create(network, body)
      })
    const network: Network = { settings, post, open: 0 }
    return network
  }
}

/** `broken`: the network violates its own contract, and errors or completes without a result. */
type Reply = NetworkEvent | 'silence' | 'broken'

interface CreateFate {
  readonly isCharged?: true
  readonly isSent?: false
  /** The reply, which may be that of a created task. */
  readonly reply: (created: NetworkEvent) => Reply
}

type PollFate = (correct: NetworkEvent) => Reply

const createFates = (draw: Draw): ReadonlyArray<readonly [weight: number, CreateFate]> => [
  [0.06, { isSent: false, reply: () => failed(draw() < 0.5 ? 'ECONNREFUSED' : 'ENOTFOUND') }],
  [0.005, { isSent: false, reply: () => failed('CERT_HAS_EXPIRED') }],
  [0.03, { reply: () => refusal('ERROR_NO_SLOT_AVAILABLE', 200, retryAfter(draw)) }],
  [0.03, { reply: () => page(draw() < 0.7 ? 429 : 408, retryAfter(draw)) }],
  [0.02, { reply: () => refusal('ERROR_NEW', 503, retryAfter(draw)) }],
  [0.03, { reply: () => page(503, retryAfter(draw)) }],
  [0.02, { isCharged: true, reply: () => page(503, retryAfter(draw)) }],
  [0.03, { reply: () => refusal(draw() < 0.5 ? 'ERROR_SITEKEY' : `ERROR_${KEY}`) }],
  [0.005, { reply: () => page(302) }],
  [0.02, { isCharged: true, reply: () => failed('ECONNRESET') }],
  [0.02, { isCharged: true, reply: () => 'silence' }],
  [0.02, { isCharged: true, reply: () => page(draw() < 0.5 ? 200 : 500) }],
  [0.01, { isCharged: true, reply: () => refusal('ERROR_INTERNAL_SERVER_ERROR') }],
  [0.005, { isCharged: true, reply: () => 'broken' }]
]

const pollFates = (
  draw: Draw,
  correct: NetworkEvent,
  { id, isSpoiled }: Task
): ReadonlyArray<readonly [weight: number, PollFate]> => [
  [isSpoiled ? 0.4 : 0.03, () => page(pick(draw, [[0.5, 200]], draw() < 0.5 ? 502 : 404))],
  [
    isSpoiled ? 0.4 : 0.01,
    () => document({ errorId: 0, status: 'idle', solution: { gRecaptchaResponse: tokenOf(id) } })
  ],
  [0.02, () => document({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: '' } })],
  [0.05, () => failed('ECONNRESET')],
  [0.02, () => 'silence'],
  [0.02, () => page(draw() < 0.7 ? 429 : 503, retryAfter(draw))],
  [0.01, () => refusal('ERROR_RATE_LIMIT', 200, retryAfter(draw))],
  [0.01, () => refusal('ERROR_NEW')],
  [0.01, () => refusal('ERROR_TASKID_INVALID')],
  [0.005, () => refusal('ERROR_CAPTCHA_UNSOLVABLE')],
  [0.01, () => ({ ...correct, status: 500 })],
  [0.005, () => 'broken']
]

const retryAfter = (draw: Draw): number | undefined =>
  pick<() => number | undefined>(
    draw,
    [
      [0.4, () => undefined],
      [0.05, () => Infinity],
      [0.05, () => 0]
    ],
    () => between(draw, 0, 20) * 1_000
  )()

/** A task id and its JSON: a string, a number, or a number that JavaScript would round. */
const nextId = (draw: Draw, nth: number): readonly [id: string, json: string] =>
  pick<() => readonly [string, string]>(
    draw,
    [
      [0.1, () => [`${nth}`, `${nth}`]],
      [0.1, () => [`90071992547${40993 + 2 * nth}`, `90071992547${40993 + 2 * nth}`]]
    ],
    () => [`task-${nth}`, `"task-${nth}"`]
  )()

const SENT: NetworkEvent = { _tag: 'Sent' }

const failed = (code: string): NetworkEvent => {
  const message = `${code} while sending {"clientKey":"${KEY}"}`
  return { _tag: 'Failed', cause: { name: 'Error', code, message } }
}

const text = (body: string, status = 200, retryAfterMs?: number): NetworkEvent => ({
  _tag: 'Reply',
  status,
  body,
  ...(retryAfterMs !== undefined && { retryAfterMs })
})

const document = (value: JsonValue, status?: number, retryAfterMs?: number) =>
  text(JSON.stringify(value), status, retryAfterMs)

const page = (status: number, retryAfterMs?: number) => text(`<html>${KEY}</html>`, status, retryAfterMs)

const refusal = (errorCode: string, status?: number, retryAfterMs?: number) =>
  document({ errorId: 1, errorCode, errorDescription: `refused to ${KEY}` }, status, retryAfterMs)

/** The name of a caller is the site key of its task. */
const callerIn = (body: JsonValue): string =>
  typeof body === 'object' && body !== null && 'task' in body ? textIn(body.task, 'websiteKey') : ''

const textIn = (value: JsonValue | undefined, name: 'taskId' | 'websiteKey'): string => {
  const found = typeof value === 'object' && value !== null && new Map(Object.entries<unknown>(value)).get(name)
  return typeof found === 'string' ? found : ''
}
