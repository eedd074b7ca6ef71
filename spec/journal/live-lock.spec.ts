import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileJournal } from 'rx-captcha/journal'
import { built } from '../support/built.js'
import { journalProcesses } from '../support/journals.js'

// These locks stay alive, so each opening waits until it gives up, 11 to 15 s later. All wait at the same time.
const library = built()
const startProcess = journalProcesses(library, afterAll)
const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
let holder: ChildProcess | undefined
afterAll(() => {
  holder?.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

const elsewhere = join(folder, 'elsewhere.journal')
const removed = join(folder, 'removed.journal')
const opening = join(folder, 'opening.journal')

const messages = new Map<string, string>()
let pid: number | undefined

const open = async (path: string) => {
  const journal = await fileJournal(path).catch((error: unknown) => error)
  messages.set(path, journal instanceof Error ? journal.message : 'opened')
}

beforeAll(async () => {
  const [onElsewhere, onRemoved] = [elsewhere, removed].map((path) =>
    startProcess(path, `print('opened'); setInterval(() => {}, 1_000)`)
  )
  await Promise.all([onElsewhere!.printed(1), onRemoved!.printed(1)])
  pid = onElsewhere!.child.pid
  writeFileSync(elsewhere, readFileSync(elsewhere, 'utf8').replace(/"place":"[^"]*"/, '"place":"far-away pid:[1]"'))
  rmSync(removed)

  const hold = `require('proper-lockfile')
    .lock(process.argv[1] + '.opening', { realpath: false, stale: 4_000, update: 1_000 })
    .then(() => console.log('locked'))
    setInterval(() => {}, 1_000)`
  const started = spawn(process.execPath, ['-e', hold, opening], { cwd: library() })
  holder = started
  await once(started.stdout, 'data')

  await Promise.all([elsewhere, removed, opening].map(open))
}, 60_000)

describe('a lock that another process renews', () => {
  it('is not taken over if that process runs on another machine', () => {
    expect(messages.get(elsewhere)).toContain(`is in use by process ${pid} on far-away. Two processes with one journal`)
  })

  it('is not taken over if the file of the journal was removed', () => {
    expect(messages.get(removed)).toContain('is in use by another process. Two processes with one journal')
  })

  it('is not taken over if that process takes long to open the journal', () => {
    expect(messages.get(opening)).toContain(
      'is being opened by another process. Nothing was paid. Start again in a few seconds, or use another path.'
    )
  })
})
