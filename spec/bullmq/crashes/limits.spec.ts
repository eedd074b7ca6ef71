import { lastValueFrom, toArray } from 'rxjs'
import { built } from '../../support/built.js'
import { QueueRig } from '../../support/queue.js'
import { mostUnfinished, pagesOf, startWorker, submitted, tagsOf } from '../../support/queue-workers.js'
import { describeWithRedis } from '../../support/redis.js'

describeWithRedis('the limits of an account', () => {
  const rig = new QueueRig()
  const build = built()

  it('hold for all workers: so many unfinished tasks', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [20, 100] })
    await rig.queue().setGlobalConcurrency(7)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(28))).pipe(toArray()))
    for (const _ of [1, 2, 3]) startWorker(rig, build(), emulator)
    expect(tagsOf(await outcomes)).toEqual(Array(28).fill('Solved'))
    expect(mostUnfinished(emulator)).toBeLessThanOrEqual(7)
    expect(mostUnfinished(emulator)).toBeGreaterThanOrEqual(6)
  })

  it('hold for all workers: so many createTasks in a second', async () => {
    const emulator = await rig.emulator()
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(15))).pipe(toArray()))
    for (const _ of [1, 2, 3]) startWorker(rig, build(), emulator, { task: { createsPerSecond: 20 } })
    expect(tagsOf(await outcomes)).toEqual(Array(15).fill('Solved'))
    // By the clock of Redis, because a busy machine delays processes.
    const starts = await rig.jobStarts()
    const gaps = starts.slice(1).map((at, index) => at - starts[index]!)
    expect(gaps).toHaveLength(14)
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(54)
  })
})
