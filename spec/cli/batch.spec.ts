import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { Readable } from 'node:stream'
import { asyncScheduler } from 'rxjs'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { fileJournal } from 'rx-captcha/journal'
import { openFiles } from '../../lib/cli/batch/files.js'
import { runBatch } from '../../lib/cli/batch/run.js'
import { command, envOf, makeConsole, makeContext, type CommandOptions, type Console } from '../support/command.js'
import { hurried } from '../support/solvers.js'
import { emulators, until } from '../support/raw-http.js'

const start = emulators()
const folder = mkdtempSync(join(tmpdir(), 'batch-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

let files = 0
/** A new path; with a text, the file exists. */
const file = (ending: string, text?: string): string => {
  const path = join(folder, `${(files += 1)}${ending}`)
  if (text !== undefined) writeFileSync(path, text)
  return path
}

const task = (nth: number, more: object = {}) => ({
  websiteURL: `https://example.com/${nth}`,
  websiteKey: 'k',
  ...more
})
const ndjson = (...items: ReadonlyArray<object | string>): string =>
  items.map((item) => `${typeof item === 'string' ? item : JSON.stringify(item)}\n`).join('')

interface Line {
  readonly index: number
  readonly id?: string | number
  readonly key?: string
  readonly line?: number
  readonly ok: boolean
  readonly taskId?: string
  readonly gRecaptchaResponse?: string
  readonly error?: { readonly _tag: string; readonly problems?: ReadonlyArray<string> }
  readonly message?: string
}

const isLine = (value: unknown): value is Line => typeof value === 'object' && value !== null && 'index' in value

const linesIn = (text: string): ReadonlyArray<Line> =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
    .filter(isLine)
    .sort((one, other) => one.index - other.index)

const batch = async (emulator: Emulator, argv: ReadonlyArray<string>, options: CommandOptions = {}) => {
  const ended = await command(['batch', ...argv], { env: envOf(emulator), ...options }).ended()
  return { ...ended, lines: linesIn(ended.out) }
}

const pages = (emulator: Emulator) => emulator.tasks().map(({ task: sent }) => sent.websiteURL)

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

describe('the input of a batch', () => {
  it('is CSV if its name says so', async () => {
    const emulator = await start()
    const input = file(
      '.csv',
      'websiteKey,websiteURL,id,isInvisible\r\nk,"https://example.com/a,b",7,TRUE\r\n\r\nk,https://example.com/c,,\r\n'
    )
    const { code, lines } = await batch(emulator, [input, '--concurrency', '1'])
    expect([code, lines.map(({ id }) => id)]).toStrictEqual([0, ['7', undefined]])
    expect(emulator.tasks().map(({ task: sent }) => sent)).toStrictEqual([
      { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/a,b', websiteKey: 'k', isInvisible: true },
      { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/c', websiteKey: 'k' }
    ])
  })

  it.each([
    ['NDJSON', ndjson(task(1))],
    ['NDJSON with a byte order mark', `\uFEFF${ndjson(task(1))}`],
    ['NDJSON without a last newline', ndjson(task(1)).trim()],
    ['CSV', 'websiteURL,websiteKey\nhttps://example.com/1,k\n']
  ])('is read from stdin as %s, by its first line', async (_, text) => {
    const emulator = await start()
    const { code } = await batch(emulator, ['-'], { stdin: Readable.from([Buffer.from(text)]) })
    expect([code, pages(emulator)]).toStrictEqual([0, ['https://example.com/1']])
  })

  it('is read from a pipe, whose length is unknown', async () => {
    const emulator = await start()
    const pipe = file('.pipe')
    execFileSync('mkfifo', [pipe])
    const running = batch(emulator, [pipe])
    await writeFile(pipe, ndjson(task(1)))
    expect((await running).lines).toMatchObject([{ index: 0, ok: true }])
  })

  it('has the format of --format, whatever its name', async () => {
    const input = file('.csv', ndjson(task(1)))
    expect((await batch(await start(), [input, '--format', 'ndjson'])).code).toBe(0)
  })

  it('may have bad lines, which are reported by their number and stop nothing', async () => {
    const emulator = await start()
    const input = file(
      '.ndjson',
      ndjson(
        'not json',
        '',
        '[1]',
        task(4, { websiteKey: 7 }),
        task(5, { websiteURL: 'example.com' }),
        task(6, { websiteKey: EMULATOR_KEY }),
        'x'.repeat(70_000),
        task(8)
      )
    )
    const { code, lines, out, err } = await batch(emulator, [input])
    expect(code).toBe(1)
    expect(lines.map(({ line, error }) => [line, error?.problems?.[0]])).toStrictEqual([
      [1, 'line 1: expected JSON'],
      [3, 'line 3: the value: expected { websiteURL: string, websiteKey: string }'],
      [4, 'line 4: websiteKey: expected string'],
      [5, 'line 5: websiteURL: expected an address that begins with http:// or https://'],
      [6, expect.stringContaining('line 6: websiteKey: this is the client key')],
      [7, 'line 7: expected a task, this is too long for one'],
      [undefined, undefined]
    ])
    expect(pages(emulator)).toStrictEqual(['https://example.com/8'])
    expect(err).toContain('        6  InvalidTask                           lines 1, 3, 4, 5, 6, …')
    expect(out).not.toContain(EMULATOR_KEY)
  })

  it('as CSV is read up to a quote that is never closed, whose line is reported', async () => {
    const emulator = await start()
    const input = file(
      '.csv',
      'websiteURL,websiteKey\nhttps://example.com/1,k\n"https://example.com/2,k\nhttps://example.com/3,k\n'
    )
    const { code, err } = await batch(emulator, [input])
    expect(pages(emulator)).toStrictEqual(['https://example.com/1'])
    expect(err).toContain('the input, after line 2: a quote is never closed')
    expect(code).toBe(1)
  })

  it('as CSV keeps a misplaced quote as text', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey\nhttps://example.com/a"b,k"k\nhttps://example.com/2,"k"\n')
    await batch(emulator, [input, '--concurrency', '1'])
    expect(emulator.tasks().map(({ task: sent }) => [sent.websiteURL, sent.websiteKey])).toStrictEqual([
      ['https://example.com/a"b', 'k"k'],
      ['https://example.com/2', 'k']
    ])
  })

  it('as CSV may have records that leave the last columns out', async () => {
    const emulator = await start()
    const { lines } = await batch(emulator, [file('.csv', 'websiteURL,websiteKey,id\nhttps://example.com/1,k\n')])
    expect(lines).toMatchObject([{ index: 0, ok: true }])
  })

  it('as CSV reports a record with more cells than columns, and creates no task for it', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey\nhttps://example.com/a,b,k\nhttps://example.com/2,k\n')
    const { code, lines } = await batch(emulator, [input])
    expect(lines).toMatchObject([
      { line: 2, error: { problems: ['line 2: expected as many cells as columns'] } },
      { index: 1, ok: true }
    ])
    expect([code, pages(emulator)]).toStrictEqual([1, ['https://example.com/2']])
  })

  it('as CSV is refused from a record that is too long for a task', async () => {
    const emulator = await start()
    const input = file('.csv', `websiteURL,websiteKey\n${'x'.repeat(70_000)},k\n`)
    const { code, err } = await batch(emulator, [input])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain('after line 1')
  })

  it('as CSV may have records of several lines', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey,id\nhttps://example.com/1,k,"a\nb"\nhttps://example.com/2,k,\n')
    const { lines } = await batch(emulator, [input])
    expect(lines.map(({ id }) => id)).toStrictEqual(['a\nb', undefined])
  })

  it('of 10,000 bad lines creates no task', async () => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.ndjson', 'bad\n'.repeat(10_000)), '--out', file('.out')])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([1, 0])
    expect(err).toMatch(/^10,000 items in /)
  })

  it.each([
    ['a file that is not there', ['nowhere.ndjson'], 'nowhere.ndjson: the file cannot be read (ENOENT)'],
    ['a folder', ['.'], 'expected a file, this is a folder'],
    ['a JSON array', [file('.json', '[{}]')], 'this looks like a JSON array; expected one JSON object per line'],
    ['CSV without its columns', [file('.csv', 'url,key\n')], 'has no column websiteURL and websiteKey'],
    ['an unknown format', ['-', '--format', 'xml'], "argument 'xml' is invalid. Allowed choices are ndjson, csv."],
    ['no active task', ['-', '--concurrency', '0'], "'--concurrency <n>' argument '0' is invalid. Expected a whole"],
    ['a rate that is no number', ['-', '--creates-per-second', '1e3'], 'Expected a number from 0.001 to 1000'],
    ['a rate of nothing', ['-', '--creates-per-second', '0'], 'Expected a number from 0.001 to 1000'],
    ['a rate out of bounds', ['-', '--creates-per-second', '1000.5'], 'Expected a number from 0.001 to 1000']
  ])('is refused as %s, before anything is paid', async (_, argv, why) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, argv)
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(`error: `)
    expect(err).toContain(why)
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

  it('counts equal content as two items, and equal ids as one', async () => {
    const emulator = await start()
    const input = file('.ndjson', ndjson(task(1), task(1), task(2, { id: 1 }), task(3, { id: '1' })))
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
    ['a folder', () => folder, 'cannot be written (EISDIR)'],
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
      '--out: expected another file than the input'
    )
    expect((await batch(emulator, [input, '--out', out, '--journal', out])).err).toContain(
      '--journal: expected another file than --out'
    )
    expect(readFileSync(input, 'utf8')).toBe(ndjson(task(1)))
  })

  it('prints the paid tasks, and stops the batch, once stdout cannot be written', async () => {
    const emulator = await start({ readyAfterMs: 5 })
    const input = file('.ndjson', ndjson(...Array.from({ length: 30 }, (_, nth) => task(nth))))
    const stdout = makeConsole({ broken: true })
    const { code, err } = await batch(emulator, [input, '--concurrency', '2'], { stdout })
    expect(code).toBe(3)
    expect(emulator.counters().accepted).toBeLessThan(30)
    expect(err).toContain('could not be written: the reader of the output is gone.')
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
    const emulator = await start({ readyAfterMs: 400 })
    const argv = [file('.ndjson', ndjson(task(1))), '--journal', file('.journal'), '--give-up-after-ms']
    const first = await batch(emulator, [...argv, '200'])
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
    const emulator = await start({ readyAfterMs: 400 })
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out]
    await batch(emulator, [...argv, '--give-up-after-ms', '100'])
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

  it('ends at once if another run has the same output, and creates nothing', async () => {
    const emulator = await start()
    const out = file('.out')
    const journal = await fileJournal(`${out}.journal`)
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--out', out])
    await journal.close()
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toMatch(/^error: The journal .* is held by/)
  })

  it('keeps no journal with --emulator, whose tasks end with the command', async () => {
    const out = file('.out')
    const argv = ['batch', file('.ndjson', ndjson(task(1))), '--emulator', '--poll-every-ms', '5', '--out', out]
    expect((await command(argv).ended()).code).toBe(0)
    expect(existsSync(`${out}.journal`)).toBe(false)
  })
})

describe('a refused account', () => {
  it('stops the batch, and the report says how many items were not read and how to continue', async () => {
    const emulator = await start({ faults: ['createTask:2:ERROR_ZERO_BALANCE'] })
    const input = file('.ndjson', ndjson(...Array.from({ length: 9 }, (_, nth) => task(nth))))
    const { code, err, lines } = await batch(emulator, [input, '--concurrency', '1', '--journal', file('.journal')])
    expect([code, lines.length, emulator.counters().accepted]).toStrictEqual([1, 2, 1])
    expect(err).toMatch(/ERROR_ZERO_BALANCE.*Check the key.*\nNot read: 7 items\.\nTo continue/)
  })
})

describe('a signal to a batch', () => {
  const interrupted = async (more: ReadonlyArray<string> = [], readyAfterMs = 60_000) => {
    const emulator = await start({ readyAfterMs })
    const input = file('.ndjson', ndjson(...Array.from({ length: 9 }, (_, nth) => task(nth))))
    const running = command(['batch', input, '--concurrency', '2', ...more], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 2)
    return { emulator, running }
  }

  it('stops pulling and finishes active tasks, the first time', async () => {
    const { emulator, running } = await interrupted([], 100)
    running.signal('SIGINT')
    const { code, out, err } = await running.ended()
    expect(code).toBe(130)
    expect(emulator.counters()).toMatchObject({ accepted: 2, delivered: 2 })
    expect(linesIn(out)).toHaveLength(2)
    expect(err).toContain('Stopping: waiting for active tasks. Press Ctrl-C again to stop now.')
    expect(err).toContain('Stopped by Ctrl-C.\nNot read: 7 items.\n')
  })

  it('stops now, the second time; active tasks are in the output and in the journal', async () => {
    const journal = file('.journal')
    const { emulator, running } = await interrupted(['--journal', journal])
    running.signal('SIGINT')
    running.signal('SIGINT')
    const { code, out } = await running.ended()
    expect(code).toBe(130)
    expect(linesIn(out)).toMatchObject([{ error: { _tag: 'Interrupted' } }, { error: { _tag: 'Interrupted' } }])
    const text = readFileSync(journal, 'utf8')
    for (const { taskId } of emulator.tasks()) expect(text).toContain(taskId)
  })

  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129]
  ] as const)('stops now by %s', async (signal, expected) => {
    const { running } = await interrupted()
    running.signal(signal)
    const { code, err } = await running.ended()
    expect(code).toBe(expected)
    expect(err).toContain('Active tasks are paid for; their references are in the output, as error.ref.')
  })

  it('waits for nothing, the third time, and exits with the code of a task that may be paid for', async () => {
    const emulator = await start({ faults: ['createTask:always:billed+silent'] })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    running.signal('SIGINT')
    running.signal('SIGINT')
    await running.prints('Waiting for the createTask reply')
    running.signal('SIGINT')
    expect((await running.ended()).code).toBe(4)
  })
})

/** A batch of one task of twelve seconds, by a clock that runs 200 times faster. */
const hurriedBatch = async (stderr: Console, stdout = makeConsole()) => {
  const emulator = await start({ readyAfterMs: 60 })
  const { scheduler = asyncScheduler } = hurried()
  const context = makeContext({ stdout, stderr })
  const files = await openFiles(context, {
    ...{ input: file('.ndjson', ndjson(task(1))), format: undefined, out: undefined, journal: undefined }
  })
  await runBatch(context, {
    ...{ files, scheduler, concurrency: 1, isEmbedded: false, commandLine: '' },
    options: { clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 3_000 }
  })
  await files.close()
  return { out: stdout.text(), err: stderr.text() }
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
    expect(err).toMatch(/\nFailed:\n {8}1 {2}TaskFailed ERROR_CAPTCHA_UNSOLVABLE {3,}line \d+\n/)
  })

  it('is never wider than 80 columns', async () => {
    const err = await display(false)
    expect(Math.max(...err.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

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

  it('keeps a note above the bar when a signal stops the batch', async () => {
    const emulator = await start({ readyAfterMs: 100 })
    const stderr = makeConsole({ isTTY: true, columns: 80 })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: envOf(emulator), stderr })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    running.signal('SIGINT')
    const { err } = await running.ended()
    expect(err).toContain('Stopping: waiting for active tasks. Press Ctrl-C again to stop now.\n')
  })
})
