import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { command, makeConsole } from '../support/command.js'
import { emulators, until } from '../support/raw-http.js'

const start = emulators()
const folder = mkdtempSync(join(tmpdir(), 'batch-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

let files = 0
/** A path that is new; with a text, the file is there. */
const file = (ending: string, text?: string): string => {
  const path = join(folder, `${(files += 1)}${ending}`)
  if (text !== undefined) writeFileSync(path, text)
  return path
}

const at = ({ url }: Emulator) => ({
  CAPTCHA_BASE_URL: url,
  CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
  CAPTCHA_POLL_EVERY_MS: '5'
})

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

const batch = async (emulator: Emulator, argv: ReadonlyArray<string>, given: Parameters<typeof command>[1] = {}) => {
  const ended = await command(['batch', ...argv], { env: at(emulator), ...given }).ended()
  return { ...ended, lines: linesIn(ended.out) }
}

const pages = (emulator: Emulator) => emulator.tasks().map((made) => made.task.websiteURL)

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
        taskId: emulator.tasks().find((made) => made.task.isInvisible === true)?.taskId,
        gRecaptchaResponse: expect.stringMatching(/^03A/) as string,
        useBefore: expect.any(Number) as number,
        expiresAt: expect.any(Number) as number
      },
      expect.objectContaining({ index: 1, ok: true })
    ])
  })

  it('tells a failure with its error and a sentence, and goes on', async () => {
    const emulator = await start({ faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE'] })
    const { code, lines } = await batch(emulator, [file('.ndjson', ndjson(task(1), task(2))), '--concurrency', '1'])
    expect(code).toBe(3)
    expect(lines).toMatchObject([
      { index: 0, ok: false, error: { _tag: 'TaskFailed' }, message: expect.stringContaining('UNSOLVABLE') as string },
      { index: 1, ok: true }
    ])
  })

  it('has no more under way than --concurrency', async () => {
    const emulator = await start({ readyAfterMs: 10 })
    await batch(emulator, [file('.ndjson', ndjson(...[1, 2, 3, 4, 5].map((nth) => task(nth)))), '--concurrency', '2'])
    const made = emulator.tasks()
    const openAt = (instant: number) =>
      made.filter(({ acceptedAt, deliveredAt = Infinity }) => acceptedAt <= instant && instant < deliveredAt).length
    expect(made).toHaveLength(5)
    expect(Math.max(...made.map(({ acceptedAt }) => openAt(acceptedAt)))).toBe(2)
  })

  it('is done at once with an empty file', async () => {
    const { code, out, err } = await batch(await start(), [file('.ndjson', '')])
    expect([code, out]).toStrictEqual([0, ''])
    expect(err).toMatch(/^0 items in .*: 0 solved, 0 failed\.\nPaid for: 0 new tasks\.\n$/)
  })

  it('runs on the embedded emulator', async () => {
    const input = file('.ndjson', ndjson(task(1)))
    const { code, out } = await command(['batch', input, '--emulator', '--poll-every-ms', '5']).ended()
    expect([code, linesIn(out).length]).toStrictEqual([0, 1])
  })
})

describe('the input of a batch', () => {
  it('may be CSV, by its name', async () => {
    const emulator = await start()
    const input = file(
      '.csv',
      'websiteKey,websiteURL,id,isInvisible\r\nk,"https://example.com/a,b",7,TRUE\r\n\r\nk,https://example.com/c,,\r\n'
    )
    const { code, lines } = await batch(emulator, [input, '--concurrency', '1'])
    expect([code, lines.map(({ id }) => id)]).toStrictEqual([0, ['7', undefined]])
    expect(emulator.tasks().map((made) => made.task)).toStrictEqual([
      { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/a,b', websiteKey: 'k', isInvisible: true },
      { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/c', websiteKey: 'k' }
    ])
  })

  it.each([
    ['NDJSON', ndjson(task(1))],
    ['NDJSON with a byte order mark', `\uFEFF${ndjson(task(1))}`],
    ['NDJSON without a last newline', ndjson(task(1)).trim()],
    ['CSV', 'websiteURL,websiteKey\nhttps://example.com/1,k\n']
  ])('may come from stdin, as %s, by its first line', async (_, text) => {
    const emulator = await start()
    const { code } = await batch(emulator, ['-'], { stdin: Readable.from([Buffer.from(text)]) })
    expect([code, pages(emulator)]).toStrictEqual([0, ['https://example.com/1']])
  })

  it('is what --format says, whatever its name', async () => {
    const input = file('.csv', ndjson(task(1)))
    expect((await batch(await start(), [input, '--format', 'NDJSON'])).code).toBe(0)
  })

  it('may have bad lines, which are told by their number and stop nothing', async () => {
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
      [7, 'line 7: expected a task; it is too long to be one'],
      [undefined, undefined]
    ])
    expect(pages(emulator)).toStrictEqual(['https://example.com/8'])
    expect(err).toContain('        6  InvalidTask                           lines 1, 3, 4, 5, 6, …')
    expect(out).not.toContain(EMULATOR_KEY)
  })

  it('in CSV may have a quote that is never closed, which costs its own line only', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey\n"https://example.com/1,k\nhttps://example.com/2,k\n')
    const { lines } = await batch(emulator, [input])
    expect(lines).toMatchObject([
      { line: 2, ok: false },
      { index: 1, ok: true }
    ])
    expect(pages(emulator)).toStrictEqual(['https://example.com/2'])
  })

  it('in CSV may have records of several lines', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey,id\nhttps://example.com/1,k,"a\nb"\nhttps://example.com/2,k,\n')
    const { lines } = await batch(emulator, [input])
    expect(lines.map(({ id }) => id)).toStrictEqual(['a\nb', undefined])
  })

  it('of 30,000 bad lines takes no time and no task', async () => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.ndjson', 'bad\n'.repeat(30_000)), '--out', file('.out')])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([1, 0])
    expect(err).toMatch(/^30,000 items in /)
  })

  it.each([
    ['a file that is not there', ['nowhere.ndjson'], 'nowhere.ndjson: the file cannot be read (ENOENT)'],
    ['a folder', ['.'], 'expected a file, this is a folder'],
    ['a JSON array', [file('.json', '[{}]')], 'this looks like a JSON array; expected one JSON object a line'],
    ['CSV without its columns', [file('.csv', 'url,key\n')], 'has no column websiteURL and websiteKey'],
    ['an unknown format', ['-', '--format', 'xml'], '--format: expected ndjson or csv, not "xml"'],
    ['no tasks at a time', ['-', '--concurrency', '0'], '--concurrency: expected tasks, a whole number from 1'],
    ['half a rate', ['-', '--creates-per-second', '1e3'], '--creates-per-second: expected a number such as 20 or 0.5'],
    [
      'a rate out of bounds',
      [file('.ndjson', ''), '--creates-per-second', '0'],
      '--creates-per-second: expected a number'
    ]
  ])('is refused as %s, before anything is paid', async (_, argv, why) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, argv)
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(`error: `)
    expect(err).toContain(why)
  })
})

describe('--out', () => {
  it('appends, and leaves out what has a line already', async () => {
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

  it('tries again what was not paid for', async () => {
    const emulator = await start({ faults: ['createTask:1:ERROR_SITEKEY'] })
    const argv = [file('.ndjson', ndjson(task(1))), '--out', file('.out')]
    expect((await batch(emulator, argv)).code).toBe(1)
    expect((await batch(emulator, argv)).code).toBe(0)
  })

  it('takes the same content twice for two items, and the same id twice for one', async () => {
    const emulator = await start()
    const input = file('.ndjson', ndjson(task(1), task(1), task(2, { id: 1 }), task(3, { id: '1' })))
    const { err } = await batch(emulator, [input, '--out', file('.out')])
    expect(err).toContain('3 solved, 0 failed, 1 repeated id.')
    expect(emulator.counters().accepted).toBe(3)
  })

  it('cuts off half a line that a crash left', async () => {
    const emulator = await start()
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out]
    await batch(emulator, argv)
    const whole = readFileSync(out, 'utf8')
    writeFileSync(out, whole.slice(0, whole.length / 2))
    await batch(emulator, argv)
    expect(linesIn(readFileSync(out, 'utf8'))).toMatchObject([{ index: 0, ok: true }])
  })

  it('ends a last line that a crash left without its newline', async () => {
    const emulator = await start()
    const [input, out] = [file('.ndjson', ndjson(task(1))), file('.out')]
    await batch(emulator, [input, '--out', out])
    writeFileSync(out, readFileSync(out, 'utf8').trim())
    writeFileSync(input, ndjson(task(1), task(2)))
    await batch(emulator, [input, '--out', out])
    expect(linesIn(readFileSync(out, 'utf8')).map(({ index }) => index)).toStrictEqual([0, 1])
  })

  it.each([
    ['a foreign file', () => file('.out', 'dear diary\nit rained\n'), 'line 1 is no outcome. It was left as it is'],
    ['a foreign line', () => file('.out', 'dear diary'), 'line 1 is no outcome'],
    ['a folder', () => folder, 'cannot be written (EISDIR)'],
    ['a place in no folder', () => join(folder, 'none', 'out'), 'cannot be written (ENOENT)']
  ])('is refused as %s, before anything is paid', async (_, pathOf, why) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--out', pathOf()])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(why)
  })

  it('is another file than the input and the journal', async () => {
    const [emulator, input, out] = [await start(), file('.ndjson', ndjson(task(1))), file('.out')]
    expect((await batch(emulator, [input, '--out', input])).err).toContain(
      '--out: expected another file than the input'
    )
    expect((await batch(emulator, [input, '--out', out, '--journal', out])).err).toContain(
      '--journal: expected another file than --out'
    )
    expect(readFileSync(input, 'utf8')).toBe(ndjson(task(1)))
  })

  it('that cannot be written any more ends the taking, and tells the paid tasks', async () => {
    const emulator = await start({ readyAfterMs: 5 })
    const input = file('.ndjson', ndjson(...Array.from({ length: 30 }, (_, nth) => task(nth))))
    const stdout = makeConsole({ broken: true })
    const { code, err } = await batch(emulator, [input, '--concurrency', '2'], { stdout })
    expect(code).toBe(3)
    expect(emulator.counters().accepted).toBeLessThan(30)
    expect(err).toContain('could not be written: nobody reads them, or the disk is full.')
    for (const { taskId } of emulator.tasks()) expect(err).toContain(taskId)
  })
})

describe('--journal', () => {
  it('skips what is finished', async () => {
    const emulator = await start()
    const argv = [file('.ndjson', ndjson(task(1), task(2))), '--journal', file('.journal')]
    await batch(emulator, argv)
    const { code, out, err } = await batch(emulator, argv)
    expect([code, out, emulator.counters().accepted]).toStrictEqual([0, '', 2])
    expect(err).toMatch(/^2 items in .*: 0 solved, 0 failed, 2 done before\./)
  })

  it('goes on with a task that was not ready in time', async () => {
    const emulator = await start({ readyAfterMs: 400 })
    const argv = [file('.ndjson', ndjson(task(1))), '--journal', file('.journal'), '--give-up-after-ms']
    const first = await batch(emulator, [...argv, '200'])
    expect(first).toMatchObject({ code: 3, lines: [{ error: { _tag: 'TimedOut' } }] })
    expect(first.err).toContain(
      'To go on, with the same input; what is paid for is not paid again:\n  rx-captcha batch '
    )
    const second = await batch(emulator, [...argv, '5000'])
    expect(second).toMatchObject({ code: 0, lines: [{ ok: true, taskId: emulator.tasks()[0]!.taskId }] })
    expect(emulator.counters().accepted).toBe(1)
  })

  it('that belongs to somebody else is refused, before anything is paid', async () => {
    const emulator = await start()
    const journal = file('.journal', 'dear diary\n')
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--journal', journal])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toMatch(/^error: --journal: The journal .* is there, but no journal of rx-captcha/)
  })

  it('makes no sense with an emulator that forgets', async () => {
    const path = file('.journal')
    const { code, err } = await command(['batch', '-', '--emulator', '--journal', path]).ended()
    expect([code, existsSync(path)]).toStrictEqual([2, false])
    expect(err).toContain('--journal: not together with --emulator')
  })
})

describe('an account that cannot be used', () => {
  it('ends the batch, and says how many were not taken and how to go on', async () => {
    const emulator = await start({ faults: ['createTask:2:ERROR_ZERO_BALANCE'] })
    const input = file('.ndjson', ndjson(...Array.from({ length: 9 }, (_, nth) => task(nth))))
    const { code, err, lines } = await batch(emulator, [input, '--concurrency', '1', '--journal', file('.journal')])
    expect([code, lines.length, emulator.counters().accepted]).toStrictEqual([1, 2, 1])
    expect(err).toMatch(/ERROR_ZERO_BALANCE.*Check the key.*\nNot taken: 7 items\.\nTo go on/)
  })
})

describe('a signal to a batch', () => {
  const under = async (more: ReadonlyArray<string> = [], readyAfterMs = 60_000) => {
    const emulator = await start({ readyAfterMs })
    const input = file('.ndjson', ndjson(...Array.from({ length: 9 }, (_, nth) => task(nth))))
    const running = command(['batch', input, '--concurrency', '2', ...more], { env: at(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 2)
    return { emulator, running }
  }

  it('takes no more and finishes what is open, the first time', async () => {
    const { emulator, running } = await under([], 100)
    running.signal('SIGINT')
    const { code, out, err } = await running.ended()
    expect(code).toBe(130)
    expect(emulator.counters()).toMatchObject({ accepted: 2, delivered: 2 })
    expect(linesIn(out)).toHaveLength(2)
    expect(err).toContain('No more is taken; what is open is finished. Ctrl-C once more stops at once.')
    expect(err).toContain('Stopped by Ctrl-C.\nNot taken: 7 items.\n')
  })

  it('stops now, the second time; open tasks stand in the output and in the journal', async () => {
    const journal = file('.journal')
    const { emulator, running } = await under(['--journal', journal])
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
    const { running } = await under()
    running.signal(signal)
    const { code, err } = await running.ended()
    expect(code).toBe(expected)
    expect(err).toContain('Open tasks are paid for; the output tells each as error.ref.')
  })

  it('waits for nothing, the third time, and then tells that the last task may be paid for', async () => {
    const emulator = await start({ faults: ['createTask:always:billed+silent'] })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: at(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    running.signal('SIGINT')
    running.signal('SIGINT')
    await running.says('createTask has left: its answer is waited for')
    running.signal('SIGINT')
    expect((await running.ended()).code).toBe(4)
  })
})

describe('what a batch shows', () => {
  const shown = async (isTTY: boolean) => {
    const emulator = await start({ faults: ['task:2:ERROR_CAPTCHA_UNSOLVABLE'], readyAfterMs: [0, 300] })
    const input = file('.ndjson', ndjson(...Array.from({ length: 20 }, (_, nth) => task(nth))))
    const stderr = makeConsole({ isTTY, columns: 80 })
    return (await batch(emulator, [input], { stderr })).err
  }

  it('is a bar with the rate, and what is in flight, solved, failed and paid, on a terminal', async () => {
    const err = await shown(true)
    expect(err).toMatch(/\[[=-]{30}\] \d+\/20 {2}[\d.]+\/s/)
    expect(err).toContain('0 in flight  19 solved  1 failed  20 paid')
  })

  it('closes with a summary: how many, what was paid, how long it took, and what failed', async () => {
    const err = await shown(false)
    expect(err).toMatch(
      /^20 items in [\d.]+ s: 19 solved, 1 failed\.\nPaid for: 20 new tasks\.\n\nCreate to token: half/
    )
    expect(err).toMatch(/\n {2}\d\.\d+ - +\d\.\d+ {2} +\d+ {2}#+\n/)
    expect(err).toMatch(/\nFailed:\n {8}1 {2}TaskFailed ERROR_CAPTCHA_UNSOLVABLE {3,}line \d+\n/)
  })

  it('is never wider than 80 columns', async () => {
    const err = await shown(false)
    expect(Math.max(...err.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('is found in the help', async () => {
    const stdout = makeConsole()
    const { out } = await command(['batch', '--help'], { stdout }).ended()
    for (const part of ['--journal <file>', '--out <file>', '--creates-per-second <n>', 'Exit codes', 'isInvisible'])
      expect(out).toContain(part)
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })
})
