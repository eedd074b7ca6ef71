import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { report } from '../../lib/cli/solve/report.js'
import { SOLVE, UUID, command, envOf, makeConsole, makeContext } from '../support/command.js'
import { emulators } from '../support/raw-http.js'

const start = emulators()

const ESCAPE = String.fromCharCode(27)

const solveWithFaults = async (faults: string[], ...more: string[]) => {
  const env = envOf(await start({ faults }))
  return command([...SOLVE, ...more], { env }).ended()
}

describe('rx-captcha solve', () => {
  it('prints the token alone on stdout, and nothing on stderr if that is no terminal', async () => {
    const env = envOf(await start())
    const { code, out, err } = await command(SOLVE, { env }).ended()
    expect(out).toMatch(/^03A[\w-]{512}\n$/)
    expect([code, err]).toStrictEqual([0, ''])
  })

  it('prints one line of JSON with --json', async () => {
    const emulator = await start()
    const { code, out, err } = await command([...SOLVE, '--json'], { env: envOf(emulator) }).ended()
    const { taskId } = emulator.tasks()[0]!
    expect(out.split('\n')).toHaveLength(2)
    const { createdAt, useBefore, expiresAt, ...rest } = JSON.parse(out) as Record<string, number>
    expect(rest).toStrictEqual({ ok: true, taskId, gRecaptchaResponse: expect.stringMatching(/^03A/) as string })
    // The instants count back by elapsed time, so they may be earlier or, if the system clock is adjusted meanwhile, later.
    expect(useBefore! - createdAt!).toBeLessThan(60_100)
    expect(useBefore! - createdAt!).toBeGreaterThan(55_000)
    expect(expiresAt! - useBefore!).toBe(60_000)
    expect([code, err]).toStrictEqual([0, ''])
  })

  it('sends the given fields, the invisible kind included', async () => {
    const emulator = await start()
    await command([...SOLVE, '--invisible'], { env: envOf(emulator) }).code
    expect(emulator.tasks()[0]!.task).toMatchObject({
      websiteURL: 'https://example.com',
      websiteKey: 'site-key',
      isInvisible: true
    })
  })

  it('prints that a createTask call with HTTP 503 and no document may be paid for, although a later one is solved', async () => {
    const { code, out, err } = await solveWithFaults(['createTask:1:billed+503'])
    expect([code, out]).toStrictEqual([0, expect.stringMatching(/^03A/)])
    expect(err).toBe('1 createTask call that got HTTP 503 without a document may be paid for.\n')
  })

  it('explains a failure on stderr, with the command that resumes the task', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const { code, out, err } = await command([...SOLVE, '--give-up-after-ms', '400'], { env: envOf(emulator) }).ended()
    expect([code, out]).toStrictEqual([3, ''])
    expect(err).toMatch(
      new RegExp(
        `^Task (${UUID}) timed out: .*\nResume it .*:\n {2}rx-captcha resume \\1 --created-at \\d{13} --base-url \\S+\n$`
      )
    )
  })

  it('prints a failure as JSON on stdout with --json', async () => {
    const { code, out } = await solveWithFaults(['task:1:ERROR_CAPTCHA_UNSOLVABLE'], '--json')
    expect(code).toBe(3)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      error: { _tag: 'TaskFailed', paid: 'yes', errorCode: 'ERROR_CAPTCHA_UNSOLVABLE' },
      message: expect.stringContaining('It was paid for.') as string,
      advice: 'pay-again'
    })
  })

  it('prints the beginning of a reply to createTask that it cannot read, in which a person may find the id', async () => {
    const { code, err } = await solveWithFaults(['createTask:1:billed+html'])
    expect(code).toBe(4)
    expect(err).toMatch(/its id is unknown\. .*\nThe reply began with: <html>[^\n]*\n$/)
  })

  it('never speaks of the functions of the library', async () => {
    const env = envOf(await start({ readyAfterMs: 60_000 }))
    for (const more of [[], ['--json']]) {
      const { out, err } = await command([...SOLVE, '--give-up-after-ms', '300', ...more], { env }).ended()
      expect(out + err).not.toMatch(/resume\(|error\.ref|solver/)
      expect(out + err).toContain('rx-captcha resume ')
    }
  })

  it('does not promise that a failed task can be resumed', async () => {
    const { err } = await solveWithFaults(['task:1:ERROR_CAPTCHA_UNSOLVABLE'])
    expect(err).toMatch(/\nPoll it again at no further cost:\n {2}rx-captcha resume/)
    expect(err).not.toContain('Resume it')
  })

  it.each([
    [1, 'nothing was paid', ['createTask:1:ERROR_ZERO_BALANCE']],
    [3, 'the task was paid for', ['task:1:ERROR_CAPTCHA_UNSOLVABLE']],
    [4, 'it is unknown whether the task was paid for', ['createTask:1:billed+reset']]
  ])('exits with %d if %s', async (code, _why, faults) => {
    expect(await solveWithFaults(faults)).toMatchObject({ code, out: '' })
  })

  it('exits with 2 if the fields do not fit, and sends nothing', async () => {
    const emulator = await start()
    const { code, err } = await command(['solve', '--url', 'nope', '--key', 'k'], { env: envOf(emulator) }).ended()
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain('websiteURL')
  })

  it('repeats the options of the service in the command that resumes the task', async () => {
    const { url } = await start({ readyAfterMs: 60_000 })
    const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
    const more = ['--base-url', url, '--poll-every-ms', '5', '--give-up-after-ms', '300']
    const { err } = await command([...SOLVE, ...more], { env }).ended()
    expect(err).toMatch(new RegExp(`--created-at \\d+ --base-url ${url}\n$`))
  })

  it('puts an id that looks like an option behind the options', async () => {
    const stderr = makeConsole()
    const service = { flags: ['--base-url', 'https://a.b'], isEmbedded: false }
    const ref = { taskId: '-x y', createdAt: 1 }
    await report(
      makeContext({ stderr }),
      { json: false, isResumed: false, service },
      { _tag: 'Left', left: { _tag: 'Interrupted', paid: 'yes', ref } }
    )
    expect(stderr.text()).toMatch(/\n {2}rx-captcha resume --created-at 1 --base-url https:\/\/a\.b -- '-x y'\n$/)
  })

  it('prints that a token could not be written, and how to get it again', async () => {
    const env = envOf(await start())
    const { code, err } = await command(SOLVE, { env, stdout: makeConsole({ broken: 'EPIPE' }) }).ended()
    expect(code).toBe(3)
    expect(err).toMatch(/could not be written.*\nResume it.*\n {2}rx-captcha resume /)
  })
})

describe('the status line of solve on a terminal', () => {
  const HOUR_MS = 3_600_000

  /** The drawings of a task that is ready once its first poll was drawn. */
  const linesOnTerminal = async (faults: string[], columns = 80) => {
    const stderr = makeConsole({ isTTY: true, columns })
    const now = () => Date.now() + (stderr.text().includes('1 poll ') ? HOUR_MS : 0)
    // Longer than the time between two drawings.
    const env = { ...envOf(await start({ faults, readyAfterMs: HOUR_MS, now })), CAPTCHA_POLL_EVERY_MS: '250' }
    const { out, err } = await command(SOLVE, { env, stderr }).ended()
    expect(out).toMatch(/^03A/)
    // Whole drawings, without the sequences that move the cursor.
    return err.split(new RegExp(`${ESCAPE}\\[[\\d;?]*[A-Za-z]`)).filter((text) => text.trim() !== '')
  }

  it('shows the task, the polls and the seconds', async () => {
    const lines = await linesOnTerminal([])
    expect(lines[0]).toMatch(/^0 polls · \d s · creating a task$/)
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^0 polls · \\d s · ${UUID}`)))
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^1 poll · \\d s · ${UUID}`)))
  })

  it('is erased at the end', async () => {
    const env = envOf(await start())
    const stderr = makeConsole({ isTTY: true })
    const { err } = await command(SOLVE, { env, stderr }).ended()
    expect(err.slice(err.lastIndexOf('polls'))).toMatch(new RegExp(`${ESCAPE}\\[0?J`))
  })

  it.each([
    ['getTaskResult:1:reset', 'no reply'],
    ['getTaskResult:1:ERROR_FOO_BAR', 'bad reply']
  ])('prints why the next poll waits: %s', async (fault, why) => {
    const lines = await linesOnTerminal([fault])
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^1 poll · \\d s · ${why}, wait 1 s · `)))
  })

  it('is narrower than the terminal', async () => {
    const lines = await linesOnTerminal([], 20)
    expect(Math.max(...lines.map((line) => line.length))).toBe(19)
  })
})

describe('rx-captcha resume', () => {
  /** The arguments that a timed-out solve printed. */
  const resumeArguments = async (emulator: Emulator) => {
    const { err } = await command([...SOLVE, '--give-up-after-ms', '300'], { env: envOf(emulator) }).ended()
    return /rx-captcha (resume .*)/.exec(err)![1]!.split(' ')
  }

  it('prints the token with the command that a failure printed', async () => {
    const emulator = await start({ readyAfterMs: 400 })
    const argv = await resumeArguments(emulator)
    const { code, out } = await command([...argv, '--json'], { env: envOf(emulator) }).ended()
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ ok: true, taskId: argv[1], createdAt: Number(argv[3]) })
    expect(emulator.counters().accepted).toBe(1)
  })

  it('prints no times without --created-at', async () => {
    const emulator = await start({ readyAfterMs: 400 })
    const [, taskId = ''] = await resumeArguments(emulator)
    const { out } = await command(['resume', taskId, '--json'], { env: envOf(emulator) }).ended()
    expect(Object.keys(JSON.parse(out) as object)).toStrictEqual(['ok', 'taskId', 'gRecaptchaResponse'])
  })

  it('prints no instant in the next command if it was given none', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const [, taskId = ''] = await resumeArguments(emulator)
    const env = envOf(emulator)
    const { code, err } = await command(['resume', taskId, '--give-up-after-ms', '300'], { env }).ended()
    expect(code).toBe(3)
    expect(err).toMatch(new RegExp(`\n {2}rx-captcha resume ${taskId} --base-url \\S+\n$`))
  })

  it('accepts an instant in milliseconds only', async () => {
    const { code, err } = await command(['resume', 'id', '--created-at', '1767225600']).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: option '--created-at <ms>' argument '1767225600' is invalid. Expected epoch millis/)
  })

  it.each([
    [
      '',
      /^The service does not know task nosuchtask \(ERROR_\w+\): the id is wrong.* Nothing was paid by this command\.\n$/
    ],
    ['--json', /^$/]
  ])('prints that the service knows no such task, and does not advise to resume it (%s)', async (option, text) => {
    const env = envOf(await start())
    const { code, out, err } = await command(['resume', 'nosuchtask', option].filter(Boolean), { env }).ended()
    expect(code).toBe(1)
    expect(err).toMatch(text)
    expect(out + err).not.toMatch(/was paid for|rx-captcha resume/)
    const error = { _tag: 'TaskFailed', notFound: true, paid: 'unknown' }
    if (option) expect(JSON.parse(out)).toMatchObject({ ok: false, error, advice: 'decide' })
  })

  it.each([[['--emulator']], [['--fault', 'getTaskResult:1:reset']]])(
    'has no %j, whose tasks end with the command',
    async (more) => {
      const { code, err } = await command(['resume', 'id', ...more]).ended()
      expect(code).toBe(2)
      expect(err).toContain(`error: unknown option '${more[0]}'`)
    }
  )

  it('sends a numeric id as a number again, with the command that a failure printed', async () => {
    const emulator = await start({ readyAfterMs: 400, numericIds: true })
    const argv = await resumeArguments(emulator)
    expect(argv).toContain('--numeric')
    const { code, out } = await command([...argv, '--json'], { env: envOf(emulator) }).ended()
    expect([code, JSON.parse(out)]).toMatchObject([0, { taskId: argv[1], numeric: true }])
  })

  it('refuses --numeric for an id that is no number', async () => {
    const { code, err } = await command(['resume', 'id', '--numeric'], { env: envOf(await start()) }).ended()
    expect(code).toBe(2)
    expect(err).toContain('digits, because the reference is numeric')
  })
})

describe('the client key', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
    writeFileSync(join(folder, 'key'), `\n ${EMULATOR_KEY} \n`)
    writeFileSync(join(folder, 'empty'), '\n')
    writeFileSync(join(folder, 'invisible'), 'one-half-of-it\u200Banother-half')
    writeFileSync(join(folder, 'two'), 'one-line-of-it\nanother-line')
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  const solveWithFile = async (name: string, more: Record<string, string> = {}) => {
    const env = { ...envOf(await start()), ...more }
    return command([...SOLVE, '--client-key-file', join(folder, name)], { env }).ended()
  }

  it('is read from a file, trimmed, and the option overrides the variable', async () => {
    expect((await solveWithFile('key', { CAPTCHA_CLIENT_KEY: 'another-key-of-nobody' })).code).toBe(0)
  })

  const le = (text: string) => Buffer.from(text, 'utf16le')

  it.each([
    ['UTF-8 with a byte order mark', Buffer.from(`\uFEFF${EMULATOR_KEY}\n`)],
    ['UTF-16 LE with a byte order mark', le(`\uFEFF${EMULATOR_KEY}\r\n`)],
    ['UTF-16 BE with a byte order mark', le(`\uFEFF${EMULATOR_KEY}\r\n`).swap16()],
    ['UTF-16 LE without a byte order mark', le(EMULATOR_KEY)],
    ['UTF-8 with a zero-width space behind it', Buffer.from(`${EMULATOR_KEY}\u200B`)]
  ])('is read from a file in %s', async (_, bytes) => {
    writeFileSync(join(folder, 'encoded'), bytes)
    expect((await solveWithFile('encoded')).code).toBe(0)
  })

  it('is read from its variable without an invisible character that was copied with it', async () => {
    const env = { ...envOf(await start()), CAPTCHA_CLIENT_KEY: `${EMULATOR_KEY}\u200B\n` }
    expect((await command(SOLVE, { env }).ended()).code).toBe(0)
  })

  it('is not repeated in the command that resumes the task, but its file is', async () => {
    const more = ['--client-key-file', join(folder, 'key'), '--give-up-after-ms', '300']
    const { err } = await command([...SOLVE, ...more], { env: envOf(await start({ readyAfterMs: 60_000 })) }).ended()
    expect(err).toMatch(new RegExp(`--created-at \\d+ --base-url \\S+ --client-key-file ${join(folder, 'key')}\n$`))
    expect(err).not.toContain(EMULATOR_KEY)
  })

  it('is read from a file that a variable names', async () => {
    const env = { ...envOf(await start()), CAPTCHA_CLIENT_KEY: '', CAPTCHA_CLIENT_KEY_FILE: join(folder, 'key') }
    expect((await command(SOLVE, { env }).ended()).code).toBe(0)
  })

  it.each([
    ['empty', 'expected a file that holds the key and nothing else'],
    ['invisible', 'expected a file that holds the key and nothing else'],
    ['two', 'expected a file that holds the key and nothing else'],
    ['absent', 'the file cannot be read (ENOENT: no such file or directory)'],
    ['.', 'the file cannot be read (EISDIR: illegal operation on a directory)']
  ])('is refused from the file "%s"', async (name, why) => {
    expect(await solveWithFile(name)).toStrictEqual({ code: 2, out: '', err: `error: --client-key-file: ${why}\n` })
  })

  it('is missed with a hint at the variable, the file and the emulator', async () => {
    const { code, err } = await command(SOLVE).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: no client key: set CAPTCHA_CLIENT_KEY, or .*--client-key-file.*--emulator\n$/)
  })

  it.each([['balance'], ['resume', 'task-1']])('is missed without a hint at the emulator by %s', async (...argv) => {
    const { code, err } = await command(argv).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: no client key: set CAPTCHA_CLIENT_KEY, or .*--client-key-file\n$/)
  })

  it.each(['--client-key', '--clientKey', '--client-key=', '-client_key=', '--api-key='])(
    'is refused as the argument %s, and not repeated',
    async (option) => {
      const argv = option.endsWith('=') ? [`${option}canary-key-in-argv`] : [option, 'canary-key-in-argv']
      const { code, out, err } = await command([...SOLVE, ...argv]).ended()
      expect(code).toBe(2)
      expect(err).toMatch(/never read from an argument.*`ps`.*CAPTCHA_CLIENT_KEY/)
      expect(out + err).not.toContain('canary')
    }
  )

  it('is refused as the site key', async () => {
    const env = envOf(await start())
    const { code, err } = await command(['solve', '--url', 'https://a.b', '--key', EMULATOR_KEY], { env }).ended()
    expect([code, err]).toStrictEqual([2, 'error: --key: this is the client key; expected the site key of the page\n'])
  })

  it.each([[[]], [['--json']]])('is in no output when the service echoes it (%j)', async (more) => {
    const { code, out, err } = await solveWithFaults(['createTask:1:echo-key'], ...more)
    expect(code).toBe(1)
    expect(out + err).toContain('the key')
    expect(out + err).not.toContain(EMULATOR_KEY)
  })
})
