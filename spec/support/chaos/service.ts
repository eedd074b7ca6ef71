import { EMPTY, NEVER, Observable, concat, defer, map, of, throwError, timer, type SchedulerLike } from 'rxjs'
import type { Settings } from '../../../lib/core/model/options.js'
import type { JsonValue, Post, NetworkEvent } from '../../../lib/core/model/network.js'
import { tokenOf, type Caller, type Ledger, type Task } from './ledger.js'
import { between, pick, type Draw } from './seeded.js'
import { KEY } from '../simulate.js'

const sent: NetworkEvent = { _tag: 'Sent' }
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
const reply = (document: JsonValue, status?: number, retryAfterMs?: number) =>
  text(JSON.stringify(document), status, retryAfterMs)
const page = (status: number, retryAfterMs?: number) => text(`<html>${KEY}</html>`, status, retryAfterMs)
const refusal = (errorCode: string, status?: number, retryAfterMs?: number) =>
  reply({ errorId: 1, errorCode, errorDescription: `refused to ${KEY}` }, status, retryAfterMs)

const textIn = (document: JsonValue | undefined, name: 'taskId' | 'websiteKey'): string => {
  const found =
    typeof document === 'object' && document !== null && new Map(Object.entries<unknown>(document)).get(name)
  return typeof found === 'string' ? found : ''
}

const buyerIn = (body: JsonValue): string =>
  typeof body === 'object' && body !== null && 'task' in body ? textIn(body.task, 'websiteKey') : ''

/** How the service names its tasks, and writes the names: text, a number, a number that JavaScript would round. */
const nextName = (draw: Draw, nth: number): readonly [id: string, json: string] =>
  pick<() => readonly [string, string]>(
    draw,
    [
      [0.1, () => [`${nth}`, `${nth}`]],
      [0.1, () => [`90071992547${40993 + 2 * nth}`, `90071992547${40993 + 2 * nth}`]]
    ],
    () => [`task-${nth}`, `"task-${nth}"`]
  )()

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

/** An answer, and whether the service has created a task by then. */
interface Fate {
  readonly billed?: true
  readonly leaves?: false
  readonly answer: (created: NetworkEvent) => NetworkEvent | 'silence' | 'breach'
}

const createFates = (draw: Draw): ReadonlyArray<readonly [number, Fate]> => [
  [0.06, { leaves: false, answer: () => failed(draw() < 0.5 ? 'ECONNREFUSED' : 'ENOTFOUND') }],
  [0.005, { leaves: false, answer: () => failed('CERT_HAS_EXPIRED') }],
  [0.03, { answer: () => refusal('ERROR_NO_SLOT_AVAILABLE', 200, retryAfter(draw)) }],
  [0.03, { answer: () => page(draw() < 0.7 ? 429 : 408, retryAfter(draw)) }],
  [0.02, { answer: () => refusal('ERROR_NEW', 503, retryAfter(draw)) }],
  [0.03, { answer: () => page(503, retryAfter(draw)) }],
  [0.02, { billed: true, answer: () => page(503, retryAfter(draw)) }],
  [0.03, { answer: () => refusal(draw() < 0.5 ? 'ERROR_SITEKEY' : `ERROR_${KEY}`) }],
  [0.005, { answer: () => page(302) }],
  [0.02, { billed: true, answer: () => failed('ECONNRESET') }],
  [0.02, { billed: true, answer: () => 'silence' }],
  [0.02, { billed: true, answer: () => page(draw() < 0.5 ? 200 : 500) }],
  [0.01, { billed: true, answer: () => refusal('ERROR_INTERNAL_SERVER_ERROR') }],
  [0.005, { billed: true, answer: () => 'breach' }]
]

const askFates = (
  draw: Draw,
  right: NetworkEvent,
  { id, spoiled }: Task
): ReadonlyArray<readonly [number, Fate['answer']]> => [
  [spoiled ? 0.4 : 0.03, () => page(pick(draw, [[0.5, 200]], draw() < 0.5 ? 502 : 404))],
  [spoiled ? 0.4 : 0.01, () => reply({ errorId: 0, status: 'idle', solution: { gRecaptchaResponse: tokenOf(id) } })],
  [0.02, () => reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: '' } })],
  [0.05, () => failed('ECONNRESET')],
  [0.02, () => 'silence'],
  [0.02, () => page(draw() < 0.7 ? 429 : 503, retryAfter(draw))],
  [0.01, () => refusal('ERROR_RATE_LIMIT', 200, retryAfter(draw))],
  [0.01, () => refusal('ERROR_NEW')],
  [0.01, () => refusal('ERROR_TASKID_INVALID')],
  [0.005, () => refusal('ERROR_CAPTCHA_UNSOLVABLE')],
  [0.01, () => ({ ...right, status: 500 })],
  [0.005, () => 'breach']
]

/** How one solver reaches the service, and how many of its calls are open. */
export interface Network {
  readonly settings: Settings
  readonly post: Post
  open: number
}

/** A service that fails at random, in every way that the contract names, and enters everything into its ledger. */
export const chaosService = (draw: Draw, scheduler: SchedulerLike, ledger: Ledger) => {
  const LATE = 0.03

  const answering = (answer: NetworkEvent | 'silence' | 'breach', limitMs: number): Observable<NetworkEvent> => {
    if (answer === 'silence') return NEVER
    const afterMs = between(draw, 0, draw() < LATE ? limitMs * 2 : Math.min(limitMs, 4_000))
    const due = timer(afterMs, scheduler)
    return answer === 'breach'
      ? concat(due.pipe(map(() => sent)), draw() < 0.5 ? EMPTY : throwError(() => new Error(`broken, with ${KEY}`)))
      : due.pipe(map(() => answer))
  }

  const accept = (buyer: Caller): readonly [Task, NetworkEvent] => {
    const now = scheduler.now()
    const [id, json] = nextName(draw, ledger.tasks.size + 1)
    const readyAt = now + draw() * 40_000
    const spoiled = draw() < 0.05
    const task: Task = { id, buyer, asker: buyer, createdAt: now, readyAt, spoiled, reached: false }
    ledger.tasks.set(id, task)
    buyer.bought += 1
    // An id counts whatever stands beside it.
    const [errorId, status] = draw() < 0.03 ? [1, 500] : [0, 200]
    return [task, text(`{"errorId":${errorId},"errorCode":"","taskId":${json}}`, status)]
  }

  /** Passes on what comes, and checks how long the call is open. */
  const watched = (
    network: Network,
    wires: Observable<NetworkEvent>,
    limitMs: number,
    note: (wire: NetworkEvent) => void,
    over: (openMs: number) => void
  ): Observable<NetworkEvent> =>
    new Observable((subscriber) => {
      const begunAt = scheduler.now()
      ledger.openCalls += 1
      network.open += 1
      subscriber.add(() => {
        const openMs = scheduler.now() - begunAt
        ledger.openCalls -= 1
        network.open -= 1
        if (openMs > limitMs) ledger.breach(`a call was open for ${openMs} ms, and ${limitMs} is the limit`)
        over(openMs)
      })
      subscriber.add(
        wires.subscribe({
          next: (wire) => {
            note(wire)
            subscriber.next(wire)
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
    const buyer = ledger.callers.get(buyerIn(body))
    if (buyer?.state !== 'open' || buyer.late) {
      ledger.breach(`createTask for ${buyerIn(body)}, who is ${buyer?.state}, or came after the close`)
      return NEVER
    }
    buyer.begunAt ??= scheduler.now()
    const fate = pick<Fate>(draw, createFates(draw), { billed: true, answer: (created) => created })
    const [task, created] = fate.billed ? accept(buyer) : [undefined, sent]
    const answer = fate.answer(created)
    let stand: 'connecting' | 'left' | 'answered' = 'connecting'
    const note = (wire: NetworkEvent): void => {
      if (stand === 'connecting' && buyer.state !== 'open')
        ledger.breach(`${buyer.name} is ${buyer.state}, and its createTask went on connecting`)
      stand = wire._tag === 'Sent' ? 'left' : 'answered'
      if (!task || wire !== created) return
      task.reached = true
      buyer.task = task
      buyer.mayAskAt = scheduler.now() + pollEveryMs
    }
    const over = (openMs: number): void => {
      if (stand === 'left' && answer !== 'breach' && openMs < createTimeoutMs)
        ledger.breach(`${buyer.name}: a createTask that had left was aborted after ${openMs} ms`)
    }
    const wires = concat(fate.leaves === false ? EMPTY : of(sent), answering(answer, createTimeoutMs))
    return watched(network, wires, createTimeoutMs, note, over)
  }

  const poll = (network: Network, body: JsonValue): Observable<NetworkEvent> => {
    const { resultTimeoutMs, pollEveryMs } = network.settings
    const now = scheduler.now()
    const task = ledger.tasks.get(textIn(body, 'taskId'))
    if (!task?.reached) {
      ledger.breach(`a poll for ${textIn(body, 'taskId')}, which nobody was told of`)
      return NEVER
    }
    const { id, asker } = task
    if (asker.state !== 'open' || asker.late)
      ledger.breach(`${asker.name} asks for ${id}, and is ${asker.state}, or came after the close`)
    if (asker.asking) ledger.breach(`${asker.name}: two polls at once`)
    if (now < asker.mayAskAt) ledger.breach(`${asker.name} asks ${asker.mayAskAt - now} ms too early`)
    const state = task.readyAt <= now ? { status: 'ready', solution: { gRecaptchaResponse: tokenOf(id) } } : undefined
    const right = reply({ errorId: 0, ...(state ?? { status: 'processing' }) })
    const answer = pick<Fate['answer']>(draw, askFates(draw, right, task), (wire) => wire)(right)
    asker.asking = true
    let retryAfterMs = 0
    const note = (wire: NetworkEvent): void => {
      if (wire._tag === 'Reply' && Number.isFinite(wire.retryAfterMs)) retryAfterMs = wire.retryAfterMs ?? 0
    }
    const over = (): void => {
      asker.asking = false
      asker.mayAskAt = scheduler.now() + Math.max(pollEveryMs, retryAfterMs)
    }
    return watched(network, concat(of(sent), answering(answer, resultTimeoutMs)), resultTimeoutMs, note, over)
  }

  /** The network of one solver. */
  return (settings: Settings): Network => {
    const gapMs = settings.createsPerSecond === undefined ? 0 : 1_000 / settings.createsPerSecond
    let nextAt = 0
    const atRate = (): void => {
      const now = scheduler.now()
      if (now < nextAt) ledger.breach(`a createTask leaves ${nextAt - now} ms too early for the rate`)
      nextAt = now + gapMs
    }
    const post: Post = (path, body) =>
      defer(() => {
        if (path === '/getTaskResult') return poll(network, body)
        atRate()
        return create(network, body)
      })
    const network: Network = { settings, post, open: 0 }
    return network
  }
}
