import { lastValueFrom, of, throwError, type Observable } from 'rxjs'
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

const ALL_SAVED = ITEMS.map((item) => `saved ${item}`)

const HANGS = `print('saving ' + item); return new Promise(() => {})`
const SAVES = `print('saved ' + item); return Promise.resolve()`

interface BatchParts {
  /** The body of `deliver`, which has `item`. */
  readonly deliver?: string
  /** What the subscriber does after the last outcome. */
  readonly atLast?: string
}

/** A process that solves the items, and prints what `deliver` does and how the batch ends. */
const startBatch = ({ url }: Emulator, { deliver = SAVES, atLast = '' }: BatchParts = {}) =>
  startProcess(
    at(),
    `
    const { createSolver, recaptchaV2 } = require('./dist/index.js')
    const solver = createSolver({ clientKey: '${EMULATOR_KEY}', baseUrl: '${url}', pollEveryMs: 20 })
    const options = { journal, keyOf: String, concurrency: 3, deliver: ({ item }) => { ${deliver} } }
    let outcomes = 0
    const toTask = (item) => recaptchaV2({ websiteURL: 'https://example.com/' + item, websiteKey: 'k' })
    const end = (how) => {
      print(how)
      void solver.close().then(journal.close)
    }
    solver.solveAll(${JSON.stringify(ITEMS)}, toTask, options).subscribe({
      next: () => { outcomes += 1; if (outcomes === 3) { ${atLast} } },
      error: (error) => end(error.message),
      complete: () => end('complete')
    })`
  )

/** Runs the batch to its end, and returns what it printed. */
const linesOf = async (emulator: Emulator, run?: BatchParts): Promise<ReadonlyArray<string>> => {
  const { ended, lines } = startBatch(emulator, run)
  await ended
  return lines()
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
    const { kill, printed } = startBatch(emulator, { deliver: HANGS })
    await printed(3)
    await kill()
    expect(savedIn(await linesOf(emulator))).toStrictEqual(ALL_SAVED)
    expect(await linesOf(emulator)).toStrictEqual(['complete'])
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  it('comes again after any number of kills', async () => {
    const emulator = await startEmulator()
    for (let round = 0; round < 3; round += 1) {
      const { kill, printed } = startBatch(emulator, { deliver: HANGS })
      await printed(3)
      await kill()
    }
    expect(savedIn(await linesOf(emulator))).toStrictEqual(ALL_SAVED)
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  const failures: ReadonlyArray<readonly [string, string]> = [
    ['rejects', `return Promise.reject(new Error('no database'))`],
    ['throws', `throw new Error('no database')`],
    [
      'errors after it has emitted',
      `const { concat, of, throwError } = require('rxjs')
      return concat(of(1), throwError(() => new Error('no database')))`
    ]
  ]
  it.each(failures)('comes again if deliver %s, and the others do not', async (_, failure) => {
    const emulator = await startEmulator()
    const first = await linesOf(emulator, { deliver: `if (item !== 'b') { ${SAVES} } ${failure}` })
    expect([savedIn(first), first.at(-1)]).toStrictEqual([['saved a', 'saved c'], 'no database'])
    expect(await linesOf(emulator)).toStrictEqual(['saved b', 'complete'])
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  it('is saved by deliver before `next` can throw, and comes again or is finished', async () => {
    const emulator = await startEmulator()
    const first = await linesOf(emulator, { atLast: `throw new Error('broken subscriber')` })
    expect(first.join()).toContain('broken subscriber')
    expect(savedIn(first)).toStrictEqual(ALL_SAVED)
    expect((await linesOf(emulator)).at(-1)).toBe('complete')
    expect(pagesOf(emulator)).toStrictEqual(ITEMS)
  })

  it('comes again after a kill -9 between the end of deliver and the record of it', async () => {
    const emulator = await startEmulator()
    // `next` is called after the end of deliver and before the record.
    const first = await linesOf(emulator, { atLast: `process.kill(process.pid, 'SIGKILL')` })
    expect(savedIn(first)).toStrictEqual(ALL_SAVED)
    expect(savedIn(await linesOf(emulator))).toContain(first.at(-1))
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
