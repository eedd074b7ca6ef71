import { randomUUID } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import { defer, lastValueFrom } from 'rxjs'
import type { SolveError } from '../../core/model/error.js'
import { decodeSafely } from '../../core/validation/problems.js'
import type { Resumable, Solved, TaskRef } from '../../core/model/task.js'
import type { QueueLike } from '../ports.js'
import { retryRedis, type Records } from '../record/records.js'
import type { JobFailed, TokenGone } from './job-error.js'

/**
 * How the job of a key ended, for its producer.
 *
 * @since 0.1.0
 */
export type JobOutcome<A> = E.Either<SolveError | TokenGone | JobFailed, Solved<A>>

/** The reply to a claim may be lost. The same claimant can claim the token again for this long, which exceeds all retries. */
const CLAIM_HELD_MS = 90_000

/** Reads the outcome of one job, and claims its token. */
export class JobResult<A> {
  readonly #context: ResultContext<A>
  readonly #jobId: string
  readonly #claimant = randomUUID()
  #goneSince: number | undefined
  #requests = 0

  constructor(context: ResultContext<A>, jobId: string) {
    this.#context = context
    this.#jobId = jobId
  }

  /** Requests a look at the record. A {@link JobResult.take} that is running then looks once more. */
  request(): void {
    this.#requests += 1
  }

  /** The outcome, or nothing while it is not final. A token is handed out once, to the first who asks. */
  async take(): Promise<JobOutcome<A> | undefined> {
    const requests = this.#requests
    const outcome = await this.#look()
    return outcome ?? (this.#requests === requests ? undefined : this.take())
  }

  /** BullMQ's state is read first: if it is final, so is the record that is read after it. */
  async #look(): Promise<JobOutcome<A> | undefined> {
    const { queue, records } = this.#context
    const jobState = await this.#retried(() => queue.getJobState(this.#jobId))
    const askedAt = Date.now()
    const fields = await records.fields('claim', this.#jobId, this.#claimant, CLAIM_HELD_MS)
    const [state, error, ref, solved, validMs] = fields
    if (solved !== undefined) {
      // If this fails, the token expires by itself.
      records.number('claimed', this.#jobId, this.#claimant).catch(() => undefined)
      return this.#readSolved(JSON.parse(solved) as Solved<unknown>, askedAt + Number(validMs))
    }
    if (state === 'finished' && error === undefined)
      return E.left({ _tag: 'TokenGone', paid: 'yes', ref: parsed(ref) as TaskRef })
    if (!this.#isOver(jobState, state)) return undefined
    if (error !== undefined) return E.left(parsed(error) as SolveError)
    const reason = jobState === 'failed' ? await this.#failedReason() : LOST
    return E.left({ _tag: 'JobFailed', reason, ...paidBy(state, ref) })
  }

  /** Whether the job is over is up to BullMQ, because a job that is tried again has failed before. */
  #isOver(jobState: string, state: string | undefined): boolean {
    const isGone = jobState === 'unknown' || jobState === 'completed'
    if (!isGone) this.#goneSince = undefined
    return jobState === 'failed' || (isGone && (state === 'finished' || this.#isLost()))
  }

  /** A Redis that lost the job may still get its outcome, from the worker that holds it. */
  #isLost(): boolean {
    const now = performance.now()
    this.#goneSince ??= now
    return now - this.#goneSince >= this.#context.lostAfterMs
  }

  async #failedReason(): Promise<string> {
    const job = await this.#retried(() => this.#context.queue.getJob(this.#jobId))
    return job?.failedReason ?? ''
  }

  #retried<R>(read: () => Promise<R>): Promise<R> {
    return lastValueFrom(defer(read).pipe(retryRedis()))
  }

  #readSolved(solved: Solved<unknown>, expiresAt: number): JobOutcome<A> {
    const solution = decodeSafely('solution', () => this.#context.kind.solution.decode(solved.solution))
    if (E.isRight(solution)) return E.right({ ...solved, ...onThisClock(solved, expiresAt), solution: solution.right })
    const problems = solution.left.map((problem) => `solution: ${problem}`)
    return E.left({ _tag: 'BadReply', paid: 'yes', ref: solved.ref, status: 200, problems, excerpt: '' })
  }
}

/** What the results of all jobs of a producer have in common. */
export interface ResultContext<A> {
  readonly queue: QueueLike
  readonly records: Records
  readonly kind: Resumable<A>
  /** How long a job must be missing from the queue before it counts as lost. */
  readonly lostAfterMs: number
}

const LOST = 'the queue does not know the job any more, or it completed so long ago that its record has expired'

type Paid = Pick<JobFailed, 'paid' | 'ref'>

const paidBy = (state: string | undefined, ref: string | undefined): Paid =>
  ref === undefined ? { paid: state === 'fresh' ? 'no' : 'unknown' } : { paid: 'yes', ref: parsed(ref) as TaskRef }

/** The instants of a token on the clock of this process, which may differ from that of the worker. They are never too late. */
const onThisClock = ({ useBefore, expiresAt }: Solved<unknown>, expiresHere: number) =>
  expiresAt === undefined
    ? {}
    : {
        expiresAt: expiresHere,
        ...(useBefore !== undefined && { useBefore: expiresHere - (expiresAt - useBefore) })
      }

// The scripts return only what this folder has written.
const parsed = (json: string | undefined): unknown => JSON.parse(String(json))
