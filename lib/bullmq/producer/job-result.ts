import { randomUUID } from 'node:crypto'
import * as E from 'fp-ts/lib/Either.js'
import { EMPTY, Observable, concat, defer, exhaustMap, filter, lastValueFrom, of, take } from 'rxjs'
import type { SolveError } from '../../core/model/error.js'
import { decodeSafely } from '../../core/validation/problems.js'
import type { Resumable, Solved, TaskRef } from '../../core/model/task.js'
import type { QueueLike } from '../ports.js'
import { retryRedis, type Records, type ScriptFields } from '../record/records.js'
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

  /** Emits the outcome, or completes without one while it is not final. A token is handed out once, to the first who asks. */
  take(): Observable<JobOutcome<A>> {
    return defer(() => {
      const requests = this.#requests
      const again = defer(() => (this.#requests === requests ? EMPTY : this.take()))
      return concat(this.#look(), again).pipe(take(1))
    })
  }

  /** BullMQ's state is read first: if it is final, so is the record that is read after it. */
  #look(): Observable<JobOutcome<A>> {
    return defer(() => this.#context.queue.getJobState(this.#jobId)).pipe(
      retryRedis(),
      exhaustMap((jobState) =>
        this.#claim().pipe(
          exhaustMap(({ fields, outcome }) => (outcome ? of(outcome) : this.#readRecord(jobState, fields)))
        )
      ),
      filter((outcome) => outcome !== undefined)
    )
  }

  /** Claims the token. Deletes it after it is emitted; gives it back if the subscriber has left or the kind cannot decode it. */
  #claim(): Observable<ClaimReply<A>> {
    return new Observable((subscriber) => {
      const askedAt = Date.now()
      const { records } = this.#context
      let isSettled = false
      records
        .claim(this.#jobId, this.#claimant, CLAIM_HELD_MS, () => !subscriber.closed)
        .then(
          (fields) => {
            isSettled = true
            const isLate = subscriber.closed
            const outcome = this.#readToken(fields, askedAt)
            subscriber.next({ fields, outcome })
            subscriber.complete()
            if (outcome) this.#endClaim(isLate || E.isLeft(outcome) ? 'unclaim' : 'claimed')
          },
          (error: unknown) => {
            isSettled = true
            subscriber.error(error)
            // An earlier attempt may have claimed it.
            this.#endClaim('unclaim')
          }
        )
      return () => {
        // At once, behind the claim on the same connection, because the program may close the queue before the reply arrives.
        if (!isSettled) this.#endClaim('unclaim')
      }
    })
  }

  /** If this fails, the token expires by itself. */
  #endClaim(script: 'claimed' | 'unclaim'): void {
    this.#context.records.endClaim(script, this.#jobId, this.#claimant).catch(() => undefined)
  }

  async #readRecord(jobState: string, [state, error, ref]: ScriptFields): Promise<JobOutcome<A> | undefined> {
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
    const job = await lastValueFrom(defer(() => this.#context.queue.getJob(this.#jobId)).pipe(retryRedis()))
    return job?.failedReason ?? ''
  }

  #readToken([, , , json, validMs]: ScriptFields, askedAt: number): JobOutcome<A> | undefined {
    if (json === undefined) return undefined
    const solved = parsed(json) as Solved<unknown>
    const expiresAt = askedAt + Number(validMs)
    const solution = decodeSafely('solution', () => this.#context.kind.solution.decode(solved.solution))
    if (E.isRight(solution)) return E.right({ ...solved, ...onThisClock(solved, expiresAt), solution: solution.right })
    const problems = [...solution.left.map((problem) => `solution: ${problem}`), UNDECODED]
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

/** The reply to a claim, and the outcome if there was a token. */
interface ClaimReply<A> {
  readonly fields: ScriptFields
  readonly outcome: JobOutcome<A> | undefined
}

const UNDECODED =
  'kind: expected one that decodes the solution that the worker has decoded and stored as JSON. The token was given back: submit the same ' +
  'key again with such a kind'

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
