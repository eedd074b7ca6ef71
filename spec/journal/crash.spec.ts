import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { lastValueFrom } from 'rxjs'
import { JournalError, type FileJournal } from 'rx-captcha/journal'
import { BASH } from '../support/bash.js'
import { built } from '../support/built.js'
import { journalProcesses, journals, stateOf } from '../support/journals.js'
import { longRunOf } from '../support/long-run.js'

const { count: kills, timeoutMs } = longRunOf('KILL', 3)
const KILLS_A_JOURNAL = 10

const { at, start } = journals()
const startProcess = journalProcesses(built())

const BEGIN_AND_WAIT = `await done(journal.begin('k')); print('begun'); setInterval(() => {}, 1_000)`

describe('a second process', () => {
  it('opens the journal at once after a kill -9 of the first', async () => {
    const { kill, printed } = startProcess(at(), BEGIN_AND_WAIT)
    await printed(1)
    await kill()
    expect(await stateOf(await start(), 'k')).toBe('InDoubt')
  })

  it('opens the journal after the first has ended without closing it', async () => {
    const { ended, lines } = startProcess(at(), `await done(journal.begin('k')); process.exit()`)
    await ended
    expect(lines()).toStrictEqual([])
    expect(await stateOf(await start(), 'k')).toBe('InDoubt')
  })
})

describe('the lock', () => {
  it('refuses a second opening in the same process, until the journal is closed', async () => {
    const journal = await start()
    await expect(start()).rejects.toThrow(`has been held by process ${process.pid}`)
    await journal.close()
    expect(await stateOf(await start(), 'k')).toBe('Fresh')
  })

  it('is not released when an earlier journal of the same file is closed again', async () => {
    const earlier = await start()
    await earlier.close()
    await start()
    await earlier.close()
    await expect(start()).rejects.toThrow(`has been held by process ${process.pid}`)
  })

  const countOpened = async (paths: ReadonlyArray<string>) => {
    const opened = await Promise.allSettled(paths.map((path) => start(path)))
    return opened.filter(({ status }) => status === 'fulfilled').length
  }

  it('is acquired by one of several that open the journal together', async () => {
    expect(await countOpened([at(), at(), at()])).toBe(1)
  })

  it('is acquired by one of several that take over from the same dead process', async () => {
    const { kill, printed } = startProcess(at(), BEGIN_AND_WAIT)
    await printed(1)
    await kill()
    expect(await countOpened([at(), at(), at()])).toBe(1)
  })

  it('is not read while another process opens the journal', async () => {
    mkdirSync(at('batch.journal.opening.lock'))
    const opening = start()
    await start(at('another'))
    expect(existsSync(at())).toBe(false)
    rmdirSync(at('batch.journal.opening.lock'))
    expect(await stateOf(await opening, 'k')).toBe('Fresh')
  })

  it('does not hide that the file is not a journal', async () => {
    writeFileSync(at(), 'websiteURL,websiteKey\n')
    mkdirSync(at('batch.journal.lock'))
    await expect(start()).rejects.toThrow(/exists, but is not a journal of rx-captcha/)
    expect(readFileSync(at(), 'utf8')).toBe('websiteURL,websiteKey\n')
  })

  it('fails with the error of the file system if a file has its name', async () => {
    writeFileSync(at('batch.journal.lock'), '')
    utimesSync(at('batch.journal.lock'), 0, 0)
    await expect(start()).rejects.toThrow(/cannot be locked \(ENOTDIR\). Nothing was paid./)
    expect(existsSync(at())).toBe(false)
  })
})

const onLinux = process.platform === 'linux' ? it : it.skip

describe('a process that may write no more than 4 KiB', () => {
  const command = [...BASH, 'ulimit -f 4; exec "$@"', 'bash']

  onLinux('gets an error for the write that does not fit and all later ones; confirmed lines are kept', async () => {
    const writing = `for (let key = 0; key < 1_000; key++) {
      await done(journal.begin('key-' + key)).then(() => print('begun ' + key), (error) => print(error.message))
      if (key === 999) await journal.close()
    }`
    const { ended, lines } = startProcess(at(), writing, { command })
    await ended
    const begun = lines().filter((line) => line.startsWith('begun'))
    expect(begun.length).toBeGreaterThan(10)
    expect(lines()[begun.length]).toMatch(
      /cannot be written any more \(EFBIG\). No further task is created; .* The file has reached the largest size/
    )
    expect(lines()).toHaveLength(1_000)
    const journal = await start()
    const last = begun.length - 1
    expect([await stateOf(journal, `key-${last}`), await stateOf(journal, 'key-999')]).toStrictEqual([
      'InDoubt',
      'Fresh'
    ])
  })

  onLinux('cannot open a larger journal, and does not change it', async () => {
    const journal = await start()
    await Promise.all(Array.from({ length: 200 }, (_, key) => lastValueFrom(journal.ended(`key-${key}`, 'Solved'))))
    await journal.close()
    const text = readFileSync(at(), 'utf8')
    const { ended, lines } = startProcess(at(), `print('opened')`, { command })
    await ended
    expect(lines().join()).toMatch(/cannot be written \(EFBIG\)/)
    expect(readFileSync(at(), 'utf8')).toBe(text)
  })
})

describe('a journal after kill -9', () => {
  const writersOf = (round: number) => `
    const write = async (writer) => {
      for (let number = 0; ; number += 1) {
        const key = [${round}, writer, number].join('-')
        await done(journal.begin(key))
        print(key + ' InDoubt')
        await done(journal.created(key, { taskId: 'task-' + key, createdAt: number }))
        print(key + ' Known task-' + key)
        await done(journal.ended(key, 'Solved'))
        print(key + ' Finished')
      }
    }
    for (let writer = 0; writer < 8; writer += 1) write(writer)`

  /** Runs processes on one journal, one after the other, and kills each; returns the last confirmed state of each key. */
  const killEach = async (path: string, count: number): Promise<ReadonlyMap<string, string>> => {
    const confirmed = new Map<string, string>()
    for (let round = 0; round < count; round += 1) {
      const writing = startProcess(path, writersOf(round))
      await writing.printed(1 + Math.floor(Math.random() * 200))
      await writing.kill()
      for (const line of writing.lines()) {
        const [key = '', ...state] = line.split(' ')
        confirmed.set(key, state.join(' '))
      }
    }
    return confirmed
  }

  const RANKS = ['Fresh', 'InDoubt', 'Known', 'Finished']
  const rankOf = (state: string) => RANKS.indexOf(state.split(' ')[0] ?? '')

  it(
    `holds everything that was confirmed, after ${kills} kills`,
    async () => {
      for (let done = 0; done < kills; done += KILLS_A_JOURNAL) {
        const path = at(`killed-${done}`)
        const confirmed = await killEach(path, Math.min(KILLS_A_JOURNAL, kills - done))
        const journal = await start(path)
        const states = await Promise.all([...confirmed.keys()].map((key) => stateOf(journal, key)))
        const lost = [...confirmed].filter(([, state], index) => rankOf(states[index] ?? '') < rankOf(state))
        expect(lost).toStrictEqual([])
        expect(states.filter((state) => state === 'Finished').length).toBeGreaterThan(0)
      }
    },
    timeoutMs
  )
})

describe('a journal that is cut at a random byte', () => {
  type JournalStep = readonly [key: string, what: 'begin' | 'created' | (string & {})]
  const TAGS = [
    'Solved',
    'TaskFailed{account}',
    'TimedOut',
    'NotCreated',
    'Refused',
    'Refused{paid: unknown}',
    'CreateUnknown'
  ]
  const aStep: fc.Arbitrary<JournalStep> = fc.tuple(
    fc.constantFrom('a', 'b', 'ü'),
    fc.oneof(fc.constantFrom('begin', 'created'), fc.constantFrom(...TAGS))
  )

  // A second implementation of the rules, which shares no code with the library. After a crash `Begun` is `InDoubt`.
  const next = (state: string, what: string, id: string): string => {
    if (state === 'Finished') return state
    if (what === 'begin') return state === 'Fresh' ? 'Begun' : state
    if (what === 'created') return `Known ${id}`
    if (what === 'Solved') return 'Finished'
    if (state !== 'Begun') return state
    return what === 'NotCreated' || what === 'Refused' ? 'Fresh' : 'InDoubt'
  }

  const run = (journal: FileJournal, [key, what]: JournalStep, id: string): Promise<unknown> => {
    if (what === 'begin') return lastValueFrom(journal.begin(key))
    if (what === 'created') return lastValueFrom(journal.created(key, { taskId: id, createdAt: 0 }))
    return lastValueFrom(journal.ended(key, what))
  }

  type States = Readonly<Record<'a' | 'b' | 'ü', string>>
  const afterCrash = (states: States): string => JSON.stringify(states).replaceAll('Begun', 'InDoubt')

  let files = 0
  /** Runs groups of concurrent steps; returns the states after each step, and how many steps each file size confirms. */
  const write = async (groups: ReadonlyArray<ReadonlyArray<JournalStep>>) => {
    const path = at(`run-${(files += 1)}`)
    const journal = await start(path)
    const header = statSync(path).size
    const history: States[] = [{ a: 'Fresh', b: 'Fresh', ü: 'Fresh' }]
    const confirmed = [{ size: header, steps: 0 }]
    for (const group of groups) {
      const first = history.length
      for (const [index, [key, what]] of group.entries()) {
        const states = history[history.length - 1]!
        history.push({
          ...states,
          [key]: next(Object.entries(states).find(([name]) => name === key)![1], what, `id-${first + index}`)
        })
      }
      await Promise.all(group.map((step, index) => run(journal, step, `id-${first + index}`)))
      confirmed.push({ size: statSync(path).size, steps: history.length - 1 })
    }
    await journal.close()
    return { bytes: readFileSync(path), header, history, confirmed }
  }

  const read = async (bytes: Buffer) => {
    const path = at(`cut-${(files += 1)}`)
    writeFileSync(path, bytes)
    const journal = await start(path)
    const states: States = {
      a: await stateOf(journal, 'a'),
      b: await stateOf(journal, 'b'),
      ü: await stateOf(journal, 'ü')
    }
    await journal.close()
    return states
  }

  it('has the states after some step, which is not before the last confirmed one', async () => {
    const groups = fc.array(fc.array(aStep, { minLength: 1, maxLength: 4 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(groups, fc.double({ min: 0, max: 1, noNaN: true }), async (given, part) => {
        const { bytes, header, history, confirmed } = await write(given)
        const cut = header + Math.round(part * (bytes.length - header))
        const floor = Math.max(...confirmed.filter(({ size }) => size <= cut).map(({ steps }) => steps))
        const states = await read(bytes.subarray(0, cut))
        expect(history.slice(floor).map(afterCrash)).toContain(JSON.stringify(states))
      }),
      { numRuns: 40 }
    )
  })

  it('is refused if the cut is in its first line', async () => {
    const { bytes, header } = await write([[['a', 'begin']]])
    for (const cut of [0, 1, 20, 40, header - 2]) {
      await expect(read(bytes.subarray(0, cut))).rejects.toThrow(JournalError)
    }
  })
})
