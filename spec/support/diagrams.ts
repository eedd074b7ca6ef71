import { EMPTY, Subject, startWith, take, type Observable } from 'rxjs'
import { buildSolver } from '../../lib/core/build-solver.js'
import type { SolverEvent } from '../../lib/core/model/event.js'
import type { NetworkEvent, Post, RequestBody } from '../../lib/core/model/network.js'
import { resolveOptions, type CoreOptions } from '../../lib/core/model/options.js'
import type { Solver } from '../../lib/core/solver.js'
import { textOf } from './doc-pages.js'
import { marbles } from './marbles.js'
import { KEY } from './simulate.js'

/** A line of marbles, a second a character: replies of the network, or what the library emits. `!` unsubscribes. */
interface Row {
  readonly marbles: string
  /** One call: it begins after the spaces, and emits its reply. */
  readonly call?: string
  /** All replies to the task of this name. */
  readonly replies?: string
  /** What the library emits under this name. */
  readonly emits?: string
  /** From when to when the limiter is paused. */
  readonly pause?: readonly [from: number, to: number]
}

interface Diagram {
  readonly name: string
  readonly title: string
  readonly about: string
  readonly options?: Partial<CoreOptions>
  readonly rows: ReadonlyArray<Row | { readonly box: string }>
}

/** The diagrams that the documentation shows; draw-marbles.mjs draws the same file. */
export const { labels, diagrams } = JSON.parse(textOf('spec/docs/marbles.json')) as {
  readonly labels: Readonly<Record<string, string>>
  readonly diagrams: ReadonlyArray<Diagram>
}

/** What a diagram acts on. `createTaskSent` emits the name of the task of each createTask. */
export interface Stage {
  readonly solver: Solver
  readonly createTaskSent: Observable<string>
}

/** What the rows with `emits` show, by name. The values are the labels of the marbles. */
export type Emitted = Readonly<Record<string, Observable<string>>>

const SECOND = 1_000

/** Holds a diagram against the library: each call begins and ends where it is drawn, and all that is drawn is emitted. */
export const assertDiagram = (diagram: Diagram, act: (stage: Stage) => Emitted): void => {
  const events: SolverEvent[] = []
  marbles(({ cold, hot, expectObservable, expectSubscriptions }, scheduler) => {
    const rows = rowsOf(diagram)
    const calls = rows.flatMap(({ marbles: line, call }) => {
      if (call === undefined) return []
      const reply = cold(inSeconds(line), replies('id'))
      expectSubscriptions(reply.subscriptions).toBe(subscriptionOf(line))
      return [{ path: `/${call}`, reply }]
    })
    const repliesTo = new Map<string, Observable<NetworkEvent>>()
    rows.forEach(({ marbles: line, replies: task }) => {
      if (task !== undefined) repliesTo.set(task, hot(inSeconds(line), replies(task)))
    })
    const createTaskSent = new Subject<string>()
    const post: Post = (path, body) => {
      const task = nameOf(body)
      if (path === '/createTask') createTaskSent.next(task)
      const call = calls[0]?.path === path ? calls.shift() : undefined
      const reply: Observable<NetworkEvent> = call?.reply ?? repliesTo.get(task) ?? EMPTY
      return reply.pipe(take(1), startWith<NetworkEvent>({ _tag: 'Sent' }))
    }
    const ports = { post, scheduler, random: () => 0.5, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY, ...diagram.options }))
    solver.events.subscribe((event) => events.push(event))
    const emitted = act({ solver, createTaskSent })
    rows.forEach(({ marbles: line, emits }) => {
      if (emits === undefined) return
      const subscription = line.includes('!') ? subscriptionOf(line) : null
      expectObservable(emitted[emits]!, subscription).toBe(inSeconds(line), labels)
    })
  })()
  for (const { pause } of rowsOf(diagram)) {
    if (pause === undefined) continue
    const [from, to] = pause
    const delayed = { at: from * SECOND, _tag: 'Delayed', reason: 'unavailable', waitMs: (to - from) * SECOND }
    expect(events).toContainEqual(expect.objectContaining(delayed))
  }
}

const rowsOf = ({ rows }: Diagram): ReadonlyArray<Row> => rows.filter((row) => 'marbles' in row)

/** The line in the syntax of RxJS, where a character alone is a millisecond. */
const inSeconds = (line: string): string =>
  line
    .replace('!', '')
    .replace(/\([^)]*\)|\S/g, (step) => (step === '-' ? ' 1s ' : `${step} ${step.length * (SECOND - 1)}ms `))

/** When a line begins and ends, in the marbles of a subscription. */
const subscriptionOf = (line: string): string => {
  const start = line.search(/\S/)
  const end = line.search(/[(!]/)
  return `${start}s ^${end < 0 ? '' : ` ${(end - start) * SECOND - 1}ms !`}`
}

const reply = (document: object): NetworkEvent => ({ _tag: 'Reply', status: 200, body: JSON.stringify(document) })

/** What the marbles of the network stand for, where `taskId` is the task. */
const replies = (taskId: string): Readonly<Record<string, NetworkEvent>> => ({
  i: reply({ errorId: 0, taskId }),
  p: reply({ errorId: 0, status: 'processing' }),
  t: reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'token' } }),
  u: reply({ errorId: 1, errorCode: 'ERROR_NO_SLOT_AVAILABLE' }),
  x: { _tag: 'Failed', cause: { name: 'Error', code: 'ECONNRESET', message: '' } }
})

/** The task that a call is about: its website key, which is the id that {@link replies} gives it as well. */
const nameOf = ({ task, taskId }: RequestBody): string =>
  taskId === undefined ? (task as { readonly websiteKey: string }).websiteKey : String(taskId)
