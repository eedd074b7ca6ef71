import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { BASH } from '../support/bash.js'
import { built } from '../support/built.js'
import { SOLVE } from '../support/command.js'
import { emulators, until } from '../support/raw-http.js'

const start = emulators()

const folder = built()
const main = () => join(folder(), 'dist/cli/main.js')

const children: ChildProcess[] = []
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')))

interface SpawnOptions {
  readonly emulator?: Emulator
  /** The words before the command, of a shell that runs it as `"$@"`. */
  readonly shell?: ReadonlyArray<string>
}

const spawned = (argv: ReadonlyArray<string>, { emulator, shell = [] }: SpawnOptions = {}) => {
  const env = { PATH: process.env.PATH, CAPTCHA_BASE_URL: emulator?.url, CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
  const [program = '', ...words] = [...shell, process.execPath, main(), ...argv]
  const child = spawn(program, words, { env: { ...env, CAPTCHA_POLL_EVERY_MS: '5' } })
  children.push(child)
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => (out += String(chunk)))
  child.stderr.on('data', (chunk) => (err += String(chunk)))
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    child,
    prints: (what: string) => until(() => (out + err).includes(what)),
    ended: async () => ({ code: await code, out, err })
  }
}

describe('the process of the command', () => {
  it('prints the token and ends by itself', async () => {
    const { code, out, err } = await spawned(SOLVE, { emulator: await start() }).ended()
    expect([code, err]).toStrictEqual([0, ''])
    expect(out).toMatch(/^03A[\w-]+\n$/)
  })

  it('survives a reader that is gone, and prints how to get the token again', async () => {
    const emulator = await start({ readyAfterMs: 20 })
    const solving = spawned(SOLVE, { emulator })
    solving.child.stdout.destroy()
    const { code, err } = await solving.ended()
    expect(code).toBe(3)
    expect(err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
    expect(err).not.toContain('EPIPE')
  })

  it('waits for a slow reader of its messages', async () => {
    const shell = [...BASH, '"$@" 2>&1 >/dev/null | (head -c 1; sleep 0.2; cat)', 'bash']
    const { out } = await spawned(['journal', 'x'.repeat(100_000)], { shell }).ended()
    expect(out).toMatch(/^error: x{100000}: the journal cannot be read .*\n$/)
  })

  it('prints how to get a token again of which a full file holds the beginning', async () => {
    const emulator = await start()
    const folderOfFile = mkdtempSync(join(tmpdir(), 'full-'))
    const path = join(folderOfFile, 'out')
    // In blocks of a kilobyte, so 24 bytes are left.
    writeFileSync(path, 'x'.repeat(1_000))
    const shell = [...BASH, 'ulimit -f 1; "$@" >> "$0"', path]
    const { code, err } = await spawned(SOLVE, { emulator, shell }).ended()
    rmSync(folderOfFile, { recursive: true })
    expect(code).toBe(3)
    expect(err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
  })

  it('prints the task on Ctrl-C, and ends', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const solving = spawned(SOLVE, { emulator })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    solving.child.kill('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
  })

  it('stops at once on the second Ctrl-C, although a createTask is in flight', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+silent'] })
    const solving = spawned(SOLVE, { emulator })
    await until(() => emulator.counters().requests.createTask > 0)
    solving.child.kill('SIGINT')
    await solving.prints('Press Ctrl-C to stop now')
    const interruptedAt = performance.now()
    solving.child.kill('SIGINT')
    expect((await solving.ended()).code).toBe(130)
    expect(performance.now() - interruptedAt).toBeLessThan(2_000)
  })

  it('refuses a folder as stdin', () => {
    const fd = openSync('.', 'r')
    const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
    const { status, stderr } = spawnSync(process.execPath, [main(), 'batch', '-'], { env, stdio: [fd, 'pipe', 'pipe'] })
    closeSync(fd)
    expect([status, String(stderr)]).toStrictEqual([2, 'error: stdin: this is a folder; expected a file\n'])
  })

  it('serves the emulator until Ctrl-C', async () => {
    const serving = spawned(['emulate'])
    await serving.prints('Press Ctrl-C to stop it')
    serving.child.kill('SIGINT')
    const { code, out } = await serving.ended()
    expect(code).toBe(0)
    expect(out).toMatch(/^CAPTCHA_BASE_URL=http:\/\/127\.0\.0\.1:\d+\nCAPTCHA_CLIENT_KEY=.*\n# createTask: /)
  })
})
