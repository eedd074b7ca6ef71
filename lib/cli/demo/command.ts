import { concat, defer, from, lastValueFrom, map, mergeMap, of, take, tap, type SchedulerLike } from 'rxjs'
import type { Solver } from '../../core/solver.js'
import { recaptchaV2 } from '../../core/model/recaptcha-v2.js'
import { SCENES, blank, next, type Happened, type Row } from './scenes.js'
import { compare, summary, wrongs } from './report.js'
import { openView } from './view.js'
import { EXIT, exitOfSignal } from '../shared/exit-code.js'
import { deliver, hear, tell, type World } from '../shared/context.js'
import { createSolver } from '../../http/create-solver.js'
import { realClock } from '../../http/clock.js'

/** How fast the demonstration runs: 1 is the real pace, and its clock shows that time whatever the speed. */
export interface Pace {
  readonly scheduler: SchedulerLike
  readonly speed: number
}

const REAL: Pace = { scheduler: realClock, speed: 1 }

const AT_ONCE = 3
const POLL_EVERY_MS = 3_000

// Of this seed the third task takes between 6 and 9 s and all others less than 6: it alone comes to a third poll.
const SEED = 27_298
const READY_AFTER_MS = [1_500, 9_000] as const

// Counted are creates in the order of their arrival: the second one is told to come later and comes again as the third.
const FAULTS = [
  'createTask:2:ERROR_NO_SLOT_AVAILABLE;retry-after=4',
  'getTaskResult:3:reset',
  'task:4:ERROR_CAPTCHA_UNSOLVABLE',
  'createTask:6:billed+reset'
]

const startService = async (load: World['loadEmulator'], speed: number) => {
  const { EMULATOR_KEY, startEmulator } = await load()
  const [min, max] = READY_AFTER_MS
  const emulator = await startEmulator({ seed: SEED, readyAfterMs: [min / speed, max / speed], faults: FAULTS })
  return { emulator, key: EMULATOR_KEY }
}

const play = ({ solveWithProgress }: Solver, { scheduler }: Pace) =>
  from(SCENES).pipe(
    mergeMap((scene, index) => {
      const task = recaptchaV2({ websiteURL: `https://example.com/${index + 1}`, websiteKey: 'demo-site-key' })
      const begun = defer(() => of<Happened>({ _tag: 'Begun', at: scheduler.now() }))
      return concat(begun, solveWithProgress(task)).pipe(map((event) => ({ scene, index, event })))
    }, AT_ONCE)
  )

const performed = async (world: World, pace: Pace, solver: Solver): Promise<ReadonlyArray<Row>> => {
  const view = openView(world.stderr, pace.scheduler)
  const rows = SCENES.map(blank)
  const showing = play(solver, pace).pipe(
    tap(({ scene, index, event }) => {
      const row = next(rows[index] ?? blank(scene, index), event)
      rows[index] = row
      view.show(index, row, event)
    })
  )
  try {
    await lastValueFrom(showing)
    return rows
  } finally {
    view.close()
  }
}

const opening = `Six tasks, ${AT_ONCE} at a time, one poll to each every ${POLL_EVERY_MS / 1_000} s, with arranged mishaps.
Against the embedded emulator, over real HTTP: nothing is paid. About 20 s.
`

const judged = async (world: World, rows: ReadonlyArray<Row>, numbers: ReturnType<typeof compare>): Promise<number> => {
  const found = wrongs(rows, numbers)
  const verdict = found.length === 0 ? 'All went as arranged.' : ['Not as arranged:', ...found].join('\n  ')
  await deliver(world.stdout, `${summary(rows, numbers)}\n\n${verdict}\n`)
  return found.length === 0 ? EXIT.solved : EXIT.unpaid
}

/** Shows the library at work, and compares what it says with the books of the emulator. */
export const demo = async (world: World, pace: Pace = REAL): Promise<number> => {
  const { emulator, key: clientKey } = await startService(world.loadEmulator, pace.speed)
  const { heard, stop } = hear(world.signals)
  const solver = createSolver({
    clientKey,
    baseUrl: emulator.url,
    pollEveryMs: POLL_EVERY_MS,
    // So that one create is answered before the next one leaves: each mishap then meets the task that it is meant for.
    createsPerSecond: 1,
    scheduler: pace.scheduler,
    random: () => 0.5
  })
  let signal: NodeJS.Signals | undefined
  heard.pipe(take(1)).subscribe((first) => {
    signal = first
    void solver.close()
  })
  try {
    tell(world.stderr, opening)
    const rows = await performed(world, pace, solver)
    const code = await judged(world, rows, compare(rows, emulator.counters(), pace.speed))
    return signal === undefined ? code : exitOfSignal(signal)
  } finally {
    stop()
    await solver.close()
    await emulator.close()
  }
}
