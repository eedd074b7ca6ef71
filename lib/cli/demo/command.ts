import {
  asyncScheduler,
  from,
  lastValueFrom,
  map,
  mergeMap,
  scan,
  startWith,
  take,
  tap,
  type SchedulerLike
} from 'rxjs'
import { recaptchaV2 } from '../../core/model/recaptcha-v2.js'
import type { Solver } from '../../core/solver.js'
import { createSolver } from '../../http/create-solver.js'
import { printLine, signalStream, write, type CliContext } from '../shared/context.js'
import { EXIT, exitCodeOfSignal } from '../shared/exit-code.js'
import { canDraw, drawProgress } from '../shared/progress.js'
import { seconds } from '../shared/text.js'
import { compare, deviations, tables } from './report.js'
import { FAULTS, READY_AFTER_MS, SCENES, SEED, nextSceneState, startOf, type SceneState } from './scenes.js'

/** How fast the demonstration runs; without a scheduler by the real clock. */
export interface Pace {
  readonly scheduler?: SchedulerLike
  readonly speed: number
}

const REAL: Pace = { speed: 1 }

const CONCURRENCY = 3
const POLL_EVERY_MS = 3_000

const INTRODUCTION = `Six tasks, ${CONCURRENCY} at a time, polled every ${POLL_EVERY_MS / 1_000} s, with injected faults, against the
embedded emulator over HTTP: nothing is paid. About 20 s.
`

/** Shows the library at work, and compares what it reports with the counters of the emulator. */
export const demo = async (context: CliContext, { scheduler, speed }: Pace = REAL): Promise<number> => {
  const { EMULATOR_KEY, startEmulator } = await context.loadEmulator()
  const [min, max] = READY_AFTER_MS
  const emulator = await startEmulator({ seed: SEED, readyAfterMs: [min / speed, max / speed], faults: FAULTS })
  const solver = createSolver({
    clientKey: EMULATOR_KEY,
    baseUrl: emulator.url,
    pollEveryMs: POLL_EVERY_MS,
    // One createTask has its reply before the next is sent, so that each fault affects the task it is meant for.
    createsPerSecond: 1,
    scheduler,
    random: () => 0.5
  })
  const { signals, first, stop } = signalStream(context)
  signals.pipe(take(1)).subscribe(() => {
    void solver.close()
  })
  try {
    printLine(context.stderr, INTRODUCTION)
    const states = await play(context, solver, scheduler)
    const signal = first()
    const comparisons = compare(states, emulator.counters())
    const found = signal === undefined ? deviations(states, comparisons) : []
    const verdict = found.length === 0 ? 'Both counts agree.' : ['Not as planned:', ...found].join('\n  ')
    await write(context.stdout, `${tables(states, comparisons)}\n\n${signal ? 'Interrupted.' : verdict}\n`)
    return signal ? exitCodeOfSignal(signal) : found.length === 0 ? EXIT.solved : EXIT.unpaid
  } finally {
    stop()
    await solver.close()
    await emulator.close()
  }
}

/** Solves the tasks and shows every step: in rows on a terminal, else as lines. */
const play = async (
  { stderr, env }: CliContext,
  { solveWithProgress }: Solver,
  scheduler: SchedulerLike = asyncScheduler
): Promise<ReadonlyArray<SceneState>> => {
  const startedAt = scheduler.now()
  const states = SCENES.map((scene, index) => ({ ...startOf(scene, index, startedAt), note: 'waits' }))
  const rows = () => states.map(({ name, note }) => ({ text: `${name}  ${note}` }))
  const progress = canDraw(stderr, env) ? drawProgress(stderr, rows, { keep: true }) : undefined
  const show = ({ index, state }: { readonly index: number; readonly state: SceneState }): void => {
    states[index] = state
    if (!progress)
      printLine(stderr, `${seconds(state.endedAt - startedAt).padStart(5)} s  ${state.name}  ${state.note}`)
  }
  const playing = from(SCENES).pipe(
    mergeMap((scene, index) => {
      const task = recaptchaV2({ websiteURL: `https://example.com/${index + 1}`, websiteKey: 'demo-site-key' })
      const first = startOf(scene, index, scheduler.now())
      return solveWithProgress(task).pipe(
        scan(nextSceneState, first),
        startWith(first),
        map((state) => ({ index, state }))
      )
    }, CONCURRENCY),
    tap(show)
  )
  try {
    await lastValueFrom(playing)
    return states
  } finally {
    progress?.close()
    printLine(stderr, '')
  }
}
