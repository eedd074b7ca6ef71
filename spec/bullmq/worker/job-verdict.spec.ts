import { jobVerdict } from 'rx-captcha/bullmq'
import type { NotCreated, Refused, SolveError, TaskFailed } from 'rx-captcha'

const ref = { taskId: 'task', createdAt: 1 }
const notCreated = (reason: NotCreated['reason']): SolveError => ({
  _tag: 'NotCreated',
  paid: 'no',
  reason,
  attempts: 1
})
const refused = (fields: Partial<Refused>): SolveError => ({
  ...{ _tag: 'Refused', paid: 'no', status: 200, errorId: 1, errorCode: 'CODE', kind: 'request' },
  ...fields
})
const taskFailed = (kind: TaskFailed['kind']): SolveError =>
  ({ _tag: 'TaskFailed', paid: 'yes', ref, errorId: 1, errorCode: 'CODE', kind }) as SolveError

describe('jobVerdict', () => {
  it.each<[string, SolveError]>([
    ['fail', { _tag: 'InvalidTask', paid: 'no', problems: [] }],
    ['fail', { _tag: 'CreateUnknown', paid: 'unknown' }],
    ['fail', refused({ kind: 'request' })],
    ['fail', refused({ kind: 'unknown' })],
    ['fail', refused({ kind: 'unavailable', paid: 'unknown' })],
    ['fail', taskFailed('task')],
    ['fail', taskFailed('request')],
    ['fail', taskFailed('unknown')],
    ['retry', notCreated('dns')],
    ['retry', notCreated('connect')],
    ['retry', notCreated('deadline')],
    ['retry', notCreated('journal')],
    ['retry', refused({ kind: 'task' })],
    ['resume', { _tag: 'TimedOut', paid: 'yes', ref, afterMs: 1, polls: 1, causes: [] }],
    ['resume', { _tag: 'BadReply', paid: 'yes', ref, status: 200, problems: [], excerpt: '' }],
    ['handOver', { _tag: 'Interrupted', paid: 'yes', ref }],
    ['handOver', notCreated('closed')],
    ['hold', refused({ kind: 'unavailable' })],
    ['pause', notCreated('tls')],
    ['pause', notCreated('account')],
    ['pause', notCreated('unreadable')],
    ['pause', refused({ kind: 'account' })],
    ['pause', refused({ kind: 'account', paid: 'unknown' })],
    ['pause', refused({ errorCode: '', status: 404 })],
    ['pause', taskFailed('account')]
  ])('is %s for %j', (verdict, error) => {
    expect(jobVerdict(error)).toBe(verdict)
  })
})
