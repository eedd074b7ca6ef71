import * as E from 'fp-ts/lib/Either.js'
import { NEVER, connect, lastValueFrom, map, mergeMap, range, takeUntil, tap, type Observable } from 'rxjs'
import { createSolver, recaptchaV2, type SolverOptions, type TaskEvent } from 'rx-captcha'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'

export interface LoadOptions extends Partial<SolverOptions> {
  readonly count: number
  readonly concurrency: number
  /** Emits when the caller of these events unsubscribes; by default no caller does. */
  readonly unsubscribeWhen?: (events: Observable<TaskEvent<unknown>>) => Observable<unknown>
  /** Called once no task is active and the solver is still open. */
  readonly beforeClose?: () => void
}

/** The outcomes of all solves, and where they differ from what the emulator counted. */
export interface LoadReport {
  readonly outcomes: Readonly<Record<string, number>>
  readonly orphans: number
  readonly violations: ReadonlyArray<string>
}

/** Solves `count` tasks, `concurrency` of them concurrently, with one solver, and closes it. */
export const runLoad = async (emulator: Emulator, loadOptions: LoadOptions): Promise<LoadReport> => {
  const { count, concurrency, unsubscribeWhen = () => NEVER, beforeClose, ...options } = loadOptions
  const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, ...options })
  const seen = new SeenOutcomes()
  solver.orphans.subscribe(({ ref }) => seen.orphans.add(ref.taskId))
  const solving = range(0, count).pipe(
    map((nth) => `caller-${nth}`),
    mergeMap((websiteKey) => {
      const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey })
      const events = solver.solveWithProgress(task).pipe(tap((event) => seen.add(websiteKey, event)))
      return events.pipe(connect((shared) => shared.pipe(takeUntil(unsubscribeWhen(shared)))))
    }, concurrency)
  )
  await lastValueFrom(solving, { defaultValue: undefined })
  beforeClose?.()
  for (const { ref } of await solver.close()) seen.orphans.add(ref.taskId)
  return { outcomes: seen.outcomes, orphans: seen.orphans.size, violations: seen.compareWith(emulator) }
}

/** What one solver emitted about its tasks. Each caller has a site key of its own. */
class SeenOutcomes {
  readonly outcomes: Record<string, number> = {}
  readonly orphans = new Set<string>()
  readonly #ids = new Set<string>()
  readonly #callersWithUnknown: string[] = []

  add(caller: string, event: TaskEvent<unknown>): void {
    if (event._tag !== 'Settled') return
    const { result } = event
    const tag = E.isRight(result) ? 'Solved' : result.left._tag
    this.outcomes[tag] = (this.outcomes[tag] ?? 0) + 1
    if (tag === 'CreateUnknown') this.#callersWithUnknown.push(caller)
    if (E.isRight(result)) this.#ids.add(result.right.ref.taskId)
    else if ('ref' in result.left) this.#ids.add(result.left.ref.taskId)
  }

  /** Every task whose id was sent is in an outcome or an orphan, no caller paid twice, and every CreateUnknown has a cause. */
  compareWith(emulator: Emulator): ReadonlyArray<string> {
    const [paid, withoutReply, violations] = [new Set<string>(), new Set<string>(), new Array<string>()]
    for (const { taskId, replySent, task } of emulator.tasks()) {
      const caller = String(task.websiteKey)
      if (paid.has(caller)) violations.push(`${caller} was billed twice`)
      paid.add(caller)
      if (!replySent) withoutReply.add(caller)
      else if (!this.#ids.has(taskId) && !this.orphans.has(taskId)) violations.push(`${caller}: task ${taskId} is lost`)
    }
    const unexplained = this.#callersWithUnknown.filter((caller) => !withoutReply.has(caller))
    return [...violations, ...unexplained.map((caller) => `${caller}: ${LOST_WITHOUT_FAULT}`)]
  }
}

export const LOST_WITHOUT_FAULT = 'its createTask was lost without a fault'
