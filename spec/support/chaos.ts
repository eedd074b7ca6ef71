import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, NEVER, Observable, VirtualTimeScheduler, concat, defer, of, timer, map, type SchedulerLike } from 'rxjs'
import type { SolveError } from '../../lib/core/error.js'
import type { Orphan } from '../../lib/core/event.js'
import { resolveOptions } from '../../lib/core/options.js'
import type { Json, Post, Wire } from '../../lib/core/ports.js'
import { makeSolver } from '../../lib/core/solver.js'
import { recaptchaV2, type Solved } from '../../lib/core/task.js'
import { KEY } from './story.js'

type Draw = () => number

/** A small generator of reproducible numbers from 0 to 1 (the mulberry32 mixing steps). */
export const drawsOf = (seed: number): Draw => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const pick = <T>(draw: Draw, weights: ReadonlyArray<readonly [weight: number, item: T]>, otherwise: T): T => {
  let rest = draw()
  for (const [weight, item] of weights) if ((rest -= weight) < 0) return item
  return otherwise
}

interface Task {
  readonly buyer: string
  readonly readyAt: number
  /** Whether the service answers with the id within the client's limit, so that nobody may forget it. */
  answered: boolean
  answeredAt: number
  asking: number
}

/** What the service knows: its own truth, against which the client's words are held. */
interface Books {
  readonly tasks: Map<string, Task>
  readonly broken: string[]
  open: number
}

const sent: Wire = { _tag: 'Sent' }
const failed = (code: string): Wire => ({ _tag: 'Failed', cause: { name: 'Error', code, message: code } })
const reply = (document: Json, status = 200): Wire => ({ _tag: 'Reply', status, body: JSON.stringify(document) })
const page = (status: number, retryAfterMs?: number): Wire => ({
  _tag: 'Reply',
  status,
  body: '<html></html>',
  ...(retryAfterMs !== undefined && { retryAfterMs })
})
const refusal = (errorCode: string): Wire => reply({ errorId: 1, errorCode })

const buyerOf = (body: Json): string => /"websiteKey":"([^"]+)"/.exec(JSON.stringify(body))?.[1] ?? ''
const taskIdOf = (body: Json): string => /"taskId":"([^"]+)"/.exec(JSON.stringify(body))?.[1] ?? ''

type CreateFate = 'fine' | 'unreachable' | 'later' | 'busy' | 'refused' | 'lost' | 'silent' | 'garbled'
type AskFate = 'fine' | 'reset' | 'silent' | 'page' | 'later' | 'wrong' | 'ended'

/** A service that fails at random, in every way that the contract names. */
const service = (draw: Draw, scheduler: SchedulerLike, pollEveryMs: number) => {
  const books: Books = { tasks: new Map(), broken: [], open: 0 }
  const after = (wire: Wire, longestMs: number) =>
    timer(Math.floor(draw() * longestMs), scheduler).pipe(map(() => wire))

  const accept = (buyer: string): readonly [string, Task] => {
    const id = `task-${books.tasks.size + 1}`
    const readyAt = scheduler.now() + Math.floor(draw() * 90_000)
    const task = { buyer, readyAt, answered: false, answeredAt: Infinity, asking: 0 }
    books.tasks.set(id, task)
    return [id, task]
  }
  const create = (body: Json): Observable<Wire> => {
    const fate = pick<CreateFate>(
      draw,
      [
        [0.08, 'unreachable'],
        [0.06, 'later'],
        [0.04, 'busy'],
        [0.04, 'refused'],
        [0.03, 'lost'],
        [0.02, 'silent'],
        [0.02, 'garbled']
      ],
      'fine'
    )
    const answer = (): Observable<Wire> => {
      switch (fate) {
        case 'unreachable':
          return after(failed('ECONNREFUSED'), 3_000)
        case 'later':
          return after(draw() < 0.5 ? refusal('ERROR_NO_SLOT_AVAILABLE') : page(429, draw() * 9_000), 3_000)
        case 'busy':
          return after(page(503), 3_000)
        case 'refused':
          return after(refusal(draw() < 0.5 ? 'ERROR_SITEKEY' : 'ERROR_NEW'), 3_000)
        case 'lost':
          accept(buyerOf(body))
          return after(failed('ECONNRESET'), 3_000)
        case 'silent':
          accept(buyerOf(body))
          return NEVER
        case 'garbled':
          accept(buyerOf(body))
          return after(page(500), 3_000)
        case 'fine': {
          const [id, task] = accept(buyerOf(body))
          task.answered = true
          return timer(Math.floor(draw() * 20_000), scheduler).pipe(
            map(() => {
              task.answeredAt = scheduler.now()
              return reply({ errorId: 0, taskId: id })
            })
          )
        }
      }
    }
    return concat(fate === 'unreachable' ? EMPTY : of(sent), defer(answer))
  }
  const question = (body: Json): Observable<Wire> => {
    const id = taskIdOf(body)
    const task = books.tasks.get(id)
    if (!task) return of(sent, refusal('ERROR_TASKID_INVALID'))
    if (task.asking > 0) books.broken.push(`${id}: two questions at once`)
    const gapMs = scheduler.now() - task.answeredAt
    if (gapMs < pollEveryMs) books.broken.push(`${id}: asked ${gapMs} ms after an answer`)
    const fate = pick<AskFate>(
      draw,
      [
        [0.05, 'reset'],
        [0.02, 'silent'],
        [0.03, 'page'],
        [0.03, 'later'],
        [0.02, 'wrong'],
        [0.005, 'ended']
      ],
      'fine'
    )
    const wires: Readonly<Record<Exclude<AskFate, 'silent'>, () => Wire>> = {
      reset: () => failed('ECONNRESET'),
      page: () => page(draw() < 0.5 ? 200 : 502),
      later: () => page(429, draw() < 0.5 ? draw() * 20_000 : undefined),
      wrong: () => reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: '' } }),
      ended: () => refusal('ERROR_CAPTCHA_UNSOLVABLE'),
      fine: () =>
        task.readyAt <= scheduler.now()
          ? reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: `token of ${id}` } })
          : reply({ errorId: 0, status: 'processing' })
    }
    const answer = fate === 'silent' ? NEVER : after(wires[fate](), 4_000)
    return new Observable((subscriber) => {
      task.asking += 1
      subscriber.add(() => {
        task.asking -= 1
        // Only an answer or the limit of the call ends a question within one subscription; a resume asks at once.
        task.answeredAt = scheduler.now()
      })
      subscriber.add(concat(of(sent), answer).subscribe(subscriber))
    })
  }
  const post: Post = (path, body) =>
    new Observable((subscriber) => {
      books.open += 1
      subscriber.add(() => {
        books.open -= 1
      })
      subscriber.add((path === '/createTask' ? create(body) : question(body)).subscribe(subscriber))
    })
  return { books, post }
}

interface Buyer {
  readonly name: string
  readonly heard: E.Either<SolveError, Solved<unknown>>[]
  completed: boolean
  left: boolean
}

/** Runs `count` solves of one solver in virtual time, some of which are left; tells every broken law. */
export const chaos = async (seed: number, count: number): Promise<ReadonlyArray<string>> => {
  const draw = drawsOf(seed)
  const scheduler = new VirtualTimeScheduler()
  const pollEveryMs = 3_000
  const { books, post } = service(draw, scheduler, pollEveryMs)
  const rate = draw() < 0.5 ? {} : { createsPerSecond: 0.5 + draw() * 20 }
  const settings = resolveOptions({
    clientKey: KEY,
    pollEveryMs,
    giveUpAfterMs: 20_000 + Math.floor(draw() * 200_000),
    ...rate
  })
  const solver = makeSolver({ post, scheduler, random: draw, end: () => Promise.resolve() }, settings)
  const orphans: Orphan[] = []
  solver.orphans.subscribe((orphan) => orphans.push(orphan))
  const buyers: Buyer[] = []
  for (let nth = 0; nth < count; nth += 1) {
    const buyer: Buyer = { name: `buyer-${nth}`, heard: [], completed: false, left: false }
    buyers.push(buyer)
    scheduler.schedule(
      () => {
        const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: buyer.name })
        const solving = solver.solve(task).subscribe({
          next: (result) => buyer.heard.push(result),
          error: (error: unknown) => books.broken.push(`${buyer.name}: errored with ${String(error)}`),
          complete: () => (buyer.completed = true)
        })
        if (draw() < 0.2)
          scheduler.schedule(
            () => {
              if (buyer.completed) return
              buyer.left = true
              solving.unsubscribe()
            },
            Math.floor(draw() * 60_000)
          )
      },
      Math.floor(draw() * 60_000)
    )
  }
  let closed: ReadonlyArray<Orphan> = []
  let closing: Promise<void> = Promise.resolve()
  if (draw() < 0.5)
    scheduler.schedule(
      () => {
        closing = solver.close({ graceMs: Math.floor(draw() * 30_000) }).then((open) => {
          closed = open
        })
      },
      Math.floor(draw() * 200_000)
    )
  scheduler.flush()
  await closing
  return [...books.broken, ...brokenLaws(books, buyers, [...orphans, ...closed])].map((line) => `seed ${seed}: ${line}`)
}

const brokenLaws = (
  books: Books,
  buyers: ReadonlyArray<Buyer>,
  orphans: ReadonlyArray<Orphan>
): ReadonlyArray<string> => {
  const broken: string[] = books.open === 0 ? [] : [`${books.open} calls are still open`]
  const known = new Set(orphans.map(({ ref }) => ref.taskId))
  const bought = new Map<string, string[]>()
  for (const [id, { buyer }] of books.tasks) bought.set(buyer, [...(bought.get(buyer) ?? []), id])
  for (const { name, heard, completed, left } of buyers) {
    const tasks = bought.get(name) ?? []
    if (tasks.length > 1) broken.push(`${name}: paid ${tasks.length} times`)
    if (left ? heard.length > 0 : heard.length !== 1 || !completed)
      broken.push(`${name}: heard ${heard.length} outcomes`)
    for (const result of heard) {
      if (E.isRight(result)) {
        known.add(result.right.ref.taskId)
        if (!tasks.includes(result.right.ref.taskId)) broken.push(`${name}: has the token of somebody else`)
        continue
      }
      const { left: error } = result
      if ('ref' in error) known.add(error.ref.taskId)
      if (error.paid === 'no' && tasks.length > 0) broken.push(`${name}: ${error._tag} says unpaid, but it was`)
      if (error.paid === 'yes' && tasks.length === 0) broken.push(`${name}: ${error._tag} says paid, but it was not`)
      if (JSON.stringify(error).includes('token of')) broken.push(`${name}: a token stands in ${error._tag}`)
    }
  }
  for (const [id, { answered, buyer }] of books.tasks)
    if (answered && !known.has(id)) broken.push(`${buyer}: the paid ${id} is forgotten`)
  return broken
}
