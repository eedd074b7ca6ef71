import { createServer } from 'node:net'
import { once } from 'node:events'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { report } from '../../lib/cli/solve/report.js'
import { messageOf, printable, quoted } from '../../lib/cli/shared/context.js'
import { exitOfSignal } from '../../lib/cli/shared/exit-code.js'
import { command, makeConsole, makeWorld, watchedEmulator } from '../support/command.js'
import { emulators, until } from '../support/raw-http.js'

const start = emulators()

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const aTask = ['solve', '--url', 'https://example.com', '--key', 'site-key']
const at = ({ url }: Emulator) => ({
  CAPTCHA_BASE_URL: url,
  CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
  CAPTCHA_POLL_EVERY_MS: '5'
})

describe('rx-captcha', () => {
  it('has a help with examples, variables and exit codes', async () => {
    const { code, out, err } = await command(['--help']).ended()
    expect([code, err]).toStrictEqual([0, ''])
    for (const part of ['Examples:', 'CAPTCHA_CLIENT_KEY ', 'CAPTCHA_GIVE_UP_AFTER_MS', 'Exit codes:', '130'])
      expect(out).toContain(part)
  })

  it.each([[['--help']], [['solve', '--help']], [['resume', '--help']], [['emulate', '--help']], [['demo', '--help']]])(
    'keeps the help of %j within 80 columns',
    async (argv) => {
      const { out } = await command(argv).ended()
      expect(out.split('\n').filter((line) => line.length > 80)).toStrictEqual([])
    }
  )

  it('tells its version', async () => {
    expect(await command(['--version']).ended()).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/) as string
    })
  })

  it.each([
    [[], 'Usage:'],
    [['sovle'], "unknown command 'sovle'"],
    [['solve', '--key', 'k'], "required option '--url <address>' not specified"],
    [['resume'], "missing required argument 'taskid'"],
    [[...aTask, '--nope'], "unknown option '--nope'"]
  ])('ends with 2 for %j, and says why on stderr', async (argv, why) => {
    const { code, out, err } = await command(argv).ended()
    expect([code, out]).toStrictEqual([2, ''])
    expect(err).toContain(why)
  })

  const numbers = ['-1', '0', '1.5', '1e3', '2147483648', '9'.repeat(400), 'soon', '']
  it.each([
    ...numbers.map((value) => ['--poll-every-ms', value]),
    ...numbers.map((value) => ['--give-up-after-ms', value])
  ])('names %s for %j', async (option, value) => {
    const { code, out, err } = await command([...aTask, '--emulator', option, value]).ended()
    expect([code, out]).toStrictEqual([2, ''])
    expect(err).toMatch(
      new RegExp(`^error: ${option}: expected milliseconds, a whole number from 1 to 2147483647, not "${value}"\n$`)
    )
  })

  it('names the variable of a bad number', async () => {
    const { code, err } = await command([...aTask, '--emulator'], { env: { CAPTCHA_GIVE_UP_AFTER_MS: 'x' } }).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: CAPTCHA_GIVE_UP_AFTER_MS: /)
  })

  it('takes an empty variable for one that is not set', async () => {
    const env = { CAPTCHA_GIVE_UP_AFTER_MS: '', CAPTCHA_BASE_URL: '', CAPTCHA_CLIENT_KEY: 'a-key-of-nobody' }
    expect((await command([...aTask, '--emulator', '--poll-every-ms', '5'], { env }).ended()).code).toBe(0)
  })

  it('takes an option before its variable, which is not even read then', async () => {
    const env = { ...at(await start()), CAPTCHA_POLL_EVERY_MS: 'x' }
    expect((await command([...aTask, '--poll-every-ms', '5'], { env }).ended()).code).toBe(0)
  })

  it('names every option that the solver refuses', async () => {
    const env = { CAPTCHA_CLIENT_KEY: 'short' }
    const { code, err } = await command([...aTask, '--base-url', 'http://example.com'], { env }).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: the client key: .*at least 8 .*\nerror: --base-url: expected https .*\n$/)
  })

  it('tells of a defect without a stack trace, and that a task may be paid for', async () => {
    const env = {
      get CAPTCHA_CLIENT_KEY(): string {
        throw new Error('a broken world')
      }
    }
    const { code, err } = await command(aTask, { env }).ended()
    expect(code).toBe(4)
    expect(err).toBe('error, a defect of rx-captcha: a broken world. A task may have been paid for.\n')
  })
})

describe('--emulator', () => {
  it('needs no account', async () => {
    const { code, out } = await command([...aTask, '--emulator', '--poll-every-ms', '5']).ended()
    expect([code, out]).toStrictEqual([0, expect.stringMatching(/^03A/)])
  })

  it.each([[[]], [['--key', EMULATOR_KEY]]])('is ended with the command (%j)', async (more) => {
    const { loadEmulator, areUp } = watchedEmulator()
    await command([...aTask, '--emulator', '--poll-every-ms', '5', ...more], { loadEmulator }).code
    expect(await areUp()).toStrictEqual([false])
  })

  it('fails as told, and says that its tasks end with it', async () => {
    const fault = ['--fault', 'task:1:ERROR_CAPTCHA_UNSOLVABLE', '--fault', 'getTaskResult:1:reset']
    const { code, err } = await command([...aTask, '--emulator', '--poll-every-ms', '5', ...fault]).ended()
    expect(code).toBe(3)
    expect(err).toMatch(new RegExp(`\nTask ${uuid} was the embedded emulator's, which ends with this command.\n$`))
    expect(err).not.toContain('rx-captcha resume')
  })

  it.each([
    [['--emulator', '--base-url', 'https://a.b'], '--emulator: not together with --base-url'],
    [['--fault', 'createTask:1:reset'], '--fault: only together with --emulator'],
    [['--emulator', '--fault', 'createTask:1:rest'], '--fault: fault rule "createTask:1:rest": no such fault']
  ])('refuses %j', async (more, why) => {
    const { code, err } = await command([...aTask, ...more]).ended()
    expect(code).toBe(2)
    expect(err).toContain(`error: ${why}`)
  })
})

describe('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129]
  ] as const)('%s tells the task and how to resume it, and ends with %d', async (signal, code) => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const solving = command(aTask, { env: at(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    solving.signal(signal)
    const ended = await solving.ended()
    expect(ended).toMatchObject({ code, out: '' })
    expect(ended.err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
  })

  it('tells as JSON too', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const solving = command([...aTask, '--json'], { env: at(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    solving.signal('SIGINT')
    const { code, out } = await solving.ended()
    expect(code).toBe(130)
    expect(JSON.parse(out)).toMatchObject({ error: { _tag: 'Interrupted' }, advice: 'resume' })
  })

  it('tells that nothing was paid when nothing was created', async () => {
    const emulator = await start({ faults: ['createTask:always:ERROR_NO_SLOT_AVAILABLE'] })
    const solving = command(aTask, { env: at(emulator), stderr: makeConsole({ isTTY: true }) })
    // Not when the emulator counted its refusal: the answer is still on the way then, and nobody here knows of it.
    await solving.says('come later, wait \\d+ s')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain('Nothing was paid.')
  })

  it('ends a wait that an assumed "come later" began, which the line on a terminal tells', async () => {
    const env = at(await start({ faults: ['createTask:1:503'] }))
    const solving = command(aTask, { env, stderr: makeConsole({ isTTY: true }) })
    await solving.says('HTTP 503, comes later')
    await solving.says('come later, wait \\d+ s')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain('may be paid for')
  })

  it('ends the demonstration, at its real pace', async () => {
    const showing = command(['demo'])
    await showing.says('created')
    showing.signal('SIGINT')
    expect((await showing.ended()).code).toBe(130)
  })

  const withOpenCreate = async (fault: string) => {
    const emulator = await start({ faults: [`createTask:1:billed+${fault}`] })
    const solving = command(aTask, { env: at(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    return { emulator, solving }
  }

  it('waits for a createTask that has left, whose task can then be resumed', async () => {
    const { emulator, solving } = await withOpenCreate('slow=150')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
  })

  it('stops at once when it comes again, and tells that nobody knows', async () => {
    const { solving } = await withOpenCreate('silent')
    solving.signal('SIGINT')
    await solving.says('createTask has left: its answer is waited for')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain('its id is unknown')
    expect(err).not.toContain('rx-captcha resume')
  })

  it('stops waiting for a createTask that came too late, the first time', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+silent'] })
    const solving = command([...aTask, '--give-up-after-ms', '20'], { env: at(emulator) })
    await solving.says('createTask has left')
    solving.signal('SIGINT')
    expect((await solving.ended()).code).toBe(130)
  })
})

describe('rx-captcha emulate', () => {
  it.each(['emulate', 'emulator'])(
    'as `%s` prints its address and key, and on Ctrl-C what it counted',
    async (name) => {
      const rules = ['--fault', 'createTask:2:ERROR_ZERO_BALANCE', '--base-path', '/v1', '--seed', '7']
      const serving = command([name, ...rules, '--ready-after-ms', '0-1'])
      await serving.says('Ctrl-C')
      serving.signal('SIGINT')
      const { code, out, err } = await serving.ended()
      expect([code, err]).toStrictEqual([0, 'The emulator runs with --seed 7. Ctrl-C stops it.\n'])
      expect(out).toMatch(
        new RegExp(`^CAPTCHA_BASE_URL=http://127.0.0.1:\\d+/v1\nCAPTCHA_CLIENT_KEY=${EMULATOR_KEY}\n(# .*\n){4}$`)
      )
    }
  )

  it.each(['emulate', 'demo'])('is ended with `%s`', async (name) => {
    const { loadEmulator, areUp } = watchedEmulator()
    const serving = command([name], { loadEmulator })
    await serving.says('Ctrl-C|created')
    expect(await areUp()).toStrictEqual([true])
    serving.signal('SIGINT')
    await serving.code
    expect(await areUp()).toStrictEqual([false])
  })

  it('serves what is printed', async () => {
    const serving = command(['emulate', '--ready-after-ms', '0'], { stdout: makeConsole() })
    await serving.says('Ctrl-C')
    const url = serving.url()
    await command(aTask, {
      env: { CAPTCHA_BASE_URL: url, CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_POLL_EVERY_MS: '5' }
    }).code
    serving.signal('SIGTERM')
    const { out } = await serving.ended()
    expect(out).toMatch(/# createTask {5}1 calls: 1 tasks, 0 refused, 0 answers lost\n/)
    expect(out).toMatch(/# getTaskResult {2}1 calls: 1 solutions handed over, 0 never fetched\n/)
    expect(out).toMatch(/# smallest gap {3}\d+ ms, 0 polls overlapped\n/)
  })

  it.each([
    ['--port', '65536', 'expected a port, a whole number from 0 to 65535'],
    ['--port', '-1', 'expected a port'],
    ['--seed', 'x', 'expected a seed'],
    ['--seed', '4294967296', 'expected a seed'],
    ['--ready-after-ms', '5-', 'expected milliseconds or MIN-MAX'],
    ['--ready-after-ms', '5-4', 'expected MIN-MAX with the smaller number first'],
    ['--ready-after-ms', '5-99999999999', 'expected milliseconds or MIN-MAX']
  ])('names %s for %s', async (option, value, why) => {
    const { code, out, err } = await command(['emulate', option, value]).ended()
    expect([code, out]).toStrictEqual([2, ''])
    expect(err).toContain(`error: ${option}: ${why}`)
  })

  it.each([
    [['--base-path', 'v1'], "basePath is '' or like '/v1'"],
    [['--fault', 'foo'], 'fault rule "foo"']
  ])('does not start with %j', async (argv, why) => {
    const { code, err } = await command(['emulate', ...argv]).ended()
    expect(code).toBe(2)
    expect(err).toContain(`error: the emulator does not start: ${why}`)
  })

  it('tells that its port is in use', async () => {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { code, err } = await command(['emulate', '--port', String(port)]).ended()
    server.close()
    expect(code).toBe(2)
    expect(err).toContain('EADDRINUSE')
  })
})

describe('what is printed of others', () => {
  it('holds no control sequences', () => {
    expect(printable('a\x1b[31mb\u009bc\u202ed\ne')).toBe('a?[31mb?c?d\ne')
  })

  it.each([
    ['plain-1.2_3', 'plain-1.2_3'],
    ['', "''"],
    ["it's $HOME", "'it'\\''s $HOME'"]
  ])('reaches a shell whole: %j', (text, expected) => {
    expect(quoted(text)).toBe(expected)
  })

  it('keeps an id that looks like an option apart from the options', async () => {
    const stderr = makeConsole()
    const reporting = {
      json: false,
      createdAt: 'known',
      repeated: ['--base-url', 'https://a.b'],
      embedded: false
    } as const
    const ref = { taskId: '-x y', createdAt: 1 }
    await report(makeWorld({ stderr }), reporting, { _tag: 'Left', left: { _tag: 'Interrupted', paid: 'yes', ref } })
    expect(stderr.text()).toMatch(/\n {2}rx-captcha resume --created-at 1 --base-url https:\/\/a\.b -- '-x y'\n$/)
  })

  it('is a message, whatever was thrown', () => {
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(null)]).toStrictEqual(['a', 'b', 'null'])
  })

  it('is 128 for a signal without a number of its own', () => {
    expect(exitOfSignal('SIGUSR1')).toBe(128)
  })
})
