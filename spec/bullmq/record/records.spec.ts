import { inspect } from 'node:util'
import { lastValueFrom, type Observable } from 'rxjs'
import type { SolveResult } from 'rx-captcha'
import { jobIdOf, type QueueLike } from 'rx-captcha/bullmq'
import { JobJournal } from '../../../lib/bullmq/record/job-journal.js'
import { Records } from '../../../lib/bullmq/record/records.js'
import { SCRIPTS } from '../../../lib/bullmq/record/scripts.js'
import { IMPATIENT, QueueRig } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

const KEY = jobIdOf('order-1')
const TOKEN = 'the-token'
const REF = { taskId: 'task', createdAt: 5 }
const SOLVED: SolveResult<unknown> = {
  _tag: 'Right',
  right: { ref: REF, solution: { gRecaptchaResponse: TOKEN }, readyAt: 6 }
}
// A reply may quote anything, and its excerpt is stored with the error.
const FAILED: SolveResult<unknown> = {
  _tag: 'Left',
  left: { _tag: 'BadReply', paid: 'yes', ref: REF, status: 200, problems: [], excerpt: TOKEN }
}

const thrownBy = async (work: () => Promise<unknown>): Promise<unknown> => {
  const result = await work().then(
    () => undefined,
    (error: unknown) => ({ error })
  )
  if (!result) throw new Error('nothing was thrown')
  return result.error
}

/** All that a program could print of a value. */
const printed = (value: unknown): string => inspect(value, { depth: Infinity, showHidden: true, maxStringLength: null })

describeWithRedis('the error of a command that Redis refuses', () => {
  const rig = new QueueRig()
  const records = () => new Records(rig.queue(), IMPATIENT)

  it.each<[string, (journal: JobJournal) => Observable<unknown>]>([
    ['a solved task', (journal) => journal.deliver(KEY, SOLVED)],
    ['a task that failed', (journal) => journal.deliver(KEY, FAILED)],
    ['the id of a task', (journal) => journal.created(KEY, REF)],
    ['the end of a run', (journal) => journal.ended(KEY, 'Solved')],
    ['the intent', (journal) => journal.begin(KEY)],
    ['a resume', (journal) => journal.resumed(KEY)]
  ])('holds nothing of %s that was to be recorded', async (_what, write) => {
    const journal = new JobJournal(records(), { run: 'run', lock: '' }, { tokenMs: 60_000, recordMs: 60_000 })
    await lastValueFrom(journal.begin(KEY))
    await rig.refuseWrites()
    const error = await thrownBy(() => lastValueFrom(write(journal)))
    expect(printed(error)).not.toContain(TOKEN)
    expect(error).toMatchObject({
      name: 'RecordError',
      message: expect.stringMatching(/^The records in Redis cannot be read or written: OOM .*[^.]\.$/) as string,
      cause: { name: 'ReplyError', code: '', message: expect.stringMatching(/^OOM /) as string }
    })
    expect(Object.keys(error as object)).toEqual(['cause', 'name'])
  })

  it.each(Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[])('holds no argument of the script %s', async (script) => {
    const key = rig.queue().toKey(`rx-captcha:${KEY}`)
    // No record, so that each script fails at its first read.
    await rig.client.mset(key, 'text', `${key}:token`, 'text')
    const args = [TOKEN, TOKEN, 60_000, 60_000, TOKEN, TOKEN]
    for (const run of [() => records().fields(script, KEY, ...args), () => records().number(script, KEY, ...args)]) {
      const error = await thrownBy(run)
      expect(printed(error)).not.toContain(TOKEN)
      expect(error).toMatchObject({ name: 'RecordError', cause: { name: 'ReplyError' } })
    }
  })

  it('is reduced for a wait of the queue too', async () => {
    await rig.refuseWrites()
    const error = await thrownBy(() => records().hold(1_000))
    expect(error).toMatchObject({ name: 'RecordError', cause: { name: 'ReplyError' } })
    expect(error).not.toHaveProperty('command')
  })

  it('is reduced if there is no connection', async () => {
    const refused = Object.assign(new Error(), { code: 'ECONNREFUSED', command: { args: [TOKEN] } })
    const client = Promise.reject(refused)
    client.catch(() => undefined)
    const queue = { getBackend: () => ({ client }), toKey: (type: string) => type } as unknown as QueueLike
    const error = await thrownBy(() => new Records(queue, IMPATIENT).number('created', KEY, 'run', TOKEN))
    expect(printed(error)).not.toContain(TOKEN)
    expect(error).toMatchObject({ message: 'The records in Redis cannot be read or written: ECONNREFUSED.' })
  })
})
