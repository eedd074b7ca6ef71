import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { fileJournal } from 'rx-captcha/journal'
import { headerLine } from '../../lib/journal/format.js'
import { built } from '../support/built.js'
import { journalProcesses } from '../support/journals.js'
import { until } from '../support/raw-http.js'

// Each of these openings waits for seconds, until it sees the lock renewed or gives up. All wait at the same time, and the clocks
// of all processes run three times as fast as the real one: they agree, and so do the times of renewals in the file system.
const SPEED = 3
const STARTED_AT = Date.now()
const FAST_CLOCK = `{
  const { now } = Date
  Date.now = () => ${STARTED_AT} + (now() - ${STARTED_AT}) * ${SPEED}
  const start = setTimeout
  globalThis.setTimeout = (work, ms, ...more) => start(work, ms / ${SPEED}, ...more)
}`

/** The clock of this process, which watches the locks. */
const speedUp = () => {
  const [now, elapsed, start] = [Date.now, performance.now.bind(performance), setTimeout]
  jest.spyOn(Date, 'now').mockImplementation(() => STARTED_AT + (now() - STARTED_AT) * SPEED)
  jest.spyOn(performance, 'now').mockImplementation(() => elapsed() * SPEED)
  const soon = ((work: () => void, ms: number) => start(work, ms / SPEED)) as typeof setTimeout
  jest.spyOn(globalThis, 'setTimeout').mockImplementation(soon)
  const promised = jest.requireActual<typeof import('node:timers/promises')>('node:timers/promises')
  const wait = promised.setTimeout
  jest.spyOn(promised, 'setTimeout').mockImplementation((ms = 0) => wait(ms / SPEED))
}
afterAll(() => {
  jest.restoreAllMocks()
})

const library = built()
const startProcess = journalProcesses(library, afterAll)
const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

const at = (name: string) => join(folder, name)
const HOUR_MS = 3_600_000

/** A process that has the journal open; its clock is off by so much. */
const hold = async (name: string, clockMs = 0) => {
  const setup = `${FAST_CLOCK}; const now = Date.now; Date.now = () => now() + ${clockMs}`
  const holder = startProcess(at(name), `print('opened'); setInterval(() => {}, 1_000)`, { setup })
  await holder.printed(1)
  // The first renewal brings the clock of the process into the lock.
  await until(() => Math.abs(Date.now() + clockMs - statSync(at(`${name}.lock`)).mtimeMs) < HOUR_MS / 2)
  return holder
}

const moveElsewhere = (name: string) => {
  writeFileSync(at(name), readFileSync(at(name), 'utf8').replace(/"place":"[^"]*"/, '"place":"far-away pid:[1]"'))
}

/** The lock of a process on another machine, which was renewed so long ago by the clock of this one. */
const leaveElsewhere = (name: string, ageMs: number) => {
  writeFileSync(at(name), headerLine({ openedAt: '2026-01-01T00:00:00.000Z', pid: 1, place: 'far-away pid:[1]' }))
  mkdirSync(at(`${name}.lock`))
  const renewedAt = (Date.now() - ageMs) / 1_000
  utimesSync(at(`${name}.lock`), renewedAt, renewedAt)
}

/** The lock of a thread of this process that was terminated 10 s ago. */
const terminateThread = async (name: string) => {
  const script = `const { parentPort, workerData: [library, path] } = require('worker_threads')
    require(library).fileJournal(path).then(() => parentPort.postMessage('opened'))
    setInterval(() => {}, 1_000)`
  const worker = new Worker(script, { eval: true, workerData: [join(library(), 'dist/journal/index.js'), at(name)] })
  await once(worker, 'message')
  await worker.terminate()
  const renewedAt = Date.now() / 1_000 - 10
  utimesSync(at(`${name}.lock`), renewedAt, renewedAt)
}

const holdOpening = async (name: string) => {
  const script = `${FAST_CLOCK}; require('proper-lockfile')
    .lock(process.argv[1] + '.opening', { realpath: false, stale: 4_000, update: 1_000 })
    .then(() => console.log('locked'))
    setInterval(() => {}, 1_000)`
  const child = spawn(process.execPath, ['-e', script, at(name)], { cwd: library() })
  children.push(child)
  await once(child.stdout, 'data')
}

const messages = new Map<string, string>()
const durations = new Map<string, number>()
let pid: number | undefined

const open = async (name: string) => {
  const before = performance.now()
  const journal = await fileJournal(at(name)).catch((error: unknown) => error)
  durations.set(name, performance.now() - before)
  messages.set(name, journal instanceof Error ? journal.message : 'opened')
  if (!(journal instanceof Error)) await (journal as Awaited<ReturnType<typeof fileJournal>>).close()
}

beforeAll(async () => {
  speedUp()
  const [elsewhere] = await Promise.all([
    hold('elsewhere'),
    hold('elsewhere, behind', -HOUR_MS),
    hold('elsewhere, ahead', HOUR_MS),
    hold('behind', -HOUR_MS),
    hold('removed'),
    holdOpening('opening'),
    terminateThread('thread')
  ])
  pid = elsewhere.child.pid
  for (const name of ['elsewhere', 'elsewhere, behind', 'elsewhere, ahead']) moveElsewhere(name)
  rmSync(at('removed'))
  leaveElsewhere('left', 9_800)
  leaveElsewhere('left, ahead', -HOUR_MS)
  leaveElsewhere('left, behind', HOUR_MS)
  const held = ['elsewhere', 'elsewhere, behind', 'elsewhere, ahead', 'behind', 'removed', 'opening']
  await Promise.all([...held, 'left', 'left, ahead', 'left, behind', 'thread'].map(open))
}, 60_000)

describe('a lock that another process renews', () => {
  it('is not taken over if that process runs on another machine, which is known at the next renewal', () => {
    expect(messages.get('elsewhere')).toMatch(
      new RegExp(`has been held by process ${pid} since .* on far-away\\. Nothing was paid`)
    )
    expect(durations.get('elsewhere')).toBeLessThan(6_000)
  })

  it.each(['elsewhere, behind', 'elsewhere, ahead', 'behind'])(
    'is not taken over if the clocks differ by an hour: %s',
    (name) => {
      expect(messages.get(name)).toContain('has been held by process')
    }
  )

  it('is not taken over if the file of the journal was removed', () => {
    expect(messages.get('removed')).toContain(
      'is held by another process. Nothing was paid, because two owners of one journal would pay twice'
    )
  })

  it('is not taken over if that process takes long to open the journal', () => {
    expect(messages.get('opening')).toContain(
      'is being opened by another process. Nothing was paid. Start again in a few seconds, or use another path.'
    )
  })
})

describe('a lock that nobody renews', () => {
  it.each(['left', 'left, ahead', 'left, behind'])('of another machine is taken over within 10 s: %s', (name) => {
    expect(messages.get(name)).toBe('opened')
    expect(durations.get(name)).toBeLessThan(12_000)
  })

  it('of a terminated thread is taken over', () => {
    expect(messages.get('thread')).toBe('opened')
  })
})
