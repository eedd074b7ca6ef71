import { EMPTY, NEVER, Observable, concat, defer, map, of, throwError, timer, type SchedulerLike } from 'rxjs'
import type { JsonValue, NetworkEvent, PartialReply, Post, RequestBody } from '../../../lib/core/model/network.js'
import type { Settings } from '../../../lib/core/model/options.js'
import { KEY } from '../simulate.js'
import { tokenOf, type Caller, type Ledger, type Task } from './ledger.js'
import { between, pick, type Draw } from './seeded.js'

/** The network of one solver, how many of its calls are open, and whether its solver is closing. */
export interface Network {
  readonly settings: Settings
  readonly post: Post
  open: number
  isClosing: boolean
}

/** A service that fails at random, in every way that the protocol allows. It records all calls in the ledger. */
export const chaosService = (draw: Draw, scheduler: SchedulerLike, ledger: Ledger) => {
  const LATE = 0.03

  const delayed = (reply: Reply, limitMs: number): Observable<NetworkEvent> => {
    if (reply === 'silence' || reply === 'unfinished') return NEVER
    const afterMs = between(draw, 0, draw() < LATE ? limitMs * 2 : Math.min(limitMs, 4_000))
    const due = timer(afterMs, scheduler)
    return reply === 'broken'
      ? concat(due.pipe(map(() => SENT)), draw() < 0.5 ? EMPTY : throwError(() => new Error(`broken, with ${KEY}`)))
      : due.pipe(map(() => reply))
  }

  const charge = (caller: Caller): readonly [Task, NetworkEvent] => {
    const now = scheduler.now()
    const { id, json, numeric } = nextId(draw, ledger.tasks.size + 1)
    const readyAt = now + draw() * 40_000
    const isSpoiled = draw() < 0.05
    const ref = { taskId: id, createdAt: now, ...(numeric && { numeric }) }
    const task: Task = {
      id,
      ref,
      creator: caller,
      poller: caller,
      createdAt: now,
      readyAt,
      isSpoiled,
      isDelivered: false
    }
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

  const create = (network: Network, body: RequestBody): Observable<NetworkEvent> => {
    const { createTimeoutMs, pollEveryMs } = network.settings
    const caller = ledger.callers.get(callerIn(body))
    if (caller?.state !== 'open' || caller.isLeaving || network.isClosing) {
      ledger.breach(`a createTask for ${callerIn(body)}, which is ${caller?.state}; is closing: ${network.isClosing}`)
      return NEVER
    }
    caller.deadlineFrom ??= scheduler.now()
    caller.openCreates += 1
    const fate = pick<CreateFate>(draw, createFates(draw), {
      isCharged: true,
      isDelivered: true,
      reply: (created) => created
    })
    const [task, created] = fate.isCharged ? charge(caller) : [undefined, SENT]
    const reply = fate.reply(created)
    const deliver = (): void => {
      if (!task || !fate.isDelivered) return
      task.isDelivered = true
      caller.task = task
      caller.mayPollAt = scheduler.now() + pollEveryMs
    }
    let phase: 'connecting' | 'sent' | 'ended' = 'connecting'
    const onEvent = (event: NetworkEvent): void => {
      if (phase === 'connecting' && caller.state !== 'open')
        ledger.breach(`${caller.name} is ${caller.state}, and its createTask was still connecting`)
      phase = event._tag === 'Sent' ? 'sent' : 'ended'
      if (phase === 'ended') deliver()
    }
    const onEnd = (openMs: number): void => {
      caller.openCreates -= 1
      if (phase === 'sent' && reply !== 'broken' && openMs < createTimeoutMs)
        ledger.breach(`${caller.name}: a createTask that was sent was aborted after ${openMs} ms`)
    }
    // The id of an unfinished reply reaches the process when it asks for what has arrived.
    const received = (): PartialReply | undefined => {
      deliver()
      return receivedOf(created)
    }
    const sent: NetworkEvent = reply === 'unfinished' ? { _tag: 'Sent', received } : SENT
    const events = concat(fate.isSent === false ? EMPTY : of(sent), delayed(reply, createTimeoutMs))
    return checked(network, events, createTimeoutMs, onEvent, onEnd)
  }

  const poll = (network: Network, body: RequestBody): Observable<NetworkEvent> => {
    const { resultTimeoutMs, pollEveryMs } = network.settings
    const now = scheduler.now()
    const { taskId } = body
    const task = ledger.tasks.get(String(taskId))
    if (!task?.isDelivered) {
      ledger.breach(`a poll for ${String(taskId)}, whose id was never delivered`)
      return NEVER
    }
    if ((typeof taskId === 'string') === (task.ref.numeric === true))
      ledger.breach(`a poll for ${String(taskId)}, which is no longer the ${typeof taskId} that it was`)
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
      const asked =
        event._tag === 'Failed' ? event.received?.retryAfterMs : 'retryAfterMs' in event && event.retryAfterMs
      if (Number.isFinite(asked)) retryAfterMs = Number(asked)
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
    let nextSlotAt = 0
    const checkRate = (): void => {
      const now = scheduler.now()
      if (now < nextSlotAt) ledger.breach(`a createTask was sent ${nextSlotAt - now} ms too early for the rate`)
      nextSlotAt = now + spacingMs
    }
    const post: Post = (path, body) =>
      defer(() => {
        if (path === '/getTaskResult') return poll(network, body)
        checkRate()
        return create(network, body)
      })
    const network: Network = { settings, post, open: 0, isClosing: false }
    return network
  }
}

/**
 * `broken`: the network violates its own contract, and errors or completes without a result. `unfinished`: the document
 * arrives, and the reply never ends.
 */
type Reply = NetworkEvent | 'silence' | 'broken' | 'unfinished'

interface CreateFate {
  readonly isCharged?: true
  readonly isSent?: false
  /** The reply holds the id, legibly. */
  readonly isDelivered?: true
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
  [0.005, { isCharged: true, reply: () => 'broken' }],
  [0.01, { isCharged: true, reply: (created) => brokenOff(edited(created, (body) => body.slice(0, 20))) }],
  [0.02, { isCharged: true, isDelivered: true, reply: (created) => brokenOff(created) }],
  [0.02, { isCharged: true, isDelivered: true, reply: () => 'unfinished' }],
  [
    0.04,
    {
      isCharged: true,
      isDelivered: true,
      reply: (created) =>
        edited(
          created,
          pick<(body: string) => string>(
            draw,
            [
              [0.25, (body) => `<br />\n<b>Warning</b>: in "/a.php" {7}<br />\n${body}`],
              [0.25, (body) => body.replace(/}$/, ',"cost":NaN}')],
              [0.25, (body) => body.replace('"errorCode":""', '"errorCode":"\n"')]
            ],
            (body) => body.slice(0, -1) + ' '
          )
        )
    }
  ],
  [
    0.03,
    {
      isCharged: true,
      isDelivered: true,
      reply: (created) =>
        edited(created, (body) => {
          const id = /"taskId":"?([^"}]+)/.exec(body)?.[1] ?? ''
          const solution = JSON.stringify({ gRecaptchaResponse: tokenOf(id) })
          return body.replace(/}$/, `,"status":"ready","solution":${solution}}`)
        })
    }
  ]
]

const pollFates = (
  draw: Draw,
  correct: NetworkEvent,
  { id, isSpoiled }: Task
): ReadonlyArray<readonly [weight: number, PollFate]> => [
  [isSpoiled ? 0.4 : 0.03, () => page(pick(draw, [[0.5, 200]], draw() < 0.5 ? 502 : 404))],
  [
    isSpoiled ? 0.4 : 0.01,
    () => document({ errorId: 0, status: 'failed', solution: { gRecaptchaResponse: tokenOf(id) } })
  ],
  [0.02, () => document({ errorId: 0, status: 'queued', solution: { gRecaptchaResponse: tokenOf(id) } })],
  [0.02, () => document({ errorId: 0, status: 'processing' }, draw() < 0.5 ? 200 : 202, retryAfter(draw))],
  [0.01, () => page(502, retryAfter(draw))],
  [0.01, () => brokenOff(correct)],
  [0.01, () => brokenOff(edited(correct, (body) => body.slice(0, -2)))],
  [0.01, () => edited(correct, (body) => `Notice: "${KEY}"\n${body}\n`)],
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
const nextId = (
  draw: Draw,
  nth: number
): { readonly id: string; readonly json: string; readonly numeric?: true | undefined } => {
  const id = pick(
    draw,
    [
      [0.1, `${nth}`],
      [0.1, `90071992547${40993 + 2 * nth}`]
    ],
    `task-${nth}`
  )
  return id.startsWith('task') ? { id, json: `"${id}"` } : { id, json: id, numeric: true }
}

const SENT: NetworkEvent = { _tag: 'Sent' }

const failed = (code: string): NetworkEvent => {
  const message = `${code} while sending {"clientKey":"${KEY}"}`
  return { _tag: 'Failed', cause: { name: 'Error', code, message } }
}

const edited = (event: NetworkEvent, edit: (body: string) => string): NetworkEvent =>
  event._tag === 'Reply' ? { ...event, body: edit(event.body) } : event

const receivedOf = (event: NetworkEvent): PartialReply | undefined =>
  event._tag === 'Reply' ? { status: event.status, body: event.body } : undefined

const brokenOff = (event: NetworkEvent): NetworkEvent => {
  const received = receivedOf(event)
  return { _tag: 'Failed', cause: { name: 'Error', code: 'ECONNRESET', message: 'cut' }, ...(received && { received }) }
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
const callerIn = ({ task }: RequestBody): string => {
  const found = typeof task === 'object' && task !== null && 'websiteKey' in task && task.websiteKey
  return typeof found === 'string' ? found : ''
}
