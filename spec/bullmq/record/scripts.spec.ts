import { firstValueFrom, lastValueFrom } from 'rxjs'
import { recaptchaV2, type Solved } from 'rx-captcha'
import { jobIdOf, taskProcessor, taskWorkerOptions } from 'rx-captcha/bullmq'
import { JobJournal } from '../../../lib/bullmq/record/job-journal.js'
import { Records } from '../../../lib/bullmq/record/records.js'
import { JobResult } from '../../../lib/bullmq/producer/job-result.js'
import { IMPATIENT, QueueRig, toTask } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

const KEY = jobIdOf('https://example.com/order 7:ü')
const REF = { taskId: 'task', createdAt: 5 }
const SOLVED: Solved<unknown> = { ref: REF, solution: { gRecaptchaResponse: 'token' }, readyAt: 6 }
const KEEPING = { tokenMs: 60_000, recordMs: 60_000 }

// ioredis sends a command again if the connection broke before its reply arrived.
describeWithRedis('a script that runs twice, because its reply was lost', () => {
  const rig = new QueueRig()
  const journal = (run = 'run') => new JobJournal(new Records(rig.queue()), { run, lock: '' }, KEEPING)
  const context = () => {
    const queue = rig.queue()
    return { queue, records: new Records(queue), kind: recaptchaV2, lostAfterMs: 0 }
  }

  it('begins a fresh key once more', async () => {
    const { begin, find } = journal()
    expect(await lastValueFrom(begin(KEY))).toEqual({ _tag: 'Fresh' })
    expect(await lastValueFrom(begin(KEY))).toEqual({ _tag: 'Fresh' })
    expect(await lastValueFrom(find(KEY))).toEqual({ _tag: 'Fresh' })
  })

  it('records a task once more, also after its outcome was delivered', async () => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    await lastValueFrom(run.created(KEY, REF))
    await lastValueFrom(run.created(KEY, REF))
    expect(await lastValueFrom(run.find(KEY))).toEqual({ _tag: 'Known', ref: REF })
    await lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    await lastValueFrom(run.created(KEY, REF))
    expect(await lastValueFrom(run.find(KEY))).toEqual({ _tag: 'Finished', tag: 'Solved' })
  })

  it('does not store a token again that was claimed', async () => {
    const run = journal()
    const take = () => firstValueFrom(new JobResult(context(), KEY).take())
    await lastValueFrom(run.begin(KEY))
    await lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    expect((await take())._tag).toBe('Right')
    await lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    expect(await take()).toMatchObject({ left: { _tag: 'TokenGone' } })
  })

  it('hands a token to the same claimant again, and to no other', async () => {
    const run = journal()
    const records = new Records(rig.queue())
    await lastValueFrom(run.begin(KEY))
    await lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    const [first, again, other] = [
      await records.fields('claim', KEY, 'claimant', 30_000),
      await records.fields('claim', KEY, 'claimant', 30_000),
      await records.fields('claim', KEY, 'other', 30_000)
    ]
    expect([first[3], again[3], other[3]]).toEqual([JSON.stringify(SOLVED), JSON.stringify(SOLVED), undefined])
    expect(Number(again[4])).toBeGreaterThan(50_000)
  })
})

describeWithRedis('a script that fails half-way, because an ACL forbids one of its commands', () => {
  const rig = new QueueRig()
  const records = () => new Records(rig.queue(), IMPATIENT)
  const journal = (run = 'run') => new JobJournal(records(), { run, lock: '' }, KEEPING)
  const recordKey = () => `bull:${rig.name}:rx-captcha:${KEY}`
  const claim = async (claimant: string) => (await records().fields('claim', KEY, claimant, 30_000))[3]

  /** Does something that fails as long as the command is forbidden. */
  const failOnce = async (command: string, work: () => Promise<unknown>): Promise<void> => {
    const { accept } = await rig.forbid(command)
    await expect(work()).rejects.toThrow("can't run this command")
    await accept()
  }

  it('loses no token that was to be delivered', async () => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    const deliver = () => lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    await failOnce('time', deliver)
    await deliver()
    expect(await claim('claimant')).toBe(JSON.stringify(SOLVED))
  })

  it('lets nobody claim a token that will be delivered again', async () => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    await failOnce('hdel', () => lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED })))
    expect(await rig.client.exists(`${recordKey()}:token`)).toBe(1)
    expect(await claim('claimant')).toBeUndefined()
  })

  it('leaves a token unclaimed', async () => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    await lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    await failOnce('time', () => claim('one'))
    expect(await claim('other')).toBe(JSON.stringify(SOLVED))
  })

  it('leaves a fresh key fresh', async () => {
    await failOnce('del', () => lastValueFrom(journal().begin(KEY)))
    expect(await lastValueFrom(journal('next').find(KEY))).toEqual({ _tag: 'Fresh' })
  })

  it('keeps no finished record for ever', async () => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    const end = () => lastValueFrom(run.ended(KEY, 'TaskFailed'))
    await failOnce('pexpire', end)
    await end()
    expect(await rig.ttlOf(recordKey())).toBeGreaterThan(50_000)
  })

  it('keeps no record of a failure for ever for which nothing was paid', async () => {
    const invalid = { _tag: 'Left', left: { _tag: 'InvalidTask', paid: 'no', problems: [] } } as const
    const fail = () => lastValueFrom(journal().deliver(KEY, invalid))
    await failOnce('pexpire', fail)
    const run = journal()
    await lastValueFrom(run.find(KEY))
    await lastValueFrom(run.deliver(KEY, invalid))
    expect(await rig.ttlOf(recordKey())).toBeGreaterThan(50_000)
  })

  it('counts a resume', async () => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    const count = () => lastValueFrom(run.resumed(KEY))
    await failOnce('hincrby', count)
    expect(await count()).toBe(1)
  })
})

describeWithRedis('the record of a key', () => {
  const rig = new QueueRig()
  const journal = (run = 'run') => new JobJournal(new Records(rig.queue()), { run, lock: '' }, KEEPING)
  const recordKey = () => `bull:${rig.name}:rx-captcha:${KEY}`

  it.each([
    ['InvalidTask', 'Fresh'],
    ['NotCreated', 'Fresh'],
    ['Refused', 'Fresh'],
    ['CreateUnknown', 'InDoubt'],
    ['Refused{paid: unknown}', 'InDoubt']
  ])('is, after a run without a task that ended as %s, %s', async (tag, entry) => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    await lastValueFrom(run.ended(KEY, tag))
    expect((await lastValueFrom(journal('next').find(KEY)))._tag).toBe(entry)
  })

  it.each([
    ['Solved', 'Finished'],
    ['TaskFailed', 'Finished'],
    ['TimedOut', 'Known'],
    ['Interrupted', 'Known'],
    ['BadReply', 'Known'],
    ['TaskFailed{account}', 'Known'],
    ['Refused', 'Known'],
    ['CreateUnknown', 'Known']
  ])('is, after a run with a task that ended as %s, %s', async (tag, entry) => {
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    await lastValueFrom(run.created(KEY, REF))
    await lastValueFrom(run.ended(KEY, tag))
    expect((await lastValueFrom(journal('next').find(KEY)))._tag).toBe(entry)
  })

  const timedOut = { _tag: 'TimedOut', paid: 'yes', ref: REF, afterMs: 1, polls: 1, causes: [] } as const

  it('has the task of an error although Redis lost it', async () => {
    const run = journal()
    await lastValueFrom(run.deliver(KEY, { _tag: 'Left', left: timedOut }))
    expect(await lastValueFrom(journal('next').find(KEY))).toEqual({ _tag: 'Known', ref: REF })
  })

  it('is in doubt after an error that does not know, although Redis lost the intent', async () => {
    await lastValueFrom(journal().deliver(KEY, { _tag: 'Left', left: { _tag: 'CreateUnknown', paid: 'unknown' } }))
    expect(await lastValueFrom(journal('next').find(KEY))).toEqual({ _tag: 'InDoubt' })
  })

  it('counts a resume once for each run', async () => {
    const run = journal()
    const count = (counted: JobJournal) => lastValueFrom(counted.resumed(KEY))
    expect([await count(run), await count(run), await count(journal('next'))]).toEqual([1, 1, 2])
  })

  it('stores the failure of the run that holds the lock, even if another run was the owner', async () => {
    const queue = rig.queue()
    const earlier = journal('earlier')
    await lastValueFrom(earlier.begin(KEY))
    await lastValueFrom(earlier.created(KEY, REF))
    const client = await queue.getBackend().client
    await client.set(queue.toKey(`${KEY}:lock`), 'token')
    const holder = new JobJournal(new Records(queue), { run: 'holder', lock: 'token' }, KEEPING)
    const invalid = { _tag: 'Left', left: { _tag: 'InvalidTask', paid: 'no', problems: [] } } as const
    await lastValueFrom(holder.deliver(KEY, invalid))
    await expect(lastValueFrom(earlier.deliver(KEY, invalid))).rejects.toThrow('Another worker has taken this job over')
    expect(await lastValueFrom(holder.find(KEY))).toEqual({ _tag: 'Known', ref: REF })
  })

  it('lets one of two runs begin a fresh key', async () => {
    const entries = await Promise.all(['one', 'other'].map((run) => lastValueFrom(journal(run).begin(KEY))))
    expect(entries.map(({ _tag }) => _tag).sort()).toEqual(['Fresh', 'InDoubt'])
  })

  it('refuses the task of a run whose key was released and begun by another run', async () => {
    const [old, next] = [journal('old'), journal('next')]
    await lastValueFrom(old.begin(KEY))
    await lastValueFrom(old.ended(KEY, 'NotCreated'))
    await lastValueFrom(next.begin(KEY))
    await expect(lastValueFrom(old.created(KEY, REF))).rejects.toThrow('Another worker has taken this job over')
  })

  it('records a task and its outcome although Redis lost the record', async () => {
    const run = journal()
    await lastValueFrom(run.created(KEY, REF))
    expect(await lastValueFrom(journal('next').find(KEY))).toEqual({ _tag: 'Known', ref: REF })
    const other = journal('other')
    await lastValueFrom(other.find(KEY))
    await lastValueFrom(other.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    expect(await lastValueFrom(other.find(KEY))).toEqual({ _tag: 'Finished', tag: 'Solved' })
  })

  it('is kept while a task is unfinished or in doubt, and for a time when it is finished', async () => {
    const ttl = () => rig.ttlOf(recordKey())
    const run = journal()
    await lastValueFrom(run.begin(KEY))
    expect(await ttl()).toBe(-1)
    await lastValueFrom(run.ended(KEY, 'CreateUnknown'))
    expect(await ttl()).toBe(-1)
    await lastValueFrom(run.created(KEY, REF))
    expect(await ttl()).toBe(-1)
    await lastValueFrom(run.deliver(KEY, { _tag: 'Right', right: SOLVED }))
    expect(await ttl()).toBeGreaterThan(50_000)
  })
})

describeWithRedis('a wait of the queue', () => {
  const rig = new QueueRig()

  it('is not shortened by another one', async () => {
    const queue = rig.queue()
    const records = new Records(queue)
    const wait = () => rig.ttlOf(queue.toKey('limiter'))
    await records.hold(60_000)
    await records.hold(3_000)
    expect(await wait()).toBeGreaterThan(50_000)
    await records.hold(90_000)
    expect(await wait()).toBeGreaterThan(80_000)
  })
})

describeWithRedis('the options of a worker', () => {
  const rig = new QueueRig()

  it('notice a dead worker within 25 s, and let a job survive ten of them', () => {
    expect(taskWorkerOptions()).toEqual({
      concurrency: 100,
      lockDuration: 15_000,
      stalledInterval: 5_000,
      maxStalledCount: 10,
      maximumRateLimitDelay: 1_000,
      limiter: { max: 1_000_000, duration: 1_000 }
    })
  })

  it('admit jobs at a fixed interval', () => {
    expect(taskWorkerOptions({ createsPerSecond: 8, concurrency: 5 })).toMatchObject({
      concurrency: 5,
      limiter: { max: 1, duration: 138 }
    })
  })

  it('are checked', () => {
    expect(() => taskWorkerOptions({ createsPerSecond: 0 })).toThrow('createsPerSecond: expected a number from 0.001')
    const solver = rig.solver({ url: 'http://127.0.0.1:9' } as never)
    const queue = rig.queue()
    expect(() => taskProcessor(solver, { queue, toTask, maxResumes: -1 })).toThrow('maxResumes: expected')
    expect(() => taskProcessor(solver, { queue: {} as never, toTask })).toThrow('queue: expected a Queue of BullMQ 6')
  })
})
