import { lastValueFrom, toArray, type Observable } from 'rxjs'
import { recaptchaV2, type RecaptchaV2Solution } from 'rx-captcha'
import { submitAll, type SubmitOutcome } from 'rx-captcha/bullmq'
import type { Emulator } from 'rx-captcha/emulator'
import { built } from '../support/built.js'
import { QueueRig, until } from '../support/queue.js'
import { startWorker } from '../support/queue-workers.js'
import { describeWithRedis } from '../support/redis.js'

const pagesOf = (count: number) => Array.from({ length: count }, (_, index) => `https://example.com/${index}`)

/** The outcomes of a page for each, which its producer awaits. */
const submitted = async (
  rig: QueueRig,
  pages: ReadonlyArray<string>
): Promise<Observable<SubmitOutcome<string, RecaptchaV2Solution>>> => {
  const [queue, events] = [rig.queue(), await rig.events()]
  const options = { queue, events, kind: recaptchaV2, keyOf: (page: string) => page, toData: (page: string) => page }
  return submitAll(pages, { ...options, checkEveryMs: 300, lostAfterMs: 4_000 })
}

const tagsOf = (outcomes: ReadonlyArray<SubmitOutcome<string, unknown>>) =>
  outcomes.map(({ result }) => (result._tag === 'Right' ? 'Solved' : result.left._tag)).sort()

const countOf = (tags: ReadonlyArray<string>, tag: string) => tags.filter((one) => one === tag).length

/** The outcomes that are neither solved nor in doubt. */
const unexpectedIn = (outcomes: ReadonlyArray<SubmitOutcome<string, unknown>>) =>
  outcomes.filter(({ result }) => result._tag === 'Left' && result.left._tag !== 'CreateUnknown')

/** How many tasks the emulator had at a time that were neither ready nor asked for. */
const mostUnfinished = (emulator: Emulator): number => {
  const changes = emulator
    .tasks()
    .flatMap(({ acceptedAt, deliveredAt }) => [
      { at: acceptedAt, by: 1 },
      ...(deliveredAt === undefined ? [] : [{ at: deliveredAt, by: -1 }])
    ])
    .sort((one, other) => one.at - other.at || one.by - other.by)
  let [now, most] = [0, 0]
  for (const { by } of changes) most = Math.max(most, (now += by))
  return most
}

describeWithRedis('workers that are killed', () => {
  const rig = new QueueRig()
  const build = built()

  it('lose no task: another worker resumes each one', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 1_500 })
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(30))).pipe(toArray()))
    const first = startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 30)
    await until(
      async () => [...(await rig.dump()).values()].filter((value) => value.includes('"state":"created"')).length === 30
    )
    first.kill('SIGKILL')
    startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(30).fill('Solved'))
    expect(emulator.counters().accepted).toBe(30)
  })

  it('leave a createTask whose reply they did not see in doubt, and it is not sent again', async () => {
    const emulator = await rig.emulator({ latencyMs: 400 })
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(5))).pipe(toArray()))
    const first = startWorker(rig, build(), emulator)
    await until(() => emulator.counters().requests.createTask === 5)
    first.kill('SIGKILL')
    startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(5).fill('CreateUnknown'))
    expect(emulator.counters().requests.createTask).toBe(5)
  })

  it('are three, one of which dies again and again: each job ends once, and each task is paid for once or told to be in doubt', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [50, 600], latencyMs: 2 })
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(120))).pipe(toArray()))
    const workers = [1, 2, 3].map(() => startWorker(rig, build(), emulator, { task: { concurrency: 10 } }))
    const all = { ended: false }
    void outcomes.then(() => (all.ended = true))
    while (!all.ended && emulator.counters().accepted < 110) {
      const [victim] = workers.splice(0, 1)
      const target = emulator.counters().accepted + 25
      await victim?.ready
      await until(() => all.ended || emulator.counters().accepted >= target)
      victim?.kill('SIGKILL')
      workers.push(startWorker(rig, build(), emulator, { task: { concurrency: 10 } }))
    }
    const tags = tagsOf(await outcomes)
    const inDoubt = countOf(tags, 'CreateUnknown')
    expect(unexpectedIn(await outcomes)).toEqual([])
    expect(tags).toHaveLength(120)
    const { accepted } = emulator.counters()
    expect(accepted).toBeGreaterThanOrEqual(120 - inDoubt)
    expect(accepted).toBeLessThanOrEqual(120)
    const resumed = emulator.tasks().filter(({ task }) => task.websiteURL !== undefined)
    expect(new Set(resumed.map(({ task }) => task.websiteURL)).size).toBe(accepted)
  })
})

describeWithRedis('a worker that is frozen beyond its lock', () => {
  const rig = new QueueRig()
  const build = built()

  it('creates no second task when it continues', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 2_000 })
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(20))).pipe(toArray()))
    const frozen = startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 20)
    frozen.kill('SIGSTOP')
    startWorker(rig, build(), emulator)
    const queue = rig.queue()
    await until(async () => {
      const jobs = await queue.getActive()
      return jobs.length > 0 && jobs.every(({ attemptsStarted }) => attemptsStarted === 2)
    })
    frozen.kill('SIGCONT')
    const tags = tagsOf(await outcomes)
    expect(unexpectedIn(await outcomes)).toEqual([])
    expect(tags).toHaveLength(20)
    expect(emulator.counters().requests.createTask).toBe(20)
  })
})

describeWithRedis('a worker that is told to stop', () => {
  const rig = new QueueRig()
  const build = built()

  it('gives its tasks back within its grace, and another worker resumes them', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 2_000 })
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(100))).pipe(toArray()))
    const first = startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 100)
    first.kill('SIGTERM')
    expect(await first.ended).toBe(0)
    expect(emulator.counters().delivered).toBe(0)
    startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(100).fill('Solved'))
    expect(emulator.counters().accepted).toBe(100)
  })
})

describeWithRedis('the limits of an account', () => {
  const rig = new QueueRig()
  const build = built()

  it('hold for all workers: so many unfinished tasks', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [20, 100] })
    await rig.queue().setGlobalConcurrency(7)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(60))).pipe(toArray()))
    for (const _ of [1, 2, 3]) startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(60).fill('Solved'))
    expect(mostUnfinished(emulator)).toBeLessThanOrEqual(7)
    expect(mostUnfinished(emulator)).toBeGreaterThanOrEqual(6)
  })

  it('hold for all workers: so many createTasks in a second', async () => {
    const emulator = await rig.emulator()
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(30))).pipe(toArray()))
    for (const _ of [1, 2, 3]) startWorker(rig, build(), emulator, { task: { createsPerSecond: 20 } })
    expect(tagsOf(await outcomes)).toEqual(Array(30).fill('Solved'))
    // By the clock of Redis, because a busy machine delays processes.
    const starts = await rig.jobStarts()
    const gaps = starts.slice(1).map((at, index) => at - starts[index]!)
    expect(gaps).toHaveLength(29)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(54)
  })
})

describeWithRedis('a Redis that restarts with its append-only file', () => {
  const rig = new QueueRig({ appendOnly: true })
  const build = built()

  it('costs no task and no outcome', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [100, 1_000] })
    await rig.queue().setGlobalConcurrency(20)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(60))).pipe(toArray()))
    for (const _ of [1, 2]) startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted >= 30)
    await rig.redis.stop()
    await rig.redis.start()
    expect(tagsOf(await outcomes)).toEqual(Array(60).fill('Solved'))
    expect(emulator.counters().accepted).toBe(60)
  })
})

describeWithRedis('a Redis that restarts empty', () => {
  const rig = new QueueRig()
  const build = built()

  it('loses the jobs that wait and tells so, and no task of an active one', async () => {
    const emulator = await rig.emulator({ readyAfterMs: 800 })
    await rig.queue().setGlobalConcurrency(20)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(60))).pipe(toArray()))
    startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 20)
    await rig.redis.stop()
    await rig.redis.start()
    const tags = tagsOf(await outcomes)
    expect(countOf(tags, 'Solved')).toBe(20)
    expect(countOf(tags, 'JobFailed')).toBe(40)
    expect(emulator.counters().accepted).toBe(20)
  })
})

describeWithRedis('a Redis that does not reply for longer than a lock', () => {
  const rig = new QueueRig()
  const build = built()

  it('costs no task, and none is paid for twice', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [100, 1_500] })
    await rig.queue().setGlobalConcurrency(20)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(60))).pipe(toArray()))
    for (const _ of [1, 2]) startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted >= 30)
    rig.redis.freeze()
    const { polls } = emulator.counters()
    await until(
      () =>
        Object.keys(emulator.counters().polls).length > Object.keys(polls).length || emulator.counters().delivered > 25
    )
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    rig.redis.thaw()
    const tags = tagsOf(await outcomes)
    expect(unexpectedIn(await outcomes)).toEqual([])
    expect(tags).toHaveLength(60)
    expect(emulator.counters().accepted).toBeLessThanOrEqual(60)
  })
})
