import { lastValueFrom, toArray } from 'rxjs'
import type { Emulator } from 'rx-captcha/emulator'
import { built } from '../support/built.js'
import { drawsOf } from '../support/chaos/seeded.js'
import { QueueRig, until } from '../support/queue.js'
import {
  IS_LONG,
  JOBS,
  LOCKS,
  SEED,
  TIMEOUT_MS,
  countOf,
  pagesOf,
  startWorker,
  submitted,
  tagsOf,
  unexpectedIn,
  type WorkerProcess
} from '../support/queue-workers.js'
import { describeWithRedis } from '../support/redis.js'

const READY_AFTER_MS = IS_LONG ? ([5_000, 20_000] as const) : ([50, 600] as const)
/** The time between two kills. */
const LIFE_MS = IS_LONG ? 2_000 : 400
const MOST_PICK_UP_MS = LOCKS.lockDuration + 2 * LOCKS.stalledInterval

/** How long each job of a dead worker waited until another worker had it, in order. */
const pickUpsOf = (workers: ReadonlyArray<WorkerProcess>, deaths: ReadonlyArray<Death>): ReadonlyArray<number> =>
  deaths
    .flatMap(({ victim, at }) =>
      [...victim.begun.keys()].flatMap((jobId) => {
        const later = workers.flatMap(({ begun }) => begun.get(jobId) ?? []).filter((begunAt) => begunAt > at)
        return later.length === 0 ? [] : [Math.min(...later) - at]
      })
    )
    .sort((one, other) => one - other)

interface Death {
  readonly victim: WorkerProcess
  readonly at: number
}

const nth = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.floor((sorted.length - 1) * share)] ?? 0

describeWithRedis('three workers, one of which is killed again and again', () => {
  const rig = new QueueRig()
  const build = built()

  it(
    `end each of ${JOBS} jobs once, and pay for each task once or tell that it is in doubt (QUEUE_SEED=${SEED})`,
    async () => {
      const draw = drawsOf(SEED)
      const emulator = await rig.emulator({ readyAfterMs: READY_AFTER_MS, latencyMs: 2, seed: SEED })
      const outcomes = lastValueFrom((await submitted(rig, pagesOf(JOBS))).pipe(toArray()))
      const all = { ended: false }
      void outcomes.then(() => (all.ended = true))
      const started: WorkerProcess[] = []
      const start = (): WorkerProcess => {
        const task = { concurrency: IS_LONG ? 50 : 5 }
        const worker = startWorker(rig, build(), emulator, { task })
        started.push(worker)
        return worker
      }
      const workers = [start(), start(), start()]
      const deaths: Death[] = []
      while (!all.ended && emulator.counters().accepted < JOBS) {
        const place = Math.floor(draw() * 3)
        const victim = workers[place]!
        await victim.ready
        const dies = Date.now() + LIFE_MS * (0.5 + draw())
        await until(() => all.ended || Date.now() >= dies)
        victim.kill('SIGKILL')
        deaths.push({ victim, at: Date.now() })
        workers[place] = start()
      }
      judge(emulator, await outcomes)
      report(pickUpsOf(started, deaths), deaths.length)
    },
    TIMEOUT_MS
  )
})

/** Compares the outcomes with the books of the service. */
const judge = (emulator: Emulator, outcomes: Parameters<typeof unexpectedIn>[0]): void => {
  const inDoubt = countOf(tagsOf(outcomes), 'CreateUnknown')
  const { accepted, delivered } = emulator.counters()
  expect(unexpectedIn(outcomes)).toEqual([])
  expect(outcomes).toHaveLength(JOBS)
  expect(new Set(outcomes.map(({ key }) => key)).size).toBe(JOBS)
  // Each page has one task at most, and a page without a task is told to be in doubt.
  expect(new Set(emulator.tasks().map(({ task }) => task.websiteURL)).size).toBe(accepted)
  expect(JOBS - accepted).toBeLessThanOrEqual(inDoubt)
  // Every task whose id was recorded became a token.
  expect(delivered).toBe(JOBS - inDoubt)
}

const report = (pickUps: ReadonlyArray<number>, kills: number): void => {
  if (!IS_LONG) return
  process.stderr.write(
    `${JOBS} jobs, ${kills} kills, ${pickUps.length} jobs picked up after ${nth(pickUps, 0.5)} ms (half), ` +
      `${nth(pickUps, 1)} ms (all); ${MOST_PICK_UP_MS} ms are promised\n`
  )
}
