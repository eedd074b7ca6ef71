import { Subject } from 'rxjs'
import type { Solver, SolverEvent } from 'rx-captcha'
import { JobReports } from '../../../lib/bullmq/worker/job-reports.js'
import type { JobLike, QueueLike } from '../../../lib/bullmq/ports.js'

const reporting = () => {
  const events = new Subject<SolverEvent>()
  const calls: unknown[] = []
  const queue = { pause: () => Promise.resolve(calls.push('pause')) } as unknown as QueueLike
  const hold = (ms: number) => Promise.resolve(void calls.push(ms))
  const reports = new JobReports({ events } as unknown as Solver, queue, { hold })
  return { events, calls, queue, reports }
}

const delayed = (fields: object): SolverEvent => ({
  _tag: 'Delayed',
  at: 1,
  solveId: 1,
  reason: 'unavailable',
  waitMs: 3_000,
  ...fields
})

describe('JobReports', () => {
  it.each(['account', 'unreadable'] as const)('pauses the queue when a batch is stopped by the reason %s', (reason) => {
    const { events, calls } = reporting()
    events.next({ _tag: 'BatchStopped', at: 1, batchId: 1, reason })
    expect(calls).toEqual(['pause'])
  })

  it.each(['until', 'closed', 'journal', 'maxCreates'] as const)('does not pause it by the reason %s', (reason) => {
    const { events, calls } = reporting()
    events.next({ _tag: 'BatchStopped', at: 1, batchId: 1, reason })
    expect(calls).toEqual([])
  })

  it('holds the queue back for as long as createTask is delayed', () => {
    const { events, calls } = reporting()
    events.next(delayed({ waitMs: 7_000.4 }))
    expect(calls).toEqual([7_000.4])
  })

  it.each([
    ['the wait of one refused task', { waitMs: 2_999 }],
    ['the wait of a poll', { ref: { taskId: 'task', createdAt: 1 } }],
    ['a failure of the network', { reason: 'network' }],
    ['the rate of the solver itself', { reason: 'rate' }]
  ])('does not hold it back for %s', (_what, fields) => {
    const { events, calls } = reporting()
    events.next(delayed(fields))
    expect(calls).toEqual([])
  })

  it('goes on when Redis fails', async () => {
    const { events, queue, calls } = reporting()
    Object.assign(queue, { pause: () => Promise.reject(new Error('no Redis')) })
    events.next({ _tag: 'BatchStopped', at: 1, batchId: 1, reason: 'account' })
    await Promise.resolve()
    events.next(delayed({}))
    expect(calls).toEqual([3_000])
  })

  it('writes the newest step after a slow write, and leaves out those between', async () => {
    const { events, reports } = reporting()
    const written: object[] = []
    const writes: (() => void)[] = []
    const job = {
      updateProgress: (progress: object) => {
        written.push(progress)
        return new Promise<void>((resolve) => writes.push(resolve))
      }
    } as unknown as JobLike<unknown>
    const unfollow = reports.follow('job-1', job)
    const ref = { taskId: 'task', createdAt: 1 }
    for (const polls of [1, 2, 3]) events.next({ _tag: 'Polled', at: polls, solveId: 1, label: 'job-1', ref, polls })
    expect(written).toEqual([{ _tag: 'Polled', at: 1, ref, polls: 1 }])
    writes[0]?.()
    await new Promise(setImmediate)
    expect(written.slice(1)).toEqual([{ _tag: 'Polled', at: 3, ref, polls: 3 }])
    unfollow()
    writes[1]?.()
    await new Promise(setImmediate)
    events.next({ _tag: 'Polled', at: 4, solveId: 1, label: 'job-1', ref, polls: 4 })
    expect(written).toHaveLength(2)
  })

  it('writes no step of another solve, and no other event', () => {
    const { events, reports } = reporting()
    const written: object[] = []
    const updateProgress = (progress: object) => Promise.resolve(void written.push(progress))
    reports.follow('job-1', { updateProgress } as unknown as JobLike<unknown>)
    events.next({ _tag: 'Polled', at: 1, solveId: 1, label: 'job-2', ref: { taskId: 'task', createdAt: 1 }, polls: 1 })
    events.next({ _tag: 'CreateSent', at: 1, solveId: 1, label: 'job-1', attempts: 1 })
    events.next({ _tag: 'Polled', at: 1, solveId: 1, ref: { taskId: 'task', createdAt: 1 }, polls: 1 })
    expect(written).toEqual([])
  })

  it('emits on `closed` when the solver is closed', () => {
    const { events, reports } = reporting()
    const closed: unknown[] = []
    reports.closed.subscribe(() => closed.push('closed'))
    expect(closed).toEqual([])
    events.complete()
    expect(closed).toEqual(['closed'])
  })
})
