import { lastValueFrom, toArray } from 'rxjs'
import { built } from '../../support/built.js'
import { QueueRig, polledTasks, until } from '../../support/queue.js'
import {
  RECOMMENDED_LOCKS,
  pagesOf,
  startWorker,
  submitted,
  tagsOf,
  unexpectedIn
} from '../../support/queue-workers.js'
import { describeWithRedis } from '../../support/redis.js'

describeWithRedis('workers that are killed', () => {
  const rig = new QueueRig()
  const build = built()

  it('lose no task: another worker resumes each one', async () => {
    const emulator = await rig.unfinished()
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(20))).pipe(toArray()))
    const first = startWorker(rig, build(), emulator)
    await until(() => polledTasks(emulator) === 20)
    first.kill('SIGKILL')
    emulator.finish()
    startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(20).fill('Solved'))
    expect(emulator.counters().accepted).toBe(20)
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
    // On a busy machine a worker that creates a hundred tasks may not renew short locks in time.
    const first = startWorker(rig, build(), emulator, { worker: RECOMMENDED_LOCKS })
    await until(() => polledTasks(emulator) === 100)
    first.kill('SIGTERM')
    expect(await first.ended).toBe(0)
    expect(await rig.queue().getJobCounts('wait', 'active')).toEqual({ wait: 100, active: 0 })
    emulator.finish()
    startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(100).fill('Solved'))
    expect(emulator.counters().accepted).toBe(100)
  })
})
