import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileJournal, type FileJournal } from 'rx-captcha/journal'
import { headerLine } from '../../lib/journal/format.js'
import { currentOwner, ownerStatus } from '../../lib/journal/owner.js'
import { BASH } from '../support/bash.js'
import { built, ownBuild } from '../support/built.js'
import { journalProcesses, journals, stateOf } from '../support/journals.js'
import { until } from '../support/raw-http.js'

const { at, start } = journals()
const library = built()
const anotherInstallation = ownBuild()
const startProcess = journalProcesses(library)

const onLinux = process.platform === 'linux' ? it : it.skip
const onCaseInsensitive = existsSync(__filename.toUpperCase()) ? it : it.skip

/** Runs a program that opens the journal, and returns what it printed. */
const linesOf = async (script: string, path = at()): Promise<ReadonlyArray<string>> => {
  const { ended, lines } = startProcess(path, script)
  await ended
  return lines()
}

const HELD_BY_THIS = /has been held by process \d+ since \d{4}-.*; that is this process\. Nothing was paid/

describe('a journal that a process has open', () => {
  it('is refused to another process, which names the holder, since when, and what to do', async () => {
    await start()
    const [message] = await linesOf(`print('opened')`)
    expect(message).toMatch(
      new RegExp(
        `has been held by process ${process.pid} since \\d{4}-\\d\\d-.*Z on .*Nothing was paid, because two owners of one journal would pay twice`
      )
    )
    expect(message).toContain('Wait until that process ends, or use another path')
  })

  it('is refused to another thread of the process, and stays usable', async () => {
    const lines = await linesOf(`
      const { Worker } = require('worker_threads')
      const open = "require('./dist/journal/index.js').fileJournal(require('worker_threads').workerData)"
      const script = open + ".then(() => console.log('opened'), (error) => console.log(error.message))"
      const worker = new Worker(script, { eval: true, workerData: process.argv[1] })
      worker.once('exit', async () => {
        print((await done(journal.begin('k')))._tag)
        await journal.close()
      })`)
    expect(lines[0]).toMatch(HELD_BY_THIS)
    expect(lines.slice(1)).toStrictEqual(['Fresh'])
  })

  it('is refused to the main thread while a worker has it, and can be opened once the worker has exited', async () => {
    const lines = await linesOf(
      `
      await journal.close()
      const { Worker } = require('worker_threads')
      const open = "require('./dist/journal/index.js').fileJournal(workerData)"
      const script = "const { parentPort, workerData } = require('worker_threads'); " + open +
        ".then((held) => { parentPort.postMessage('opened'); parentPort.once('message', () => process.exit(held ? 0 : 1)) })"
      const worker = new Worker(script, { eval: true, workerData: process.argv[1] })
      // The journals are held, because one that nothing refers to is closed by the garbage collection, with a warning.
      const hold = (opened) => {
        globalThis.held = opened
        print('opened')
      }
      const again = () => fileJournal(process.argv[1]).then(hold, (error) => print(error.message))
      worker.once('message', async () => {
        await again()
        worker.postMessage('exit')
      })
      worker.once('exit', again)`
    )
    expect(lines[0]).toMatch(HELD_BY_THIS)
    expect(lines.slice(1)).toStrictEqual(['opened'])
  })

  it('is refused to a copy of the module that was loaded again', async () => {
    const lines = await linesOf(`
      for (const name of Object.keys(require.cache)) delete require.cache[name]
      const copy = require('./dist/journal/index.js')
      await copy.fileJournal(process.argv[1]).then(() => print('opened'), (error) => print(error.message))
      print(String(copy.fileJournal === fileJournal), (await done(journal.begin('k')))._tag)
      await journal.close()
      await copy.fileJournal(process.argv[1]).then((held) => print(held ? 'opened' : ''), (error) => print(error.message))`)
    expect(lines[0]).toMatch(HELD_BY_THIS)
    expect(lines.slice(1)).toStrictEqual(['false', 'opened'])
  })

  it('is refused to another installation of the package', async () => {
    const copy = JSON.stringify(join(anotherInstallation(), 'dist/journal/index.js'))
    // Used afterwards, because a journal that nothing refers to is closed by the garbage collection, with a warning.
    const [message] = await linesOf(`
      await require(${copy}).fileJournal(process.argv[1]).then(() => print('opened'), (error) => print(error.message))
      await journal.close()`)
    expect(message).toMatch(HELD_BY_THIS)
  })

  it('is refused to a copy in another module registry of jest', async () => {
    await start()
    await jest.isolateModulesAsync(async () => {
      const copy = jest.requireActual<typeof import('rx-captcha/journal')>('rx-captcha/journal')
      expect(copy.fileJournal).not.toBe(fileJournal)
      await expect(copy.fileJournal(at())).rejects.toThrow(HELD_BY_THIS)
    })
  })
})

describe('a journal that is open', () => {
  it('is refused by a relative path, a path with dots, a link, a link to a link, and a link to its folder', async () => {
    await start()
    mkdirSync(at('x'))
    symlinkSync(at(), at('link'))
    symlinkSync('link', at('link to a link'))
    symlinkSync(dirname(at()), at('folder'))
    const dots = `${dirname(at())}/x/.././batch.journal`
    const aliases = [relative(library(), at()), dots, at('link'), at('link to a link'), at('folder/batch.journal')]
    const script = `
      for (const path of ${JSON.stringify(aliases)})
        await fileJournal(path).then(() => print('opened'), (error) => print(error.message))
      await journal.close()`
    const messages = await linesOf(script, at('another.journal'))
    const isHeld = expect.stringContaining(`has been held by process ${process.pid} since`) as unknown
    expect(messages).toStrictEqual(aliases.map(() => isHeld))
  })

  it('is refused by its path if it was created through a link to no file, and the link is kept', async () => {
    symlinkSync('batch.journal', at('link'))
    await start(at('link'))
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true)
    await expect(start()).rejects.toThrow(`The journal ${at()} has been held by process ${process.pid} since`)
  })

  it('is refused by a hard link, with what to do', async () => {
    await start()
    linkSync(at(), at('hard'))
    await expect(start(at('hard'))).rejects.toThrow(
      /has 2 hard links\. .* Nothing was paid. Remove the other links, or make them symbolic links/
    )
  })

  onCaseInsensitive('is refused by its name in capitals', async () => {
    await start()
    await expect(start(at('BATCH.JOURNAL'))).rejects.toThrow(`has been held by process ${process.pid} since`)
  })
})

describe('a file with two names', () => {
  it('is not changed, whichever name is opened', async () => {
    await (await start()).close()
    linkSync(at(), at('hard'))
    const text = readFileSync(at(), 'utf8')
    for (const path of [at(), at('hard')]) await expect(start(path)).rejects.toThrow(/has 2 hard links/)
    expect([readFileSync(at(), 'utf8'), readFileSync(at('hard'), 'utf8')]).toStrictEqual([text, text])
    expect(readdirSync(dirname(at())).sort()).toStrictEqual(['batch.journal', 'hard'])
  })
})

describe('links that lead in a circle', () => {
  it('are refused with what to do', async () => {
    symlinkSync(at('b'), at('a'))
    symlinkSync(at('a'), at('b'))
    await expect(start(at('a'))).rejects.toThrow(/cannot be opened \(ELOOP\).*Its symbolic links form a loop/)
  })
})

describe('the leftover lock of an owner', () => {
  const children: ChildProcess[] = []
  afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')))

  const run = (command: string, ...argv: ReadonlyArray<string>): ChildProcess => {
    const child = spawn(command, argv)
    children.push(child)
    return child
  }

  const statOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'utf8')
  const startOf = (pid: number): string =>
    statOf(pid)
      .replace(/^.*\) /s, '')
      .split(' ')[19]!

  const leaveLock = (owner: { readonly pid: number; readonly processStart?: string }): void => {
    writeFileSync(at(), headerLine({ openedAt: '2026-01-01T00:00:00.000Z', place: currentOwner().place, ...owner }))
    mkdirSync(at('batch.journal.lock'))
  }

  /** Opens the journal, and fails if that waits for renewals of the lock. */
  const openAtOnce = async (): Promise<FileJournal> => {
    const before = performance.now()
    const journal = await start()
    expect(performance.now() - before).toBeLessThan(3_000)
    return journal
  }

  onLinux('is taken over at once if another process got its process id', async () => {
    const { pid = 0 } = run('sleep', '60')
    leaveLock({ pid, processStart: String(Number(startOf(pid)) - 1) })
    expect(await stateOf(await openAtOnce(), 'k')).toBe('Fresh')
  })

  onLinux('is taken over at once if this process got its process id', async () => {
    leaveLock({ pid: process.pid, processStart: '1' })
    expect(await stateOf(await openAtOnce(), 'k')).toBe('Fresh')
  })

  onLinux(
    'is taken over at once if its process was killed, and its parent has not collected the exit code',
    async () => {
      // `exec` makes `sleep` the parent, which collects none.
      const parent = run(...BASH, 'sleep 60 & echo $!; exec sleep 60')
      const [output] = (await once(parent.stdout!, 'data')) as [Buffer]
      const pid = Number(output.toString())
      leaveLock({ pid, processStart: startOf(pid) })
      await until(() => statOf(parent.pid!).includes('(sleep)'))
      process.kill(pid, 'SIGKILL')
      await until(() => statOf(pid).includes(') Z '))
      expect(await stateOf(await openAtOnce(), 'k')).toBe('Fresh')
    }
  )

  onLinux('is not taken over while its process runs, whatever the name of the program', async () => {
    copyFileSync('/bin/sleep', at('odd) Z 1 (name'))
    chmodSync(at('odd) Z 1 (name'), 0o755)
    const { pid = 0 } = run(at('odd) Z 1 (name'), '60')
    await until(() => statOf(pid).includes('odd'))
    const processStart = startOf(pid)
    leaveLock({ pid, processStart })
    await expect(start()).rejects.toThrow(`has been held by process ${pid} since 2026-01-01T00:00:00.000Z`)
  })

  it('is not taken over while its process runs, if it is unknown when that started', async () => {
    leaveLock({ pid: process.ppid })
    await expect(start()).rejects.toThrow(`has been held by process ${process.ppid} since`)
  })

  it('is taken over at once after a kill -9, twice in a row', async () => {
    for (let round = 0; round < 2; round += 1) {
      const { kill, printed, lines } = startProcess(at(), `print('opened'); setInterval(() => {}, 1_000)`)
      await printed(1)
      await kill()
      expect(lines()).toStrictEqual(['opened'])
      expect(existsSync(at('batch.journal.lock'))).toBe(true)
    }
    await openAtOnce()
  })
})

describe('ownerStatus', () => {
  it.each([
    ['alive', 'this process', currentOwner()],
    ['dead', 'a process that does not exist', { ...currentOwner(), pid: 2 ** 30 }],
    ['unknown', 'a process on another machine', { ...currentOwner(), place: 'another machine' }],
    ['unknown', 'no owner', undefined]
  ])('is %s for %s', (status, _, owner) => {
    expect(ownerStatus(owner)).toBe(status)
  })
})
