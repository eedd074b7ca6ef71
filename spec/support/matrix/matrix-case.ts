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
  type SolveError,
  type Solved,
  type Solver,
  type SolverEvent
} from 'rx-captcha'
import { startEmulator, type Counters, type TaskRecord } from 'rx-captcha/emulator'
import { rulesOf, type Cell } from './faults.js'
import type { When } from './outcomes.js'
import { STRUCK } from './outcomes-of-poll.js'
import { patientClock } from './throttled-clock.js'
import { aSpec, outcome } from '../solvers.js'

export const CANARY = 'canary-key-9f8e7d6c5b4a'

type Outcome = E.Either<SolveError, Solved<RecaptchaV2Solution>>

/** What came of one cell. */
export interface Told {
  readonly struck: Outcome
  /** The solves before and after it. */
  readonly others: ReadonlyArray<Outcome>
  readonly events: ReadonlyArray<SolverEvent>
  readonly counters: Counters
  /** By the client's clock. */
  readonly smallestWaitMs: number
  readonly tasks: ReadonlyArray<TaskRecord>
  /** Everything that was said, in every way in which a program or a log may put it into words. */
  readonly words: string
}

/** The shortest time from the creation, or from a poll that brought no state, to the next poll. */
const smallestWaitMs = (events: ReadonlyArray<SolverEvent>): number =>
  Math.min(
    ...events.map(({ _tag, at }, i) => {
      const before = events[i - 1]
      return _tag === 'Polled' && before && before._tag !== 'Polled' ? at - before.at : Infinity
    })
  )

const strikes = (when: When, nth: number, count: number) => when === 'always' || count === (when === 'first' ? 1 : nth)

/** Connects as told, and every time to the detour when the fault strikes. */
const leading = (detour: buildConnector.connector, when: When, nth: number): buildConnector.connector => {
  const straight = buildConnector({})
  let count = 0
  return (options, callback) => {
    count += 1
    const connect = strikes(when, nth, count) ? detour : straight
    connect(options, callback)
  }
}

const dispatcherOf = ({ call, when }: Cell, detour: buildConnector.connector) => {
  const [create, poll] =
    call === 'createTask'
      ? [new Agent({ connect: leading(detour, when, 2) }), new Agent()]
      : // Without keep-alive, so that every poll connects.
        [new Agent(), new Agent({ connect: leading(detour, when, STRUCK[when]), pipelining: 0 })]
  return { create, poll }
}

const wordsOf = async (solver: Solver, outcomes: ReadonlyArray<Outcome>, told: ReadonlyArray<unknown>) => {
  const errors = outcomes.flatMap((each) => (E.isLeft(each) ? [each.left] : []))
  const thrown = await Promise.all(
    errors.map((error) => lastValueFrom(of(E.left(error)).pipe(orThrow())).catch((failure: unknown) => failure))
  )
  const stacks = thrown.map((each) =>
    each instanceof Error ? `${each.message}\n${each.stack ?? ''}` : 'nothing thrown'
  )
  const said = [solver, ...outcomes, ...told, ...thrown]
  const texts = said.flatMap((each) => [JSON.stringify(each), inspect(each, { depth: 20, showHidden: true })])
  return [...texts, ...stacks, ...errors.map(explain)].join('\n')
}

/** Runs one cell against an emulator of its own. */
export const runCell = async (
  cell: Cell,
  detoursByName: Readonly<Record<string, buildConnector.connector>>
): Promise<Told> => {
  const detour = detoursByName[cell.fault]
  const faults = rulesOf(cell)
  const emulator = await startEmulator({ readyAfterMs: 0, seed: 1, clientKey: CANARY, faults })
  const dispatcher = detour && dispatcherOf(cell, detour)
  const { speed, limits } = cell.expected.pace
  const { scheduler, stop } = patientClock(speed)
  const options = { clientKey: CANARY, baseUrl: emulator.url, random: () => 0.5, scheduler, dispatcher }
  const solver = createSolver({ ...limits, ...options })
  const [events, orphans]: [SolverEvent[], Orphan[]] = [[], []]
  solver.events.subscribe((event) => events.push(event))
  solver.orphans.subscribe((orphan) => orphans.push(orphan))
  const outcomes: Outcome[] = []
  try {
    const isSecond = cell.call === 'createTask' && cell.when === 'n-th'
    while (outcomes.length < (isSecond ? 3 : 1)) outcomes.push(await outcome(solver.solve(aSpec)))
    const [counters, tasks] = [emulator.counters(), emulator.tasks()]
    const left = await solver.close()
    const words = await wordsOf(solver, outcomes, [...events, ...orphans, ...left])
    const [struck] = outcomes.splice(isSecond ? 1 : 0, 1)
    if (!struck) throw new Error('no outcome')
    return { struck, others: outcomes, events, counters, smallestWaitMs: smallestWaitMs(events), tasks, words }
  } finally {
    stop()
    await Promise.all([dispatcher?.create.destroy(), dispatcher?.poll.destroy(), emulator.close()])
  }
}
