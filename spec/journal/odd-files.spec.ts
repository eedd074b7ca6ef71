import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { lastValueFrom } from 'rxjs'
import { BASH } from '../support/bash.js'
import { built } from '../support/built.js'
import { journalProcesses, journals, stateOf } from '../support/journals.js'

const { at, start } = journals()
const startProcess = journalProcesses(built())

const onPosix = process.platform === 'win32' ? describe.skip : describe
const onLinux = process.platform === 'linux' ? describe : describe.skip

onPosix('a path of something else than a file', () => {
  const servers: Server[] = []
  afterEach(() => servers.splice(0).forEach((server) => server.close()))

  const things: ReadonlyArray<readonly [string, () => unknown]> = [
    ['a folder', () => mkdirSync(at())],
    ['a named pipe', () => execFileSync('mkfifo', [at()])],
    ['a socket', () => new Promise<void>((resolve) => servers.push(createServer().listen(at(), resolve)))],
    ['a link to a device', () => symlinkSync('/dev/full', at())],
    ['a link to a folder', () => symlinkSync(dirname(at()), at())]
  ]
  it.each(things)('is refused, and nothing is written: %s', async (_, make) => {
    await make()
    await expect(start()).rejects.toThrow(/is not a regular file. Nothing was paid. Use another path/)
    expect(readdirSync(dirname(at()))).toStrictEqual(['batch.journal'])
  })

  it('does not matter where the new file is written first: a link there is replaced and its target kept', async () => {
    writeFileSync(at('precious'), 'precious')
    symlinkSync(at('precious'), at('batch.journal.tmp'))
    const journal = await start()
    await lastValueFrom(journal.begin('k'))
    expect(readFileSync(at('precious'), 'utf8')).toBe('precious')
    expect(statSync(at()).isFile()).toBe(true)
  })

  it('is an error as the lock: a link to no file', async () => {
    symlinkSync(at('nothing'), at('batch.journal.lock'))
    await expect(start()).rejects.toThrow(/cannot be locked \(ENOTDIR\). Nothing was paid/)
    expect(existsSync(at('nothing'))).toBe(false)
  })
})

/** Whether a process may mount a file system for itself. */
const canMount = (() => {
  try {
    execFileSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

onLinux('a full disk', () => {
  const mounted = canMount ? it : it.skip
  let folder = ''
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))))
  afterEach(() => rmSync(folder, { recursive: true }))

  /** Mounts a small file system on the folder for the process; its files are printed at the end. */
  const command = () => [
    'unshare',
    '-rm',
    ...BASH,
    `mount -t tmpfs -o size=16k tmpfs ${folder} && "$@"; cat ${folder}/batch.journal`,
    'bash'
  ]
  const path = () => join(folder, 'batch.journal')

  mounted(
    'is an error of the write that does not fit, and of all later calls; every confirmed line is kept',
    async () => {
      const script = `
      const attempt = (what, observable) => done(observable).then(
        (entry) => print(what + ' ' + (entry ? entry._tag : 'done')), (error) => print(what + ' ' + error.message))
      for (let key = 0; key < 300; key += 1) await attempt('begin ' + key, journal.begin('key-' + key))
      await attempt('created 299', journal.created('key-299', { taskId: 'id', createdAt: 0 }))
      await attempt('find 299', journal.find('key-299'))
      await attempt('find 0', journal.find('key-0'))
      await journal.close()`
      const { ended, lines } = startProcess(path(), script, { command: command() })
      await ended
      const begun = lines().filter((line) => line.endsWith(' Fresh'))
      expect(begun.length).toBeGreaterThan(50)
      const calls = lines().filter((line) => /^(begin|created|find) /.test(line))
      expect(calls.slice(begun.length).every((line) => line.includes('cannot be written any more (ENOSPC)'))).toBe(true)
      expect(calls.at(-1)).toMatch(/The disk is full: make room, then start again/)
      const text = lines().join('\n')
      const unrecorded = begun.filter((line) => !text.includes(`"key":"key-${line.split(' ')[1]}","begun":true}`))
      expect(unrecorded).toStrictEqual([])
    }
  )

  mounted('refuses a new journal, and states that nothing was paid', async () => {
    const script = `print('opened')`
    const fill = `head -c 100000 /dev/zero > ${folder}/fill 2>/dev/null`
    const full = command().map((part) => part.replace('&& "$@"', `&& { ${fill}; "$@"; }`))
    const { ended, lines } = startProcess(path(), script, { command: full })
    await ended
    expect(lines()[0]).toMatch(/cannot be (written|locked) \(ENOSPC\). Nothing was paid. The disk is full: make room/)
  })
})

describe('30 journals in one process', () => {
  const OPEN = `
    process.on('warning', (warning) => print('warning: ' + warning.message))
    const path = (nth) => process.argv[1] + nth
    const opened = await Promise.all(Array.from({ length: 30 }, (_, nth) => fileJournal(path(nth))))
    await Promise.all(opened.map((each) => done(each.begin('k'))))
    print('opened ' + opened.length)`

  const run = async (script: string) => {
    const { ended, lines } = startProcess(at(), `${OPEN}\n${script}`)
    await ended
    return lines()
  }

  const names = () => readdirSync(dirname(at()))

  it('give no warning, and leave no listener and no lock once they are closed', async () => {
    const lines = await run(`
      const before = process.listenerCount('SIGXFSZ')
      await Promise.all([journal, ...opened].map((each) => each.close()))
      print('listeners ' + (before - process.listenerCount('SIGXFSZ')))`)
    expect(lines).toStrictEqual(['opened 30', 'listeners 1'])
    expect(names().filter((name) => name.endsWith('.lock'))).toStrictEqual([])
  })

  it.each(['process.exit()', `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1_000)`])(
    'leave no lock if the process ends by %s',
    async (exit) => {
      expect(await run(exit)).toStrictEqual(['opened 30'])
      expect(names().filter((name) => name.endsWith('.lock'))).toStrictEqual([])
      expect(await stateOf(await start(`${at()}0`), 'k')).toBe('InDoubt')
    }
  )

  it('can all be opened at once after a kill -9', async () => {
    await run(`process.kill(process.pid, 'SIGKILL')`)
    expect(names().filter((name) => name.endsWith('.lock'))).toHaveLength(31)
    await Promise.all(Array.from({ length: 30 }, (_, nth) => start(`${at()}${nth}`)))
  })
})
