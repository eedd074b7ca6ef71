import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { lastValueFrom } from 'rxjs'
import { JournalError, type FileJournal } from 'rx-captcha/journal'
import { built } from '../support/built.js'
import { journals, stateOf } from '../support/journals.js'

const { at, start } = journals()
const library = built()

/** A process with a journal open as `journal`, which runs a script and is killed after the test at the latest. */
const children: (() => void)[] = []
afterEach(() => children.splice(0).forEach((kill) => kill()))

const script = (text: string) => `
  const { lastValueFrom } = require('rxjs')
  const { fileJournal } = require('./dist/journal/index.js')
  const done = (observable) => lastValueFrom(observable)
  const tell = (text) => process.stdout.write(text + '\\n')
  fileJournal(process.argv[1]).then(async (journal) => { ${text} }).catch((error) => {
    tell(error.message)
    process.exitCode = 1
  })`

const processWith = (path: string, text: string, command: ReadonlyArray<string> = []) => {
  const argv = [...command, process.execPath, '-e', script(text), path]
  const child = spawn(argv[0] ?? '', argv.slice(1), { cwd: library() })
  const output = { text: '' }
  child.stdout.on('data', (chunk) => (output.text += String(chunk)))
  child.stderr.on('data', (chunk) => (output.text += String(chunk)))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const kill = () => {
    child.kill('SIGKILL')
    return ended
  }
  children.push(() => void kill())
  const lines = () => output.text.split('\n').slice(0, -1)
  // Not by looking again and again: that would take the time that many processes need.
  const told = (count: number) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (lines().length >= count) resolve()
      }
      child.stdout.on('data', look)
      look()
    })
  return { child, ended, kill, lines, told }
}

describe('a second process', () => {
  const holding = `await done(journal.begin('k')); tell('begun'); setInterval(() => {}, 1_000)`

  it('is refused at once, and told who has the journal', async () => {
    const { child, told } = processWith(at(), holding)
    await told(1)
    await expect(start()).rejects.toThrow(
      new RegExp(`is in use by process ${child.pid} on .*Two of them would pay twice`)
    )
  })

  it('is let in at once after a kill -9 of the first', async () => {
    const { kill, told } = processWith(at(), holding)
    await told(1)
    await kill()
    expect(await stateOf(await start(), 'k')).toBe('InDoubt')
  })

  it('is let in after the first ended without closing it', async () => {
    const { ended, lines } = processWith(at(), `await done(journal.begin('k')); process.exit()`)
    await ended
    expect(lines()).toStrictEqual([])
    expect(await stateOf(await start(), 'k')).toBe('InDoubt')
  })
})

describe('the lock', () => {
  const anotherMachine = () => {
    writeFileSync(at(), '{"journal":"rx-captcha","version":1,"openedAt":"","pid":1,"place":"another machine"}\n')
    mkdirSync(at('batch.journal.lock'))
  }

  it('of another machine is taken over once it has not been renewed for 10 s', async () => {
    anotherMachine()
    const almost = Date.now() / 1_000 - 9.8
    utimesSync(at('batch.journal.lock'), almost, almost)
    expect(await stateOf(await start(), 'k')).toBe('Fresh')
  })

  it('keeps a second opening out in the same process too, until it is closed', async () => {
    const journal = await start()
    await expect(start()).rejects.toThrow(`is in use by process ${process.pid}`)
    await journal.close()
    expect(await stateOf(await start(), 'k')).toBe('Fresh')
  })

  it('is not let go by closing an earlier journal once more', async () => {
    const earlier = await start()
    await earlier.close()
    await start()
    await earlier.close()
    await expect(start()).rejects.toThrow(/is in use/)
  })

  const openedOf = async (paths: ReadonlyArray<string>) => {
    const opened = await Promise.allSettled(paths.map((path) => start(path)))
    return opened.filter(({ status }) => status === 'fulfilled').length
  }

  it('lets one in of several that open the journal together', async () => {
    expect(await openedOf([at(), at(), at()])).toBe(1)
  })

  it('lets one in of several that take over from the same dead process', async () => {
    await (await start()).close()
    mkdirSync(at('batch.journal.lock'))
    expect(await openedOf([at(), at(), at()])).toBe(1)
  })

  it('is not looked at while another process opens the journal', async () => {
    mkdirSync(at('batch.journal.opening.lock'))
    const opening = start()
    await start(at('another'))
    expect(existsSync(at())).toBe(false)
    rmdirSync(at('batch.journal.opening.lock'))
    expect(await stateOf(await opening, 'k')).toBe('Fresh')
  })

  it('of a process whose id is ours now is taken over', async () => {
    await (await start()).close()
    mkdirSync(at('batch.journal.lock'))
    expect(await stateOf(await start(), 'k')).toBe('Fresh')
  })
})

const withLimits = process.platform === 'linux' ? it : it.skip

describe('a disk with no room', () => {
  const limited = ['bash', '-c', 'ulimit -f 4; exec "$@"', 'bash']

  withLimits('errors the write that does not fit, and all after it; what was answered for is kept', async () => {
    const writing = `for (let key = 0; key < 1_000; key++) {
      await done(journal.begin('key-' + key)).then(() => tell('begun ' + key), (error) => tell(error.message))
      if (key === 999) await journal.close()
    }`
    const { ended, lines } = processWith(at(), writing, limited)
    await ended
    const begun = lines().filter((line) => line.startsWith('begun'))
    expect(begun.length).toBeGreaterThan(10)
    expect(lines()[begun.length]).toMatch(/cannot be written any more \(EFBIG\). It has reached the largest size/)
    expect(lines()).toHaveLength(1_000)
    const journal = await start()
    const last = begun.length - 1
    expect([await stateOf(journal, `key-${last}`), await stateOf(journal, 'key-999')]).toStrictEqual([
      'InDoubt',
      'Fresh'
    ])
  })

  withLimits('refuses to open the journal, and leaves it as it is', async () => {
    const journal = await start()
    await Promise.all(Array.from({ length: 200 }, (_, key) => lastValueFrom(journal.ended(`key-${key}`, 'Solved'))))
    await journal.close()
    const text = readFileSync(at(), 'utf8')
    const { ended, lines } = processWith(at(), `tell('opened')`, limited)
    await ended
    expect(lines().join()).toMatch(/cannot be written \(EFBIG\)/)
    expect(readFileSync(at(), 'utf8')).toBe(text)
  })
})

describe('kill -9', () => {
  const writers = `
    const round = process.argv[2]
    const write = async (writer) => {
      for (let number = 0; ; number += 1) {
        const key = [round, writer, number].join('-')
        await done(journal.begin(key))
        tell(key + ' InDoubt')
        await done(journal.created(key, { taskId: 'task-' + key, createdAt: number }))
        tell(key + ' Known task-' + key)
        await done(journal.ended(key, 'Solved'))
        tell(key + ' Finished')
      }
    }
    for (let writer = 0; writer < 8; writer += 1) write(writer)`

  /** Ten processes on one journal, one after the other, each killed; what was told of each key last. */
  const killed = async (path: string): Promise<ReadonlyMap<string, string>> => {
    const told = new Map<string, string>()
    for (let round = 0; round < 10; round += 1) {
      const writing = processWith(path, writers.replace('process.argv[2]', String(round)))
      await writing.told(1 + Math.floor(Math.random() * 200))
      await writing.kill()
      // Of the last line a part may have come.
      for (const line of writing.lines()) {
        const [key = '', ...state] = line.split(' ')
        told.set(key, state.join(' '))
      }
    }
    return told
  }

  const ranks = ['Fresh', 'InDoubt', 'Known', 'Finished']
  const rankOf = (state: string) => ranks.indexOf(state.split(' ')[0] ?? '')

  it('loses nothing that was answered for, in 20 rounds', async () => {
    for (const [path, told] of await Promise.all(
      [at('a'), at('b')].map(async (path) => [path, await killed(path)] as const)
    )) {
      const journal = await start(path)
      const states = await Promise.all([...told.keys()].map((key) => stateOf(journal, key)))
      const lost = [...told].filter(([, state], index) => rankOf(states[index] ?? '') < rankOf(state))
      expect(lost).toStrictEqual([])
      expect(states.filter((state) => state === 'Finished').length).toBeGreaterThan(0)
    }
  }, 30_000)
})

describe('a file that is cut anywhere', () => {
  type Step = readonly [key: string, what: 'begin' | 'created' | (string & {})]
  const tags = [
    'Solved',
    'TaskFailed{account}',
    'TimedOut',
    'NotCreated',
    'Refused',
    'Refused{unknown}',
    'CreateUnknown'
  ]
  const aStep: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom('a', 'b', 'ü'),
    fc.oneof(fc.constantFrom('begin', 'created'), fc.constantFrom(...tags))
  )

  // Told apart from the library: what stands about a key in words, `Begun` being what dies as `InDoubt`.
  const next = (state: string, what: string, id: string): string => {
    if (state === 'Finished') return state
    if (what === 'begin') return state === 'Fresh' ? 'Begun' : state
    if (what === 'created') return `Known ${id}`
    if (what === 'Solved') return 'Finished'
    if (state !== 'Begun') return state
    return what === 'NotCreated' || what === 'Refused' ? 'Fresh' : 'InDoubt'
  }

  const run = (journal: FileJournal, [key, what]: Step, id: string): Promise<unknown> => {
    if (what === 'begin') return lastValueFrom(journal.begin(key))
    if (what === 'created') return lastValueFrom(journal.created(key, { taskId: id, createdAt: 0 }))
    return lastValueFrom(journal.ended(key, what))
  }

  type Stand = Readonly<Record<'a' | 'b' | 'ü', string>>
  const dead = (stand: Stand): string => JSON.stringify(stand).replaceAll('Begun', 'InDoubt')

  let files = 0
  /** Runs groups of steps side by side; gives what stood after each step, and how much was answered for when. */
  const written = async (groups: ReadonlyArray<ReadonlyArray<Step>>) => {
    const path = at(`run-${(files += 1)}`)
    const journal = await start(path)
    const header = statSync(path).size
    const stands: Stand[] = [{ a: 'Fresh', b: 'Fresh', ü: 'Fresh' }]
    const answered = [{ size: header, steps: 0 }]
    for (const group of groups) {
      const first = stands.length
      for (const [index, [key, what]] of group.entries()) {
        const stand = stands[stands.length - 1]!
        stands.push({
          ...stand,
          [key]: next(Object.entries(stand).find(([name]) => name === key)![1], what, `id-${first + index}`)
        })
      }
      await Promise.all(group.map((step, index) => run(journal, step, `id-${first + index}`)))
      answered.push({ size: statSync(path).size, steps: stands.length - 1 })
    }
    await journal.close()
    return { bytes: readFileSync(path), header, stands, answered }
  }

  const opened = async (bytes: Buffer) => {
    const path = at(`cut-${(files += 1)}`)
    writeFileSync(path, bytes)
    const journal = await start(path)
    const stand: Stand = {
      a: await stateOf(journal, 'a'),
      b: await stateOf(journal, 'b'),
      ü: await stateOf(journal, 'ü')
    }
    await journal.close()
    return stand
  }

  it('gives what stood after some step, and never one before the last that was answered for', async () => {
    const groups = fc.array(fc.array(aStep, { minLength: 1, maxLength: 4 }), { maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(groups, fc.double({ min: 0, max: 1, noNaN: true }), async (given, part) => {
        const { bytes, header, stands, answered } = await written(given)
        const cut = header + Math.round(part * (bytes.length - header))
        const floor = Math.max(...answered.filter(({ size }) => size <= cut).map(({ steps }) => steps))
        const stand = await opened(bytes.subarray(0, cut))
        expect(stands.slice(floor).map(dead)).toContain(JSON.stringify(stand))
      }),
      { numRuns: 40 }
    )
  })

  it('is refused where it is cut in its first line', async () => {
    const { bytes, header } = await written([[['a', 'begin']]])
    for (const cut of [0, 1, 20, 40, header - 2]) {
      await expect(opened(bytes.subarray(0, cut))).rejects.toThrow(JournalError)
    }
  })
})
