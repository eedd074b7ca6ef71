import { inspect } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { lastValueFrom, of } from 'rxjs'
import { Agent, buildConnector } from 'undici'
import {
  createSolver,
  explain,
  orThrow,
  type Orphan,
  type RecaptchaV2Solution,
  type SolveResult,
  type Solver,
  type SolverEvent
} from 'rx-captcha'
import { startEmulator, type Counters, type TaskRecord } from 'rx-captcha/emulator'
import { aSpec, outcome } from '../solvers.js'
import type { ConnectionFaults } from './connection-faults.js'
import { rulesOf, type MatrixCase } from './faults.js'
import type { When } from './outcomes.js'
import { AFFECTED_POLL } from './outcomes-of-poll.js'
import { throttledClock } from './throttled-clock.js'

export const CANARY = 'canary-key-9f8e7d6c5b4a'

type Outcome = SolveResult<RecaptchaV2Solution>

/** What happened in one case. */
export interface Trace {
  readonly affected: Outcome
  /** The outcomes of the solves before and after the affected one. */
  readonly others: ReadonlyArray<Outcome>
  readonly events: ReadonlyArray<SolverEvent>
  readonly counters: Counters
  /** By the client's clock. */
  readonly smallestWaitMs: number
  readonly longestWaitMs: number
  readonly tasks: ReadonlyArray<TaskRecord>
  /** Everything that the solver gave to its caller, as JSON, as an inspected object and as an explanation. */
  readonly text: string
}

/** Runs one case against an emulator of its own. */
export const runCase = async (matrixCase: MatrixCase, connectionFaults: ConnectionFaults): Promise<Trace> => {
  const faults = rulesOf(matrixCase)
  const numericIds = matrixCase.kind === 'numeric ids'
  const emulator = await startEmulator({ readyAfterMs: 0, seed: 1, clientKey: CANARY, faults, numericIds })
  const faultyConnect = connectionFaults[matrixCase.fault]
  const dispatcher = faultyConnect && dispatcherOf(matrixCase, faultyConnect)
  const { speed, limits } = matrixCase.expected.pace
  const { scheduler, stop } = throttledClock(speed)
  const options = { clientKey: CANARY, baseUrl: emulator.url, random: () => 0.5, scheduler, dispatcher }
  const solver = createSolver({ ...limits, ...options })
  const [events, orphans]: [SolverEvent[], Orphan[]] = [[], []]
  solver.events.subscribe((event) => events.push(event))
  solver.orphans.subscribe((orphan) => orphans.push(orphan))
  const outcomes: Outcome[] = []
  try {
    const isSecond = matrixCase.call === 'createTask' && matrixCase.when === 'n-th'
    while (outcomes.length < (isSecond ? 3 : 1)) outcomes.push(await outcome(solver.solve(aSpec)))
    const [counters, tasks] = [emulator.counters(), emulator.tasks()]
    const leftOpen = await solver.close()
    const text = await textOf(solver, outcomes, [...events, ...orphans, ...leftOpen])
    const [affected] = outcomes.splice(isSecond ? 1 : 0, 1)
    if (!affected) throw new Error('no outcome')
    const waits = waitsOf(events)
    const [smallestWaitMs, longestWaitMs] = [Math.min(...waits), Math.max(...waits)]
    return { affected, others: outcomes, events, counters, smallestWaitMs, longestWaitMs, tasks, text }
  } finally {
    stop()
    await Promise.all([dispatcher?.create.destroy(), dispatcher?.poll.destroy(), emulator.close()])
  }
}

const dispatcherOf = ({ call, when }: MatrixCase, faultyConnect: buildConnector.connector) => {
  const [create, poll] =
    call === 'createTask'
      ? [new Agent({ connect: connectorOf(faultyConnect, when, 2) }), new Agent()]
      : // Without keep-alive, so that every poll connects.
        [new Agent(), new Agent({ connect: connectorOf(faultyConnect, when, AFFECTED_POLL[when]), pipelining: 0 })]
  return { create, poll }
}

/** Connects to the requested server, except when the fault applies. */
const connectorOf = (faultyConnect: buildConnector.connector, when: When, nth: number): buildConnector.connector => {
  const usualConnect = buildConnector({})
  let count = 0
  return (options, callback) => {
    count += 1
    const connect = applies(when, nth, count) ? faultyConnect : usualConnect
    connect(options, callback)
  }
}

const applies = (when: When, nth: number, count: number) => when === 'always' || count === (when === 'first' ? 1 : nth)

const textOf = async (solver: Solver, outcomes: ReadonlyArray<Outcome>, emitted: ReadonlyArray<unknown>) => {
  const errors = outcomes.flatMap((each) => (E.isLeft(each) ? [each.left] : []))
  const thrown = await Promise.all(
    errors.map((error) => lastValueFrom(of(E.left(error)).pipe(orThrow())).catch((failure: unknown) => failure))
  )
  const stacks = thrown.map((each) =>
    each instanceof Error ? `${each.message}\n${each.stack ?? ''}` : 'nothing thrown'
  )
  const values = [solver, ...outcomes, ...emitted, ...thrown]
  const texts = values.flatMap((each) => [JSON.stringify(each), inspect(each, { depth: 20, showHidden: true })])
  return [...texts, ...stacks, ...errors.map(explain)].join('\n')
}

/** The times from the creation, or from a poll that brought no state, to the next poll. */
const waitsOf = (events: ReadonlyArray<SolverEvent>): ReadonlyArray<number> =>
  events.flatMap(({ _tag, at }, i) => {
    const before = events[i - 1]
    return _tag === 'Polled' && before && before._tag !== 'Polled' ? [at - before.at] : []
  })
