import * as E from 'fp-ts/lib/Either.js'
import { filter, firstValueFrom, from, lastValueFrom, map, merge, race, skip, take, takeUntil, tap, timer } from 'rxjs'
import type { Observable } from 'rxjs'
import type { SolveError } from '../../core/model/error.js'
import type { Orphan, TaskEvent } from '../../core/model/event.js'
import type { Solver } from '../../core/solver.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solved } from '../../core/model/task.js'
import { exitOfSignal } from '../shared/exit-code.js'
import { openLine } from '../shared/progress.js'
import { report, type Reporting } from './report.js'
import type { Service } from '../shared/service.js'
import { hear, tell, type Output, type World } from '../shared/context.js'
import { createSolver } from '../../http/create-solver.js'

type Token = Solved<RecaptchaV2Solution>
type Result = E.Either<SolveError, Token>
type Events = Observable<TaskEvent<RecaptchaV2Solution>>

/** When waiting for a late answer is worth a word. */
const PATIENCE_MS = 300

const WAITING = 'createTask has left: its answer is waited for, at most 25 s. Ctrl-C stops at once.'

/** Ends the solver; a createTask that has left is read to its end, unless the user wants to go now. */
export const closed = (solver: Solver, stderr: Output, forced: Observable<unknown>) => {
  const closing = from(solver.close())
  const over = merge(closing, forced).pipe(take(1))
  timer(PATIENCE_MS)
    .pipe(takeUntil(over))
    .subscribe(() => {
      tell(stderr, WAITING)
    })
  return firstValueFrom(race(closing, forced.pipe(map((): ReadonlyArray<Orphan> => []))))
}

/** A task whose id came too late for the outcome is known all the same, and so it can be resumed. */
const withLateId = (result: Result, [orphan]: ReadonlyArray<Orphan>): Result =>
  E.isLeft(result) && result.left._tag === 'CreateUnknown' && orphan
    ? E.left({ _tag: 'Interrupted', paid: 'yes', ref: orphan.ref })
    : result

const settled = (events: Events, show: (event: TaskEvent<unknown>) => void): Promise<Result> =>
  lastValueFrom(
    events.pipe(
      tap((event) => {
        show(event)
      }),
      filter((event) => event._tag === 'Settled'),
      map(({ result }) => result)
    )
  )

/** Runs one task to its end, or to the user's; prints its outcome. */
export const runTask = async (
  world: World,
  service: Service,
  reporting: Pick<Reporting, 'json' | 'createdAt'>,
  begin: (solver: Solver) => Events
): Promise<number> => {
  const { stderr } = world
  const solver = createSolver(service.options)
  const line = openLine(stderr)
  const { heard, stop } = hear(world.signals)
  let signal: NodeJS.Signals | undefined
  heard.pipe(take(1)).subscribe((first) => {
    signal = first
    line.clear()
    void solver.close()
  })
  try {
    const result = await settled(begin(solver), line.show)
    line.clear()
    const left = await closed(solver, stderr, heard.pipe(skip(signal === undefined ? 0 : 1)))
    const code = await report(world, { ...reporting, ...service }, withLateId(result, left))
    return signal !== undefined && E.isLeft(result) ? exitOfSignal(signal) : code
  } finally {
    line.clear()
    stop()
  }
}
