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

  it('offers no resume of a task of the embedded emulator', () => {
    expect(explainInLine(interrupted, { flags: [], isEmbedded: true })).toMatch(
      /It was paid for\. Task task-1 belonged to the embedded emulator, which ends with this command\.$/
    )
  })
})
