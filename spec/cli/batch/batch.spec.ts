import { Readable } from 'node:stream'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { asyncScheduler } from 'rxjs'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { fileJournal } from 'rx-captcha/journal'
import { openFiles } from '../../../lib/cli/batch/files.js'
import { runBatch, type BatchConfig } from '../../../lib/cli/batch/run.js'
import { batch, linesIn, ndjson, task, testFiles } from '../../support/batch.js'
import { SOLVE, command, envOf, makeConsole, makeContext, type Console } from '../../support/command.js'
import { hurried } from '../../support/solvers.js'
import { emulators, until } from '../../support/raw-http.js'

const start = emulators()
const { folder, file } = testFiles()

describe('rx-captcha batch', () => {
  it('prints one line of JSON for each item', async () => {
    const emulator = await start()
    const input = file('.ndjson', ndjson(task(1, { id: 'one', isInvisible: true }), task(2)))
    const { code, lines } = await batch(emulator, [input])
    expect(code).toBe(0)
    expect(lines).toStrictEqual([
      {
        index: 0,
        id: 'one',
        ok: true,
        taskId: emulator.tasks().find(({ task: sent }) => sent.isInvisible === true)?.taskId,
        gRecaptchaResponse: expect.stringMatching(/^03A/) as string,
        useBefore: expect.any(Number) as number,
        expiresAt: expect.any(Number) as number
      },
      expect.objectContaining({ index: 1, ok: true })
    ])
  })

  it('prints a failure with its error and a sentence, and continues', async () => {
    const emulator = await start({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE'] })
    const argv = [file('.ndjson', ndjson(task(1), task(2))), '--concurrency', '1', '--creates-per-second', '900.5']
    const { code, lines } = await batch(emulator, argv)
    expect(code).toBe(3)
    expect(lines).toMatchObject([
      { index: 0, ok: false, error: { _tag: 'TaskFailed' }, message: expect.stringContaining('UNSOLVABLE') as string },
      { index: 1, ok: true }
    ])
  })

  it('has no more active tasks than --concurrency', async () => {
    const emulator = await start({ readyAfterMs: 10 })
    await batch(emulator, [file('.ndjson', ndjson(...[1, 2, 3, 4, 5].map((nth) => task(nth)))), '--concurrency', '2'])
    const tasks = emulator.tasks()
    const activeAt = (instant: number) =>
      tasks.filter(({ acceptedAt, deliveredAt = Infinity }) => acceptedAt <= instant && instant < deliveredAt).length
    expect(tasks).toHaveLength(5)
    expect(Math.max(...tasks.map(({ acceptedAt }) => activeAt(acceptedAt)))).toBe(2)
  })

  it('stops after --max-tasks, and prints why', async () => {
    const emulator = await start({ faults: ['createTask:1:502', 'createTask:2:ERROR_SITEKEY'] })
    const input = file('.ndjson', ndjson(...[1, 2, 3, 4, 5].map((nth) => task(nth))))
    const { code, err, lines } = await batch(emulator, [input, '--concurrency', '2', '--max-tasks', '2'])
    expect(lines.map(({ ok }) => ok)).toStrictEqual([false, false, true])
    expect(emulator.counters().accepted).toBe(1)
    expect(err).toContain('Stopped by --max-tasks: the limit is 2 paid tasks per run.\nNot read: 2 items.')
    expect(code).toBe(4)
  })

  it('ends as a whole batch if --max-tasks is reached by its last item', async () => {
    const emulator = await start()
    const argv = [file('.ndjson', ndjson(task(1), task(2))), '--max-tasks', '2']
    const { code, err } = await batch(emulator, argv)
    expect(err).not.toContain('--max-tasks')
    expect(code).toBe(0)
  })

  it('is not held up if the system clock is set back', async () => {
    const emulator = await start()
    const argv = [
      'batch',
      file('.ndjson', ndjson(task(1), task(2))),
      '--concurrency',
      '1',
      '--creates-per-second',
      '50'
    ]
    const running = command(argv, { env: envOf(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    const now = Date.now.bind(Date)
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
    try {
      await until(() => emulator.counters().delivered === 2)
    } finally {
      clock.mockRestore()
      running.signal('SIGTERM')
      await running.code
    }
  })

  it('reports elapsed times if the system clock is set forward', async () => {
    const emulator = await start({ readyAfterMs: 30 })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    const now = Date.now.bind(Date)
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
    const { err } = await running.ended()
    clock.mockRestore()
    expect(err).toMatch(/^1 item in [\d.]+ s: [^]*all within [\d.]{3} s\.\n$/)
  })

  it('ends at once with an empty file', async () => {
    const { code, out, err } = await batch(await start(), [file('.ndjson', '')])
    expect([code, out]).toStrictEqual([0, ''])
    expect(err).toMatch(/^0 items in .*: 0 solved, 0 failed\.\nPaid for: 0 new tasks\.\n$/)
  })

  it('solves on the embedded emulator', async () => {
    const input = file('.ndjson', ndjson(task(1)))
    const { code, out } = await command(['batch', input, '--emulator', '--poll-every-ms', '5']).ended()
    expect([code, linesIn(out).length]).toStrictEqual([0, 1])
  })
})

describe('--out', () => {
  it('is appended to, and its finished tasks are skipped', async () => {
    const emulator = await start()
    const [input, out] = [file('.ndjson', ndjson(task(1), task(2, { id: 'two' }))), file('.out')]
    await batch(emulator, [input, '--out', out])
    writeFileSync(input, ndjson(task(3), task(2, { id: 'two' }), task(1)))
    const { code, out: printed, err } = await batch(emulator, [input, '--out', out])
    expect([code, printed]).toStrictEqual([0, ''])
    expect(err).toMatch(/^3 items in .*: 1 solved, 0 failed, 2 done before\./)
    expect(linesIn(readFileSync(out, 'utf8'))).toHaveLength(3)
    expect(emulator.counters().accepted).toBe(3)
  })

  it('lets a task that was not paid for be tried again', async () => {
    const emulator = await start({ faults: ['createTask:1:ERROR_SITEKEY'] })
    const argv = [file('.ndjson', ndjson(task(1))), '--out', file('.out')]
    expect((await batch(emulator, argv)).code).toBe(1)
    expect((await batch(emulator, argv)).code).toBe(0)
  })

  it('counts equal content as two items, and with equal ids as one', async () => {
    const emulator = await start()
    const input = file('.ndjson', ndjson(task(1), task(1), task(2, { id: 1 }), task(2, { id: '1' })))
    const { err } = await batch(emulator, [input, '--out', file('.out')])
    expect(err).toContain('3 solved, 0 failed, 1 repeated id.')
    expect(emulator.counters().accepted).toBe(3)
  })

  it('loses half a line that a crash left', async () => {
    const emulator = await start()
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out]
    await batch(emulator, argv)
    const [whole, journal] = [readFileSync(out, 'utf8'), readFileSync(`${out}.journal`, 'utf8')]
    writeFileSync(out, whole.slice(0, whole.length / 2))
    writeFileSync(`${out}.journal`, journal.replace(/.*"ended".*\n/g, ''))
    await batch(emulator, argv)
    expect(linesIn(readFileSync(out, 'utf8'))).toMatchObject([{ index: 0, ok: true }])
    expect(emulator.counters().accepted).toBe(1)
  })

  it('gets the newline that a crash left out', async () => {
    const emulator = await start()
    const [input, out] = [file('.ndjson', ndjson(task(1))), file('.out')]
    await batch(emulator, [input, '--out', out])
    writeFileSync(out, readFileSync(out, 'utf8').trim())
    writeFileSync(input, ndjson(task(1), task(2)))
    await batch(emulator, [input, '--out', out])
    expect(linesIn(readFileSync(out, 'utf8')).map(({ index }) => index)).toStrictEqual([0, 1])
  })

  it.each([
    [
      'a foreign file',
      () => file('.out', 'dear diary\nit rained\n'),
      'line 1 is not an outcome. It was left unchanged'
    ],
    ['a foreign last line', () => file('.out', 'dear diary'), 'its last line is not an outcome'],
    ['a folder', () => folder, 'cannot be written (EISDIR: illegal operation on a directory)'],
    ['a device', () => '/dev/null', 'is not a regular file']
  ])('is refused as %s, before anything is paid', async (_, pathOf, why) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--out', pathOf()])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(why)
  })

  it('has to be another file than the input and the journal', async () => {
    const [emulator, input, out] = [await start(), file('.ndjson', ndjson(task(1))), file('.out')]
    expect((await batch(emulator, [input, '--out', input])).err).toContain(
      '--out: expected a different file from the input'
    )
    expect((await batch(emulator, [input, '--out', out, '--journal', out])).err).toContain(
      '--journal: expected a different file from --out'
    )
    expect(readFileSync(input, 'utf8')).toBe(ndjson(task(1)))
  })

  it.each([
    ['EPIPE', 'the reader of the output is gone'],
    ['ENOSPC', 'ENOSPC: no space left on device']
  ])('prints the paid tasks, and stops the batch, once stdout cannot be written: %s', async (broken, why) => {
    const emulator = await start({ readyAfterMs: 5 })
    const input = file('.ndjson', ndjson(...Array.from({ length: 30 }, (_, nth) => task(nth))))
    const stdout = makeConsole({ broken })
    const { code, err } = await batch(emulator, [input, '--concurrency', '2'], { stdout })
    expect(code).toBe(3)
    expect(emulator.counters().accepted).toBeLessThan(30)
    expect(err).toContain(`could not be written: ${why}.`)
    for (const { taskId } of emulator.tasks()) expect(err).toContain(taskId)
  })
})

describe('--journal', () => {
  it('lets finished tasks be skipped', async () => {
    const emulator = await start()
    const argv = [file('.ndjson', ndjson(task(1), task(2))), '--journal', file('.journal')]
    await batch(emulator, argv)
    const { code, out, err } = await batch(emulator, argv)
    expect([code, out, emulator.counters().accepted]).toStrictEqual([0, '', 2])
    expect(err).toMatch(/^2 items in .*: 0 solved, 0 failed, 2 done before\./)
  })

  it('lets a task that was not ready in time be resumed', async () => {
    const emulator = await start({ readyAfterMs: 600 })
    const argv = [file('.ndjson', ndjson(task(1))), '--journal', file('.journal'), '--give-up-after-ms']
    const first = await batch(emulator, [...argv, '300'])
    expect(first).toMatchObject({ code: 3, lines: [{ error: { _tag: 'TimedOut' } }] })
    expect(first.err).toContain(
      'To continue, run the same command again; no task is paid for twice:\n  rx-captcha batch '
    )
    const second = await batch(emulator, [...argv, '5000'])
    expect(second).toMatchObject({ code: 0, lines: [{ ok: true, taskId: emulator.tasks()[0]!.taskId }] })
    expect(emulator.counters().accepted).toBe(1)
  })

  it('is refused as a foreign file, before anything is paid', async () => {
    const emulator = await start()
    const journal = file('.journal', 'dear diary\n')
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--journal', journal])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toMatch(/^error: The journal .*journal of rx-captcha/)
  })

  it('is refused together with --emulator', async () => {
    const path = file('.journal')
    const { code, err } = await command(['batch', '-', '--emulator', '--journal', path]).ended()
    expect([code, existsSync(path)]).toStrictEqual([2, false])
    expect(err).toContain("option '--journal <file>' cannot be used with option '--emulator'")
  })
})

describe('a batch with --out and without --journal', () => {
  const interruptedBatch = async () => {
    const emulator = await start({ readyAfterMs: 600 })
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out]
    await batch(emulator, [...argv, '--give-up-after-ms', '300'])
    return { emulator, out, argv }
  }

  it('records paid tasks in a journal next to the output, so that the next run resumes them', async () => {
    const { emulator, out, argv } = await interruptedBatch()
    expect(readFileSync(`${out}.journal`, 'utf8')).toContain(emulator.tasks()[0]!.taskId)
    expect((await batch(emulator, argv)).code).toBe(0)
    expect(emulator.counters().accepted).toBe(1)
  })

  it('resumes paid tasks from the output if its journal is gone', async () => {
    const { emulator, out, argv } = await interruptedBatch()
    rmSync(`${out}.journal`)
    expect((await batch(emulator, argv)).code).toBe(0)
    expect(emulator.counters().accepted).toBe(1)
  })

  it('skips finished tasks from the output if its journal is gone', async () => {
    const emulator = await start()
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out]
    await batch(emulator, argv)
    rmSync(`${out}.journal`)
    expect((await batch(emulator, argv)).err).toContain('1 done before')
    expect(emulator.counters().accepted).toBe(1)
  })

  it('never pays again for a task in doubt, and writes one line for it, with or without its journal', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+reset'] })
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out]
    expect((await batch(emulator, argv)).code).toBe(4)
    expect((await batch(emulator, argv)).code).toBe(4)
    rmSync(`${out}.journal`)
    expect((await batch(emulator, argv)).code).toBe(4)
    expect(linesIn(readFileSync(out, 'utf8'))).toMatchObject([{ error: { _tag: 'CreateUnknown' } }])
    expect(emulator.counters().accepted).toBe(1)
  })

  it('reports a bad record once, until it is changed', async () => {
    const emulator = await start()
    const [input, out] = [file('.ndjson', ndjson('bad', task(1), 'bad')), file('.out')]
    const run = async () => {
      const { code } = await batch(emulator, [input, '--out', out])
      return [code, linesIn(readFileSync(out, 'utf8')).length]
    }
    expect([await run(), await run()]).toStrictEqual([
      [1, 3],
      [1, 3]
    ])
    rmSync(`${out}.journal`)
    expect(await run()).toStrictEqual([1, 3])
    writeFileSync(input, ndjson('worse', task(1), 'bad'))
    expect(await run()).toStrictEqual([1, 4])
  })

  it('ends at once if another run has the same output, and creates nothing', async () => {
    const emulator = await start()
    const out = file('.out')
    const journal = await fileJournal(`${out}.journal`)
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--out', out])
    await journal.close()
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toMatch(/^error: The journal .* has been held by/)
  })

  it('keeps no journal with --emulator, whose tasks end with the command', async () => {
    const out = file('.out')
    const argv = ['batch', file('.ndjson', ndjson(task(1))), '--emulator', '--poll-every-ms', '5', '--out', out]
    expect((await command(argv).ended()).code).toBe(0)
    expect(existsSync(`${out}.journal`)).toBe(false)
  })
})

describe('a batch that is run again', () => {
  it.each([
    ['--out', (out: string) => ['--out', out], () => undefined],
    ['--out, if its journal is gone', (out: string) => ['--out', out], (out: string) => rmSync(`${out}.journal`)],
    ['--journal', (out: string) => ['--journal', out], () => undefined]
  ])('exits with the code of what failed before, with %s', async (_, options, between) => {
    const emulator = await start({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE'] })
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1), task(2))), ...options(out)]
    expect((await batch(emulator, argv)).code).toBe(3)
    between(out)
    const { code, err } = await batch(emulator, argv)
    expect([code, emulator.counters().accepted]).toStrictEqual([3, 2])
    expect(err).toContain('0 solved, 0 failed, 2 done before (1 failed).')
  })
})

describe('a refused account', () => {
  it('is reported as not paid for if it is refused at once', async () => {
    const emulator = await start()
    const input = file('.ndjson', ndjson(task(1), task(2)))
    const env = { ...envOf(emulator), CAPTCHA_CLIENT_KEY: 'a-key-of-nobody' }
    const { code, err } = await batch(emulator, [input, '--concurrency', '1'], { env })
    expect(code).toBe(1)
    expect(err).toMatch(/ERROR_KEY_DOES_NOT_EXIST.*Nothing was paid\. Check the key.*\nNot read: 1 item\.\n$/)
  })

  it('stops the batch, and the report shows how many items were not read and how to continue', async () => {
    const emulator = await start({ faults: ['createTask:2:ERROR_ZERO_BALANCE'] })
    const input = file('.ndjson', ndjson(...Array.from({ length: 9 }, (_, nth) => task(nth))))
    const { code, err, lines } = await batch(emulator, [input, '--concurrency', '1', '--journal', file('.journal')])
    expect([code, lines.length, emulator.counters().accepted]).toStrictEqual([1, 2, 1])
    expect(err).toMatch(/ERROR_ZERO_BALANCE.*Check the key.*\nNot read: 7 items\.\nTo continue/)
  })
})

/** A batch with another clock than the real one. */
const runWith = async (
  { url: baseUrl }: Emulator,
  items: string,
  config: Pick<BatchConfig, 'scheduler' | 'concurrency'>,
  { stdout = makeConsole(), stderr = makeConsole() } = {}
) => {
  const context = makeContext({ stdout, stderr })
  const service = { flags: [], isEmbedded: false }
  const input = file('.ndjson', items)
  const files = await openFiles(context, service, input, {})
  const options = { clientKey: EMULATOR_KEY, baseUrl, pollEveryMs: 3_000 }
  const code = await runBatch(context, { ...config, files, service, commandLine: '', options })
  await files.close()
  return { code, out: stdout.text(), err: stderr.text() }
}

describe('pages in place of replies to createTask', () => {
  it.each([
    [1, 403, 1, 'Nothing was paid. Check the base URL'],
    [1, 502, 4, 'The beginning of the reply is in the output as error.excerpt'],
    [3, 502, 4, 'Not read: ']
  ])('stop the batch, and its report shows the last one (%d at a time, HTTP %d)', async (...row) => {
    const [concurrency, status, expected, hint] = row
    const emulator = await start({ faults: [`createTask:always:${status}`] })
    const { scheduler = asyncScheduler } = hurried()
    const items = ndjson(...Array.from({ length: 20 }, (_, nth) => task(nth)))
    const { code, err } = await runWith(emulator, items, { scheduler, concurrency })
    expect([code, emulator.counters().accepted]).toStrictEqual([expected, 0])
    expect(err).toMatch(new RegExp(`got no usable reply\\.\nThe last one: .*HTTP ${status}`))
    expect(err).toContain(hint)
  })
})

const HOUR_MS = 3_600_000

/** A batch of one task, which is ready once it was printed as active and paid for, by a clock that runs 200 times faster. */
const hurriedBatch = async (stderr: Console, stdout = makeConsole()) => {
  const now = () => Date.now() + (/1 active.* 1 paid/.test(stderr.text()) ? HOUR_MS : 0)
  const emulator = await start({ readyAfterMs: HOUR_MS, now })
  const { scheduler = asyncScheduler } = hurried()
  return runWith(emulator, ndjson(task(1)), { scheduler, concurrency: 1 }, { stdout, stderr })
}

describe('the display of a batch', () => {
  const display = async (isTTY: boolean) => {
    const emulator = await start({ faults: ['task:2:ERROR_CAPTCHA_UNSOLVABLE'], readyAfterMs: [0, 300] })
    const input = file('.ndjson', ndjson(...Array.from({ length: 20 }, (_, nth) => task(nth))))
    const stderr = makeConsole({ isTTY, columns: 80 })
    return (await batch(emulator, [input], { stderr })).err
  }

  it('has a bar with the rate and the counts, on a terminal', async () => {
    const err = await display(true)
    expect(err).toMatch(/\[[=-]{20}\] \d+\/20 {2}[\d.]+\/s/)
    expect(err).toContain('0 active  19 solved  1 failed  20 paid')
  })

  it('ends with a summary: how many, what was paid, how long it took, and what failed', async () => {
    const err = await display(false)
    expect(err).toMatch(/^20 items in [\d.]+ s: 19 solved, 1 failed\.\nPaid for: 20 new tasks\.\nTime to token: half/)
    expect(err).toMatch(/\nNot solved:\n {8}1 {2}TaskFailed ERROR_CAPTCHA_UNSOLVABLE {3,}line \d+\n/)
  })

  it('is never wider than 80 columns', async () => {
    const err = await display(false)
    expect(Math.max(...err.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it.each([['SIGINT', 'SIGINT'], ['SIGTERM'], ['SIGHUP']] as const)(
    'is erased before the last words, after %s %s',
    async (...signals) => {
      const emulator = await start({ readyAfterMs: 60_000 })
      const stderr = makeConsole({ isTTY: true, columns: 80 })
      const argv = ['batch', file('.ndjson', ndjson(task(1), task(2))), '--concurrency', '1']
      const running = command(argv, { env: envOf(emulator), stderr })
      await until(() => emulator.counters().requests.getTaskResult > 0)
      for (const signal of signals) running.signal(signal)
      const { err } = await running.ended()
      const lastWords = err.split('\x1b[0J').at(-1)
      expect(lastWords).toMatch(/^1 item in [^]*\nand use --out FILE.*\n$/)
      expect(lastWords).not.toMatch(/\[[=-]/)
      expect(lastWords).not.toContain('\x1b')
    }
  )

  it('is a line every ten seconds where stderr is no terminal', async () => {
    const { err } = await hurriedBatch(makeConsole())
    expect(err).toMatch(/^0\/1 {2}0\.0\/s {2}1 active {2}0 solved {2}0 failed {2}1 paid\n/m)
    expect(err).not.toContain('\x1b')
  })

  it('is a line every ten seconds where the outcomes are printed on a terminal', async () => {
    const { out, err } = await hurriedBatch(makeConsole({ isTTY: true }), makeConsole({ isTTY: true }))
    expect(err).toMatch(/^0\/1 {2}0\.0\/s {2}1 active/m)
    expect(out + err).not.toContain('\x1b')
    expect(linesIn(out)).toHaveLength(1)
  })

  it('is not drawn on a dumb terminal, and neither is the status line of solve', async () => {
    const emulator = await start()
    const stderr = makeConsole({ isTTY: true })
    const env = { ...envOf(emulator), TERM: 'dumb' }
    for (const argv of [['batch', file('.ndjson', ndjson(task(1)))], SOLVE])
      expect((await command(argv, { env, stderr }).ended()).code).toBe(0)
    expect(stderr.text()).not.toContain('\x1b')
  })

  it('keeps a note above the bar when a signal stops the batch', async () => {
    const emulator = await start({ readyAfterMs: 100 })
    const stderr = makeConsole({ isTTY: true, columns: 80 })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: envOf(emulator), stderr })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    running.signal('SIGINT')
    const { err } = await running.ended()
    expect(err).toContain('Stopping: waiting for active tasks. Press Ctrl-C again to stop now.\n')
  })

  it('breaks a note that is wider than the terminal into lines', async () => {
    const emulator = await start({ readyAfterMs: 100 })
    const stderr = makeConsole({ isTTY: true, columns: 40 })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: envOf(emulator), stderr })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    running.signal('SIGINT')
    const { err } = await running.ended()
    expect(err).toContain('Stopping: waiting for active tasks.\nPress Ctrl-C again to stop now.\n')
  })

  it('waits for nothing if a signal stops it before its input has come', async () => {
    const stdin = new Readable({ read: () => undefined })
    const running = command(['batch', '-'], { env: envOf(await start()), stdin })
    await until(() => stdin.listenerCount('readable') > 0)
    running.signal('SIGINT')
    const { code, err } = await running.ended()
    expect(code).toBe(130)
    expect(err).toContain('Stopped by Ctrl-C.')
    expect(err).not.toContain('Stopping')
  })
})
