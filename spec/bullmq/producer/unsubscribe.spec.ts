import { firstValueFrom, lastValueFrom, take, toArray } from 'rxjs'
import { recaptchaV2 } from 'rx-captcha'
import { jobIdOf, submitAll, type QueueLike, type RedisClientLike } from 'rx-captcha/bullmq'
import { QueueRig, until } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']

describeWithRedis('unsubscribing from submitAll', () => {
  const rig = new QueueRig()
  const tokenKey = (key: string) => `bull:${rig.name}:rx-captcha:${jobIdOf(key)}:token`

  const submit = async (keys: ReadonlyArray<string>, queue: QueueLike = rig.queue()) => {
    const events = await rig.events()
    const [keyOf, toData] = [(key: string) => key, (key: string) => `https://example.com/${key}`]
    return submitAll(keys, { queue, events, kind: recaptchaV2, keyOf, toData })
  }

  /** Completes a job for each key, whose token is not claimed. */
  const complete = async (keys: ReadonlyArray<string>): Promise<void> => {
    const submitted = (await submit(keys)).subscribe()
    await until(async () => (await rig.queue().getWaitingCount()) === keys.length)
    submitted.unsubscribe()
    rig.worker(rig.solver(await rig.emulator()))
    await until(async () => (await rig.queue().getCompletedCount()) === keys.length)
  }

  const tagsOf = async (keys: ReadonlyArray<string>, queue?: QueueLike): Promise<ReadonlyArray<string>> => {
    const outcomes = await lastValueFrom((await submit(keys, queue)).pipe(toArray()))
    return outcomes.map(({ result }) => (result._tag === 'Right' ? 'Solved' : result.left._tag)).sort()
  }

  /** The queue of the test, whose commands can be watched and held up. */
  const watchedQueue = (onCommand: (name: string, run: () => Promise<unknown>) => Promise<unknown>): QueueLike => {
    const queue: QueueLike = rig.queue()
    const watch = (client: RedisClientLike): RedisClientLike => ({
      defineCommand: (...command) => {
        client.defineCommand(...command)
      },
      runCommand: (name, args) => onCommand(name.replace('rxCaptcha_', ''), () => client.runCommand(name, args))
    })
    return {
      toKey: (type) => queue.toKey(type),
      add: (...job) => queue.add(...job),
      getJob: (jobId) => queue.getJob(jobId),
      getJobState: (jobId) => queue.getJobState(jobId),
      pause: () => queue.pause(),
      getBackend: () => ({ client: queue.getBackend().client.then(watch) })
    }
  }

  it('after one of ten outcomes leaves the tokens of the others to the next run', async () => {
    await complete(KEYS)
    const first = await lastValueFrom((await submit(KEYS)).pipe(take(1), toArray()))
    expect(first.map(({ result }) => result._tag)).toEqual(['Right'])
    expect(await tagsOf(KEYS)).toEqual([...Array<string>(9).fill('Solved'), 'TokenGone'])
  })

  it('leaves the tokens to the next run although the queue is closed at once', async () => {
    await complete(KEYS)
    const queue = rig.queue()
    await firstValueFrom(await submit(KEYS))
    await queue.close()
    const claimants = await Promise.all(KEYS.map((key) => rig.client.hget(tokenKey(key), 'claimant')))
    expect(claimants).toEqual(Array(10).fill(null))
    expect(await Promise.all(KEYS.map((key) => rig.client.exists(tokenKey(key))))).toEqual(
      expect.arrayContaining([...Array<number>(9).fill(1), 0])
    )
  })

  it('gives a token back with the time to live that it had', async () => {
    await complete(['a'])
    const before = await rig.ttlOf(tokenKey('a'))
    expect(before).toBeGreaterThan(95_000)
    let reply = (): void => undefined
    const queue = watchedQueue(async (name, run) => {
      const result = await run()
      if (name === 'claim') await new Promise<void>((resolve) => (reply = resolve))
      return result
    })
    const subscription = (await submit(['a'], queue)).subscribe()
    await until(async () => (await rig.client.hexists(tokenKey('a'), 'claimant')) === 1)
    expect(await rig.ttlOf(tokenKey('a'))).toBeLessThanOrEqual(90_000)
    subscription.unsubscribe()
    reply()
    await until(async () => (await rig.client.hexists(tokenKey('a'), 'claimant')) === 0)
    expect(await rig.ttlOf(tokenKey('a'))).toBeGreaterThan(95_000)
    expect(await rig.ttlOf(tokenKey('a'))).toBeLessThanOrEqual(before)
  })

  it('gives a token back whose claim reaches Redis after the unsubscription', async () => {
    await complete(['a'])
    let send: (() => void) | undefined
    const queue = watchedQueue(async (name, run) => {
      if (name === 'claim') await new Promise<void>((resolve) => (send = resolve))
      return run()
    })
    const subscription = (await submit(['a'], queue)).subscribe()
    await until(() => send !== undefined)
    subscription.unsubscribe()
    send?.()
    expect(await tagsOf(['a'])).toEqual(['Solved'])
  })

  it('sends no claim any more', async () => {
    await complete(['a'])
    const sent: string[] = []
    const watched = watchedQueue((name, run) => {
      sent.push(name)
      return run()
    })
    let isAsked = false
    let reply = (): void => undefined
    const queue: QueueLike = {
      ...watched,
      getJobState: async (jobId) => {
        isAsked = true
        await new Promise<void>((resolve) => (reply = resolve))
        return watched.getJobState(jobId)
      }
    }
    const subscription = (await submit(['a'], queue)).subscribe()
    await until(() => isAsked)
    subscription.unsubscribe()
    reply()
    expect(await tagsOf(['a'])).toEqual(['Solved'])
    expect(sent).toEqual([])
  })

  it('does not send a claim again that Redis refused', async () => {
    await complete(['a'])
    let claims = 0
    const queue = watchedQueue((name, run) => {
      if (name !== 'claim') return run()
      claims += 1
      return Promise.reject(new Error('LOADING'))
    })
    const subscription = (await submit(['a'], queue)).subscribe()
    await until(() => claims === 1)
    subscription.unsubscribe()
    await new Promise((resolve) => setTimeout(resolve, 800))
    expect(claims).toBe(1)
  })

  it('deletes a token only after its outcome was emitted', async () => {
    await complete(['a'])
    const log: string[] = []
    const queue = watchedQueue((name, run) => {
      log.push(name)
      return run()
    })
    const outcomes = await submit(['a'], queue)
    outcomes.subscribe(() => log.push('emitted'))
    await until(() => log.includes('claimed'))
    expect(log).toEqual(['claim', 'emitted', 'claimed'])
  })
})
