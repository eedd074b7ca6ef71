import { lastValueFrom, toArray } from 'rxjs'
import { built } from '../../support/built.js'
import { QueueRig, until } from '../../support/queue.js'
import {
  IS_LONG,
  RECOMMENDED_LOCKS,
  countOf,
  pagesOf,
  startWorker,
  submitted,
  tagsOf,
  unexpectedIn
} from '../../support/queue-workers.js'
import { describeWithRedis } from '../../support/redis.js'

/** Longer than a lock in a short run, and as long as a switch of networks takes in a long one. */
const CUT_MS = IS_LONG ? 10_000 : 800

/** No worker dies, so a lock may last longer than Redis takes to restart on a busy machine. */
const LASTING_LOCKS = IS_LONG ? RECOMMENDED_LOCKS : { lockDuration: 6_000, stalledInterval: 1_000 }

describeWithRedis('a Redis that restarts with its append-only file', () => {
  const rig = new QueueRig({ appendOnly: true })
  const build = built()

  it('costs no task and no outcome', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [50, 400] })
    await rig.queue().setGlobalConcurrency(10)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(30))).pipe(toArray()))
    for (const _ of [1, 2]) startWorker(rig, build(), emulator, { worker: LASTING_LOCKS })
    await until(() => emulator.counters().accepted >= 15)
    await rig.redis.stop()
    await rig.redis.start()
    expect(tagsOf(await outcomes)).toEqual(Array(30).fill('Solved'))
    expect(emulator.counters().accepted).toBe(30)
  })
})

describeWithRedis('a Redis that restarts empty', () => {
  const rig = new QueueRig()
  const build = built()

  it('loses the jobs that wait and tells so, and no task of an active one', async () => {
    const emulator = await rig.unfinished()
    await rig.queue().setGlobalConcurrency(10)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(30))).pipe(toArray()))
    startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted === 10)
    await rig.redis.stop()
    await rig.redis.start()
    emulator.finish()
    const tags = tagsOf(await outcomes)
    expect(countOf(tags, 'Solved')).toBe(10)
    expect(countOf(tags, 'JobFailed')).toBe(20)
    expect(emulator.counters().accepted).toBe(10)
  })
})

describeWithRedis('a Redis that does not reply for a while', () => {
  const rig = new QueueRig()
  const build = built()

  it('costs no task, and none is paid for twice', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [50, 600] })
    await rig.queue().setGlobalConcurrency(10)
    const outcomes = lastValueFrom((await submitted(rig, pagesOf(30))).pipe(toArray()))
    for (const _ of [1, 2]) startWorker(rig, build(), emulator)
    await until(() => emulator.counters().accepted >= 15)
    rig.redis.freeze()
    await new Promise((resolve) => setTimeout(resolve, CUT_MS))
    rig.redis.thaw()
    const tags = tagsOf(await outcomes)
    expect(unexpectedIn(await outcomes)).toEqual([])
    expect(tags).toHaveLength(30)
    expect(emulator.counters().accepted).toBeLessThanOrEqual(30)
  })
})
