import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Observable, asapScheduler, asyncScheduler, map, of, queueScheduler } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { createSolver, type NetworkEvent, type Post, type SolverOptions } from 'rx-captcha'
import { outcome } from '../support/solvers.js'
import { until } from '../support/raw-http.js'
import { KEY, aTask } from '../support/simulate.js'

const HOUR_MS = 3_600_000

/** A service that replies at once; a task is ready at its second poll. */
const readyAtSecondPoll = () => {
  const calls: string[] = []
  const post: Post = (path) => {
    calls.push(path.slice(1))
    const document =
      path === '/createTask'
        ? { errorId: 0, taskId: 'id-1' }
        : calls.filter((call) => call === 'getTaskResult').length % 2 === 1
          ? { errorId: 0, status: 'processing' }
          : { errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'token' } }
    return of<NetworkEvent[]>({ _tag: 'Sent' }, { _tag: 'Reply', status: 200, body: JSON.stringify(document) })
  }
  return { calls, post }
}

const solverOver = (post: Post, options: Partial<SolverOptions> = {}) =>
  createSolver({ clientKey: KEY, pollEveryMs: 2, post, ...options })

describe('a system clock that is set', () => {
  const realNow = Date.now
  afterEach(() => {
    jest.restoreAllMocks()
  })
  const setClockBy = (ms: number): void => {
    jest.spyOn(Date, 'now').mockImplementation(() => realNow() + ms)
  }

  it.each([-HOUR_MS, HOUR_MS])('by %i ms between two solves changes nothing', async (ms) => {
    const { post, calls } = readyAtSecondPoll()
    const solver = solverOver(post, { createsPerSecond: 500 })
    expect(await outcome(solver.solve(aTask))).toMatchObject({ _tag: 'Right' })
    setClockBy(ms)
    expect(await outcome(solver.solve(aTask))).toMatchObject({ _tag: 'Right' })
    expect(calls).toHaveLength(6)
  })

  it.each([-HOUR_MS, HOUR_MS])('by %i ms while tasks wait at the limiter changes nothing', async (ms) => {
    const solver = solverOver(readyAtSecondPoll().post, { createsPerSecond: 200 })
    const results = Promise.all([1, 2, 3].map(() => outcome(solver.solve(aTask))))
    setClockBy(ms)
    expect((await results).map(({ _tag }) => _tag)).toStrictEqual(['Right', 'Right', 'Right'])
  })

  it.each([
    ['asyncScheduler', asyncScheduler],
    ['queueScheduler', queueScheduler],
    ['asapScheduler', asapScheduler]
  ])('back by an hour changes nothing for a solver that was given the %s of RxJS', async (_, scheduler) => {
    const solver = solverOver(readyAtSecondPoll().post, { createsPerSecond: 200, scheduler })
    const results = Promise.all([1, 2, 3].map(() => outcome(solver.solve(aTask))))
    setClockBy(-HOUR_MS)
    expect((await results).map(({ _tag }) => _tag)).toStrictEqual(['Right', 'Right', 'Right'])
  })

  it.each([-HOUR_MS, HOUR_MS])('by %i ms while a task is polled ends it at no other time', async (ms) => {
    const { post, calls } = readyAtSecondPoll()
    const solver = solverOver(post, { pollEveryMs: 5, giveUpAfterMs: 2_000 })
    const result = outcome(solver.solve(aTask))
    await until(() => calls.length === 2)
    setClockBy(ms)
    const { right } = (await result) as { readonly right: { readonly readyAt: number; readonly useBefore: number } }
    expect(right.useBefore - right.readyAt).toBeGreaterThan(59_000)
    expect(right.useBefore - right.readyAt).toBeLessThanOrEqual(60_000)
  })

  it('back by an hour does not make a new task an unknown one', async () => {
    const replies = [
      '{"errorId":0,"taskId":"id-1"}',
      '{"errorId":1,"errorCode":"ERROR_NO_SUCH_CAPCHA_ID"}',
      '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"token"}}'
    ]
    const post: Post = (path) => {
      const body = replies.shift() ?? ''
      if (path === '/createTask') setClockBy(-HOUR_MS)
      return of<NetworkEvent[]>({ _tag: 'Sent' }, { _tag: 'Reply', status: 200, body })
    }
    expect(await outcome(solverOver(post).solve(aTask))).toMatchObject({ _tag: 'Right' })
  })
})

describe('the timers of a test', () => {
  afterEach(() => {
    jest.useRealTimers()
  })

  it.each<[string, Parameters<typeof jest.useFakeTimers>[0]]>([
    ['without performance', { doNotFake: ['performance'] }],
    ['without performance and Date', { doNotFake: ['performance', 'Date'] }],
    ['of every kind', {}]
  ])('that fake time %s let a solve take its six seconds', (_, options) => {
    jest.useFakeTimers(options)
    const results: unknown[] = []
    solverOver(readyAtSecondPoll().post, { pollEveryMs: 3_000 })
      .solve(aTask)
      .subscribe((result) => results.push(result))
    jest.advanceTimersByTime(5_999)
    expect(results).toStrictEqual([])
    jest.advanceTimersByTime(1)
    expect(results).toMatchObject([{ _tag: 'Right' }])
  })

  it('let a deadline pass', () => {
    jest.useFakeTimers({ doNotFake: ['performance'] })
    const silent: Post = () => new Observable((subscriber) => subscriber.next({ _tag: 'Sent' }))
    const results: unknown[] = []
    solverOver(silent, { giveUpAfterMs: 20_000 })
      .solve(aTask)
      .subscribe((result) => results.push(result))
    jest.advanceTimersByTime(20_000)
    expect(results).toMatchObject([{ left: { _tag: 'CreateUnknown' } }])
  })
})

describe('TestScheduler.run', () => {
  it('is virtual for a solver that was made without a scheduler', () => {
    const scheduler = new TestScheduler((actual, expected) => {
      expect(actual).toStrictEqual(expected)
    })
    scheduler.run(({ expectObservable }) => {
      const solver = solverOver(readyAtSecondPoll().post, { pollEveryMs: 3_000 })
      expectObservable(solver.solve(aTask).pipe(map(({ _tag }) => _tag))).toBe('6s (r|)', { r: 'Right' })
    })
  })
})

/** A service in another thread, which replies while this one is frozen, `delayMs` after a request. */
const threadedService = async (delayMs: number) => {
  const seen = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(
    `
    const { createServer } = require('node:http')
    const { parentPort, workerData } = require('node:worker_threads')
    const replies = {
      '/createTask': '{"errorId":0,"taskId":"id-1"}',
      '/getTaskResult': '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"token"}}'
    }
    createServer((request, response) => {
      request.resume().on('end', () => {
        Atomics.add(workerData.seen, 0, 1)
        setTimeout(() => {
          response.end(replies[request.url])
        }, workerData.delayMs)
      })
    }).listen(0, '127.0.0.1', function () { parentPort.postMessage(this.address().port) })
    `,
    { eval: true, workerData: { delayMs, seen } }
  )
  const [port] = (await once(worker, 'message')) as [number]
  const requests = (): number => Atomics.load(seen, 0)
  return { baseUrl: `http://127.0.0.1:${port}`, requests, stop: () => worker.terminate() }
}

/** Blocks the process, as a suspension does. */
const freeze = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

describe('a process that is frozen for longer than a limit', () => {
  let service: Awaited<ReturnType<typeof threadedService>>
  beforeAll(async () => {
    service = await threadedService(10)
  })
  afterAll(() => service.stop())

  /** Solves a task, and freezes the process once the service has seen this many requests. */
  const solveFrozenAfter = async (requests: number, options: Partial<SolverOptions>) => {
    const solver = createSolver({ clientKey: KEY, baseUrl: service.baseUrl, pollEveryMs: 1, ...options })
    const before = service.requests()
    const result = outcome(solver.solve(aTask))
    await until(() => service.requests() === before + requests)
    freeze(300)
    const settled = await result
    await solver.close()
    return { settled, requests: service.requests() - before }
  }

  it.each<[string, number, Partial<SolverOptions>]>([
    ['createTask', 1, { createTimeoutMs: 250 }],
    ['a poll', 2, { resultTimeoutMs: 250 }],
    ['a task, while it is polled', 2, { giveUpAfterMs: 250 }]
  ])('reads the reply that arrived meanwhile before it applies the limit of %s', async (_, nth, options) => {
    const { settled, requests } = await solveFrozenAfter(nth, options)
    expect(settled).toMatchObject({ _tag: 'Right' })
    expect(requests).toBe(2)
  })
})
