import { inspect } from 'node:util'
import { Worker, type Job } from 'bullmq'
import { concat, defer, lastValueFrom, mergeMap, of, type SchedulerLike } from 'rxjs'
import { createSolver, orThrow, recaptchaV2, type NetworkEvent, type Post, type Solver, type TaskRef } from 'rx-captcha'
import { jobIdOf } from 'rx-captcha/bullmq'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { Records } from '../../../lib/bullmq/record/records.js'
import { JobReports } from '../../../lib/bullmq/worker/job-reports.js'
import { JobRun } from '../../../lib/bullmq/worker/job-run.js'
import { IMPATIENT, QueueRig, toTask, until, type Page, type WriteRefusal } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

const ID = jobIdOf('order-1')
const TOKEN = 'the-token'
const REPLIES: Readonly<Record<string, object>> = {
  '/createTask': { errorId: 0, taskId: 'paid-1' },
  '/getTaskResult': { errorId: 0, status: 'ready', solution: { gRecaptchaResponse: TOKEN } }
}

interface RunOptions {
  /** The token of BullMQ's lock. */
  readonly lock?: string | undefined
  /** Of the waits before a command is tried again. */
  readonly scheduler?: SchedulerLike
  readonly signal?: AbortSignal
}

type ErrorWithRef = Error & { readonly ref: TaskRef }

describeWithRedis('the error of a job whose paid task cannot be recorded', () => {
  const rig = new QueueRig()

  /** A solver whose service does something before it replies. */
  const solverOf = (before: Readonly<Record<string, () => Promise<unknown>>>, replies = REPLIES) => {
    const calls: string[] = []
    const post: Post = (path) =>
      defer(() => {
        calls.push(path)
        const replied = defer(before[path] ?? (() => Promise.resolve())).pipe(
          mergeMap(() => of<NetworkEvent>({ _tag: 'Reply', status: 200, body: JSON.stringify(replies[path]) }))
        )
        return concat(of<NetworkEvent>({ _tag: 'Sent' }), replied)
      })
    const solver = createSolver({ clientKey: EMULATOR_KEY, post, pollEveryMs: 10 })
    rig.onEnd(() => solver.close())
    return { solver, calls }
  }

  const add = (): Promise<Job<Page>> => rig.queue().add('solve', 'https://example.com/login', { jobId: ID })

  const run = (solver: Solver, job: Job<Page>, { lock, scheduler = IMPATIENT, signal }: RunOptions = {}) => {
    const queue = rig.queue()
    const records = new Records(queue, scheduler)
    const keeping = { tokenMs: 60_000, recordMs: 60_000 }
    const context = { solver, queue, records, keeping, maxResumes: 0, reports: new JobReports(solver, queue, records) }
    return new JobRun(context, job, lock, signal).process(toTask)
  }

  const failureOf = async (running: Promise<unknown>): Promise<ErrorWithRef> => {
    const [ended] = await Promise.allSettled([running])
    if (ended.status === 'fulfilled') throw new Error('it did not fail')
    expect(inspect(ended.reason, { depth: Infinity, showHidden: true })).not.toContain(TOKEN)
    return ended.reason as ErrorWithRef
  }

  const refOf = (taskId: string) => ({ taskId, createdAt: expect.any(Number) as number })
  /** The reference in a message, which is all that BullMQ keeps. */
  const refIn = (message: string) => JSON.parse(/resume\(\) with (\{.*?\})/.exec(message)![1]!) as TaskRef

  it('names the task if neither its id nor its outcome was written, and resume continues it', async () => {
    const { solver, calls } = solverOf({ '/createTask': () => rig.refuseWrites() })
    const error = await failureOf(run(solver, await add()))
    expect(error.message).toMatch(
      /^The records in Redis cannot be read or written: OOM .*\. Task paid-1 is paid for, but Redis has not confirmed its record, so a retry/
    )
    expect(error).toMatchObject({ name: 'RecordError', ref: refOf('paid-1'), cause: { name: 'RecordError' } })
    expect(refIn(error.message)).toEqual(error.ref)
    const resumed = await lastValueFrom(solver.resume(recaptchaV2, refIn(error.message)).pipe(orThrow()))
    expect(resumed.solution.gRecaptchaResponse).toBe(TOKEN)
    expect(calls.filter((path) => path === '/createTask')).toHaveLength(1)
  })

  it('says that a retry continues the task if its id was written, and it does', async () => {
    const refusals: WriteRefusal[] = []
    const { solver, calls } = solverOf({ '/getTaskResult': async () => refusals.push(await rig.refuseWrites()) })
    const job = await add()
    const error = await failureOf(run(solver, job))
    expect(error.message).toMatch(
      /OOM .*\. Task paid-1 is paid for and its id is recorded, but the rest of its record could not/
    )
    expect(refIn(error.message)).toEqual(refOf('paid-1'))
    await refusals[0]?.accept()
    const { solver: next, calls: nextCalls } = solverOf({})
    expect(await run(next, job)).toMatchObject({ ref: error.ref })
    expect([...calls, ...nextCalls].filter((path) => path === '/createTask')).toHaveLength(1)
  })

  it('keeps an id that is a number as one', async () => {
    const numeric = { ...REPLIES, '/createTask': { errorId: 0, taskId: 77 } }
    const { solver } = solverOf({ '/createTask': () => rig.refuseWrites() }, numeric)
    const { message } = await failureOf(run(solver, await add()))
    expect(refIn(message)).toEqual({ ...refOf('77'), numeric: true })
  })

  it.each([
    ['failed', { errorId: 1, errorCode: 'ERROR_CAPTCHA_UNSOLVABLE' }],
    ['has a reply that cannot be read', { errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 5 } }]
  ])('names a task that %s', async (_what, reply) => {
    const replies = { ...REPLIES, '/getTaskResult': reply }
    const { solver } = solverOf({ '/createTask': () => rig.refuseWrites() }, replies)
    expect(refIn((await failureOf(run(solver, await add()))).message)).toEqual(refOf('paid-1'))
  })

  it('names no task if Redis refuses the intent, and none is created', async () => {
    const job = await add()
    await rig.refuseWrites()
    const { solver, calls } = solverOf({})
    const error = await failureOf(run(solver, job))
    expect(error.name).toBe('RecordError')
    expect(error.message).not.toContain('paid')
    expect(error).not.toHaveProperty('ref')
    expect(calls).toEqual([])
  })

  it('names the task of a job that is cancelled while its id cannot be written, and stays unrecoverable', async () => {
    const cancelling = new AbortController()
    const { solver } = solverOf({ '/createTask': () => rig.refuseWrites() })
    // Cancelled before the first write that was refused is tried again.
    const schedule: SchedulerLike['schedule'] = (work, delayMs, state) => {
      cancelling.abort()
      return IMPATIENT.schedule(work as (value?: unknown) => void, delayMs, state)
    }
    const options = { scheduler: { ...IMPATIENT, schedule }, signal: cancelling.signal }
    const error = await failureOf(run(solver, await add(), options))
    expect(error.name).toBe('UnrecoverableError')
    expect(error.message).toMatch(
      /^The job was cancelled\. Task paid-1 is paid for, but Redis has not confirmed its record/
    )
    expect(refIn(error.message)).toEqual(refOf('paid-1'))
  })

  it('names the task of a run whose key another run has begun', async () => {
    const record = () => rig.queue().toKey(`rx-captcha:${ID}`)
    const begin = () => rig.client.hset(record(), 'creator', 'other', 'owner', 'other')
    const error = await failureOf(run(solverOf({ '/createTask': begin }).solver, await add()))
    expect(error.name).toBe('JobTakenOver')
    expect(error.message).toMatch(
      /^Another worker has taken this job over.* Task paid-1 is paid for, but Redis has not confirmed its record/
    )
    expect(refIn(error.message)).toEqual(refOf('paid-1'))
  })

  it.each([
    ['is the reason of a job that is not tried again', 1],
    ['is kept in the stack traces of a job that is tried again', 2]
  ])('%s', async (_title, attempts) => {
    const refusals: WriteRefusal[] = []
    const { solver } = solverOf({ '/createTask': async () => refusals.push(await rig.refuseWrites()) })
    const errors: ErrorWithRef[] = []
    const processor = (job: Job<Page>, lock?: string) => run(solver, job, { lock })
    const worker = new Worker<Page>(rig.name, processor, { connection: rig.redis.connection })
    rig.onEnd(() => worker.close())
    worker.on('failed', (_job, error) => {
      errors.push(error as ErrorWithRef)
      void refusals[0]?.accept()
    })
    await rig.queue().add('solve', 'https://example.com/login', { jobId: ID, attempts, backoff: 0 })
    await until(() => errors.length === attempts)
    const job = await rig.queue().getJob(ID)
    expect(job?.stacktrace).toHaveLength(attempts)
    expect(refIn(job?.stacktrace?.[0] ?? '')).toEqual(errors[0]?.ref)
    if (attempts === 1) expect(job?.failedReason).toBe(errors[0]?.message)
  })
})
