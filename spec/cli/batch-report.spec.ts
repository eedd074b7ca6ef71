import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from 'rx-captcha'
import { printReport, progressRows, type BatchEnd } from '../../lib/cli/batch/report.js'
import { BatchStats } from '../../lib/cli/batch/stats.js'
import { WrongUsage } from '../../lib/cli/shared/context.js'
import { makeConsole, makeContext } from '../support/command.js'

const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }
const timedOut: SolveError = { _tag: 'TimedOut', paid: 'yes', ref, afterMs: 1, polls: 0, causes: [] }
const solved = E.right({ ref, solution: 'token', readyAt: ref.createdAt + 1_000 })

const statsWith = (change: (stats: BatchStats) => void): BatchStats => {
  const stats = new BatchStats()
  change(stats)
  return stats
}

const textOf = (stats: BatchStats, total: number | undefined, elapsedMs: number): ReadonlyArray<string> =>
  progressRows(stats, total, elapsedMs).map(({ text }) => text)

describe('the progress of a batch', () => {
  const twenty = () =>
    statsWith((stats) => {
      stats.pulled = 25
      stats.solved = 20
    })

  it('shows the rate and the time left if the number of items is known', () => {
    expect(textOf(twenty(), 100, 10_000)).toStrictEqual([
      '20/100  2.0/s  40.0 s left',
      '5 active  20 solved  0 failed  0 paid'
    ])
  })

  it('shows whole numbers for a fast rate', () => {
    expect(textOf(twenty(), 100, 1_000)[0]).toBe('20/100  20/s  4.0 s left')
  })

  it('shows the number of items alone if the input is a stream', () => {
    expect(textOf(twenty(), undefined, 10_000)[0]).toBe('20 items  2.0/s')
  })

  it('shows no time left before anything has ended', () => {
    expect(textOf(new BatchStats(), 0, 0)[0]).toBe('0/0  0.0/s')
  })

  it('leaves skipped items out of the rate, and counts them', () => {
    const stats = statsWith((changed) => {
      changed.solved = 10
      changed.skipped = 50
    })
    expect(textOf(stats, 100, 10_000)).toStrictEqual([
      '60/100  1.0/s  40.0 s left',
      '-60 active  10 solved  0 failed  0 paid  50 done before'
    ])
  })
})

describe('the report of a batch', () => {
  const report = (end: Partial<BatchEnd>) => {
    const stderr = makeConsole()
    const code = printReport(makeContext({ stderr }), {
      ...{ stats: new BatchStats(), failure: undefined, signal: undefined, isExhausted: true, elapsedMs: 1_000 },
      ...{
        total: undefined,
        hasJournal: false,
        service: { flags: [], isEmbedded: false },
        commandLine: 'rx-captcha batch -'
      },
      ...end
    })
    return { code, text: stderr.text() }
  }

  it('says that the rest of a stream was not read', () => {
    const { code, text } = report({ signal: 'SIGTERM', isExhausted: false })
    expect(code).toBe(143)
    expect(text).toContain('Stopped by SIGTERM.\nThe rest of the input was not read.\n')
    expect(text).not.toContain('pay again')
  })

  it.each([
    ['was paid for', (stats: BatchStats) => stats.onEvent({ _tag: 'Created', at: 0, ref })],
    ['may be paid for', (stats: BatchStats) => stats.onOutcome(E.left({ _tag: 'CreateUnknown', paid: 'unknown' }), 1)]
  ])('warns of paying again if a task %s', (_, change) => {
    const { text } = report({ signal: 'SIGTERM', isExhausted: false, stats: statsWith(change) })
    expect(text).toContain('The same command would pay again for tasks that are done')
  })

  it('says why the batch was stopped if replies to createTask cannot be read', () => {
    const stats = statsWith((changed) => {
      changed.onOutcome(E.left({ _tag: 'CreateUnknown', paid: 'unknown' }), 1)
      changed.onOutcome(E.left({ _tag: 'NotCreated', paid: 'no', reason: 'unreadable', attempts: 0 }), 2)
    })
    const { code, text } = report({ stats, isExhausted: false })
    expect(code).toBe(4)
    expect(text).toMatch(/\nThe replies to createTask could not be read.* as error\.excerpt; .*\nThe rest of the/s)
  })

  it('says that the whole input was read if it failed afterwards', () => {
    const { code, text } = report({ failure: new Error('the journal is full') })
    expect(code).toBe(1)
    expect(text).toContain('the journal is full\nThe whole input was read.\n')
  })

  it('prints how to resume each paid task that is in no line of the output', () => {
    const stats = statsWith((changed) => {
      changed.onOutcome(E.left(timedOut), 1)
      changed.onWriteFailure(E.left({ ...timedOut, ref: { ...ref, taskId: '17', numeric: true } }))
      changed.onWriteFailure(E.left({ _tag: 'InvalidTask', paid: 'no', problems: [] }))
    })
    const service = { flags: ['--base-url', 'https://a.b'], isEmbedded: false }
    const { code, text } = report({ stats, service, failure: new Error('the disk is full') })
    expect(code).toBe(3)
    expect(text).toContain('2 outcomes could not be written: the disk is full.')
    expect(text).toContain(`  rx-captcha resume 17 --created-at ${ref.createdAt} --numeric --base-url https://a.b\n`)
  })

  it('ends with the exit code of the signal only if something is left to do', () => {
    expect(report({ signal: 'SIGINT' }).code).toBe(0)
    expect(report({ signal: 'SIGINT', stats: statsWith((stats) => stats.onOutcome(E.left(timedOut), 1)) }).code).toBe(
      130
    )
  })

  it('passes on a mistake in the command if nothing was done', () => {
    expect(() => report({ failure: new WrongUsage('no such file') })).toThrow(WrongUsage)
  })

  it('measures no time to token for tasks of an earlier run', () => {
    const stats = new BatchStats()
    stats.onOutcome(solved, 1)
    expect(stats.times.count).toBe(0)
    expect(report({ stats }).text).not.toContain('Time to token')
  })

  it('measures the time to token by elapsed time, whatever the system clock says meanwhile', () => {
    const stats = statsWith((changed) => {
      changed.onEvent({ _tag: 'Created', at: 0, ref })
      changed.onOutcome(E.right({ ref, solution: 'token', readyAt: ref.createdAt + 3_600_000 }), 1)
    })
    expect([stats.times.count, stats.times.max < 60_000]).toStrictEqual([1, true])
  })

  it('counts failures by tag and code, and names their first five lines', () => {
    const stats = statsWith((changed) => {
      const error = { _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorDescription: '', kind: 'task' } as const
      for (let nth = 1; nth <= 6; nth += 1) changed.onOutcome(E.left({ ...error, errorCode: 'ERROR_X' }), nth)
      changed.onOutcome(E.left({ ...error, errorCode: '' }), 7)
      changed.onOutcome(E.left({ _tag: 'Refused', paid: 'no', status: 403, kind: 'request' }), 8)
    })
    expect(report({ stats }).text).toMatch(
      /Failed:\n +6 {2}TaskFailed ERROR_X +lines 1, 2, 3, 4, 5, …\n +1 {2}TaskFailed +line 7\n +1 {2}Refused +line 8\n/
    )
  })
})
