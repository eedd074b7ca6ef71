import { concat, defer, lastValueFrom, of, throwError, type Observable, type ObservableInput } from 'rxjs'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { createSolver, recaptchaV2, type NetworkEvent, type Post } from 'rx-captcha'
import type { FileJournal } from 'rx-captcha/journal'
import { built } from '../support/built.js'
import { journalProcesses, journals } from '../support/journals.js'
import { emulators } from '../support/raw-http.js'

const { at, start, startAfterCrash } = journals()
const startEmulator = emulators()
const startProcess = journalProcesses(built())

const ITEMS = ['a', 'b', 'c']

const aTask = (item: string) => recaptchaV2({ websiteURL: `https://example.com/${item}`, websiteKey: 'k' })

const HANGS = `print('saving ' + item); return new Promise(() => {})`
const SAVES = `print('saved ' + item); return Promise.resolve()`

/** A process that solves the items; `deliver` is the body of that function, `atLast` what the subscriber does after the last outcome. */
const startBatch = ({ url }: Emulator, { deliver = SAVES, atLast = '' }) =>
  startProcess(
    at(),
    `
    const { createSolver, recaptchaV2 } = require('./dist/index.js')
    const solver = createSolver({ clientKey: '${EMULATOR_KEY}', baseUrl: '${url}', pollEveryMs: 20 })
    const options = { journal, keyOf: String, concurrency: 3, deliver: ({ item }) => { ${deliver} } }
    let outcomes = 0
    const toTask = (item) => recaptchaV2({ websiteURL: 'https://example.com/' + item, websiteKey: 'k' })
    solver.solveAll(${JSON.stringify(ITEMS)}, toTask, options).subscribe(() => {
      outcomes += 1
      if (outcomes === 3) { ${atLast} }
    })`
  )

/** Solves the items in this process; returns what was saved, and how the batch ended. */
const runBatch = async ({ url }: Emulator, save: (item: string) => ObservableInput<unknown> = () => of(undefined)) => {
  const journal = await start()
  const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: url, pollEveryMs: 5 })
  const saved: string[] = []
  const deliver = ({ item }: { readonly item: string }) =>
    concat(
      save(item),
      defer(() => of(saved.push(item)))
    )
  const outcomes = solver.solveAll(ITEMS, aTask, { journal, keyOf: String, concurrency: 3, deliver })
  const end = await lastValueFrom(outcomes, { defaultValue: undefined }).then(() => 'complete', messageOf)
  await solver.close()
  await journal.close()
  return { saved: saved.sort(), end }
}

const messageOf = (error: unknown): string => (error as Error).message

/** Kills a process while it saves the three outcomes. */
const killWhileSaving = async (emulator: Emulator) => {
  const { kill, printed } = startBatch(emulator, { deliver: HANGS })
  await printed(3)
  await kill()
}

const savedIn = (lines: ReadonlyArray<string>) => lines.filter((line) => line.startsWith('saved')).sort()
const pagesOf = (emulator: Emulator) =>
  emulator
    .tasks()
    .map(({ task }) => String(task.websiteURL).slice(-1))
    .sort()

describe('an outcome', () => {
  it('comes again in the next run after a kill -9 while it was saved, and is not paid for again', async () => {
    const emulator = await startEmulator()
    await killWhileSaving(emulator)
    expect(await runBatch(emulator)).toStrictEqual({ saved: ITEMS, end: 'complete' })
    expect(await runBatch(emulator)).toStrictEqual({ saved: [], end: 'complete' })
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  it('comes again after any number of kills', async () => {
    const emulator = await startEmulator()
    for (let round = 0; round < 2; round += 1) await killWhileSaving(emulator)
    expect(await runBatch(emulator)).toStrictEqual({ saved: ITEMS, end: 'complete' })
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  const noDatabase = () => new Error('no database')
  const failures: ReadonlyArray<readonly [string, () => ObservableInput<unknown>]> = [
    ['rejects', () => Promise.reject(noDatabase())],
    [
      'throws',
      () => {
        throw noDatabase()
      }
    ],
    ['errors after it has emitted', () => concat(of(1), throwError(noDatabase))]
  ]
  it.each(failures)('comes again if deliver %s, and the others do not', async (_, fail) => {
    const emulator = await startEmulator()
    const failing = await runBatch(emulator, (item) => (item === 'b' ? fail() : of(undefined)))
    expect(failing).toStrictEqual({ saved: ['a', 'c'], end: 'no database' })
    expect(await runBatch(emulator)).toStrictEqual({ saved: ['b'], end: 'complete' })
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  it('is saved by deliver before `next` can throw, and comes again or is finished', async () => {
    const emulator = await startEmulator()
    const { ended, lines } = startBatch(emulator, { atLast: `throw new Error('broken subscriber')` })
    await ended
    expect(lines().join()).toContain('broken subscriber')
    expect(savedIn(lines())).toStrictEqual(ITEMS.map((item) => `saved ${item}`))
    expect(await runBatch(emulator)).toMatchObject({ end: 'complete' })
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  it('comes again after a kill -9 between the end of deliver and the record of it', async () => {
    const emulator = await startEmulator()
    // `next` is called after the end of deliver and before the record.
    const { ended, lines } = startBatch(emulator, { atLast: `process.kill(process.pid, 'SIGKILL')` })
    await ended
    expect(savedIn(lines())).toStrictEqual(ITEMS.map((item) => `saved ${item}`))
    expect((await runBatch(emulator)).saved.map((item) => `saved ${item}`)).toContain(lines().at(-1))
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })
})

describe('a task id that came as a number', () => {
  it('is sent back to the digit, and as a number, by the run after a crash', async () => {
    const polled: unknown[] = []
    const post: Post = (path, body) => {
      if (path === '/getTaskResult') polled.push(body.taskId)
      const ready = '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"token"}}'
      const reply = path === '/createTask' ? '{"errorId":0,"taskId":90071992547409931}' : ready
      return of<NetworkEvent[]>({ _tag: 'Sent' }, { _tag: 'Reply', status: 200, body: reply })
    }
    const solver = createSolver({ clientKey: 'a-client-key', post, pollEveryMs: 1 })
    const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: 'k' })
    const saved = (journal: FileJournal, deliver: () => Observable<unknown>) =>
      lastValueFrom(
        solver.solveAll(['a'], () => task, { journal, keyOf: String, deliver }),
        { defaultValue: undefined }
      )

    const cut = saved(await start(), () => throwError(() => new Error('no database')))
    await expect(cut).rejects.toThrow('no database')
    await saved(await startAfterCrash(), () => of(undefined))
    expect(polled).toStrictEqual([90071992547409931n, 90071992547409931n])
  })
})
