import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { lastValueFrom } from 'rxjs'
import { EMULATOR_KEY, startEmulator, type Emulator } from 'rx-captcha/emulator'
import { fileJournal } from 'rx-captcha/journal'
import { batch, linesIn, ndjson, pages, task, testFiles } from '../../support/batch.js'
import { command, envOf } from '../../support/command.js'

const { file } = testFiles()
const ITEMS = ndjson(...['a', 'b', 'c'].map((id, nth) => task(nth, { id })))

const emulators: Emulator[] = []
const start = async (faults: ReadonlyArray<string> = [], readyAfterMs = 0): Promise<Emulator> => {
  const emulator = await startEmulator({ faults, readyAfterMs })
  emulators.push(emulator)
  return emulator
}
afterAll(() => Promise.all(emulators.map((emulator) => emulator.close())))

const journalCommand = (...argv: ReadonlyArray<string>) => command(['journal', ...argv]).ended()

/** A batch in which a is solved, b has failed, and c is in doubt. */
const failedBatch = async () => {
  const [input, out] = [file('.ndjson', ITEMS), file('.out.ndjson')]
  const emulator = await start(['task:2:ERROR_CAPTCHA_UNSOLVABLE', 'createTask:3:no-id'])
  await batch(emulator, [input, '--out', out, '--concurrency', '1'])
  return { input, out, argv: [input, '--out', out, '--concurrency', '1'] }
}

describe('batch --retry-failed', () => {
  it('pays again for items that failed or are in doubt, and for no others', async () => {
    const { argv, out } = await failedBatch()
    const emulator = await start()
    await batch(emulator, argv)
    expect(emulator.counters().accepted).toBe(0)

    const { code } = await batch(emulator, [...argv, '--retry-failed'])
    expect(code).toBe(0)
    expect(emulator.tasks().map(({ task: sent }) => sent.websiteURL)).toStrictEqual([
      ...['https://example.com/1', 'https://example.com/2']
    ])
    const outcomes = linesIn(readFileSync(out, 'utf8')).map(({ id, ok }) => `${id} ${ok}`)
    expect(outcomes).toStrictEqual(['a true', 'b false', 'b true', 'c false', 'c true'])

    await batch(emulator, [...argv, '--retry-failed'])
    expect(emulator.counters().accepted).toBe(2)
  })

  it('keeps the new task of a key whose old failure is still in the output, after a crash', async () => {
    const { argv, out } = await failedBatch()
    const emulator = await start()
    const path = `${out}.journal`
    // What a run with --retry-failed has recorded when it is killed between the polls of b and c.
    const accepted = await createAt(emulator)
    const journal = await fileJournal(path)
    const [key] = [...journal.entries()].flatMap(([name, entry]) =>
      entry._tag === 'Finished' && entry.tag === 'TaskFailed' ? [name] : []
    )
    await lastValueFrom(journal.release(key!))
    await lastValueFrom(journal.begin(key!))
    await lastValueFrom(journal.created(key!, { taskId: accepted, createdAt: Date.now() }))
    await journal.close()

    await batch(emulator, argv)
    const tokens = linesIn(readFileSync(out, 'utf8')).filter(({ id, ok }) => id === 'b' && ok)
    expect(tokens).toMatchObject([{ taskId: accepted }])
    expect(emulator.counters().accepted).toBe(1)
  })

  it.each([
    ['that was solved', [], 0],
    ['that is resumed', ['--give-up-after-ms', '300'], 3]
  ])('keeps a new task %s although the journal was deleted', async (_, flags, code) => {
    const [input, out] = [file('.ndjson', ndjson(task(1, { id: 'a' }))), file('.out.ndjson')]
    const argv = [input, '--out', out]
    await batch(await start(['task:1:ERROR_CAPTCHA_UNSOLVABLE']), argv)
    const emulator = await start([], code === 0 ? 0 : 1_000)
    expect((await batch(emulator, [...argv, '--retry-failed', ...flags])).code).toBe(code)
    rmSync(`${out}.journal`)

    expect((await batch(emulator, [...argv, '--retry-failed'])).code).toBe(0)
    expect([emulator.counters().accepted, linesIn(readFileSync(out, 'utf8')).at(-1)?.ok]).toStrictEqual([1, true])
  })

  it('is refused without a record of an earlier run', async () => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.ndjson', ITEMS), '--retry-failed'])
    expect(code).toBe(2)
    expect(err).toContain('--retry-failed: requires --out or --journal of the run')
  })
})

/** Creates a task at the emulator; returns its id. */
const createAt = async ({ url }: Emulator): Promise<string> => {
  const body = { clientKey: EMULATOR_KEY, task: { type: 'RecaptchaV2TaskProxyless', ...task(9) } }
  const reply = await fetch(`${url}/createTask`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  return ((await reply.json()) as { taskId: string }).taskId
}

describe('rx-captcha journal', () => {
  it('lists the keys with their states', async () => {
    const { out } = await failedBatch()
    const { code, out: text } = await journalCommand(`${out}.journal`)
    expect(code).toBe(0)
    expect(text.replace(/"[^"]*"/g, 'KEY')).toBe('Finished  KEY  Solved\nFinished  KEY  TaskFailed\nInDoubt   KEY\n')

    const json = await journalCommand(`${out}.journal`, '--json')
    expect(json.out.split('\n')[2]).toMatch(/^\{"key":".*","state":"InDoubt"\}$/)
  })

  it('shows the task of a key that is known', async () => {
    const path = file('.journal')
    const journal = await fileJournal(path)
    await lastValueFrom(journal.created('k\u001b', { taskId: 'task-7', createdAt: 0 }))
    await journal.close()
    const { out } = await journalCommand(path)
    expect(out).toBe('Known     "k\\u001b"  task task-7, created 1970-01-01T00:00:00.000Z\n')
  })

  it('releases keys, whose tasks the next run pays for again', async () => {
    const { argv, out } = await failedBatch()
    const path = `${out}.journal`
    const keys = (await journalCommand(path, '--json')).out.split('\n').slice(1, 3)
    const [failed, doubtful] = keys.map((line) => (JSON.parse(line) as { key: string }).key)
    const { code, err } = await journalCommand(path, '--release', failed!, '--release', doubtful!)
    expect([code, err]).toStrictEqual([0, 'Released 2 keys. The next run pays for their tasks again.\n'])

    const emulator = await start()
    expect((await batch(emulator, argv)).code).toBe(0)
    expect(emulator.counters().accepted).toBe(2)
  })

  it('releases a solved key, whose old line in the output does not count any more', async () => {
    const { argv, out } = await failedBatch()
    await journalCommand(`${out}.journal`, '--release', 'a')
    const emulator = await start()
    await batch(emulator, argv)
    expect(pages(emulator)).toStrictEqual(['https://example.com/0'])
    const [before, after] = linesIn(readFileSync(out, 'utf8')).filter(({ id }) => id === 'a')
    expect([before?.ok, after?.ok, after?.taskId === before?.taskId]).toStrictEqual([true, true, false])

    await batch(emulator, argv)
    expect(emulator.counters().accepted).toBe(1)
  })

  it.each([
    ['is refused by the service', ['createTask:1:ERROR_SITEKEY'], []],
    ['has a wrong option', [], ['--base-url', 'nonsense']],
    ['is one of the embedded emulator', [], ['--emulator']]
  ])('releases a solved key for good, although the next run %s', async (_, faults, flags) => {
    const [input, out] = [file('.ndjson', ndjson(task(1, { id: 'a' }))), file('.out.ndjson')]
    const argv = [input, '--out', out]
    await batch(await start(), argv)
    await journalCommand(`${out}.journal`, '--release', 'a')
    const emulator = await start(faults)
    const env = { ...envOf(emulator), ...(flags.length > 0 && { CAPTCHA_BASE_URL: '' }) }
    expect((await batch(emulator, [...argv, ...flags], { env })).code).toBeGreaterThan(0)
    expect(emulator.counters().accepted).toBe(0)

    expect((await batch(emulator, argv)).code).toBe(0)
    expect(emulator.counters().accepted).toBe(1)
  })

  it('keeps the new outcome of a released key after a crash between its line and its end in the journal', async () => {
    const { argv, out } = await failedBatch()
    const path = `${out}.journal`
    await journalCommand(path, '--release', 'a')
    await batch(await start(), argv)
    const recorded = readFileSync(path, 'utf8')
    writeFileSync(path, recorded.replace(/.*"key":"a","ended":"Solved".*\n/, ''))
    expect(readFileSync(path, 'utf8')).not.toBe(recorded)

    const emulator = await start()
    const { err } = await batch(emulator, argv)
    expect(err).toMatch(/: 0 solved, 1 failed, 2 done before/)
    expect(emulator.counters().requests).toMatchObject({ createTask: 0, getTaskResult: 0 })
  })

  it('says of one key that its task is paid for again', async () => {
    const { out } = await failedBatch()
    const [, line = ''] = (await journalCommand(`${out}.journal`, '--json')).out.split('\n')
    const { err } = await journalCommand(`${out}.journal`, '--release', (JSON.parse(line) as { key: string }).key)
    expect(err).toBe('Released 1 key. The next run pays for its task again.\n')
  })

  it('releases nothing if a key is unknown', async () => {
    const { out } = await failedBatch()
    const { code, err } = await journalCommand(`${out}.journal`, '--release', 'no-such-key')
    expect(code).toBe(2)
    expect(err).toContain('--release: the journal has no key "no-such-key"; nothing was released')
  })

  it.each([
    ['does not exist', undefined, 'the journal cannot be read'],
    ['is something else', 'hello', 'is not a journal']
  ])('refuses a file that %s, and leaves it alone', async (_, text, problem) => {
    const path = file('.journal')
    if (text !== undefined) writeFileSync(path, text)
    const { code, err } = await journalCommand(path)
    expect(code).toBe(2)
    expect(err).toContain(problem)
    expect((await journalCommand(path)).err).toBe(err)
  })

  it('refuses a journal that a process holds', async () => {
    const path = file('.journal')
    const journal = await fileJournal(path)
    const { code, err } = await journalCommand(path, '--release', 'k')
    await journal.close()
    expect(code).toBe(2)
    expect(err).toContain(`has been held by process ${process.pid}`)
  })
})
