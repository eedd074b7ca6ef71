import type { Queue } from 'bullmq'
import * as t from 'io-ts'
import { Subject, firstValueFrom, lastValueFrom, of, take, toArray } from 'rxjs'
import { recaptchaV2, type RecaptchaV2Solution } from 'rx-captcha'
import { jobIdOf, submitAll, type QueueEventsLike, type SubmitOptions } from 'rx-captcha/bullmq'
import { Records } from '../../../lib/bullmq/record/records.js'
import { JobJournal } from '../../../lib/bullmq/record/job-journal.js'
import { QueueRig, until, type Page } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

type Solution = RecaptchaV2Solution
type Options = SubmitOptions<string, Page, Solution>

describeWithRedis('submitAll', () => {
  const rig = new QueueRig()

  const optionsFor = (queue: Queue<Page>, events: QueueEventsLike, more: Partial<Options> = {}): Options => ({
    ...{ queue, events, kind: recaptchaV2 },
    keyOf: (order) => order,
    toData: (order) => `https://example.com/${order}`,
    ...more
  })

  it('emits one outcome for each item, with its token', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [0, 30] })
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const orders = ['a', 'b', 'c']
    const outcomes = await lastValueFrom(submitAll(orders, optionsFor(queue, events)).pipe(toArray()))
    const byIndex = [...outcomes].sort((one, other) => one.index - other.index)
    expect(byIndex.map(({ index, item, key }) => [index, item, key])).toEqual([
      [0, 'a', 'a'],
      [1, 'b', 'b'],
      [2, 'c', 'c']
    ])
    for (const { result } of byIndex)
      expect(result).toMatchObject({
        _tag: 'Right',
        right: { solution: { gRecaptchaResponse: expect.any(String) as string } }
      })
  })

  it('pulls an item only when there is room for it', async () => {
    const [queue, events] = [rig.queue(), await rig.events()]
    let pulled = 0
    const orders = function* () {
      for (;;) yield `order-${(pulled += 1)}`
    }
    const subscription = submitAll(orders(), optionsFor(queue, events, { concurrency: 3 })).subscribe()
    await until(async () => (await queue.getWaitingCount()) === 3)
    expect(pulled).toBe(3)
    subscription.unsubscribe()
    expect(await queue.getWaitingCount()).toBe(3)
  })

  it('awaits the job of a key that is in the queue already, and adds none', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    const options = optionsFor(queue, events)
    const first = submitAll(['a'], options).subscribe()
    await until(async () => (await queue.getWaitingCount()) === 1)
    first.unsubscribe()
    const outcome = firstValueFrom(submitAll(['a'], options))
    rig.worker(rig.solver(emulator))
    expect((await outcome).result._tag).toBe('Right')
    expect(emulator.counters().accepted).toBe(1)
  })

  it('hands a token out once: a second producer with the same key gets TokenGone, with the task', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const options = optionsFor(queue, events)
    const outcomes = await Promise.all([1, 2, 3].map(() => firstValueFrom(submitAll(['a'], options))))
    const tags = outcomes.map(({ result }) => (result._tag === 'Right' ? 'Solved' : result.left._tag))
    expect(tags.sort()).toEqual(['Solved', 'TokenGone', 'TokenGone'])
    const later = await firstValueFrom(submitAll(['a'], options))
    expect(later.result).toEqual({
      _tag: 'Left',
      left: {
        _tag: 'TokenGone',
        paid: 'yes',
        ref: { taskId: emulator.tasks()[0]?.taskId, createdAt: expect.any(Number) as number }
      }
    })
    expect(emulator.counters().accepted).toBe(1)
  })

  it('hands a token out once to two items with the same key', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const outcomes = await lastValueFrom(submitAll(['a', 'a'], optionsFor(queue, events)).pipe(toArray()))
    const tags = outcomes.map(({ result }) => (result._tag === 'Right' ? 'Solved' : result.left._tag))
    expect(tags.sort()).toEqual(['Solved', 'TokenGone'])
  })

  it('emits JobFailed, perhaps paid for, for a job without a record that was cancelled', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    const { worker } = rig.worker(rig.solver(emulator, { createsPerSecond: 0.001 }))
    const first = submitAll(['a', 'b'], optionsFor(queue, events)).subscribe()
    await until(() => emulator.counters().accepted === 1)
    await until(async () => (await queue.getCompletedCount()) === 1)
    first.unsubscribe()
    worker.cancelJob(jobIdOf('b'))
    await until(async () => (await queue.getFailedCount()) === 1)
    const { result } = await firstValueFrom(submitAll(['b'], optionsFor(queue, events)))
    expect(result).toMatchObject({ left: { _tag: 'JobFailed', paid: 'unknown' } })
  })

  it('finds a token gone that has expired, by the clock of Redis', async () => {
    const [queue, events] = [rig.queue(), await rig.events()]
    const key = jobIdOf('a')
    const journal = new JobJournal(new Records(queue), { run: 'run', lock: '' }, { tokenMs: 1, recordMs: 60_000 })
    const ref = { taskId: 'task', createdAt: 1 }
    await lastValueFrom(journal.begin(key))
    await lastValueFrom(journal.created(key, ref))
    await lastValueFrom(journal.deliver(key, { _tag: 'Right', right: { ref, solution: 'token', readyAt: 2 } }))
    await until(async () => (await rig.client.exists(`bull:${rig.name}:rx-captcha:${key}:token`)) === 0)
    const { result } = await firstValueFrom(submitAll(['a'], optionsFor(queue, events)))
    expect(result).toEqual({ _tag: 'Left', left: { _tag: 'TokenGone', paid: 'yes', ref } })
  })

  it('counts the life of a token on the clock of the producer, and never too long', async () => {
    const [queue, events] = [rig.queue(), await rig.events()]
    const key = jobIdOf('a')
    const journal = new JobJournal(new Records(queue), { run: 'run', lock: '' }, { tokenMs: 1, recordMs: 60_000 })
    const ref = { taskId: 'task', createdAt: 1 }
    await lastValueFrom(journal.begin(key))
    const deliveredAt = Date.now()
    const lives = { useBefore: deliveredAt + 60_000, expiresAt: deliveredAt + 120_000 }
    const solved = { ref, solution: { gRecaptchaResponse: 'token' }, readyAt: deliveredAt, ...lives }
    await lastValueFrom(journal.deliver(key, { _tag: 'Right', right: solved }, 120_000))
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => 1_000_000)
    const { result } = await firstValueFrom(submitAll(['a'], optionsFor(queue, events)))
    clock.mockRestore()
    if (result._tag === 'Left') throw new Error(result.left._tag)
    const { useBefore = 0, expiresAt = 0 } = result.right
    expect(expiresAt - useBefore).toBe(60_000)
    expect(expiresAt).toBeLessThanOrEqual(1_000_000 + 120_000)
    expect(expiresAt).toBeGreaterThan(1_000_000 + 60_000)
  })

  it('emits the error of a solve that failed', async () => {
    const emulator = await rig.emulator({ faults: ['task:always:ERROR_CAPTCHA_UNSOLVABLE'] })
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const { result } = await firstValueFrom(submitAll(['a'], optionsFor(queue, events)))
    expect(result).toMatchObject({
      _tag: 'Left',
      left: { _tag: 'TaskFailed', errorCode: 'ERROR_CAPTCHA_UNSOLVABLE', paid: 'yes' }
    })
  })

  it('emits the error of a task again for a key that is tried again, and calls nothing', async () => {
    const emulator = await rig.emulator({ faults: ['task:always:ERROR_CAPTCHA_UNSOLVABLE'] })
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const options = optionsFor(queue, events)
    await firstValueFrom(submitAll(['a'], options))
    const { requests } = emulator.counters()
    await (await queue.getJob(jobIdOf('a')))?.remove()
    const { result } = await firstValueFrom(submitAll(['a'], options))
    expect(result).toMatchObject({ left: { _tag: 'TaskFailed', errorCode: 'ERROR_CAPTCHA_UNSOLVABLE' } })
    await until(async () => (await queue.getFailedCount()) === 1)
    expect((await queue.getJob(jobIdOf('a')))?.failedReason).toContain('in an earlier run')
    expect(emulator.counters().requests).toEqual(requests)
  })

  it('emits JobFailed, with what is known of the task, for a job that was cancelled', async () => {
    const emulator = await rig.unfinished()
    const [queue, events] = [rig.queue(), await rig.events()]
    const { worker } = rig.worker(rig.solver(emulator))
    const outcome = firstValueFrom(submitAll(['a'], optionsFor(queue, events)))
    await until(() => emulator.counters().accepted === 1)
    await until(async () => (await rig.recordOf(jobIdOf('a'))).state === 'created')
    worker.cancelJob(jobIdOf('a'))
    expect((await outcome).result).toMatchObject({
      _tag: 'Left',
      left: { _tag: 'JobFailed', paid: 'yes', ref: { taskId: emulator.tasks()[0]?.taskId } }
    })
  })

  it('emits JobFailed for a job that was removed from the queue', async () => {
    const [queue, events] = [rig.queue(), await rig.events()]
    const outcome = firstValueFrom(submitAll(['a'], optionsFor(queue, events, { checkEveryMs: 5, lostAfterMs: 20 })))
    await until(async () => (await queue.getWaitingCount()) === 1)
    await (await queue.getJob(jobIdOf('a')))?.remove()
    expect((await outcome).result).toEqual({
      _tag: 'Left',
      left: {
        _tag: 'JobFailed',
        paid: 'unknown',
        reason: expect.stringMatching(/^the queue does not know the job any more/) as string
      }
    })
  })

  it('finds outcomes whose events it missed', async () => {
    const emulator = await rig.emulator()
    const queue = rig.queue()
    const deaf: QueueEventsLike = { on: () => undefined, off: () => undefined }
    rig.worker(rig.solver(emulator))
    const { result } = await firstValueFrom(submitAll(['a'], optionsFor(queue, deaf, { checkEveryMs: 5 })))
    expect(result._tag).toBe('Right')
  })

  it('submits no more items when `until` emits, and awaits the outcomes of submitted ones', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    const stop = new Subject<void>()
    const orders = function* () {
      for (let index = 0; ; index += 1) yield `order-${index}`
    }
    const outcomes = lastValueFrom(
      submitAll(orders(), optionsFor(queue, events, { concurrency: 2, until: stop })).pipe(toArray())
    )
    await until(async () => (await queue.getWaitingCount()) === 2)
    stop.next()
    rig.worker(rig.solver(emulator))
    expect(await outcomes).toHaveLength(2)
  })

  it('is cold, and reads an Observable of items', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    const submitted = submitAll(of('a', 'b'), optionsFor(queue, events))
    expect(await queue.getWaitingCount()).toBe(0)
    rig.worker(rig.solver(emulator))
    expect(await lastValueFrom(submitted.pipe(toArray()))).toHaveLength(2)
  })

  it('refuses a token that the kind cannot decode, with its task', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const kind = { solution: t.type({ text: t.string }) }
    const { result } = await firstValueFrom(submitAll(['a'], { ...optionsFor(queue, events), kind }))
    expect(result).toMatchObject({
      _tag: 'Left',
      left: {
        _tag: 'BadReply',
        paid: 'yes',
        ref: { taskId: emulator.tasks()[0]?.taskId },
        problems: [
          'solution: text: expected string',
          expect.stringMatching(/^kind: expected one that decodes the solution that the worker has decoded/) as string
        ]
      }
    })
  })

  it('gives a token back that the kind cannot decode, for a run with another kind', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const options = optionsFor(queue, events)
    const first = await firstValueFrom(submitAll(['a'], { ...options, kind: { solution: t.type({ text: t.string }) } }))
    expect(first.result).toMatchObject({ left: { _tag: 'BadReply' } })
    const { result } = await firstValueFrom(submitAll(['a'], options))
    expect(result._tag).toBe('Right')
    expect(emulator.counters().accepted).toBe(1)
  })

  it('stops listening when all outcomes are known', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const before = events.listenerCount('completed')
    const outcomes = submitAll(['a', 'b'], optionsFor(queue, events)).pipe(take(2), toArray())
    const listening = lastValueFrom(outcomes)
    await until(() => events.listenerCount('completed') === before + 1)
    await listening
    expect(events.listenerCount('completed')).toBe(before)
    expect(events.listenerCount('failed')).toBe(0)
  })

  it.each([[''], [7 as unknown as string]])('errors for %j as a key', async (key) => {
    const [queue, events] = [rig.queue(), await rig.events()]
    const submitted = submitAll(['a'], optionsFor(queue, events, { keyOf: () => key }))
    await expect(lastValueFrom(submitted)).rejects.toThrow('keyOf: expected a string that is not empty')
  })

  it('errors at once for data that JSON cannot hold, with the key', async () => {
    const [queue, events] = [rig.queue(), await rig.events()]
    const submitted = submitAll(['a'], optionsFor(queue, events, { toData: () => 7n as unknown as string }))
    await expect(lastValueFrom(submitted)).rejects.toThrow('toData: JSON cannot hold the data for the key "a": ')
  })

  it('solves a key with a lone surrogate', async () => {
    const emulator = await rig.emulator()
    const [queue, events] = [rig.queue(), await rig.events()]
    rig.worker(rig.solver(emulator))
    const submitted = submitAll(['a\ud800'], optionsFor(queue, events, { toData: () => 'https://example.com' }))
    expect((await firstValueFrom(submitted)).result._tag).toBe('Right')
  })

  it('throws InvalidOptions at once for what cannot work', async () => {
    const [queue, events] = [rig.queue(), await rig.events()]
    const options = optionsFor(queue, events)
    const without = (more: object) => () => submitAll(['a'], { ...options, ...more })
    expect(() => submitAll('abc', options)).toThrow('items: expected an array, an iterable')
    expect(without({ queue: {} })).toThrow('queue: expected a Queue of BullMQ 6 on Redis')
    expect(without({ queue: { getBackend: () => ({}) } })).toThrow('queue: expected a Queue of BullMQ 6 on Redis')
    expect(without({ events: {} })).toThrow('events: expected a QueueEvents of BullMQ')
    expect(without({ kind: (x: string) => x })).toThrow('kind: expected a kind of task, such as recaptchaV2')
    expect(without({ kind: {} })).toThrow('kind: expected a kind of task, such as recaptchaV2')
    expect(without({ concurrency: 0 })).toThrow('concurrency: expected')
    expect(without({ checkEvryMs: 5 })).toThrow('checkEvryMs: unknown option (did you mean checkEveryMs?)')
  })
})

describe('jobIdOf', () => {
  it('is the percent-encoding of a well-formed key', () => {
    const key = 'order 7:ü/😀%uD800'
    expect(jobIdOf(key)).toBe(`task-${encodeURIComponent(key)}`)
  })

  it('gives different keys different ids, also if they hold lone surrogates', () => {
    const keys = [
      '\ud800',
      '\udc00',
      '\udc00\ud800',
      '\ud800\udc00',
      '\ufffd',
      '%uD800',
      'a\ud800',
      '\ud800a',
      '\ud801'
    ]
    expect(new Set(keys.map(jobIdOf)).size).toBe(keys.length)
  })
})
