import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from 'rx-captcha'
import { printReport, progressRows, type BatchEnd } from '../../../lib/cli/batch/report.js'
import { BatchStats } from '../../../lib/cli/batch/stats.js'
import { WrongUsage } from '../../../lib/cli/shared/context.js'
import { makeConsole, makeContext } from '../../support/command.js'

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

describe('the progress of a batch with tasks that can be resumed', () => {
  it('counts them apart from those that failed', () => {
    expect(textOf(withOpenTasks(), 10, 1_000)).toStrictEqual([
      '3/10  3.0/s  2.3 s left',
      '0 active  0 solved  1 failed  2 to be resumed  0 paid'
    ])
  })
})

describe('the progress of a batch that the service makes wait', () => {
  const paused = { _tag: 'Delayed', at: 0, solveId: 1, reason: 'unavailable', waitMs: 59_500 } as const

  it('shows when the next createTask is tried', () => {
    const stats = statsWith((changed) => changed.onEvent(paused))
    expect(textOf(stats, 100, 10_000)[1]).toBe('0 active  0 solved  0 failed  0 paid  next try in 60 s')
  })

  it.each([
    ['a task was created', [paused, { _tag: 'Created', at: 0, solveId: 1, ref }]],
    ['a poll waits', [{ ...paused, ref }]],
    ['the network fails', [{ ...paused, reason: 'network' }]]
  ] as const)('shows nothing of it once %s', (_, events) => {
    const stats = statsWith((changed) => events.forEach((event) => changed.onEvent(event)))
    expect(textOf(stats, 100, 10_000)[1]).not.toContain('next try')
  })
})

const withOpenTasks = () =>
  statsWith((stats) => {
    stats.pulled = 3
    stats.onOutcome(E.left(timedOut), 1)
    stats.onOutcome(E.left({ _tag: 'Interrupted', paid: 'yes', ref }), 2)
    stats.onOutcome(E.left({ _tag: 'NotCreated', paid: 'no', reason: 'dns', attempts: 4 }), 3)
  })

describe('the report of a batch', () => {
  const report = ({
    isExhausted = true,
    stats = new BatchStats(),
    ...end
  }: Partial<BatchEnd & Pick<BatchStats, 'isExhausted'>>) => {
    stats.isExhausted = isExhausted
    const stderr = makeConsole()
    const code = printReport(makeContext({ stderr }), {
      ...{ stats, failure: undefined, signal: undefined, elapsedMs: 1_000, commandLine: 'rx-captcha batch -' },
      ...{ files: { input: { total: undefined }, journal: undefined }, service: { flags: [], isEmbedded: false } },
      ...end
    })
    return { code, text: stderr.text() }
  }

  it('counts tasks that can be resumed apart from those that failed', () => {
    expect(report({ stats: withOpenTasks() }).text).toMatch(/^3 items in .*: 0 solved, 1 failed, 2 to be resumed\.\n/)
  })

  it('states that the rest of a stream was not read', () => {
    const { code, text } = report({ signal: 'SIGTERM', isExhausted: false })
    expect(code).toBe(143)
    expect(text).toContain('Stopped by SIGTERM.\nThe rest of the input was not read.\n')
    expect(text).not.toContain('pay again')
  })

  it.each([
    ['was paid for', (stats: BatchStats) => stats.onEvent({ _tag: 'Created', at: 0, solveId: 1, ref })],
    ['may be paid for', (stats: BatchStats) => stats.onOutcome(E.left({ _tag: 'CreateUnknown', paid: 'unknown' }), 1)]
  ])('warns of paying again if a task %s', (_, change) => {
    const { text } = report({ signal: 'SIGTERM', isExhausted: false, stats: statsWith(change) })
    expect(text).toContain('The same command would pay again for tasks that are done')
  })

  describe('of createTask calls that got HTTP 503 without a document', () => {
    const assumed = { _tag: 'AssumedNotCreated', at: 0, solveId: 1, status: 503 } as const
    const refused: SolveError = { _tag: 'Refused', paid: 'unknown', status: 503, kind: 'unavailable' }
    const reportOf = (change: (stats: BatchStats) => void) => report({ stats: statsWith(change) }).text

    it('counts them as perhaps paid for, beside the task that was created at last', () => {
      const text = reportOf((stats) => {
        stats.onEvent(assumed)
        stats.onEvent({ _tag: 'Created', at: 0, solveId: 1, ref })
        stats.onOutcome(solved, 1)
      })
      expect(text).toContain(
        'Paid for: 1 new task, and perhaps 1 more.\n1 createTask call that got HTTP 503 without a document may be paid for.\n'
      )
    })

    it('counts two of a task that was refused at last as two', () => {
      const text = reportOf((stats) => {
        stats.onEvent(assumed)
        stats.onEvent(assumed)
        stats.onOutcome(E.left(refused), 1)
      })
      expect(text).toContain('Paid for: 0 new tasks, and perhaps 2 more.\n2 createTask calls that got HTTP 503')
    })

    it('counts a refusal in doubt as one if its calls were sent elsewhere, by the worker of a queue', () => {
      const text = reportOf((stats) => {
        stats.onOutcome(E.left(refused), 1)
      })
      expect(text).toMatch(/^Paid for: 0 new tasks, and perhaps 1 more\.\n\n/m)
    })

    it('counts them against --max-tasks', () => {
      const stats = statsWith((changed) => changed.onEvent(assumed))
      expect(report({ stats, isExhausted: false, maxTasks: 1 }).text).toContain('Stopped by --max-tasks')
    })

    it('warns of paying for them again', () => {
      const stats = statsWith((changed) => changed.onEvent(assumed))
      expect(report({ stats, isExhausted: false }).text).toContain('The same command would pay again')
    })
  })

  describe('of a batch that got no usable replies', () => {
    const EXCERPT = 'The beginning of the reply is in the output as error.excerpt; it may contain a task id.\n'
    const stopped = (...errors: ReadonlyArray<SolveError>) => {
      const unreadable: SolveError = { _tag: 'NotCreated', paid: 'no', reason: 'unreadable', attempts: 0 }
      const stats = statsWith((changed) => {
        for (const error of [...errors, unreadable]) changed.onOutcome(E.left(error), 1)
      })
      return report({ stats, isExhausted: false })
    }

    it('shows the last reply that could not be read, and where its text is', () => {
      const { code, text } = stopped({ _tag: 'CreateUnknown', paid: 'unknown', status: 502, excerpt: '<html>' })
      expect(code).toBe(4)
      expect(text).toMatch(
        /calls in a row got no usable reply\.\nThe last one: .*HTTP 502\. A task may exist and be paid/
      )
      expect(text).toContain(EXCERPT)
    })

    it('mentions no text if there is none', () => {
      const cause = { name: 'SocketError', code: 'UND_ERR_SOCKET', message: 'other side closed' }
      const { text } = stopped({ _tag: 'CreateUnknown', paid: 'unknown', cause })
      expect(text).toMatch(/\nThe last one: .*other side closed/)
      expect(text).not.toContain('excerpt')
    })

    it.each([403, 404])('states that nothing was paid for refusals without a document: HTTP %d', (status) => {
      const { code, text } = stopped({ _tag: 'Refused', paid: 'no', status, kind: 'request' })
      expect(code).toBe(1)
      expect(text).toContain(
        `\nThe last one: The service refused the task: HTTP ${status}. Nothing was paid. Check the`
      )
      expect(text).not.toContain('excerpt')
    })

    it('does not take a task in doubt from an earlier run, or a document of the service, for such a reply', () => {
      const { text } = stopped(
        { _tag: 'Refused', paid: 'no', status: 403, kind: 'request' },
        { _tag: 'CreateUnknown', paid: 'unknown', problems: ['the journal holds the intent'] },
        { _tag: 'Refused', paid: 'no', status: 200, errorId: 1, errorCode: 'ERROR_X', kind: 'unknown' }
      )
      expect(text).toContain('The last one: The service refused the task: HTTP 403')
    })

    it('states no more than that if the replies belonged to no item of the batch', () => {
      expect(stopped().text).toMatch(/got no usable reply\.\nThe rest of/)
      expect(report({ isExhausted: false })).toMatchObject({
        code: 1,
        text: expect.stringMatching(/got no usable reply\.\nThe rest of/) as string
      })
    })
  })

  it('states that the whole input was read if it failed afterwards', () => {
    const { code, text } = report({ failure: new Error('the journal is full') })
    expect(code).toBe(1)
    expect(text).toContain('the journal is full\nThe whole input was read.\n')
  })

  it('prints how to resume each paid task that is in no line of the output', () => {
    const stats = statsWith((changed) => {
      changed.onOutcome(E.left(timedOut), 1)
      changed.onWritten(E.left(timedOut))
      changed.onOutcome(E.left({ ...timedOut, ref: { ...ref, taskId: '17', numeric: true } }), 2)
      changed.onWriteFailure()
      changed.onOutcome(E.left({ _tag: 'InvalidTask', paid: 'no', problems: [] }), 3)
      changed.onWriteFailure()
    })
    const service = { flags: ['--base-url', 'https://a.b'], isEmbedded: false }
    const { code, text } = report({ stats, service, failure: new Error('the disk is full') })
    expect(code).toBe(3)
    expect(text).toContain('2 outcomes could not be written: the disk is full.')
    expect(text).toContain(`  rx-captcha resume 17 --created-at ${ref.createdAt} --numeric --base-url https://a.b\n`)
  })

  it('prints these tasks with a journal too, before how to continue, if the batch ended by a failure', () => {
    const stats = statsWith((changed) => {
      changed.onOutcome(solved, 1)
      changed.onWriteFailure()
    })
    const files = { input: { total: 1 }, journal: {} }
    const resume = `Resume each at no further cost:\n  rx-captcha resume task-1 --created-at ${ref.createdAt}\n`
    expect(report({ stats, files, failure: new Error('the disk is full') })).toStrictEqual({
      code: 3,
      text: expect.stringContaining(`${resume}To continue, run the same command again; no task`) as string
    })
    // Without a failure the journal knows the tasks, and the next run resumes them.
    expect(report({ stats: statsWith((changed) => changed.unreported.add(ref)), files }).text).not.toContain('resume ')
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
      changed.onEvent({ _tag: 'Created', at: 0, solveId: 1, ref })
      changed.onOutcome(E.right({ ref, solution: 'token', readyAt: ref.createdAt + 3_600_000 }), 1)
    })
    expect([stats.times.count, stats.times.max < 60_000]).toStrictEqual([1, true])
  })

  describe('of failures in a batch that can be continued', () => {
    const dns: SolveError = { _tag: 'NotCreated', paid: 'no', reason: 'dns', attempts: 4 }
    const doubt: SolveError = { _tag: 'CreateUnknown', paid: 'unknown', status: 502 }
    const textAfter = (errors: ReadonlyArray<SolveError>, end: Partial<BatchEnd> = {}) => {
      const stats = statsWith((changed) => errors.forEach((error, nth) => changed.onOutcome(E.left(error), nth + 2)))
      return report({ stats, files: { input: { total: 2 }, journal: {} }, ...end }).text
    }

    it('tells what happened to the first of the most frequent kind, and how to try it again', () => {
      expect(textAfter([doubt, dns, dns])).toMatch(
        /lines 3, 4\n.*line 2\nLine 3: The host name of the service could not be resolved after 4 tries\. Nothing was paid\. .*\n/
      )
      expect(textAfter([dns, dns])).toContain(
        '2 tasks were not created. To try them again, run the same command:\n  rx-captcha batch -\n'
      )
      expect(textAfter([dns])).toContain('\n1 task was not created. To try it again, run the same command:\n')
    })

    it('names --retry-failed for what it would pay for again', () => {
      const failed = { _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorCode: 'ERROR_X' } as const
      const unsolvable: SolveError = { ...failed, errorDescription: '', kind: 'task' }
      expect(textAfter([doubt])).toContain('\n1 task failed or is in doubt. To pay for it again, add --retry-failed.\n')
      expect(textAfter([unsolvable, doubt])).toContain(
        '\n2 tasks failed or are in doubt. To pay for them again, add --retry-failed.\n'
      )
      expect(textAfter([timedOut, doubt])).toContain('  rx-captcha batch -\n1 task failed or is in doubt.')
      expect(textAfter([{ ...unsolvable, kind: 'account' }])).not.toContain('--retry-failed')
    })

    it('counts the tasks that failed in an earlier run', () => {
      const stats = statsWith((changed) => changed.onFailedBefore())
      expect(report({ stats, files: { input: { total: 1 }, journal: {} } }).text).toContain('To pay for it again')
    })

    it('says nothing of it for records that are no tasks, without a journal, and with the embedded emulator', () => {
      expect(textAfter([{ _tag: 'InvalidTask', paid: 'no', problems: ['expected JSON'] }])).toMatch(
        /Line 2: The task is invalid: expected JSON\. [^\n]*\n$/
      )
      expect(textAfter([dns, doubt], { files: { input: { total: 2 }, journal: undefined } })).not.toMatch(
        /To (try|pay)/
      )
      expect(textAfter([dns, doubt], { service: { flags: [], isEmbedded: true } })).not.toMatch(/To (try|pay)/)
    })

    it('leaves a code of the service, and tasks that were interrupted, to the table', () => {
      const refused: SolveError = { _tag: 'Refused', paid: 'no', status: 200, errorCode: 'ERROR_X', kind: 'request' }
      expect(textAfter([refused, { _tag: 'Interrupted', paid: 'yes', ref }])).not.toContain('Line ')
    })
  })

  it('counts failures by tag and code, and names their first five lines', () => {
    const stats = statsWith((changed) => {
      const error = { _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorDescription: '', kind: 'task' } as const
      for (let nth = 1; nth <= 6; nth += 1) changed.onOutcome(E.left({ ...error, errorCode: 'ERROR_X' }), nth)
      changed.onOutcome(E.left({ ...error, errorCode: '' }), 7)
      changed.onOutcome(E.left({ _tag: 'Refused', paid: 'no', status: 403, kind: 'request' }), 8)
    })
    expect(report({ stats }).text).toMatch(
      /Not solved:\n +6 {2}TaskFailed ERROR_X +lines 1, 2, 3, 4, 5, …\n +1 {2}TaskFailed +line 7\n +1 {2}Refused +line 8\n/
    )
  })
})
