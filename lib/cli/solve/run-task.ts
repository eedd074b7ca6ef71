import * as E from 'fp-ts/lib/Either.js'
import { filter, lastValueFrom, map, skip, take, tap, type Observable } from 'rxjs'
import type { Orphan, TaskEvent } from '../../core/model/event.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { SolveResult } from '../../core/model/result.js'
import type { Solver } from '../../core/solver.js'
import { createSolver } from '../../http/create-solver.js'
import { closeSolver } from '../shared/close-solver.js'
import { printLine, signalStream, type CliContext } from '../shared/context.js'
import { exitCodeOfSignal } from '../shared/exit-code.js'
import { assumedText } from '../shared/explain.js'
import { DELAY_REASONS, canDraw, drawProgress } from '../shared/progress.js'
import type { OpenedService } from '../shared/service.js'
import { counted } from '../shared/text.js'
import { report, type ReportOptions } from './report.js'

type Events = Observable<TaskEvent<RecaptchaV2Solution>>

/** Runs one task to its end, or until the user interrupts it; prints its outcome and returns the exit code. */
export const runTask = async (
  context: CliContext,
  service: OpenedService,
  options: Pick<ReportOptions, 'json' | 'isResumed'>,
  start: (solver: Solver) => Events
): Promise<number> => {
  const { stderr } = context
  const solver = createSolver(service.options)
  const line = statusLine(context)
  let assumed = 0
  const onEvent = (event: TaskEvent<unknown>) => {
    if (event._tag === 'AssumedNotCreated') assumed += 1
    line.show(event)
  }
  const { signals, first, stop } = signalStream(context)
  signals.pipe(take(1)).subscribe(() => {
    line.close()
    void solver.close()
  })
  try {
    const result = await outcomeOf(start(solver), onEvent)
    line.close()
    const leftOpen = await closeSolver(solver, stderr, signals.pipe(skip(first() === undefined ? 0 : 1)))
    // The explanation of a `Refused` mentions the assumed refusal already.
    if (E.isRight(result) || result.left._tag !== 'Refused')
      for (const text of assumedText(assumed)) printLine(stderr, text)
    const code = await report(context, { ...options, service }, withLateId(result, leftOpen))
    const signal = first()
    return signal !== undefined && E.isLeft(result) ? exitCodeOfSignal(signal) : code
  } finally {
    line.close()
    stop()
  }
}

const outcomeOf = (
  events: Events,
  onEvent: (event: TaskEvent<unknown>) => void
): Promise<SolveResult<RecaptchaV2Solution>> =>
  lastValueFrom(
    events.pipe(
      tap((event) => {
        onEvent(event)
      }),
      filter((event) => event._tag === 'Settled'),
      map(({ result }) => result)
    )
  )

/** If the id arrived too late for the outcome, the task can still be resumed. */
const withLateId = (
  result: SolveResult<RecaptchaV2Solution>,
  [orphan]: ReadonlyArray<Orphan>
): SolveResult<RecaptchaV2Solution> =>
  E.isLeft(result) && result.left._tag === 'CreateUnknown' && orphan
    ? E.left({ _tag: 'Interrupted', paid: 'yes', ref: orphan.ref })
    : result

interface StatusLine {
  readonly show: (event: TaskEvent<unknown>) => void
  readonly close: () => void
}

/** One line about the task on a terminal, erased at the end; nothing elsewhere. */
const statusLine = ({ stderr, env }: CliContext): StatusLine => {
  if (!canDraw(stderr, env)) return { show: () => undefined, close: () => undefined }
  const startedAt = performance.now()
  let [task, polls, note] = ['creating a task', 0, '']
  const row = () => {
    const elapsed = `${Math.round((performance.now() - startedAt) / 1_000)} s`
    // The id comes last, because a narrow terminal cuts the line off.
    return { text: [counted(polls, 'poll'), elapsed, note, task].filter((part) => part !== '').join(' · ') }
  }
  const { close } = drawProgress(stderr, () => [row()])
  const show = (event: TaskEvent<unknown>): void => {
    if (event._tag === 'Created') [task, note] = [event.ref.taskId, '']
    if (event._tag === 'Polled') [task, polls, note] = [event.ref.taskId, event.polls, '']
    if (event._tag === 'Delayed') note = `${DELAY_REASONS[event.reason]}, wait ${Math.ceil(event.waitMs / 1_000)} s`
  }
  return { show, close }
}
