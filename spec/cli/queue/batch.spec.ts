import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { UnrecoverableError, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { lastValueFrom } from 'rxjs'
import { jobIdOf } from 'rx-captcha/bullmq'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { JobJournal } from '../../../lib/bullmq/record/job-journal.js'
import { Records } from '../../../lib/bullmq/record/records.js'
import { exitCodeOf } from '../../../lib/cli/shared/exit-code.js'
import { explainInLine } from '../../../lib/cli/shared/explain.js'
import { batch as localBatch, linesIn, ndjson, task } from '../../support/batch.js'
import { command, makeConsole } from '../../support/command.js'
import { QueueCommands, endOf } from '../../support/queue-command.js'
import { until } from '../../support/queue.js'
import { describeWithRedis } from '../../support/redis.js'

const KEEPING = { tokenMs: 60_000, recordMs: 60_000 }
const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }

describeWithRedis('rx-captcha batch --queue', () => {
  const rig = new QueueCommands()

  const linesOf = (out: string) => linesIn(readFileSync(out, 'utf8'))
  const jobs = () => rig.taskQueue().getJobCounts('wait', 'active', 'completed', 'failed')

  it('solves all tasks of a file by a worker, and prints a line for each, without a client key', async () => {
    const emulator = await rig.emulator({ readyAfterMs: [0, 50] })
    await rig.work(emulator).prints('Working on')
    const { code, lines, err } = await endOf(rig.batch([task(1, { id: 7 }), task(2)]))
    expect(code).toBe(0)
    expect(lines).toMatchObject([
      { index: 0, id: 7, ok: true, gRecaptchaResponse: expect.stringMatching(/^03A/) as string },
      { index: 1, key: expect.stringMatching(/^sha256:/) as string, ok: true }
    ])
    expect(err).toMatch(/^2 items in \d+\.\d s: 2 solved, 0 failed\.\nPaid for: 2 tasks\.\nTime to token: .*\n$/)
  })

  it('creates the tasks of the input', async () => {
    const emulator = await rig.emulator()
    rig.work(emulator)
    await rig.batch([task(1, { isInvisible: true })]).ended()
    expect(emulator.tasks().map((one) => one.task)).toStrictEqual([
      { type: 'RecaptchaV2TaskProxyless', ...task(1), isInvisible: true }
    ])
  })

  it('reports a bad record, and submits no job for it', async () => {
    const { code, lines, err } = await endOf(rig.batch([{ id: 1 }]))
    expect([code, lines[0]?.error?._tag, lines[0]?.line]).toStrictEqual([1, 'InvalidTask', 1])
    expect(err).toContain('        1  InvalidTask                           line 1\n')
    expect(await jobs()).toMatchObject({ wait: 0, failed: 0 })
  })

  it('refuses its own client key, if it has one, as the key of a page', async () => {
    const env = { CAPTCHA_CLIENT_KEY: 'the-client-key' }
    const { lines, err } = await endOf(rig.batch([task(1, { id: 'a', websiteKey: 'the-client-key' })], [], { env }))
    const problem = 'websiteKey: this is the client key; expected the site key of the page'
    expect(lines).toMatchObject([{ id: 'a', line: 1, error: { problems: [problem] } }])
    expect(err).toContain(`\nLine 1: The task is invalid: ${problem}.`)
  })

  it('counts a task that repeats with its id, and solves it once', async () => {
    const emulator = await rig.emulator()
    rig.work(emulator)
    const { code, err } = await rig.batch([task(1, { id: 'a' }), task(1, { id: 'a' })]).ended()
    expect([code, emulator.counters().accepted]).toStrictEqual([0, 1])
    expect(err).toContain('2 items in ')
    expect(err).toContain(': 1 solved, 0 failed, 1 repeated id.\n')
  })

  it('reports an id that is used for another task, and submits no job for it', async () => {
    const emulator = await rig.emulator()
    rig.work(emulator)
    const { code, lines } = await endOf(rig.batch([task(1, { id: 'a' }), task(2, { id: 'a' })]))
    expect([code, emulator.counters().accepted]).toStrictEqual([1, 1])
    expect(lines).toMatchObject([
      { id: 'a', ok: true },
      { id: 'a', line: 2, error: { _tag: 'InvalidTask' } }
    ])
  })

  it('ends with 2 for an input that cannot be read as tasks', async () => {
    const input = rig.file('.csv', 'websiteURL\nhttps://example.com\n')
    const { code, err } = await command(['batch', input, ...rig.flags]).ended()
    expect([code, err]).toStrictEqual([
      2,
      expect.stringMatching(/error: the input: its header has no column websiteKey;/)
    ])
  })

  it('reports what was solved before a part of the input that cannot be read', async () => {
    rig.work(await rig.emulator())
    const input = rig.file('.csv', 'websiteURL,websiteKey\nhttps://example.com,k\n"https://example.com,k\n')
    const { code, out, err } = await command(['batch', input, ...rig.flags]).ended()
    expect([code, linesIn(out).length]).toStrictEqual([1, 1])
    expect(err).toMatch(
      /1 item in .*\n\nthe input, after line 2: a quote is never closed; .*\nNot read: 1 item\.\nTo fetch /s
    )
  })

  it('has no more tasks in the queue than --concurrency', async () => {
    const items = [1, 2, 3].map((nth) => task(nth))
    rig.batch(items, ['--concurrency', '2'])
    await until(async () => (await jobs()).wait === 2)
    rig.work(await rig.emulator())
    await until(async () => (await jobs()).completed === 3)
  })

  describe('ends', () => {
    it('with 3 for a token that is gone, which stays paid for', async () => {
      const emulator = await rig.emulator()
      rig.work(emulator)
      await rig.batch([task(1, { id: 'a' })]).ended()
      const { code, lines, err } = await endOf(rig.batch([task(1, { id: 'a' })]))
      expect([code, lines[0]?.error]).toMatchObject([3, { _tag: 'TokenGone', paid: 'yes' }])
      expect(lines[0]?.message).toBe(
        `Task ${emulator.tasks()[0]!.taskId} was solved and is paid for, but its token is gone: it was fetched before, or has ` +
          'expired. To solve it again, give the item another id; it is then charged again.'
      )
      expect(err).toContain('Paid for: 1 task.\n')
    })

    it('with 4 for a task in doubt', async () => {
      const earlier = new JobJournal(new Records(rig.taskQueue()), { run: 'earlier', lock: '' }, KEEPING)
      await lastValueFrom(earlier.begin(jobIdOf('a')))
      rig.work(await rig.emulator())
      const { code, lines, err } = await endOf(rig.batch([task(1, { id: 'a' })]))
      expect([code, lines[0]?.error?._tag]).toStrictEqual([4, 'CreateUnknown'])
      expect(err).toContain('Paid for: 0 tasks, and perhaps 1 more.\n')
    })

    it('with 3 for a task that failed', async () => {
      rig.work(await rig.emulator({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE'] }))
      const { code, lines } = await endOf(rig.batch([task(1)]))
      expect([code, lines[0]?.error?._tag]).toStrictEqual([3, 'TaskFailed'])
    })

    it.each([
      ['3 if it is paid for', 3, true, 'Its task is paid for. Resume it at no further cost: rx-captcha resume task-1 '],
      ['4 if it is perhaps paid for', 4, false, 'A task may exist and be paid for.']
    ])('for a job without an outcome, with %s', async (_, exit, isCreated, text) => {
      const earlier = new JobJournal(new Records(rig.taskQueue()), { run: 'earlier', lock: '' }, KEEPING)
      await lastValueFrom(earlier.begin(jobIdOf('a')))
      if (isCreated) await lastValueFrom(earlier.created(jobIdOf('a'), ref))
      const running = rig.batch([task(1, { id: 'a' })])
      await until(async () => (await jobs()).wait === 1)
      const cancelled = () => Promise.reject(new UnrecoverableError('It was cancelled.'))
      const worker = new Worker(rig.name, cancelled, { connection: rig.redis.connection })
      rig.onEnd(() => worker.close())
      const { code, lines, err } = await endOf(running)
      expect([code, lines[0]?.error?._tag]).toStrictEqual([exit, 'JobFailed'])
      expect(lines[0]?.message).toContain(`The job ended without an outcome: It was cancelled. ${text}`)
      expect(err).toContain('        1  JobFailed                             line 1\n')
    })

    it('with 1 for a job without an outcome of which nothing was paid', () => {
      const message = explainInLine({ _tag: 'JobFailed', paid: 'no', reason: '' }, { flags: [], isEmbedded: false })
      expect(message).toBe('The job ended without an outcome: no reason given. Nothing was paid.')
      expect(exitCodeOf({ _tag: 'JobFailed', paid: 'no', reason: '' })).toBe(1)
    })
  })

  describe('with --out', () => {
    it('skips what is finished, and reports it no second time', async () => {
      const emulator = await rig.emulator({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE'] })
      rig.work(emulator, ['--concurrency', '1'])
      const out = rig.file('.out')
      await rig.batch([task(1), task(2)], ['--out', out]).ended()
      const { code, err } = await rig.batch([task(1), task(2), task(3)], ['--out', out]).ended()
      expect([code, linesOf(out).length, emulator.counters().accepted]).toStrictEqual([3, 3, 3])
      expect(err).toContain(': 1 solved, 0 failed, 2 done before (1 failed).\n')
    })

    it('looks again at a task that timed out, and solves it when its job is tried again', async () => {
      let shiftMs = 0
      const emulator = await rig.emulator({ readyAfterMs: 60_000, now: () => Date.now() + shiftMs })
      const out = rig.file('.out')
      const impatient = rig.work(emulator, ['--give-up-after-ms', '400'])
      expect(await rig.batch([task(1, { id: 'a' })], ['--out', out]).code).toBe(3)
      impatient.signal('SIGTERM')
      await impatient.code
      shiftMs = 60_000
      await (await rig.taskQueue().getJob(jobIdOf('a')))!.retry()
      rig.work(emulator)
      expect(await rig.batch([task(1, { id: 'a' })], ['--out', out]).code).toBe(0)
      expect(linesOf(out).map(({ ok, error }) => error?._tag ?? ok)).toStrictEqual(['TimedOut', true])
      expect(emulator.counters().accepted).toBe(1)
      const { err } = await rig.batch([task(1, { id: 'a' })], ['--out', out]).ended()
      expect(err).toContain(': 0 solved, 0 failed, 1 done before.\n')
    })

    it('writes the line of a task in doubt once, however often it runs', async () => {
      const earlier = new JobJournal(new Records(rig.taskQueue()), { run: 'earlier', lock: '' }, KEEPING)
      await lastValueFrom(earlier.begin(jobIdOf('a')))
      rig.work(await rig.emulator())
      const out = rig.file('.out')
      for (let nth = 0; nth < 2; nth += 1) expect(await rig.batch([task(1, { id: 'a' })], ['--out', out]).code).toBe(4)
      expect(linesOf(out)).toHaveLength(1)
    })

    it('marks the output as that of the queue until every outcome is in it', async () => {
      const emulator = await rig.emulator()
      const out = rig.file('.out')
      const running = rig.batch([task(1)], ['--out', out])
      await until(async () => (await jobs()).wait === 1)
      expect(readFileSync(`${out}.queue`, 'utf8')).toBe(`${rig.name}\n`)
      rig.work(emulator)
      await running.code
      expect([existsSync(`${out}.queue`), existsSync(`${out}.journal`)]).toStrictEqual([false, false])
    })

    it('is continued in a queue whose name has blanks around it', async () => {
      const out = rig.file('.out')
      const argv = ['batch', rig.file('.ndjson', ndjson(task(1))), '--redis', rig.redis.url, '--out', out]
      const queue = ` ${rig.name} `
      for (let nth = 0; nth < 2; nth += 1) {
        const running = command([...argv, '--queue', queue])
        await running.prints('No worker is running')
        running.signal('SIGTERM')
        expect(await running.code).toBe(143)
      }
      const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
      const { err } = await command([...argv.slice(0, 2), '--out', out], { env }).ended()
      expect(err).toContain(`Use --queue '${queue}', or delete ${out}.queue if that queue is gone`)
    })

    it.each([
      ['without --queue', [], / holds outcomes of the queue queue-\d+, where tasks of this batch may be paid for\. /],
      ['in another queue', ['--queue', 'other'], / holds outcomes of the queue queue-\d+; use another file$/m]
    ])('is refused to a later run %s, which could pay again', async (_, flags, why) => {
      const emulator = await rig.emulator()
      const out = rig.file('.out')
      const first = rig.batch([task(1)], ['--out', out])
      await until(async () => (await jobs()).wait === 1)
      first.signal('SIGTERM')
      await first.code
      const redis = flags.length > 0 ? ['--redis', rig.redis.url] : []
      const input = rig.file('.ndjson', ndjson(task(1)))
      const { code, err } = await localBatch(emulator, [input, '--out', out, ...flags, ...redis])
      expect([code, err, emulator.counters().accepted]).toStrictEqual([2, expect.stringMatching(why), 0])
    })

    it.each([
      ['by its lines', (out: string) => rmSync(`${out}.journal`)],
      ['by its journal', (out: string) => writeFileSync(out, '')]
    ])('is refused after an unfinished run without --queue, which is known %s', async (_, forget) => {
      const emulator = await rig.emulator({ readyAfterMs: 60_000 })
      const out = rig.file('.out')
      const input = rig.file('.ndjson', ndjson(task(1)))
      await localBatch(emulator, [input, '--out', out, '--give-up-after-ms', '400'])
      forget(out)
      const { code, err } = await rig.batch([task(1)], ['--out', out]).ended()
      expect([code, err]).toStrictEqual([
        2,
        expect.stringMatching(/ belongs to a batch without --queue and has unfinished/)
      ])
      expect(await jobs()).toMatchObject({ wait: 0 })
    })

    it('is refused after a release that no run without --queue has followed', async () => {
      const emulator = await rig.emulator()
      const out = rig.file('.out')
      const input = rig.file('.ndjson', ndjson(task(1, { id: 'a' })))
      await localBatch(emulator, [input, '--out', out])
      await command(['journal', `${out}.journal`, '--release', 'a']).ended()
      const { code, err } = await rig.batch([task(1, { id: 'a' })], ['--out', out]).ended()
      expect([code, err]).toStrictEqual([2, expect.stringMatching(/ without --queue and has released keys\. Finish /)])
      await localBatch(emulator, [input, '--out', out])
      expect(await rig.batch([task(1, { id: 'a' })], ['--out', out]).code).toBe(0)
      expect([linesOf(out).length, emulator.counters().accepted]).toStrictEqual([2, 2])
    })

    it('continues after a finished run without --queue', async () => {
      const emulator = await rig.emulator()
      const out = rig.file('.out')
      await localBatch(emulator, [rig.file('.ndjson', ndjson(task(1))), '--out', out])
      rig.work(emulator)
      const { code, err } = await rig.batch([task(1), task(2)], ['--out', out]).ended()
      expect([code, linesOf(out).length]).toStrictEqual([0, 2])
      expect(err).toContain(': 1 solved, 0 failed, 1 done before.\n')
    })

    it('keeps a second run away from the output', async () => {
      const out = rig.file('.out')
      rig.batch([task(1)], ['--out', out])
      await until(async () => (await jobs()).wait === 1)
      const { code, err } = await rig.batch([task(1)], ['--out', out]).ended()
      expect([code, err]).toStrictEqual([2, expect.stringMatching(/has been held by process/)])
    })
  })

  describe('on Ctrl-C', () => {
    it('submits no more, and waits for what is in the queue', async () => {
      const emulator = await rig.emulator()
      const running = rig.batch([task(1), task(2)], ['--concurrency', '1'])
      await until(async () => (await jobs()).wait === 1)
      running.signal('SIGINT')
      rig.work(emulator)
      const { code, err, lines } = await endOf(running)
      expect([code, lines.length, emulator.counters().accepted]).toStrictEqual([130, 1, 1])
      expect(err).toMatch(/^Stopping: no more tasks are submitted; /m)
      expect(err).toMatch(
        /\n\nStopped by Ctrl-C\.\nNot read: 1 item\.\nTo fetch the outcomes, run the same command again at no further cost\. /
      )
    })

    it('ends as usual if the whole input was submitted and is solved', async () => {
      const running = rig.batch([task(1)])
      await until(async () => (await jobs()).wait === 1)
      running.signal('SIGINT')
      rig.work(await rig.emulator())
      expect((await running.ended()).code).toBe(0)
    })

    it('leaves the tasks in the queue when it is pressed again, and the same command fetches their outcomes', async () => {
      const items = [task(1, { id: 'a' })]
      const running = rig.batch(items)
      await until(async () => (await jobs()).wait === 1)
      running.signal('SIGINT')
      running.signal('SIGINT')
      const { code, err } = await running.ended()
      expect([code, (await jobs()).wait]).toStrictEqual([130, 1])
      expect(err).toContain(
        '\nStopped by Ctrl-C.\nThe whole input was read.\nStill in the queue: 1 item. Workers solve them '
      )
      expect(err).toMatch(new RegExp(`  rx-captcha batch \\S+ --redis ${rig.redis.url} --queue ${rig.name}\n$`))
      rig.work(await rig.emulator())
      const again = await endOf(rig.batch(items))
      expect([again.code, again.lines[0]?.ok]).toStrictEqual([0, true])
    })

    it('stops waiting at once on SIGTERM', async () => {
      const running = rig.batch([task(1), task(2)], ['--concurrency', '1'])
      await until(async () => (await jobs()).wait === 1)
      running.signal('SIGTERM')
      const { code, err } = await running.ended()
      expect(code).toBe(143)
      expect(err).toContain('\nStopped by SIGTERM.\nNot read: 1 item.\nStill in the queue: 1 item. ')
    })

    it('knows that all was submitted, although the end of the input was not seen yet', async () => {
      const running = rig.batch([task(1)], ['--concurrency', '1'])
      await until(async () => (await jobs()).wait === 1)
      running.signal('SIGTERM')
      expect((await running.ended()).err).toContain('\nThe whole input was read.\nStill in the queue: 1 item. ')
    })

    it('leaves on the third signal, although Redis does not reply', async () => {
      const running = rig.batch([task(1)])
      await until(async () => (await jobs()).wait === 1)
      rig.redis.freeze()
      for (let nth = 0; nth < 3; nth += 1) running.signal('SIGINT')
      expect(await running.code).toBe(130)
      rig.redis.thaw()
    })

    it.each([
      ['--redis URL', (url: string) => ['--redis', url], '--redis "$RX_CAPTCHA_REDIS_URL"'],
      ['--redis=URL', (url: string) => [`--redis=${url}`], '--redis="$RX_CAPTCHA_REDIS_URL"']
    ])('prints the command line without the password of Redis (%s)', async (_, option, printed) => {
      const client = new Redis(rig.redis.url)
      await client.acl('SETUSER', 'user', 'on', '>secret', '~*', '&*', '+@all')
      client.disconnect()
      const input = rig.file('.ndjson', ndjson(task(1)))
      const url = rig.redis.url.replace('//', '//user:secret@')
      const running = command(['batch', input, '--queue', rig.name, ...option(url)])
      await until(async () => (await jobs()).wait === 1)
      running.signal('SIGTERM')
      const { err } = await running.ended()
      expect(err).not.toContain('secret')
      expect(err).toContain(`  rx-captcha batch ${input} --queue ${rig.name} ${printed}\n`)
    })
  })

  describe('prints', () => {
    it('that no worker is running', async () => {
      await rig
        .batch([task(1)])
        .prints(`No worker is running for this queue. Start one: rx-captcha worker --queue ${rig.name}\n`)
    })

    it('nothing of the kind if one is running', async () => {
      const worker = rig.work(await rig.emulator())
      await worker.prints('Working on')
      expect((await rig.batch([task(1)]).ended()).err).not.toContain('worker')
    })

    it('that the queue is paused', async () => {
      await rig.taskQueue().pause()
      await rig.batch([task(1)]).prints('The queue is paused: no jobs are started.')
    })

    it('its progress on a terminal', async () => {
      const stderr = makeConsole({ isTTY: true, columns: 200 })
      const out = rig.file('.out', `{"index":0,"id":1,"ok":true,"taskId":"task-1"}\n`)
      await rig
        .batch([task(1, { id: 1 }), task(2)], ['--out', out], { stderr })
        .prints('1 in the queue  0 solved  0 failed  1 done before')
    })

    it('the tasks whose lines could not be written, and leaves the others in the queue', async () => {
      const emulator = await rig.emulator()
      const running = rig.batch([task(1), task(2)], ['--concurrency', '1'], {
        stdout: makeConsole({ broken: 'EPIPE' })
      })
      rig.work(emulator)
      const { code, err } = await running.ended()
      const [first] = emulator.tasks()
      expect(code).toBe(3)
      expect(err).toContain('\n1 outcome could not be written: the reader of the output is gone.\n')
      expect(err).toContain(`Resume each at no further cost:\n  rx-captcha resume ${first!.taskId} --created-at `)
    })
  })

  it('waits for a slow reader before it submits more', async () => {
    const items = Array.from({ length: 140 }, (_, nth) => task(nth))
    const held: (() => void)[] = []
    const stdout = Object.assign(
      new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void held.push(done) }),
      { text: () => '' }
    )
    rig.work(await rig.emulator())
    const running = rig.batch(items, ['--concurrency', '20'], { stdout })
    let [completed, checks] = [0, 0]
    await until(async () => {
      const now = (await jobs()).completed ?? 0
      checks = now === completed ? checks + 1 : 0
      completed = now
      return completed >= 100 && checks > 20
    })
    // A hundred lines wait to be written, and so do those of the tasks that were in the queue then.
    expect(completed).toBeLessThanOrEqual(120)
    const writing = setInterval(() => held.shift()?.(), 0)
    expect(await running.code).toBe(0)
    clearInterval(writing)
  })

  it('does not wait for a reader that reads nothing once it is stopped, and prints how to get the tokens', async () => {
    const emulator = await rig.emulator()
    rig.work(emulator)
    const stdout = makeConsole({ stuck: true })
    const write = jest.spyOn(stdout, 'write')
    const running = rig.batch([task(1), task(2)], [], { stdout })
    // Both tokens are claimed by then; their jobs complete before that.
    await until(() => write.mock.calls.length === 2)
    running.signal('SIGTERM')
    const { code, err } = await running.ended()
    expect(code).toBe(3)
    for (const { taskId } of emulator.tasks()) expect(err).toContain(`  rx-captcha resume ${taskId} `)
  })
})
