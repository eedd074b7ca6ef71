import { explain, type SolveError } from 'rx-captcha'
import { explainJob } from 'rx-captcha/bullmq'

const ref = { taskId: 'task-7', createdAt: 1 }

describe('explainJob', () => {
  it('says that a token is gone, and that it was paid for', () => {
    expect(explainJob({ _tag: 'TokenGone', paid: 'yes', ref })).toBe(
      'Task task-7 was solved and is paid for, but its token is gone: it was fetched before, or has expired. ' +
        'A task with a new key is charged again.'
    )
  })

  it.each([
    ['no', 'Nothing was paid.'],
    ['yes', 'a retry of the job resumes it at no further cost'],
    ['unknown', 'may exist and be paid for']
  ] as const)('says for a failed job whether it was paid for: %s', (paid, words) => {
    const text = explainJob({ _tag: 'JobFailed', paid, reason: 'The job was cancelled.' })
    expect(text).toMatch(/^The job ended without an outcome: The job was cancelled\. /)
    expect(text).toContain(words)
  })

  it('explains the error of a solve as `explain` does', () => {
    const error: SolveError = { _tag: 'Interrupted', paid: 'yes', ref }
    expect(explainJob(error)).toBe(explain(error))
  })

  it('replaces control characters in an id and a reason', () => {
    const evil = 'a\u001b[2J\nb'
    const gone = explainJob({ _tag: 'TokenGone', paid: 'yes', ref: { ...ref, taskId: evil } })
    const failed = explainJob({ _tag: 'JobFailed', paid: 'no', reason: evil })
    expect([gone, failed].join(' ')).not.toMatch(/\p{Cc}/u)
    expect(gone).toContain('Task a [2J b was solved')
    expect(failed).toContain('an outcome: a [2J b. Nothing')
  })
})
