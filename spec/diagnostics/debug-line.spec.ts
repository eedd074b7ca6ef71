import type { SolverEvent } from 'rx-captcha'
import { debugLine } from '../../lib/diagnostics/debug-line.js'

const ref = { taskId: 'task-1', createdAt: 0 }
const solve = { at: 1_000, solveId: 7 }
const batch = { at: 1_000, batchId: 3 }
const cause = { name: 'Error', code: 'ECONNRESET', message: 'read ECONNRESET' }

const LINES: ReadonlyArray<readonly [SolverEvent, string]> = [
  [{ ...solve, _tag: 'Started', operation: 'solve', type: 'TextTask' }, 'solve 7: solve started TextTask'],
  [{ ...solve, _tag: 'Started', operation: 'resume', ref }, 'solve 7: resume started (task task-1)'],
  [{ ...solve, _tag: 'Delayed', reason: 'rate', waitMs: 40 }, 'solve 7: waits 40 ms, because of createsPerSecond'],
  [{ ...solve, _tag: 'CreateSent', attempts: 2 }, 'solve 7: createTask was sent, try 2'],
  [
    { ...solve, _tag: 'CreateEnded', result: 'Created', attempts: 1, tookMs: 12, ref },
    'solve 7: createTask ended after 12 ms: a task was created'
  ],
  [
    {
      ...solve,
      _tag: 'CreateEnded',
      result: 'Refused',
      attempts: 1,
      tookMs: 1,
      status: 200,
      errorCode: 'E_1',
      kind: 'task'
    },
    'solve 7: createTask ended after 1 ms: refused (HTTP 200, E_1, kind task)'
  ],
  [
    { ...solve, _tag: 'CreateEnded', result: 'NotSent', attempts: 1, tookMs: 1, cause },
    'solve 7: createTask ended after 1 ms: nothing was sent (ECONNRESET read ECONNRESET)'
  ],
  [
    { ...solve, _tag: 'CreateEnded', result: 'CreateUnknown', attempts: 1, tookMs: 1, cause: { ...cause, code: '' } },
    'solve 7: createTask ended after 1 ms: no task id could be read (Error read ECONNRESET)'
  ],
  [{ ...solve, _tag: 'Created', ref }, 'solve 7: task task-1 exists and is paid for'],
  [
    { ...solve, _tag: 'AssumedNotCreated', status: 503 },
    'solve 7: HTTP 503 without a document: assuming that no task was created'
  ],
  [{ ...solve, _tag: 'Polled', ref, polls: 2 }, 'solve 7: poll 2 of task task-1'],
  [
    { ...solve, _tag: 'PollEnded', result: 'Unanswered', ref, polls: 2, tookMs: 5, taskStatus: 'queued' },
    'solve 7: poll 2 ended after 5 ms: no state could be read (status queued)'
  ],
  [
    { ...solve, _tag: 'Ended', tag: 'Solved', paid: 'yes', ref, polls: 1, totalMs: 3_000, queueMs: 0 },
    'solve 7: ended as Solved, paid, 1 poll, 3000 ms'
  ],
  [
    { ...solve, _tag: 'Ended', tag: 'NotCreated', paid: 'no', polls: 0, totalMs: 900, queueMs: 400, reason: 'connect' },
    'solve 7: ended as NotCreated, not paid, 0 polls, 900 ms, 400 ms of them in the queue (reason connect)'
  ],
  [{ ...solve, _tag: 'Orphaned', orphan: { ref, task: {} as never } }, 'solve 7: task task-1 was emitted on orphans'],
  [
    { ...solve, _tag: 'Lost', error: { _tag: 'CreateUnknown', paid: 'unknown' } },
    'solve 7: createTask ended without a task id after its solve had ended: CreateUnknown'
  ],
  [{ ...batch, _tag: 'BatchStarted', concurrency: 10 }, 'batch 3: started, 10 at a time'],
  [{ ...batch, _tag: 'Skipped', key: 'order-1' }, 'batch 3: skipped the key order-1'],
  [
    { ...batch, _tag: 'BatchStopped', reason: 'account' },
    'batch 3: pulls no more items: the service refused the account'
  ],
  [
    { ...batch, _tag: 'BatchEnded', end: 'completed', pulled: 4, solved: 2, failed: 1, skipped: 1, totalMs: 50 },
    'batch 3: completed after 50 ms: 4 pulled, 2 solved, 1 failed, 1 skipped'
  ]
]

describe('the debug line of an event', () => {
  it.each(LINES)('has the time, the number and what happened: %j', (event, text) => {
    expect(debugLine(event)).toBe(`1970-01-01T00:00:01.000Z ${text}`)
  })

  it('has the label', () => {
    const event: SolverEvent = { ...solve, label: 'shop', _tag: 'CreateSent', attempts: 1 }
    expect(debugLine(event)).toContain('solve 7 [shop]: createTask')
  })

  it('is one line, without escape sequences of a terminal', () => {
    const event: SolverEvent = { ...batch, _tag: 'Skipped', key: 'a\nb\r\u001b[31mc' }
    expect(debugLine(event)).toContain('skipped the key a b [31mc')
  })
})
