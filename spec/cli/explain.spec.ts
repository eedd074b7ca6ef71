import type { SolveError } from 'rx-captcha'
import { explainInLine, explainUnlessResumable } from '../../lib/cli/shared/explain.js'

const ref = { taskId: 'task-1', createdAt: 5 }
const closed: SolveError = { _tag: 'NotCreated', paid: 'no', reason: 'closed', attempts: 0 }
const interrupted: SolveError = { _tag: 'Interrupted', paid: 'yes', ref }

describe('an error in the words of the command', () => {
  it('states for a stopped command that it was stopped, and how to continue', () => {
    expect(explainUnlessResumable(closed)).toBe(
      'The command was stopped before the task was created. Nothing was paid. Run the command again to solve it.'
    )
    expect(explainInLine(interrupted, { flags: ['--base-url', 'https://a.b'], isEmbedded: false })).toBe(
      'The command was stopped before task task-1 was ready. It was paid for. ' +
        'Resume it at no further cost: rx-captcha resume task-1 --created-at 5 --base-url https://a.b'
    )
  })

  it('says of a createTask without a reply that the command was stopped, and not the solver', () => {
    const cause = { name: 'Closed', code: 'CLOSED', message: 'the solver was closed before the reply arrived' }
    expect(explainUnlessResumable({ _tag: 'CreateUnknown', paid: 'unknown', cause })).toBe(
      'createTask was sent, and the command was stopped before its reply arrived. A task may exist and be paid for; its ' +
        'id is unknown. Solving it again may pay twice.'
    )
  })

  it('offers no resume of a task of the embedded emulator', () => {
    expect(explainInLine(interrupted, { flags: [], isEmbedded: true })).toMatch(
      /It was paid for\. Task task-1 belonged to the embedded emulator, which costs nothing and ends with this command\.$/
    )
  })
})
