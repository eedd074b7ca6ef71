import type { Job, Queue } from 'bullmq'
import { NEVER, Subject, lastValueFrom, throwError, type Observable } from 'rxjs'
import type { TaskRef } from 'rx-captcha'
import { jobIdOf, jobVerdict } from 'rx-captcha/bullmq'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { JobJournal } from '../../../lib/bullmq/record/job-journal.js'
import { Records } from '../../../lib/bullmq/record/records.js'
import { pauseReason, workerRows, workerSummary } from '../../../lib/cli/queue/worker/report.js'
import { WorkerStats } from '../../../lib/cli/queue/worker/stats.js'
import { UnrecordedTasks } from '../../../lib/cli/queue/worker/unrecorded.js'
import { task } from '../../support/batch.js'
import { makeConsole } from '../../support/command.js'
import { QueueCommands } from '../../support/queue-command.js'
import { until } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

describeWithRedis('rx-captcha worker', () => {
  const rig = new QueueCommands()

  const add = (queue: Queue, key = 'order-1', data: unknown = task(1)): Promise<Job> =>
    queue.add('solve', data, { jobId: jobIdOf(key) })
  const isIn =
    (queue: Queue, state: string, key = 'order-1') =>
    async () =>
      (await queue.getJobState(jobIdOf(key))) === state
  const reasonOf = async (queue: Queue, key = 'order-1') =>
    ((await queue.getJob(jobIdOf(key))) as Job | undefined)?.failedReason
  const isPolled = (emulator: Emulator) => () => emulator.counters().requests.getTaskResult > 0

  it('solves the jobs of the queue, and exits with 0 on SIGTERM', async () => {
    const emulator = await rig.emulator()
    const queue = rig.taskQueue()
    const worker = rig.work(emulator)
    await add(queue)
    await until(isIn(queue, 'completed'))
    worker.signal('SIGTERM')
    const { code, out, err } = await worker.ended()
    expect([code, out]).toStrictEqual([0, ''])
    expect(err).toMatch(
      /^Working on the queue queue-1\..*\nStopping: .*\nClosed after \d+\.\d s: 1 solved, 0 failed\.\nPaid for: 1 new task\.\n$/
    )
  })

  it('polls its active tasks to the end on the first signal', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 200 })
    const queue = rig.taskQueue()
    const worker = rig.work(emulator)
    await add(queue)
    await until(isPolled(emulator))
    worker.signal('SIGINT')
    const { code, err } = await worker.ended()
    expect([code, await isIn(queue, 'completed')()]).toStrictEqual([0, true])
    expect(err).toContain(': 1 solved, 0 failed.\n')
    expect(err).not.toContain('Handing over')
  })

  it.each([
    ['on the second signal', ['--grace', '60'], 2],
    ['after --grace', ['--grace', '0'], 1]
  ])('hands a paid task over %s, and another worker resumes it', async (_, flags, signals) => {
    const emulator = await rig.emulator({ readyAfterMs: 200 })
    const queue = rig.taskQueue()
    const worker = rig.work(emulator, flags)
    await add(queue)
    await until(isPolled(emulator))
    for (let nth = 0; nth < signals; nth += 1) worker.signal('SIGTERM')
    const { code, err } = await worker.ended()
    expect([code, await isIn(queue, 'waiting')()]).toStrictEqual([0, true])
    expect(err).toContain('\nHanding over the active tasks. ')
    expect(err).toContain(': 0 solved, 0 failed, 1 handed over.\nPaid for: 1 new task.\n')
    const other = rig.work(emulator)
    await until(isIn(queue, 'completed'))
    other.signal('SIGTERM')
    expect((await other.ended()).err).toContain('Paid for: 0 new tasks. Resumed: 1 paid task.\n')
    expect(emulator.counters().requests.createTask).toBe(1)
  })

  it('hands a task over whose createTask had no reply, once the reply has arrived', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 60_000, faults: ['createTask:1:slow=150'] })
    const queue = rig.taskQueue()
    const worker = rig.work(emulator, ['--grace', '0'])
    await add(queue)
    await until(() => emulator.counters().requests.createTask === 1)
    worker.signal('SIGTERM')
    const { code, err } = await worker.ended()
    expect([code, await isIn(queue, 'waiting')()]).toStrictEqual([0, true])
    expect(err).toContain(': 0 solved, 0 failed, 1 handed over.\nPaid for: 1 new task.\n')
  })

  it('sets --max-open as the global concurrency of the queue', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 60_000 })
    const queue = rig.taskQueue()
    for (const nth of [1, 2, 3]) await add(queue, `order-${nth}`)
    rig.work(emulator, ['--max-open', '2'])
    await until(async () => (await queue.getActiveCount()) === 2)
    expect([await queue.getGlobalConcurrency(), await queue.getWaitingCount()]).toStrictEqual([2, 1])
  })

  it('takes no more jobs than --concurrency', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 60_000 })
    const queue = rig.taskQueue()
    for (const nth of [1, 2, 3]) await add(queue, `order-${nth}`)
    rig.work(emulator, ['--concurrency', '2'])
    await until(() => emulator.counters().accepted === 2)
    expect(await queue.getWaitingCount()).toBe(1)
  })

  it('begins no more jobs in a second than --creates-per-second', async () => {
    const emulator = await rig.emulator()
    const queue = rig.taskQueue()
    for (const nth of [1, 2, 3]) await add(queue, `order-${nth}`)
    rig.work(emulator, ['--creates-per-second', '20'])
    await until(async () => (await queue.getCompletedCount()) === 3)
    const starts = await rig.jobStarts()
    expect(starts).toHaveLength(3)
    expect(starts[2]! - starts[0]!).toBeGreaterThanOrEqual(108)
  })

  it('pauses the queue if the account is refused, prints why, and how to resume it', async () => {
    const emulator = await rig.emulator({ faults: ['createTask:first2:ERROR_ZERO_BALANCE'] })
    const queue = rig.taskQueue()
    for (const nth of [1, 2]) await add(queue, `order-${nth}`)
    const worker = rig.work(emulator, ['--max-open', '2'])
    await worker.prints('The queue is paused')
    await worker.prints('This worker paused the queue')
    expect(await queue.isPaused()).toBe(true)
    worker.signal('SIGTERM')
    const { code, err } = await worker.ended()
    expect(code).toBe(0)
    expect(err).toMatch(
      /\nThis worker paused the queue\. The service refused the task: ERROR_ZERO_BALANCE.* Nothing was paid\. Check the key, .*\n/
    )
    expect(err).toContain(`resume the queue:\n  rx-captcha worker --queue ${rig.name} --resume-queue\n`)
    expect(err.match(/paused/g)).toHaveLength(2)
  })

  it('says that the queue was paused before', async () => {
    await rig.taskQueue().pause()
    await rig.work(await rig.emulator()).prints('The queue is paused')
  })

  it('resumes a paused queue with --resume-queue', async () => {
    const emulator = await rig.emulator()
    const queue = rig.taskQueue()
    await queue.pause()
    await add(queue)
    const worker = rig.work(emulator, ['--resume-queue'])
    await until(isIn(queue, 'completed'))
    worker.signal('SIGTERM')
    expect((await worker.ended()).err).not.toContain('paused')
  })

  it('says that the queue was resumed', async () => {
    const queue = rig.taskQueue()
    await queue.pause()
    const worker = rig.work(await rig.emulator())
    await worker.prints('The queue is paused')
    await queue.resume()
    await worker.prints('The queue was resumed')
  })

  it.each([
    ['a task without its fields', { websiteURL: 'https://example.com' }, 'websiteKey: expected'],
    ['no data', undefined, 'expected'],
    ['a text as its data', 'https://example.com', 'expected'],
    ['a task of another kind', { ...task(1), type: 'ImageToTextTask' }, 'type: expected RecaptchaV2TaskProxyless'],
    ['the client key as the site key', task(1, { websiteKey: EMULATOR_KEY }), 'websiteKey: this is the client key']
  ])('fails a job with %s, and creates no task for it', async (_, data, why) => {
    const emulator = await rig.emulator()
    const queue = rig.taskQueue()
    const worker = rig.work(emulator)
    await queue.add('solve', data, { jobId: jobIdOf('order-1') })
    await until(isIn(queue, 'failed'))
    worker.signal('SIGTERM')
    expect((await worker.ended()).err).toContain('\n\nFailed:\n        1  InvalidTask\n')
    expect(await reasonOf(queue)).toContain(why)
    expect(emulator.counters().requests.createTask).toBe(0)
  })

  it('counts a job in doubt', async () => {
    const queue = rig.taskQueue()
    const earlier = new JobJournal(
      new Records(queue),
      { run: 'earlier', lock: '' },
      { tokenMs: 1_000, recordMs: 1_000 }
    )
    await lastValueFrom(earlier.begin(jobIdOf('order-1')))
    const worker = rig.work(await rig.emulator())
    await add(queue)
    await until(isIn(queue, 'failed'))
    worker.signal('SIGTERM')
    const { err } = await worker.ended()
    expect(err).toContain(': 0 solved, 0 failed, 1 in doubt.\n')
    expect(err).toContain('        1  CreateUnknown\n')
  })

  it('counts failed jobs by their errors, the most frequent one first', async () => {
    const emulator = await rig.emulator({
      faults: ['task:1:ERROR_BAD_PARAMETERS', 'task:always:ERROR_CAPTCHA_UNSOLVABLE']
    })
    const queue = rig.taskQueue()
    for (const nth of [1, 2, 3]) await add(queue, `order-${nth}`)
    const worker = rig.work(emulator)
    await until(async () => (await queue.getFailedCount()) === 3)
    worker.signal('SIGTERM')
    const { err } = await worker.ended()
    expect(err).toMatch(/: 0 solved, 3 failed\.\n/)
    expect(err).toMatch(/\n {8}2 {2}TaskFailed ERROR_CAPTCHA_UNSOLVABLE\n {8}1 {2}TaskFailed ERROR_BAD_PARAMETERS\n/)
  })

  it('counts a job that is tried again only when its last attempt has failed', async () => {
    const queue = rig.taskQueue()
    const worker = rig.work(await rig.emulator(), ['--base-url', 'http://127.0.0.1:1', '--give-up-after-ms', '20'])
    await queue.add('solve', task(1), { jobId: 'once', attempts: 1 })
    await queue.add('solve', task(1), { jobId: 'twice' })
    await until(async () => (await queue.getFailedCount()) === 1 && (await queue.getDelayedCount()) === 1)
    worker.signal('SIGTERM')
    expect((await worker.ended()).err).toContain(': 0 solved, 1 failed.\n')
  })

  describe('of a paid task whose subscriber is gone', () => {
    /** Changes the record of the job while its createTask has no reply; the worker runs until its job has failed. */
    const changedRecord = async (...fields: ReadonlyArray<string>) => {
      const emulator = await rig.emulator({ faults: ['createTask:1:slow=200'] })
      const worker = rig.work(emulator)
      await add(rig.taskQueue())
      await until(() => emulator.counters().requests.createTask === 1)
      await rig.client.hset(rig.taskQueue().toKey(`rx-captcha:${jobIdOf('order-1')}`), ...fields)
      await until(isIn(rig.taskQueue(), 'delayed'))
      worker.signal('SIGTERM')
      const [task] = emulator.tasks()
      return { taskId: task!.taskId, err: (await worker.ended()).err }
    }

    it('prints how to resume it if Redis has not recorded its id', async () => {
      const { taskId, err } = await changedRecord('creator', 'other', 'owner', 'other')
      expect(err.match(/Redis has not confirmed .*/g)).toStrictEqual([
        expect.stringMatching(
          `^Redis has not confirmed the id of a paid task, so no worker may find it\\. Resume it at no further cost: ` +
            `rx-captcha resume ${taskId} --created-at \\d+ --base-url http://127\\.0\\.0\\.1:\\d+$`
        )
      ])
    })

    it('prints nothing of it if its id is recorded', async () => {
      expect((await changedRecord('owner', 'other')).err).not.toContain('rx-captcha resume')
    })
  })

  it('draws its progress on a terminal', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 60_000 })
    const stderr = makeConsole({ isTTY: true, columns: 200 })
    const worker = rig.work(emulator, [], { stderr })
    await add(rig.taskQueue())
    await worker.prints('1 active  0 solved  0 failed')
  })

  it('says that the tasks of the embedded emulator cannot be handed over', async () => {
    const queue = rig.taskQueue()
    const worker = rig.work(await rig.emulator(), ['--emulator', '--grace', '0'], { env: {} })
    await add(queue)
    await until(async () => ((await queue.getJob(jobIdOf('order-1'))) as Job | undefined)?.progress !== 0)
    worker.signal('SIGTERM')
    expect((await worker.ended()).err).toContain('Its tasks belonged to the embedded emulator')
  })

  it('checks the options of the service before it connects', async () => {
    const worker = rig.work(await rig.emulator(), ['--redis', 'redis://127.0.0.1:1'], {
      env: { CAPTCHA_CLIENT_KEY: 'short' }
    })
    const { code, err } = await worker.ended()
    expect([code, err]).toStrictEqual([2, expect.stringMatching(/^error: the client key: .*\n$/)])
  })
})

describe('the counts of a worker', () => {
  const statsWith = (...failed: ReadonlyArray<Parameters<WorkerStats['onFailed']>[0]>) => {
    const stats = new WorkerStats(jobVerdict)
    for (const job of failed) stats.onFailed(job)
    return stats
  }

  it('have a job without an outcome as one in doubt', () => {
    const stats = statsWith({ id: 'a', finishedOn: 1 })
    expect([stats.inDoubt, stats.failed, [...stats.failures]]).toStrictEqual([1, 0, [['JobFailed', 1]]])
  })

  it('leave out a job that was removed', () => {
    expect([...statsWith(undefined).failures]).toStrictEqual([])
  })

  it('have the createTask calls that got HTTP 503 without a document', () => {
    const stats = statsWith()
    stats.onEvent({ _tag: 'AssumedNotCreated', at: 0, solveId: 1, status: 503 })
    const text = workerSummary({ stats, elapsedMs: 0, hasLeft: false, noticedAfterMs: 0, isEmbedded: false })
    expect(text).toContain('Paid for: 0 new tasks.\n1 createTask call that got HTTP 503 without a document may be')
  })

  it('show the tasks that wait for their permit', () => {
    expect(workerRows(statsWith(), { open: 2, waiting: 1 })).toStrictEqual([
      { text: '2 active  1 waiting  0 solved  0 failed' }
    ])
  })

  it('go with the time within which other workers notice one that has left', () => {
    const end = { stats: statsWith(), elapsedMs: 1_000, hasLeft: true, noticedAfterMs: 13_000, isEmbedded: false }
    expect(workerSummary(end)).toBe(
      'Closed after 1.0 s: 0 solved, 0 failed.\nPaid for: 0 new tasks.\n\n' +
        'Not all jobs were handed over: another worker takes over the rest within 13.0 s.'
    )
  })

  it('go with the reason of a pause', () => {
    const unreadable = { _tag: 'NotCreated', paid: 'no', reason: 'unreadable', attempts: 0 } as const
    expect(pauseReason(unreadable)).toBe(
      'Several createTask calls in a row got no usable reply. See the errors of the failed jobs; their tasks may be paid for.'
    )
  })
})

describe('the paid tasks of a worker whose ids are not recorded', () => {
  const ref = { taskId: 'task-1', createdAt: 1 }

  /** The tasks of a worker whose journal writes ids in this way, and what is reported. */
  const tasksWith = (created: Observable<void>) => {
    const reported: TaskRef[] = []
    const tasks = new UnrecordedTasks((one) => reported.push(one))
    const journal = { begin: () => NEVER, created: () => created, ended: () => NEVER }
    tasks
      .watched(journal)
      .created('order-1', ref)
      .subscribe({ error: () => undefined })
    return { tasks, reported }
  }

  it('are reported if the process ends while an id is being written', () => {
    const { tasks, reported } = tasksWith(NEVER)
    tasks.onOrphan(ref)
    expect(reported).toStrictEqual([])
    tasks.reportRest()
    expect(reported).toStrictEqual([ref])
  })

  it('are reported once if an orphan follows the failure', () => {
    const { tasks, reported } = tasksWith(throwError(() => new Error('OOM')))
    tasks.onOrphan(ref)
    tasks.reportRest()
    expect(reported).toStrictEqual([ref])
  })

  it('are reported if the id of an orphan cannot be written', () => {
    const write = new Subject<void>()
    const { tasks, reported } = tasksWith(write)
    tasks.onOrphan(ref)
    write.error(new Error('OOM'))
    expect(reported).toStrictEqual([ref])
  })

  it('are not reported if the outcome was saved with the id', () => {
    const { tasks, reported } = tasksWith(throwError(() => new Error('OOM')))
    tasks.onSaved(ref)
    tasks.reportRest()
    expect(reported).toStrictEqual([])
  })
})
