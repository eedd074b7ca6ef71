import { asyncScheduler, firstValueFrom, type Observable, type Subscription } from 'rxjs'
import { createSolver, recaptchaV2, type Solver, type SolverOptions } from 'rx-captcha'
import { EMULATOR_KEY } from 'rx-captcha/emulator'

export const aSpec = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: '6Le-wvkSAAAAAPBMRTvw0Q4' })

/** The one value of a solve. */
export const outcome = <T>(solving: Observable<T>): Promise<T> => firstValueFrom(solving)

/** Creates solvers that poll every millisecond, and closes them after each test. */
export const solvers = () => {
  const open: Solver[] = []
  afterEach(() => Promise.all(open.splice(0).map((solver) => solver.close())))
  return (options: Partial<SolverOptions>): Solver => {
    const solver = createSolver({ clientKey: EMULATOR_KEY, pollEveryMs: 1, ...options })
    open.push(solver)
    return solver
  }
}

/** How many times faster than the real clock that of {@link hurried} runs by default. */
export const SPEED = 200
const VERY_LONG_MS = 2_000_000_000

/** A fast clock, so that a pause of seconds takes milliseconds, and limits that are out of reach. */
export const hurried = (speed = SPEED): Partial<SolverOptions> => {
  const start = Date.now()
  const schedule = <T>(work: Parameters<typeof asyncScheduler.schedule<T>>[0], ms = 0, state?: T): Subscription =>
    asyncScheduler.schedule(work, ms / speed, state)
  return {
    scheduler: { now: () => start + (Date.now() - start) * speed, schedule },
    giveUpAfterMs: VERY_LONG_MS,
    createTimeoutMs: VERY_LONG_MS,
    resultTimeoutMs: VERY_LONG_MS
  }
}

/** The sockets and timers that keep the process alive. */
export const handles = (): ReadonlyArray<string> =>
  process.getActiveResourcesInfo().filter((name) => ['TCPSocketWrap', 'Timeout'].includes(name))
