import { firstValueFrom } from 'rxjs'
import type { Solver } from '../../core/solver.js'
import { leaving } from './report.js'
import { openProgress, type Progress } from './progress.js'
import { Run, type Orders } from './solve-items.js'
import { closed } from '../solve/run-task.js'
import { hear, type World } from '../shared/context.js'
import { createSolver } from '../../http/create-solver.js'

const STOPPING = 'No more is taken; what is open is finished. Ctrl-C once more stops at once.'

const listen = (run: Run, world: World, solver: Solver, progress: Progress) => {
  const { wishes } = run
  const { heard, stop } = hear(world.signals)
  heard.subscribe((signal) => {
    wishes.hear(signal)
    if (wishes.isPatient) progress.note(STOPPING)
  })
  wishes.stopNow.subscribe(() => void solver.close())
  return stop
}

/** Waits for the run, but not beyond the user's patience; gives what went wrong with it as a whole. */
const failureOf = (run: Run, left: Promise<unknown>): Promise<unknown> =>
  Promise.race([
    run.solve().then(
      () => undefined,
      (error: unknown) => error
    ),
    left
  ])

/** Solves all items of the input, and gives the exit code. */
export const runBatch = async (world: World, orders: Orders): Promise<number> => {
  const solver = createSolver({ ...orders.options, scheduler: orders.scheduler })
  const run = new Run(orders, solver)
  const { tally, wishes } = run
  const progress = openProgress(world.stderr, tally, orders.places.input.total, orders.scheduler)
  const stop = listen(run, world, solver, progress)
  try {
    const left = firstValueFrom(wishes.leave)
    const failure = await failureOf(run, left)
    progress.close()
    await closed(solver, world.stderr, wishes.leave)
    await Promise.race([run.written(), left])
    return leaving(world, orders, { tally, failure, signal: wishes.signal, isExhausted: run.isExhausted })
  } finally {
    progress.close()
    stop()
  }
}
