import { firstValueFrom, from, map, merge, race, take, takeUntil, timer, type Observable } from 'rxjs'
import type { Orphan } from '../../core/model/event.js'
import type { Solver } from '../../core/solver.js'
import { printLine, type OutputStream } from './context.js'

/** After which time the wait for a createTask reply is explained. */
const QUIET_MS = 300

const WAITING =
  'Waiting for the createTask reply, which may hold a paid task id, at most 25 s. Press Ctrl-C to stop now.'

/** Closes a solver and resolves with what it left open; when `forced` emits, at once and with nothing. */
export const closeSolver = (
  solver: Solver,
  stderr: OutputStream,
  forced: Observable<unknown>
): Promise<ReadonlyArray<Orphan>> => {
  const closing = from(solver.close())
  timer(QUIET_MS)
    .pipe(takeUntil(merge(closing, forced).pipe(take(1))))
    .subscribe(() => {
      printLine(stderr, WAITING)
    })
  return firstValueFrom(race(closing, forced.pipe(map((): ReadonlyArray<Orphan> => []))))
}
