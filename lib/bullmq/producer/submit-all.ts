import {
  NEVER,
  asyncScheduler,
  concat,
  defer,
  exhaustMap,
  from,
  ignoreElements,
  interval,
  map,
  merge,
  of,
  share,
  take,
  tap,
  type Observable,
  type ObservableInput
} from 'rxjs'
import { ItemSource } from '../../core/model/batch.js'
import { causeOf } from '../../core/model/network.js'
import { MAX_TASKS, checkOptions, durationFrom, integerBetween, isFunction } from '../../core/model/options.js'
import { isRecord, optional, refined } from '../../core/validation/problems.js'
import { isDecoder, type Resumable } from '../../core/model/task.js'
import { pullMergeMap } from '../../core/rx/pull-merge-map.js'
import { JobEnds } from './job-ends.js'
import type { QueueEventsLike, QueueLike } from '../ports.js'
import { Queue, Records, retryRedis } from '../record/records.js'
import { JobResult, type JobOutcome } from './job-result.js'

/**
 * How {@link submitAll} submits items.
 *
 * @since 0.1.0
 */
export interface SubmitOptions<T, D, A> {
  /** The queue that the jobs are added to, with `defaultJobOptions: taskJobOptions`. */
  readonly queue: QueueLike
  /** A `QueueEvents` of BullMQ for the same queue. */
  readonly events: QueueEventsLike
  /**
   * The kind of the tasks: `recaptchaV2`. The worker stores the decoded solution as JSON, and this kind decodes it again, so it has to
   * accept what it has decoded. A kind that makes a `Date` of a text needs one for the producer that leaves the text as it is. A token
   * that it refuses ends as `BadReply` and is not used up: the same key gets it again with a kind that accepts it.
   */
  readonly kind: Resumable<A>
  /** The key of an item: the same in every run, different for every item, and no secret. A key is solved once. */
  readonly keyOf: (item: T) => string
  /** The data of its job, for the `toTask` of the processor. It is stored in Redis. */
  readonly toData: (item: T) => D
  /** How many items may be without an outcome at a time, from 1 to 1,000,000. @defaultValue 1_000 */
  readonly concurrency?: number | undefined
  /** Submit no more items when it emits; the outcomes of submitted ones are awaited. @defaultValue never */
  readonly until?: ObservableInput<unknown> | undefined
  /**
   * How often jobs without an outcome are looked up, in milliseconds, in case an event was missed while Redis could not be
   * reached. @defaultValue 10_000
   */
  readonly checkEveryMs?: number | undefined
  /**
   * How long a job must be missing from the queue before it ends as `JobFailed`, in milliseconds. A worker may still hold a job
   * that Redis has lost, and deliver its outcome. @defaultValue 330_000, longer than a solve
   */
  readonly lostAfterMs?: number | undefined
}

/**
 * The outcome of one item of {@link submitAll}.
 *
 * @since 0.1.0
 */
export interface SubmitOutcome<T, A> {
  readonly index: number
  readonly item: T
  readonly key: string
  readonly result: JobOutcome<A>
}

/**
 * Adds a job for each item to a BullMQ queue, and emits one outcome for each, in the order in which they end.
 *
 * Items of an iterable are pulled only when there is room, as by `solveAll`. The job of a key is added once: a key that is in the
 * queue already, from another producer or an earlier run, is awaited, and one that has ended gives the outcome that
 * is still recorded. So a producer that crashed can run again with the same items. Unsubscribing leaves the jobs in the queue. A job
 * that failed for good gives its error again until you retry it, even if nothing was paid.
 *
 * A token is claimed when its job completes, and deleted once its outcome was emitted. One that was claimed and not emitted, because
 * of an unsubscription, is given back for the next run. Between the two, another producer with the same key gets `TokenGone`.
 * `useBefore` and `expiresAt` are instants of this process, whatever the clocks of the workers say.
 *
 * @returns errors only if a command to Redis fails eleven times within about a minute, if `keyOf` or `toData` throws, or at once for
 *  data that JSON cannot hold
 * @throws InvalidOptions at once, for options out of bounds
 * @since 0.1.0
 */
export const submitAll = <T, D, A>(
  items: ObservableInput<T>,
  options: SubmitOptions<T, D, A>
): Observable<SubmitOutcome<T, A>> => {
  checkOptions({ items: ItemSource }, { items })
  const {
    queue,
    events,
    kind,
    keyOf,
    toData,
    concurrency = 1_000,
    until,
    checkEveryMs = 10_000,
    lostAfterMs = 330_000
  } = checkOptions<SubmitOptions<T, D, A>>(submitOptionCodecs, options)
  return defer(() => {
    const ends = JobEnds.from(events)
    const checks = interval(checkEveryMs).pipe(
      map(() => undefined),
      share()
    )
    const context = { queue, records: new Records(queue), kind, lostAfterMs }
    const submit = (item: T, index: number): Observable<SubmitOutcome<T, A>> =>
      defer(() => {
        const key = keyOf(item)
        const jobId = jobIdOf(key)
        const data = storable(key, toData(item))
        // BullMQ ignores a job whose id it has, so it may be added again.
        const add = defer(() => queue.add(JOB_NAME, data as never, { jobId })).pipe(retryRedis(), ignoreElements())
        const job = new JobResult(context, jobId)
        // At once, because it may have ended before; when BullMQ reports it; and from time to time, in case its event was lost.
        const outcome = takeOutcome(job, merge(of(undefined), ends.of(jobId), checks))
        return concat(add, outcome.pipe(map((result) => ({ index, item, key, result }))))
      })
    return pullMergeMap(items, submit, { concurrency, scheduler: asyncScheduler, takeUntil: from(until ?? NEVER) })
  })
}

/**
 * The id of the job of a key. BullMQ refuses an id that has a colon or is a number, and both are common in keys. Different keys have
 * different ids, also those that are not well-formed Unicode.
 *
 * @throws TypeError for a key that is not a string, or is empty
 * @since 0.1.0
 */
export const jobIdOf = (key: string): string => {
  if (typeof key !== 'string' || key === '') throw new TypeError('keyOf: expected a string that is not empty')
  return `task-${key.replace(WELL_FORMED_OR_LONE, (part, lone?: string) => (lone ? escapedLone(lone) : encodeURIComponent(part)))}`
}

// With the flag u, a class of surrogates matches only those without a partner, for which encodeURIComponent throws.
const WELL_FORMED_OR_LONE = /([\ud800-\udfff])|[^\ud800-\udfff]+/gu

/** No percent sign of encodeURIComponent stands before a `u`. */
const escapedLone = (lone: string): string => `%u${lone.charCodeAt(0).toString(16).toUpperCase()}`

/** Throws for data that JSON cannot hold. BullMQ would throw as well, but its errors look like those of Redis and are tried again. */
const storable = <D>(key: string, data: D): D => {
  try {
    JSON.stringify(data)
    return data
  } catch (error) {
    const text = `toData: JSON cannot hold the data for the key ${JSON.stringify(key)}: ${causeOf(error).message}`
    throw new TypeError(text, { cause: error })
  }
}

/** Looks for the outcome of a job whenever the source emits; two looks never overlap. */
const takeOutcome = <A>(job: JobResult<A>, looks: Observable<void>): Observable<JobOutcome<A>> =>
  looks.pipe(
    tap(() => {
      job.request()
    }),
    exhaustMap(() => job.take()),
    take(1)
  )

const JOB_NAME = 'solve'

const QueueEvents = refined(
  'a QueueEvents of BullMQ',
  (value): value is QueueEventsLike => typeof value === 'object' && value !== null && 'on' in value && 'off' in value
)

const Kind = refined(
  'a kind of task, such as recaptchaV2',
  (value): value is Resumable<unknown> =>
    ((typeof value === 'function' && 'solution' in value) || isRecord(value)) && isDecoder(value.solution)
)

const submitOptionCodecs = {
  queue: Queue,
  events: QueueEvents,
  kind: Kind,
  keyOf: isFunction,
  toData: isFunction,
  concurrency: optional(integerBetween(1, MAX_TASKS, 'items')),
  until: optional(ItemSource),
  checkEveryMs: optional(durationFrom(1)),
  lostAfterMs: optional(durationFrom(0))
}
