import * as E from 'fp-ts/lib/Either.js'
import type { Refused, SolveError } from '../../core/model/error.js'
import type { SolverEvent } from '../../core/model/event.js'
import type { Solved, TaskRef } from '../../core/model/task.js'
import { EXIT, exitOf } from '../shared/exit-code.js'
import { standOf } from './output.js'
import { Spread } from './spread.js'

const MOST_LINES = 5

/** What failed alike. */
export interface Failures {
  count: number
  /** Where in the input, the first few. */
  readonly lines: number[]
}

/** All that is counted of a batch, in memory that does not grow with it. */
export class Tally {
  taken = 0
  solved = 0
  failed = 0
  /** Tasks created in this run. */
  paid = 0
  perhaps = 0
  /** Items that the journal or the output knows to be done. */
  done = 0
  /** Items whose id was there before in the same input. */
  repeated = 0
  worstExit: number = EXIT.solved
  readonly failures = new Map<string, Failures>()
  readonly times = new Spread()
  /** Paid tasks that are not ended, and that no line tells of. */
  readonly untold: TaskRef[] = []
  /** Tasks that are paid for and may still end. */
  open = 0
  /** Outcomes that could not be written. */
  unwritten = 0
  /** Why the account cannot be used. */
  account: Refused | undefined
  #skipped = 0

  constructor(readonly startedAt: number) {}

  get inFlight(): number {
    return this.taken - this.solved - this.failed - this.#skipped
  }

  /** All that is over, in this run or before. */
  get over(): number {
    return this.solved + this.failed + this.done + this.repeated
  }

  hear({ _tag }: SolverEvent): void {
    if (_tag === 'Created') this.paid += 1
    if (_tag !== 'Skipped') return
    this.#skipped += 1
    this.done += 1
  }

  count(result: E.Either<SolveError, Solved<unknown>>, line: number): void {
    if (E.isLeft(result)) this.#fail(result.left, line)
    else {
      this.solved += 1
      const { ref, readyAt } = result.right
      // How long a task of an earlier run waited for this one says nothing of the service.
      if (ref.createdAt >= this.startedAt) this.times.add(readyAt - ref.createdAt)
    }
  }

  #fail(error: SolveError, line: number): void {
    this.failed += 1
    this.worstExit = Math.max(this.worstExit, error._tag === 'InvalidTask' ? EXIT.unpaid : exitOf(error))
    if (error.paid === 'unknown') this.perhaps += 1
    if (standOf(error).taskId !== undefined) this.open += 1
    if (error._tag === 'Refused' && error.kind === 'account') this.account ??= error
    const why = 'errorCode' in error ? error.errorCode : 'reason' in error ? error.reason : ''
    const name = [error._tag, why].filter(Boolean).join(' ')
    const alike = this.failures.get(name) ?? { count: 0, lines: [] }
    alike.count += 1
    if (alike.lines.length < MOST_LINES) alike.lines.push(line)
    this.failures.set(name, alike)
  }
}
