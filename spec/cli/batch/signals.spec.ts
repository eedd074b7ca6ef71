import { readFileSync } from 'node:fs'
import { Subject, asyncScheduler } from 'rxjs'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { openFiles } from '../../../lib/cli/batch/files.js'
import { runBatch } from '../../../lib/cli/batch/run.js'
import { batch, linesIn, ndjson, task, testFiles } from '../../support/batch.js'
import { command, envOf, makeConsole, makeContext } from '../../support/command.js'
import { emulators, until } from '../../support/raw-http.js'
import { hurried } from '../../support/solvers.js'

const start = emulators()
const { file } = testFiles()

const HOUR_MS = 3_600_000

describe('a signal to a batch', () => {
  /** A batch with two active tasks, which are ready once `finish` is called. */
  const interrupted = async (more: ReadonlyArray<string> = []) => {
    let isFinished = false
    const now = () => Date.now() + (isFinished ? HOUR_MS : 0)
    const emulator = await start({ readyAfterMs: HOUR_MS, now })
    const input = file('.ndjson', ndjson(...Array.from({ length: 9 }, (_, nth) => task(nth))))
    const running = command(['batch', input, '--concurrency', '2', ...more], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 2)
    const finish = () => (isFinished = true)
    return { emulator, running, finish }
  }

  it('stops pulling and finishes active tasks, the first time', async () => {
    const { emulator, running, finish } = await interrupted()
    running.signal('SIGINT')
    finish()
    const { code, out, err } = await running.ended()
    expect(code).toBe(130)
    expect(emulator.counters()).toMatchObject({ accepted: 2, delivered: 2 })
    expect(linesIn(out)).toHaveLength(2)
    expect(err).toContain('Stopping: waiting for active tasks. Press Ctrl-C again to stop now.')
    expect(err).toContain('Stopped by Ctrl-C.\nNot read: 7 items.\n')
  })

  it('stops now, the second time; active tasks are in the output and in the journal', async () => {
    const journal = file('.journal')
    const { emulator, running } = await interrupted(['--journal', journal])
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
    const { emulator, running } = await interrupted()
    running.signal(signal)
    const { code, out, err } = await running.ended()
    expect(code).toBe(expected)
    const { taskId } = emulator.tasks()[0]!
    expect(linesIn(out).map(({ message }) => message)).toContainEqual(
      expect.stringMatching(
        `was stopped before task ${taskId} was ready. It was paid for. Resume it at no further cost: rx-captcha resume ${taskId} --created-at \\d+ --base-url \\S+$`
      )
    )
    expect(err).toContain('Active tasks are paid for; each message in the output says how to resume it.')
  })

  it('waits for nothing, the third time, and exits with the code of a task that may be paid for', async () => {
    const emulator = await start({ faults: ['createTask:always:billed+silent'] })
    const running = command(['batch', file('.ndjson', ndjson(task(1)))], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    running.signal('SIGINT')
    running.signal('SIGINT')
    await running.prints('Waiting for the createTask reply')
    running.signal('SIGINT')
    expect((await running.ended()).code).toBe(4)
  })
})

/** A batch with two solved tasks, by a fast clock. Its output is not read. */
const stuckBatch = async () => {
  const emulator = await start({ readyAfterMs: 0 })
  const signals = new Subject<NodeJS.Signals>()
  const stderr = makeConsole()
  const context = makeContext({ signals, stdout: makeConsole({ stuck: true }), stderr })
  const service = { flags: [], isEmbedded: false }
  const files = await openFiles(context, service, file('.ndjson', ndjson(task(1), task(2), task(3))), {})
  const { scheduler = asyncScheduler } = hurried()
  const options = { clientKey: EMULATOR_KEY, baseUrl: emulator.url }
  const config = { files, service, options, scheduler, concurrency: 2, commandLine: '' }
  const code = runBatch(context, config).finally(files.close)
  await until(() => emulator.counters().delivered === 2)
  return { emulator, signals, code, err: stderr.text }
}

describe('a batch whose output is not read', () => {
  it.each([['SIGTERM'], ['SIGINT', 'SIGINT']] as const)(
    'ends by %s %s, and prints how to get the tokens',
    async (...sent) => {
      const { emulator, signals, code, err } = await stuckBatch()
      for (const signal of sent) signals.next(signal)
      expect(await code).toBeGreaterThan(128)
      expect(err()).toContain('These tasks are paid for and not in the output. Resume each at no further cost:')
      for (const { taskId } of emulator.tasks()) expect(err()).toContain(`  rx-captcha resume ${taskId} `)
    }
  )
})

describe('a task id that arrives while a batch stops', () => {
  const stopped = async (argv: ReadonlyArray<string>) => {
    const emulator = await start({ faults: ['createTask:always:slow=150'], readyAfterMs: 0 })
    const input = file('.ndjson', ndjson(task(1), task(2)))
    const running = command(['batch', input, ...argv], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.createTask === 2)
    running.signal('SIGTERM')
    return { emulator, input, ...(await running.ended()) }
  }

  it('is that of a paid task, to be resumed by the next run', async () => {
    const out = file('.out')
    const { emulator, input, code, err } = await stopped(['--out', out])
    expect([code, emulator.counters().accepted]).toStrictEqual([143, 2])
    expect(err).toMatch(/^2 items in .*: 0 solved, 0 failed, 2 to be resumed\.\nPaid for: 2 new tasks\.\n/m)
    expect(err).not.toContain('--retry-failed')
    expect((await batch(emulator, [input, '--out', out])).code).toBe(0)
    expect(emulator.counters().accepted).toBe(2)
  })

  it('is printed with the command that resumes it, if the batch cannot be continued', async () => {
    const { emulator, code, err } = await stopped([])
    expect(code).toBe(143)
    for (const { taskId } of emulator.tasks()) expect(err).toContain(`  rx-captcha resume ${taskId} `)
    expect(err).not.toContain('each message in the output says how to resume it')
  })
})
