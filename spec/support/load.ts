import * as E from 'fp-ts/lib/Either.js'
import { NEVER, connect, lastValueFrom, map, mergeMap, range, takeUntil, tap, type Observable } from 'rxjs'
import { createSolver, recaptchaV2, type SolverOptions, type TaskEvent } from 'rx-captcha'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'

export interface RushOptions extends Partial<SolverOptions> {
  readonly count: number
  readonly concurrency: number
  /** Emits when a caller leaves, who hears these events; without it nobody does. */
  readonly leaveWhen?: (events: Observable<TaskEvent<unknown>>) => Observable<unknown>
  /** Looks at what is left while the solver is open, and nobody uses it any more. */
  readonly beforeClose?: () => void
}

/** What a rush of solves came to, and where the client's knowledge and the emulator's books differ. */
export interface Rush {
  readonly outcomes: Readonly<Record<string, number>>
  readonly orphans: number
  readonly broken: ReadonlyArray<string>
}

/** Everything that one solver told of its tasks. */
class Heard {
  readonly outcomes: Record<string, number> = {}
  readonly ids = new Set<string>()
  readonly orphans = new Set<string>()
  readonly #lostBuyers: string[] = []

  hear(buyer: string, event: TaskEvent<unknown>): void {
    if (event._tag !== 'Settled') return
    const { result } = event
    const tag = E.isRight(result) ? 'Solved' : result.left._tag
    this.outcomes[tag] = (this.outcomes[tag] ?? 0) + 1
    if (tag === 'CreateUnknown') this.#lostBuyers.push(buyer)
    if (E.isRight(result)) this.ids.add(result.right.ref.taskId)
    else if ('ref' in result.left) this.ids.add(result.left.ref.taskId)
  }

  /** Holds it against the books: of each task that was answered somebody knows, none was bought twice, none got lost. */
  compare(emulator: Emulator): ReadonlyArray<string> {
    const [buyers, brokenOff, broken] = [new Set<string>(), new Set<string>(), new Array<string>()]
    for (const { taskId, answered, task } of emulator.tasks()) {
      const buyer = String(task.websiteKey)
      if (buyers.has(buyer)) broken.push(`${buyer} was billed twice`)
      buyers.add(buyer)
      if (!answered) brokenOff.add(buyer)
      else if (!this.ids.has(taskId) && !this.orphans.has(taskId)) broken.push(`${buyer}: ${taskId} is forgotten`)
    }
    const lost = this.#lostBuyers.filter((buyer) => !brokenOff.has(buyer))
    return [...broken, ...lost.map((buyer) => `${buyer}: its createTask got lost, and no fault did it`)]
  }
}

/** Solves `count` tasks, `concurrency` at a time, by one solver that is closed then. */
export const rush = async (emulator: Emulator, rushOptions: RushOptions): Promise<Rush> => {
  const { count, concurrency, leaveWhen = () => NEVER, beforeClose, ...options } = rushOptions
  const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, ...options })
  const heard = new Heard()
  solver.orphans.subscribe(({ ref }) => heard.orphans.add(ref.taskId))
  const solving = range(0, count).pipe(
    map((nth) => `buyer-${nth}`),
    mergeMap((websiteKey) => {
      const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey })
      const events = solver.solveWithProgress(task).pipe(tap((event) => heard.hear(websiteKey, event)))
      return events.pipe(connect((shared) => shared.pipe(takeUntil(leaveWhen(shared)))))
    }, concurrency)
  )
  await lastValueFrom(solving, { defaultValue: undefined })
  beforeClose?.()
  for (const { ref } of await solver.close()) heard.orphans.add(ref.taskId)
  return { outcomes: heard.outcomes, orphans: heard.orphans.size, broken: heard.compare(emulator) }
}
