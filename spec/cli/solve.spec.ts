import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { command, makeConsole } from '../support/command.js'
import { emulators } from '../support/raw-http.js'

const start = emulators()

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const aTask = ['solve', '--url', 'https://example.com', '--key', 'site-key']
const at = ({ url }: Emulator) => ({
  CAPTCHA_BASE_URL: url,
  CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
  CAPTCHA_POLL_EVERY_MS: '5'
})
const againstFaults = async (faults: string[], ...more: string[]) => {
  const env = at(await start({ faults }))
  return command([...aTask, ...more], { env }).ended()
}

describe('rx-captcha solve', () => {
  it('prints the token alone on stdout, and nothing on stderr where that is no terminal', async () => {
    const env = at(await start())
    const { code, out, err } = await command(aTask, { env }).ended()
    expect(out).toMatch(/^03A[\w-]{512}\n$/)
    expect([code, err]).toStrictEqual([0, ''])
  })

  it('prints one line of JSON', async () => {
    const emulator = await start()
    const { code, out, err } = await command([...aTask, '--json'], { env: at(emulator) }).ended()
    const { taskId } = emulator.tasks()[0]!
    expect(out.split('\n')).toHaveLength(2)
    const { createdAt, useBefore, expiresAt, ...rest } = JSON.parse(out) as Record<string, number>
    expect(rest).toStrictEqual({ ok: true, taskId, gRecaptchaResponse: expect.stringMatching(/^03A/) as string })
    expect(useBefore! - createdAt!).toBe(60_000)
    expect(expiresAt! - createdAt!).toBe(120_000)
    expect([code, err]).toStrictEqual([0, ''])
  })

  it('sends what it was given, the invisible kind included', async () => {
    const emulator = await start()
    await command([...aTask, '--invisible'], { env: at(emulator) }).code
    expect(emulator.tasks()[0]!.task).toMatchObject({
      websiteURL: 'https://example.com',
      websiteKey: 'site-key',
      isInvisible: true
    })
  })

  it('explains a failure on stderr, with the command line that goes on', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const { code, out, err } = await command([...aTask, '--give-up-after-ms', '400'], { env: at(emulator) }).ended()
    expect([code, out]).toStrictEqual([3, ''])
    expect(err).toMatch(
      new RegExp(`^Task (${uuid}) timed out: .*\nResume it, .*:\n {2}rx-captcha resume \\1 --created-at \\d{13}\n$`)
    )
  })

  it('tells a failure as JSON on stdout', async () => {
    const { code, out } = await againstFaults(['task:1:ERROR_CAPTCHA_UNSOLVABLE'], '--json')
    expect(code).toBe(3)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      error: { _tag: 'TaskFailed', paid: 'yes', errorCode: 'ERROR_CAPTCHA_UNSOLVABLE' },
      message: expect.stringContaining('It was paid for.') as string,
      advice: 'pay-again'
    })
  })

  it('does not promise that a task which failed can be resumed', async () => {
    const { err } = await againstFaults(['task:1:ERROR_CAPTCHA_UNSOLVABLE'])
    expect(err).toMatch(/\nTo ask about it once more, at no further cost:\n {2}rx-captcha resume/)
    expect(err).not.toContain('Resume it')
  })

  it.each([
    [1, 'nothing was paid', ['createTask:1:ERROR_ZERO_BALANCE']],
    [3, 'it was paid for', ['task:1:ERROR_CAPTCHA_UNSOLVABLE']],
    [4, 'nobody knows', ['createTask:1:billed+reset']]
  ])('ends with %d when %s', async (code, _why, faults) => {
    expect(await againstFaults(faults)).toMatchObject({ code, out: '' })
  })

  it('ends with 2 when the task does not fit, and sends nothing', async () => {
    const emulator = await start()
    const { code, err } = await command(['solve', '--url', 'nope', '--key', 'k'], { env: at(emulator) }).ended()
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain('websiteURL')
  })

  it('repeats in the command line to go on with how the service was named', async () => {
    const { url } = await start({ readyAfterMs: 60_000 })
    const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
    const more = ['--base-url', url, '--poll-every-ms', '5', '--give-up-after-ms', '40']
    const { err } = await command([...aTask, ...more], { env }).ended()
    expect(err).toMatch(new RegExp(`--created-at \\d+ --base-url ${url}\n$`))
  })

  it('tells that a token could not be written, and how to get it again', async () => {
    const env = at(await start())
    const { code, err } = await command(aTask, { env, stdout: makeConsole({ broken: true }) }).ended()
    expect(code).toBe(3)
    expect(err).toMatch(/could not be written.*\nResume it.*\n {2}rx-captcha resume /)
  })
})

describe('the line on a terminal', () => {
  const onTerminal = async (faults: string[], columns?: number) => {
    const env = at(await start({ faults, readyAfterMs: 20 }))
    const stderr = makeConsole({ isTTY: true, ...(columns !== undefined && { columns }) })
    const { out, err } = await command(aTask, { env, stderr }).ended()
    expect(out).toMatch(/^03A/)
    return err.split('\r')
  }

  it('tells the task, the polls and the seconds, and is gone at the end', async () => {
    const lines = await onTerminal([])
    expect(lines[1]).toMatch(/^creating a task · 0 polls · \d s/)
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^${uuid} · 0 polls · \\d s`)))
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^${uuid} · 1 poll · \\d s`)))
    expect(lines.at(-1)).toBe('\x1b[K')
  })

  it('tells why it waits', async () => {
    const lines = await onTerminal(['getTaskResult:1:reset', 'getTaskResult:2:ERROR_FOO_BAR'])
    expect(lines).toContainEqual(expect.stringMatching(/ · 1 poll · \d s · no answer, wait 1 s/))
    expect(lines).toContainEqual(expect.stringMatching(/ · 2 polls · \d s · bad answer, wait 1 s/))
  })

  it('is narrower than the terminal', async () => {
    const lines = await onTerminal([], 20)
    expect(Math.max(...lines.map((line) => line.replace('\x1b[K', '').length))).toBe(19)
  })
})

describe('rx-captcha resume', () => {
  const solveLate = async (emulator: Emulator) => {
    const { err } = await command([...aTask, '--give-up-after-ms', '20'], { env: at(emulator) }).ended()
    return /rx-captcha (resume .*)/.exec(err)![1]!.split(' ')
  }

  it('gets the token with the command line that a failure printed', async () => {
    const emulator = await start({ readyAfterMs: 60 })
    const argv = await solveLate(emulator)
    const { code, out } = await command([...argv, '--json'], { env: at(emulator) }).ended()
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ ok: true, taskId: argv[1], createdAt: Number(argv[3]) })
    expect(emulator.counters().accepted).toBe(1)
  })

  it('tells no times that count from an instant which nobody named', async () => {
    const emulator = await start({ readyAfterMs: 60 })
    const [, taskId = ''] = await solveLate(emulator)
    const { out } = await command(['resume', taskId, '--json'], { env: at(emulator) }).ended()
    expect(Object.keys(JSON.parse(out) as object)).toStrictEqual(['ok', 'taskId', 'gRecaptchaResponse'])
  })

  it('leaves out of the next command line what it was not told', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const [, taskId = ''] = await solveLate(emulator)
    const { code, err } = await command(['resume', taskId, '--give-up-after-ms', '20'], { env: at(emulator) }).ended()
    expect(code).toBe(3)
    expect(err).toMatch(new RegExp(`\n {2}rx-captcha resume ${taskId}\n$`))
  })

  it('takes an instant in milliseconds only', async () => {
    const { code, err } = await command(['resume', 'id', '--created-at', '1767225600', '--emulator']).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: --created-at: expected epoch milliseconds/)
  })

  it('tells of a task that nobody knows, as JSON', async () => {
    const { code, out, err } = await command(['resume', 'id', '--emulator', '--json']).ended()
    expect([code, JSON.parse(out)]).toMatchObject([3, { ok: false, error: { _tag: 'TaskFailed' } }])
    expect(err).toContain('ends with this command')
  })
})

describe('the client key', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
    writeFileSync(join(folder, 'key'), `\n ${EMULATOR_KEY} \n`)
    writeFileSync(join(folder, 'empty'), '\n')
    writeFileSync(join(folder, 'two'), 'one-line-of-it\nanother-line')
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  const withFile = async (name: string, env: Record<string, string> = {}) => {
    const base = { ...at(await start()), ...env }
    return command([...aTask, '--client-key-file', join(folder, name)], { env: base }).ended()
  }

  it('comes from a file, white space around it aside, before the variable', async () => {
    expect((await withFile('key', { CAPTCHA_CLIENT_KEY: 'another-key-of-nobody' })).code).toBe(0)
  })

  it('comes from a file that a variable names', async () => {
    const env = { ...at(await start()), CAPTCHA_CLIENT_KEY: '', CAPTCHA_CLIENT_KEY_FILE: join(folder, 'key') }
    expect((await command(aTask, { env }).ended()).code).toBe(0)
  })

  it.each([
    ['empty', 'expected a file with the key alone in it'],
    ['two', 'expected a file with the key alone in it'],
    ['absent', 'the file cannot be read (ENOENT)'],
    ['.', 'the file cannot be read (EISDIR)']
  ])('is not read from a file that is %s', async (name, why) => {
    expect(await withFile(name)).toStrictEqual({ code: 2, out: '', err: `error: --client-key-file: ${why}\n` })
  })

  it('is asked for if there is none', async () => {
    const { code, err } = await command(aTask).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: no client key: set CAPTCHA_CLIENT_KEY, or .*--client-key-file.*--emulator\n$/)
  })

  it.each(['--client-key', '--clientKey', '--client-key=', '-client_key=', '--api-key='])(
    'is not taken from %s, nor repeated',
    async (option) => {
      const argv = option.endsWith('=') ? [`${option}canary-key-in-argv`] : [option, 'canary-key-in-argv']
      const { code, out, err } = await command([...aTask, ...argv]).ended()
      expect(code).toBe(2)
      expect(err).toMatch(/never taken from an argument.*`ps`.*CAPTCHA_CLIENT_KEY/)
      expect(out + err).not.toContain('canary')
    }
  )

  it('is not taken for the site key', async () => {
    const env = at(await start())
    const { code, err } = await command(['solve', '--url', 'https://a.b', '--key', EMULATOR_KEY], { env }).ended()
    expect([code, err]).toStrictEqual([2, 'error: --key: this is the client key; expected the site key of the page\n'])
  })

  it.each([[[]], [['--json']]])('stays out of all output when the service echoes it (%j)', async (more) => {
    const { code, out, err } = await againstFaults(['createTask:1:echo-key'], ...more)
    expect(code).toBe(1)
    expect(out + err).toContain('the key')
    expect(out + err).not.toContain(EMULATOR_KEY)
  })
})
