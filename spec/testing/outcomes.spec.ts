import type * as E from 'fp-ts/lib/Either.js'
import {
  advise,
  explain,
  recaptchaV2,
  type RecaptchaV2Solution,
  type Refused,
  type SolveError,
  type Solved
} from 'rx-captcha'
import { orphan, outcomes, taskRef } from 'rx-captcha/testing'

const { Solved: solvedOutcome, ...failures } = outcomes

describe('outcomes.Solved', () => {
  it('is by default the solution of a reCAPTCHA task that was ready at its second poll', () => {
    expect(outcomes.Solved()).toStrictEqual({
      _tag: 'Right',
      right: {
        ref: { taskId: 'task-1', createdAt: 0 },
        solution: { gRecaptchaResponse: 'token-1' },
        readyAt: 6_000,
        useBefore: 63_000,
        expiresAt: 123_000
      }
    })
  })

  it('moves its instants with the creation of the task', () => {
    const { right } = outcomes.Solved({ ref: taskRef({ createdAt: 1_000_000 }) })
    expect(right).toMatchObject({ readyAt: 1_006_000, useBefore: 1_063_000, expiresAt: 1_123_000 })
  })

  it('has no useBefore and no expiresAt with a solution of another kind, unless they are given', () => {
    const { right } = outcomes.Solved({ solution: { text: 'abc' }, expiresAt: 7 })
    expect(right).toStrictEqual({ ref: taskRef(), solution: { text: 'abc' }, readyAt: 6_000, expiresAt: 7 })
    expect(outcomes.Solved({ solution: 42 }).right.solution).toBe(42)
  })

  it('keeps the default of a field that is undefined', () => {
    expect(solvedOutcome({ readyAt: undefined, solution: undefined })).toStrictEqual(outcomes.Solved())
  })

  it('has the type of its solution', () => {
    const token: E.Right<Solved<RecaptchaV2Solution>> = outcomes.Solved()
    const text: E.Right<Solved<{ text: string }>> = outcomes.Solved({ solution: { text: 'abc' } })
    // @ts-expect-error the solution has no such field
    expect([token.right.solution.gRecaptchaResponse, text.right.solution.token]).toStrictEqual(['token-1', undefined])
  })
})

describe('the outcomes of the errors', () => {
  const paid = { paid: 'yes', ref: taskRef() }

  it.each<readonly [tag: SolveError['_tag'], advice: string, fields: object]>([
    ['InvalidTask', 'fix-task', { paid: 'no' }],
    ['NotCreated', 'repeat', { paid: 'no', reason: 'connect' }],
    ['Refused', 'fix-account', { paid: 'no', kind: 'account' }],
    ['CreateUnknown', 'decide', { paid: 'unknown' }],
    ['TaskFailed', 'pay-again', { ...paid, kind: 'task' }],
    ['BadReply', 'resume', paid],
    ['TimedOut', 'resume', paid],
    ['Interrupted', 'resume', paid]
  ])('are a Left with the typical case of %s by default, for which the advice is %s', (tag, advice, fields) => {
    const outcome = failures[tag]()
    expect(outcome).toMatchObject({ _tag: 'Left', left: { _tag: tag, ...fields } })
    expect(advise(outcome.left)).toBe(advice)
    expect(explain(outcome.left)).not.toMatch(/undefined|object/)
  })

  it('are built for every tag of SolveError', () => {
    expect(Object.keys(failures)).toHaveLength(8)
  })

  it('have the fields that are given', () => {
    const ref = taskRef({ taskId: 'task-7' })
    expect(outcomes.TimedOut({ ref, polls: 3, afterMs: undefined }).left).toStrictEqual({
      ...{ _tag: 'TimedOut', paid: 'yes', ref, afterMs: 300_000, polls: 3, causes: [] }
    })
  })

  it.each([
    ['account', 'ERROR_ZERO_BALANCE'],
    ['request', 'ERROR_RECAPTCHA_INVALID_SITEKEY'],
    ['unavailable', 'ERROR_NO_SLOT_AVAILABLE'],
    ['task', 'ERROR_CAPTCHA_UNSOLVABLE'],
    ['unknown', 'ERROR_OF_A_NEW_KIND']
  ] as const)('have an error code of the given kind: %s, %s', (kind, errorCode) => {
    expect(outcomes.Refused({ kind }).left).toMatchObject({ kind, errorCode })
    expect(outcomes.TaskFailed({ kind }).left).toMatchObject({ kind, errorCode })
  })

  it('have the exact type of their tag', () => {
    const refused: E.Left<Refused> = outcomes.Refused()
    const problems: ReadonlyArray<string> = outcomes.InvalidTask().left.problems
    // @ts-expect-error a NotCreated has no reference
    expect([refused.left.kind, problems.length, outcomes.NotCreated({ ref: taskRef() })]).toHaveLength(3)
    // @ts-expect-error a TimedOut is always paid
    expect(outcomes.TimedOut({ paid: 'no' })).toBeDefined()
  })
})

describe('orphan', () => {
  it('is by default a reCAPTCHA task, and has the fields that are given', () => {
    expect(orphan()).toStrictEqual({ ref: taskRef(), task: recaptchaV2 })
    expect(orphan({ label: 'orders', task: undefined })).toStrictEqual({ ...orphan(), label: 'orders' })
  })
})
