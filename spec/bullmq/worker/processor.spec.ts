import { inspect } from 'node:util'
import { Queue, Worker, type Job } from 'bullmq'
import * as E from 'fp-ts/lib/Either.js'
import { Subject, defer, lastValueFrom, merge, mergeMap, of, tap } from 'rxjs'
import { createSolver, orThrow, recaptchaV2, type NetworkEvent, type Post } from 'rx-captcha'
import { jobIdOf, submitAll, taskProcessor, type JobProgress } from 'rx-captcha/bullmq'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { JobJournal } from '../../../lib/bullmq/record/job-journal.js'
import { Records } from '../../../lib/bullmq/record/records.js'
import { QueueRig, polledTasks, toTask, until, type Page } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

const PAGE = 'https://example.com/login'
const KEEPING = { tokenMs: 1_000, recordMs: 60_000 }

describeWithRedis('taskProcessor', () => {
  const rig = new QueueRig()

  const add = (queue: Queue<Page>, key = 'order-1', page = PAGE): Promise<Job<Page>> =>
    queue.add('solve', page, { jobId: jobIdOf(key) })
  const stateOf = (queue: Queue<Page>, key = 'order-1') => queue.getJobState(jobIdOf(key))
  const jobOf = async (queue: Queue<Page>, key = 'order-1') => (await queue.getJob(jobIdOf(key)))!
  /** What an earlier run, of a worker that died, recorded for a key. */
  const earlierRun = (queue: Queue<Page>, run = 'earlier') =>
    new JobJournal(new Records(queue), { run, lock: '' }, KEEPING)
  const lockOf = (queue: Queue<Page>, key: string): Promise<string | null> => rig.client.get(queue.toKey(`${key}:lock`))
  const recordOf = (key = 'order-1') => rig.recordOf(jobIdOf(key))

  it('completes a job with the reference of its task, and without its token', async () => {
    const emulator = await rig.emulator()
    const { worker } = rig.worker(rig.solver(emulator))
    const queue = rig.queue()
    const completed = new Promise<[Job<Page>, unknown]>((resolve) => {
      worker.once('completed', (job, result) => {
        resolve([job, result])
      })
    })
    await add(queue)
    const [, result] = await completed
    const [task] = emulator.tasks()
    expect(result).toEqual({
      ref: { taskId: task?.taskId, createdAt: expect.any(Number) as number },
      readyAt: expect.any(Number) as number,
      useBefore: expect.any(Number) as number,
      expiresAt: expect.any(Number) as number
    })
  })

  it('records the intent before createTask is sent, and the id of the task before the first poll', async () => {
    const states: unknown[] = []
    const REPLIES = {
      '/createTask': { errorId: 0, taskId: 'task' },
      '/getTaskResult': { errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'token' } }
    }
    const post: Post = (path) =>
      defer(recordOf).pipe(
        tap(({ state }) => states.push([path, state])),
        mergeMap(() => {
          const body = JSON.stringify(REPLIES[path as keyof typeof REPLIES])
          return of<NetworkEvent[]>({ _tag: 'Sent' }, { _tag: 'Reply', status: 200, body })
        })
      )
    const emulator = await rig.emulator()
    const { worker } = rig.worker(rig.solver(emulator, { baseUrl: undefined, post }))
    const done = new Promise((resolve) => worker.once('completed', resolve))
    await add(rig.queue())
    await done
    expect(states).toEqual([
      ['/createTask', 'intent'],
      ['/getTaskResult', 'created']
    ])
  })

  it('resumes the task that an earlier worker created, and creates none', async () => {
    const emulator = await rig.emulator()
    const solver = rig.solver(emulator)
    const queue = rig.queue()
    const earlier = earlierRun(queue)
    const created = await lastValueFrom(solver.createTask(toTask(PAGE)))
    if (created._tag === 'Left') throw new Error(created.left._tag)
    await lastValueFrom(earlier.begin(jobIdOf('order-1')))
    await lastValueFrom(earlier.created(jobIdOf('order-1'), created.right))
    const { worker } = rig.worker(solver)
    const done = new Promise<unknown>((resolve) => {
      worker.once('completed', (_job, result) => {
        resolve(result)
      })
    })
    await add(queue)
    expect(await done).toMatchObject({ ref: created.right })
    expect(emulator.counters().requests.createTask).toBe(1)
  })

  it('fails a job as in doubt if an earlier worker may have sent its createTask', async () => {
    const emulator = await rig.emulator()
    const queue = rig.queue()
    await lastValueFrom(earlierRun(queue).begin(jobIdOf('order-1')))
    const { worker } = rig.worker(rig.solver(emulator))
    const failed = new Promise((resolve) => worker.once('failed', resolve))
    await add(queue)
    await failed
    expect((await jobOf(queue)).failedReason).toMatch(/^createTask may have been sent, and no reply is known/)
    expect(await stateOf(queue)).toBe('failed')
    expect((await recordOf()).state).toBe('doubt')
    expect(emulator.counters().requests.createTask).toBe(0)
  })

  it('records the id that a thawed worker receives for a job that was called in doubt meanwhile', async () => {
    const queue = rig.queue()
    const key = jobIdOf('order-1')
    const frozen = earlierRun(queue, 'frozen')
    const other = earlierRun(queue, 'other')
    await lastValueFrom(frozen.begin(key))
    expect(await lastValueFrom(other.find(key))).toEqual({ _tag: 'InDoubt' })
    await lastValueFrom(other.ended(key, 'CreateUnknown'))
    await lastValueFrom(frozen.created(key, { taskId: 'late', createdAt: 5 }))
    expect(await lastValueFrom(other.find(key))).toEqual({ _tag: 'Known', ref: { taskId: 'late', createdAt: 5 } })
  })

  it('drops the outcome of a run whose job another worker has taken over', async () => {
    const queue = rig.queue()
    const key = jobIdOf('order-1')
    const [frozen, other] = [earlierRun(queue, 'frozen'), earlierRun(queue, 'other')]
    const ref = { taskId: 'task', createdAt: 5 }
    await lastValueFrom(frozen.begin(key))
    await lastValueFrom(frozen.created(key, ref))
    await lastValueFrom(other.find(key))
    const result = { _tag: 'Right', right: { ref, solution: 'token', readyAt: 6 } } as const
    await expect(lastValueFrom(frozen.deliver(key, result))).rejects.toThrow(
      'Another worker has taken this job over, because this one did not renew its lock in time.'
    )
    const failure = { _tag: 'Left', left: { _tag: 'Interrupted', paid: 'yes', ref } } as const
    await expect(lastValueFrom(frozen.deliver(key, failure))).rejects.toThrow('Another worker')
    await lastValueFrom(frozen.ended(key, 'TaskFailed'))
    expect(await lastValueFrom(other.find(key))).toEqual({ _tag: 'Known', ref })
  })

  it('completes a job whose outcome was delivered by a worker that died before BullMQ knew of it', async () => {
    const emulator = await rig.emulator()
    const queue = rig.queue()
    const key = jobIdOf('order-1')
    const earlier = earlierRun(queue)
    const ref = { taskId: 'task', createdAt: 5 }
    await lastValueFrom(earlier.begin(key))
    await lastValueFrom(earlier.created(key, ref))
    await lastValueFrom(earlier.deliver(key, { _tag: 'Right', right: { ref, solution: 'token', readyAt: 6 } }))
    const { worker } = rig.worker(rig.solver(emulator))
    const done = new Promise((resolve) => worker.once('completed', resolve))
    await add(queue)
    await done
    expect(emulator.counters().requests).toMatchObject({ createTask: 0, getTaskResult: 0 })
  })

  it('reports the steps of a task as the progress of its job', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 40 })
    const events = await rig.events()
    const steps: JobProgress[] = []
    events.on('progress', ({ data }) => steps.push(data as JobProgress))
    const { worker } = rig.worker(rig.solver(emulator))
    const done = new Promise((resolve) => worker.once('completed', resolve))
    await add(rig.queue())
    await done
    const ref = { taskId: emulator.tasks()[0]?.taskId, createdAt: expect.any(Number) as number }
    await until(() => steps.some(({ _tag }) => _tag === 'Polled'))
    expect(steps).toContainEqual({
      _tag: 'Polled',
      at: expect.any(Number) as number,
      ref,
      polls: expect.any(Number) as number
    })
  })

  it('pauses the queue when the service refuses the account, and gives the job back unpaid', async () => {
    const emulator = await rig.emulator({ faults: ['createTask:1:ERROR_ZERO_BALANCE'] })
    const { worker } = rig.worker(rig.solver(emulator))
    const queue = rig.queue()
    await add(queue)
    await until(() => queue.isPaused())
    await until(async () => (await stateOf(queue)) === 'waiting')
    expect((await jobOf(queue)).attemptsMade).toBe(0)
    const done = new Promise((resolve) => worker.once('completed', resolve))
    await queue.resume()
    await done
    expect(emulator.counters()).toMatchObject({ accepted: 1, refused: 1 })
  })

  it('holds the whole queue back when the service asks for a wait', async () => {
    const emulator = await rig.emulator({ faults: ['createTask:1:429;retry-after=60'] })
    const queue = rig.queue()
    const backend = queue.getBackend()
    const client = await backend.client
    // A worker that closes waits so long for the end of a limit.
    const soon = { maximumRateLimitDelay: 20 }
    rig.worker(rig.solver(emulator), soon)
    await add(queue)
    await until(async () => (await client.get(`bull:${rig.name}:limiter`)) === String(Number.MAX_SAFE_INTEGER))
    rig.worker(rig.solver(emulator), soon)
    await add(queue, 'order-2')
    await until(async () => (await queue.getActiveCount()) === 1)
    expect(await stateOf(queue, 'order-2')).toBe('waiting')
    expect(emulator.counters().requests.createTask).toBe(1)
  })

  it('tries a job again after a failure of the network, as its attempts allow', async () => {
    const emulator = await rig.emulator()
    const post = () => of({ _tag: 'Failed', cause: { name: 'Error', code: 'ENOTFOUND', message: '' } } as const)
    const solver = rig.solver(emulator, { baseUrl: undefined, post, giveUpAfterMs: 20 })
    rig.worker(solver, { settings: { backoffStrategy: () => 1 } })
    const queue = rig.queue()
    await queue.add('solve', PAGE, { jobId: jobIdOf('order-1'), attempts: 2, backoff: { type: 'custom' } })
    await until(async () => (await stateOf(queue)) === 'failed')
    expect((await jobOf(queue)).attemptsMade).toBe(2)
    expect((await jobOf(queue)).failedReason).toContain('Nothing was paid.')
  })

  it('does not hold the queue back for a task that is refused each time, and fails its job in the end', async () => {
    const emulator = await rig.emulator({ faults: ['createTask:always:ERROR_CAPTCHA_UNSOLVABLE'] })
    rig.worker(rig.solver(emulator), { settings: { backoffStrategy: () => 1 } })
    const queue = rig.queue()
    await queue.add('solve', PAGE, { jobId: jobIdOf('order-1'), attempts: 3, backoff: { type: 'custom' } })
    await until(async () => (await stateOf(queue)) === 'failed')
    expect((await jobOf(queue)).failedReason).toContain('Nothing was paid.')
    expect(emulator.counters().requests.createTask).toBe(3)
  })

  it('gives a paid task back to be resumed when it timed out, and fails its job in the end', async () => {
    const emulator = await rig.unfinished()
    const solver = rig.solver(emulator, { giveUpAfterMs: 300 })
    rig.worker(solver, { processor: { maxResumes: 2 } })
    const queue = rig.queue()
    await add(queue)
    await until(async () => (await stateOf(queue)) === 'failed')
    const job = await jobOf(queue)
    expect(job.attemptsStarted).toBe(3)
    expect(job.failedReason).toContain(`Task ${emulator.tasks()[0]?.taskId ?? ''} timed out`)
    expect(emulator.counters().accepted).toBe(1)
  })

  it('fails a job that is cancelled; a retry resumes its task', async () => {
    const emulator = await rig.unfinished()
    const { worker } = rig.worker(rig.solver(emulator))
    const queue = rig.queue()
    await add(queue)
    // The first poll is sent once the task is recorded.
    await until(() => polledTasks(emulator) === 1)
    worker.cancelJob(jobIdOf('order-1'))
    await until(async () => (await stateOf(queue)) === 'failed')
    const job = await jobOf(queue)
    expect(job.failedReason).toMatch(/^The job was cancelled\. If its task was created, it is paid for and recorded/)
    const done = new Promise((resolve) => worker.once('completed', resolve))
    emulator.finish()
    await job.retry()
    await done
    expect(emulator.counters().accepted).toBe(1)
  })

  it('hands paid tasks over to another worker when it is closed', async () => {
    const emulator = await rig.unfinished()
    const queue = rig.queue()
    const first = rig.worker(rig.solver(emulator))
    for (let index = 0; index < 20; index += 1) await add(queue, `order-${index}`)
    await until(() => polledTasks(emulator) === 20)
    await first.supervised.close({ graceMs: 0 })
    expect(await queue.getJobCounts('wait', 'active')).toEqual({ wait: 20, active: 0 })
    emulator.finish()
    const second = rig.worker(rig.solver(emulator))
    let completed = 0
    second.worker.on('completed', () => (completed += 1))
    await until(() => completed === 20)
    expect(emulator.counters().accepted).toBe(20)
  })

  describe('whose solver closes while its createTask has no reply', () => {
    /** Closes the worker, and lets this reply arrive once the outcome of the solve is recorded. */
    const closedBefore = async (body: object) => {
      const reply = new Subject<NetworkEvent>()
      let creates = 0
      const post: Post = () => {
        creates += 1
        return merge(of<NetworkEvent>({ _tag: 'Sent' }), reply)
      }
      const { supervised } = rig.worker(createSolver({ clientKey: EMULATOR_KEY, post }))
      const queue = rig.queue()
      await add(queue)
      await until(() => creates === 1)
      const closed = supervised.close()
      await until(async () => (await recordOf()).error !== undefined)
      reply.next({ _tag: 'Reply', status: 200, body: JSON.stringify(body) })
      await closed
      return queue
    }

    it('gives the job back once the id of its task is recorded', async () => {
      const queue = await closedBefore({ errorId: 0, taskId: 'task' })
      expect([await stateOf(queue), (await recordOf()).state]).toEqual(['waiting', 'created'])
    })

    it('fails the job as in doubt if the reply has no id', async () => {
      const queue = await closedBefore({ errorId: 0 })
      expect([await stateOf(queue), (await recordOf()).state]).toEqual(['failed', 'doubt'])
    })
  })

  it('keeps the client key out of Redis, and the token out of all but its own key', async () => {
    const emulator = await rig.emulator()
    const { worker } = rig.worker(rig.solver(emulator))
    const done = new Promise((resolve) => worker.once('completed', resolve))
    await add(rig.queue())
    await done
    const dump = await rig.dump()
    const token = (
      JSON.parse(dump.get(`bull:${rig.name}:rx-captcha:${jobIdOf('order-1')}:token`)!) as { solved: string }
    ).solved
    const { gRecaptchaResponse } = (JSON.parse(token) as { solution: { gRecaptchaResponse: string } }).solution
    const holders = [...dump].filter(([, value]) => value.includes(gRecaptchaResponse)).map(([key]) => key)
    expect(holders).toEqual([`bull:${rig.name}:rx-captcha:${jobIdOf('order-1')}:token`])
    expect(inspect(dump)).not.toContain(EMULATOR_KEY)
  })

  it('holds the queue back when a task was refused as unavailable until its deadline, and gives the job back unpaid', async () => {
    const emulator = await rig.emulator({ faults: ['createTask:always:429'] })
    const queue = rig.queue()
    // Long enough for one reply on a busy machine: without any, the job would end as `NotCreated`, and not be held back.
    rig.worker(rig.solver(emulator, { giveUpAfterMs: 2_000 }))
    await add(queue)
    const client = await queue.getBackend().client
    await until(async () => (await client.get(`bull:${rig.name}:limiter`)) === String(Number.MAX_SAFE_INTEGER))
    await until(async () => (await stateOf(queue)) === 'waiting')
    expect((await jobOf(queue)).attemptsMade).toBe(0)
    expect(emulator.counters().accepted).toBe(0)
  })

  it('stops to poll for a job that another worker has taken over', async () => {
    const emulator = await rig.unfinished()
    const queue = rig.queue()
    const key = jobIdOf('order-1')
    const { worker, dropTakenOver } = rig.worker(rig.solver(emulator))
    const errors: string[] = []
    worker.on('failed', (_job, error) => errors.push(error.name))
    await add(queue)
    await until(async () => (await recordOf()).state === 'created')
    dropTakenOver([key, 'another job'])
    await until(() => emulator.counters().requests.getTaskResult > 3)
    expect(errors).toEqual([])
    const other = new JobJournal(new Records(queue), { run: 'other', lock: (await lockOf(queue, key))! }, KEEPING)
    await lastValueFrom(other.find(key))
    dropTakenOver([key])
    await until(() => errors.length > 0)
    expect(errors).toEqual(['JobTakenOver'])
    const { getTaskResult } = emulator.counters().requests
    await until(async () => (await queue.getActiveCount()) === 0)
    expect(emulator.counters().requests.getTaskResult).toBe(getTaskResult)
  })

  it('lets no frozen worker take a job back whose lock another worker holds', async () => {
    const queue = rig.queue()
    const key = jobIdOf('order-1')
    const emulator = await rig.unfinished()
    // A task that the service knows, so that the job stays active.
    const ref = await lastValueFrom(rig.solver(emulator).createTask(toTask(PAGE)).pipe(orThrow()))
    await lastValueFrom(earlierRun(queue, 'frozen').created(key, ref))
    rig.worker(rig.solver(emulator))
    await add(queue)
    await until(async () => (await lockOf(queue, key)) !== null)
    await expect(lastValueFrom(earlierRun(queue, 'frozen').find(key))).rejects.toThrow(
      'Another worker has taken this job'
    )
    await expect(lastValueFrom(earlierRun(queue, 'frozen').begin(key))).rejects.toThrow(
      'Another worker has taken this job'
    )
  })

  it('solves no job with a solver that is closed, and gives it back once a second', async () => {
    const emulator = await rig.emulator()
    const solver = rig.solver(emulator)
    const queue = rig.queue()
    await solver.close()
    const { worker } = rig.worker(solver)
    let begun = 0
    worker.on('active', () => (begun += 1))
    await add(queue)
    await until(() => begun === 2)
    expect(emulator.counters().requests.createTask).toBe(0)
    expect((await jobOf(queue)).attemptsMade).toBe(0)
  })

  it('can be called for a job that was fetched by hand, without a lock and a signal', async () => {
    const emulator = await rig.emulator()
    const queue = rig.queue()
    const process = taskProcessor(rig.solver(emulator), { queue, toTask })
    expect(await process(await add(queue))).toMatchObject({ ref: { taskId: emulator.tasks()[0]?.taskId } })
  })

  it('fails a job of a queue with another prefix than its own, and sends nothing', async () => {
    const emulator = await rig.emulator()
    const { connection } = rig.redis
    const shop = new Queue<Page>(rig.name, { connection, prefix: 'shop' })
    rig.onEnd(() => shop.close())
    const process = taskProcessor(rig.solver(emulator), { queue: rig.queue(), toTask })
    const worker = new Worker<Page>(rig.name, process, { connection, prefix: 'shop' })
    rig.onEnd(() => worker.close())
    const ended = new Promise<Error | undefined>((resolve) => {
      worker.once('failed', (_job, error) => {
        resolve(error)
      })
      worker.once('completed', () => {
        resolve(undefined)
      })
    })
    await add(shop)
    expect((await ended)?.message).toBe(
      `The job is in the queue shop:${rig.name}, but taskProcessor was given the queue bull:${rig.name}. Nothing was sent. ` +
        'Give taskProcessor a Queue with the name and the prefix of the worker.'
    )
    expect(emulator.counters().requests.createTask).toBe(0)
  })

  it('solves a job that does not name its queue', async () => {
    const emulator = await rig.emulator()
    const process = taskProcessor(rig.solver(emulator), { queue: rig.queue(), toTask })
    const { id, data } = await add(rig.queue())
    const byHand = { id, data, moveToWait: () => Promise.resolve(), updateProgress: () => Promise.resolve() }
    expect(await process(byHand)).toMatchObject({ ref: { taskId: emulator.tasks()[0]?.taskId } })
  })

  it('keeps a token for a time of its own if its kind says nothing about it', async () => {
    const emulator = await rig.emulator()
    const queue = rig.queue()
    const toTimelessTask = (page: Page) => ({ ...toTask(page), bestWithinMs: undefined, validForMs: undefined })
    const process = taskProcessor(rig.solver(emulator), { queue, toTask: toTimelessTask, tokenTtlMs: 5_000 })
    expect(Object.keys((await process(await add(queue))) ?? {})).toEqual(['ref', 'readyAt'])
    const ttl = await rig.ttlOf(`bull:${rig.name}:rx-captcha:${jobIdOf('order-1')}:token`)
    expect(ttl).toBeLessThanOrEqual(5_000)
    expect(ttl).toBeGreaterThan(3_000)
  })

  it('keeps the token of a resumed task for as long as it may be valid, because it may just have become ready', async () => {
    const emulator = await rig.emulator()
    const queue = rig.queue()
    const ref = await lastValueFrom(rig.solver(emulator).createTask(toTask(PAGE)).pipe(orThrow()))
    const createdAt = Date.now() - 600_000
    await lastValueFrom(earlierRun(queue).created(jobIdOf('order-1'), { ...ref, createdAt }))
    rig.worker(rig.solver(emulator))
    const options = { queue, events: await rig.events(), kind: recaptchaV2, keyOf: String, toData: () => PAGE }
    const { result } = await lastValueFrom(submitAll(['order-1'], options))
    expect(result).toMatchObject({ right: { ref: { taskId: ref.taskId } } })
    // The instant of the outcome stays the earliest possible one.
    expect(E.isRight(result) && result.right.expiresAt! - Date.now()).toBeLessThan(120_000 - 600_000 + 1)
  })
})
