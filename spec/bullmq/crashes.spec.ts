import { lastValueFrom, toArray } from 'rxjs'
import { built } from '../support/built.js'
import { QueueRig, until } from '../support/queue.js'
import {
  IS_LONG,
  TIMEOUT_MS,
  countOf,
  mostUnfinished,
  pagesOf,
  startWorker,
  submitted,
  tagsOf,
  unexpectedIn
} from '../support/queue-workers.js'
import { describeWithRedis } from '../support/redis.js'

if (IS_LONG) jest.setTimeout(TIMEOUT_MS)
/** Longer than a lock in a short run, and as long as a switch of networks takes in a long one. */
const CUT_MS = IS_LONG ? 10_000 : 1_000

describeWithRedis('workers that are killed', () => {
  const rig = new QueueRig()
  const build = built()

  it('lose no task: another worker resumes each one', async () => {
    const emulator = await rig.unfinished()
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(30))).pipe(toArray()))
    const first = startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 30)
    await until(
      async () => [...(await rig.dump()).values()].filter((value) => value.includes('"state":"created"')).length === 30
    )
    first.kill('SIGKILL')
    emulator.finish()
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
})

describeWithRedis('a worker that is frozen beyond its lock', () => {
  const rig = new QueueRig()
  const build = built()

  it('creates no second task when it continues', async () => {
    const emulator = await rig.unfinished()
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
    emulator.finish()
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
    const emulator = await rig.unfinished()
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(100))).pipe(toArray()))
    const first = startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 100)
    first.kill('SIGTERM')
    expect(await first.ended).toBe(0)
    emulator.finish()
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
    const emulator = await rig.unfinished()
    await rig.queue().setGlobalConcurrency(20)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(60))).pipe(toArray()))
    startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 20)
    await rig.redis.stop()
    await rig.redis.start()
    emulator.finish()
    const tags = tagsOf(await outcomes)
    expect(countOf(tags, 'Solved')).toBe(20)
    expect(countOf(tags, 'JobFailed')).toBe(40)
    expect(emulator.counters().accepted).toBe(20)
  })
})

describeWithRedis('a Redis that does not reply for a while', () => {
  const rig = new QueueRig()
  const build = built()

  it('costs no task, and none is paid for twice', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [100, 1_500] })
    await rig.queue().setGlobalConcurrency(20)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(60))).pipe(toArray()))
    for (const _ of [1, 2]) startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted >= 30)
    rig.redis.freeze()
    await new Promise((resolve) => setTimeout(resolve, CUT_MS))
    rig.redis.thaw()
    const tags = tagsOf(await outcomes)
    expect(unexpectedIn(await outcomes)).toEqual([])
    expect(tags).toHaveLength(60)
    expect(emulator.counters().accepted).toBeLessThanOrEqual(60)
  })
})
