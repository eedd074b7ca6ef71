import { once } from 'node:events'
import { createServer } from 'node:net'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { exitCodeOfSignal } from '../../lib/cli/shared/exit-code.js'
import { reasonOf, counted, durationText, messageOf, printable, shellQuoted } from '../../lib/cli/shared/text.js'
import { SOLVE, UUID, command, envOf, makeConsole, watchedEmulator } from '../support/command.js'
import { emulators, until } from '../support/raw-http.js'

const start = emulators()

describe('rx-captcha', () => {
  it('has a help with examples, variables and exit codes', async () => {
    const { code, out, err } = await command(['--help']).ended()
    expect([code, err]).toStrictEqual([0, ''])
    for (const part of ['Examples:', 'CAPTCHA_CLIENT_KEY ', 'CAPTCHA_GIVE_UP_AFTER_MS', 'Exit codes:', '130'])
      expect(out).toContain(part)
  })

  it.each(['', 'solve', 'resume', 'batch', 'worker', 'emulate', 'demo'])(
    'keeps the help of "%s" within 80 columns',
    async (name) => {
      const { out } = await command([name, '--help'].filter(Boolean)).ended()
      expect(out).toContain('Usage: ')
      expect(out.split('\n').filter((line) => line.length > 80)).toStrictEqual([])
    }
  )

  const POLL = 'CAPTCHA_POLL_EVERY_MS'
  const REDIS = 'RX_CAPTCHA_REDIS_URL'
  it.each([
    ['', [POLL, REDIS]],
    ['solve', [POLL]],
    ['worker', [POLL, REDIS]],
    ['balance', []]
  ])('lists in the help of "%s" the variables of its options, and no other', async (name, expected) => {
    const { out } = await command([name, '--help'].filter(Boolean)).ended()
    expect(out).toContain('CAPTCHA_CLIENT_KEY ')
    expect([POLL, REDIS].filter((variable) => out.includes(`  ${variable} `))).toStrictEqual(expected)
  })

  it('prints its version', async () => {
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
    [[...SOLVE, '--nope'], "unknown option '--nope'"]
  ])('exits with 2 for %j, and prints why on stderr', async (argv, why) => {
    const { code, out, err } = await command(argv).ended()
    expect([code, out]).toStrictEqual([2, ''])
    expect(err).toContain(why)
    expect(err).toContain('--help')
  })

  it.each([
    [['--base-url', 'x'], 'https://a.b', '--base-url'],
    [['--base-url=x'], 'https://a.b', '--base-url'],
    [[], 'x', 'CAPTCHA_BASE_URL']
  ])('names where a bad address comes from: %j, %s', async (argv, CAPTCHA_BASE_URL, name) => {
    const env = { CAPTCHA_CLIENT_KEY: 'key-for-tests', CAPTCHA_BASE_URL }
    const { code, err } = await command([...SOLVE, ...argv], { env }).ended()
    expect([code, err]).toStrictEqual([2, `error: ${name}: expected an address such as https://api.1captcha.vip\n`])
  })

  const DURATION = 'Expected a whole number of milliseconds from 1 to 2147483647.'
  const noDurations = ['-1', '0', '1.5', '1e3', '2147483648', '9'.repeat(400), 'soon', '']

  it.each(noDurations)('refuses %j as a duration', async (value) => {
    const { code, out, err } = await command([...SOLVE, '--emulator', '--poll-every-ms', value]).ended()
    expect([code, out]).toStrictEqual([2, ''])
    expect(err).toBe(
      `error: option '--poll-every-ms <ms>' argument '${value}' is invalid. ${DURATION}\n(--help shows the usage)\n`
    )
  })

  const KEY = 'canary-0123456789abcdef'
  it.each([
    [[KEY]],
    [[`--clinet-key=${KEY}`]],
    [['solve', KEY]],
    [[...SOLVE, '--base-url', KEY]],
    [['batch', '-', '--concurrency', KEY]],
    [['batch', '-', '--queue', `a:${KEY}`]],
    [['batch', KEY]],
    [['batch', __filename, '--out', `/nowhere/${KEY}`]],
    [['journal', KEY]],
    [['emulate', '--fault', KEY]]
  ])('does not print the client key if it was typed in a wrong place: %j', async (argv) => {
    const { code, out, err } = await command(argv, { env: { CAPTCHA_CLIENT_KEY: ` ${KEY}\n` } }).ended()
    expect([code, err]).toStrictEqual([2, expect.stringMatching(/^error: /)])
    expect(out + err).not.toContain(KEY)
  })

  it('names the variable of a bad value', async () => {
    const { code, err } = await command([...SOLVE, '--emulator'], { env: { CAPTCHA_GIVE_UP_AFTER_MS: 'x' } }).ended()
    expect([code, err]).toStrictEqual([2, `error: CAPTCHA_GIVE_UP_AFTER_MS: ${DURATION}\n`])
  })

  it('takes an empty variable for one that is not set', async () => {
    const env = { CAPTCHA_GIVE_UP_AFTER_MS: '', CAPTCHA_BASE_URL: '', CAPTCHA_CLIENT_KEY: 'a-key-of-nobody' }
    expect((await command([...SOLVE, '--emulator', '--poll-every-ms', '5'], { env }).ended()).code).toBe(0)
  })

  it('lets an option override its variable, which is then not even parsed', async () => {
    const env = { ...envOf(await start()), CAPTCHA_POLL_EVERY_MS: 'x' }
    expect((await command([...SOLVE, '--poll-every-ms', '5'], { env }).ended()).code).toBe(0)
  })

  it('names every option that the solver refuses', async () => {
    const env = { CAPTCHA_CLIENT_KEY: 'short' }
    const { code, err } = await command([...SOLVE, '--base-url', 'http://example.com'], { env }).ended()
    expect(code).toBe(2)
    expect(err).toMatch(/^error: the client key: .*at least 8 .*\nerror: --base-url: expected https .*\n$/)
  })

  it('reports an internal error without a stack trace, and that a task may be paid for', async () => {
    const env = {
      get CAPTCHA_CLIENT_KEY(): string {
        throw new Error('a broken context')
      }
    }
    const { code, err } = await command(SOLVE, { env }).ended()
    expect(code).toBe(4)
    expect(err).toBe('internal error (please report it): a broken context. A task may have been paid for.\n')
  })
})

describe('--emulator', () => {
  it('needs no account', async () => {
    const { code, out } = await command([...SOLVE, '--emulator', '--poll-every-ms', '5']).ended()
    expect([code, out]).toStrictEqual([0, expect.stringMatching(/^03A/)])
  })

  it.each([[[]], [['--key', EMULATOR_KEY]]])('stops the emulator with the command (%j)', async (more) => {
    const { loadEmulator, areUp } = watchedEmulator()
    await command([...SOLVE, '--emulator', '--poll-every-ms', '5', ...more], { loadEmulator }).code
    expect(await areUp()).toStrictEqual([false])
  })

  it('injects faults, and prints that its tasks end with the command', async () => {
    const faults = ['--fault', 'task:1:ERROR_CAPTCHA_UNSOLVABLE', '--fault', 'getTaskResult:1:reset']
    const { code, err } = await command([...SOLVE, '--emulator', '--poll-every-ms', '5', ...faults]).ended()
    expect(code).toBe(3)
    expect(err).toMatch(
      new RegExp(`\nTask ${UUID} belonged to the embedded emulator, which costs nothing and ends with this command.\n$`)
    )
    expect(err).not.toContain('rx-captcha resume')
  })

  it('is implied by --fault', async () => {
    const { code } = await command([...SOLVE, '--poll-every-ms', '5', '--fault', 'getTaskResult:1:reset']).ended()
    expect(code).toBe(0)
  })

  it.each([
    [
      ['--emulator', '--base-url', 'https://a.b'],
      "error: option '--emulator' cannot be used with option '--base-url <address>'"
    ],
    [['--emulator', '--fault', 'createTask:1:rest'], 'error: --fault: fault rule "createTask:1:rest": no such fault']
  ])('refuses %j', async (more, why) => {
    const { code, err } = await command([...SOLVE, ...more]).ended()
    expect(code).toBe(2)
    expect(err).toContain(why)
  })
})

describe('a signal to solve', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129]
  ] as const)('%s prints the task and how to resume it, and exits with %d', async (signal, code) => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const solving = command(SOLVE, { env: envOf(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    solving.signal(signal)
    const ended = await solving.ended()
    expect(ended).toMatchObject({ code, out: '' })
    expect(ended.err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
  })

  it('prints the task as JSON with --json', async () => {
    const emulator = await start({ readyAfterMs: 60_000 })
    const solving = command([...SOLVE, '--json'], { env: envOf(emulator) })
    await until(() => emulator.counters().requests.getTaskResult > 0)
    solving.signal('SIGINT')
    const { code, out } = await solving.ended()
    expect(code).toBe(130)
    expect(JSON.parse(out)).toMatchObject({ error: { _tag: 'Interrupted' }, advice: 'resume' })
  })

  it('prints that nothing was paid if nothing was created', async () => {
    const emulator = await start({ faults: ['createTask:always:ERROR_NO_SLOT_AVAILABLE'] })
    const solving = command(SOLVE, { env: envOf(emulator), stderr: makeConsole({ isTTY: true }) })
    // The counters of the emulator would be too early: its reply may still be on the way.
    await solving.prints('service unavailable, wait \\d+ s')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain('Nothing was paid.')
  })

  it('prints that a task may be paid for if createTask got an HTTP 503 without a document', async () => {
    const env = envOf(await start({ faults: ['createTask:1:503'] }))
    const solving = command(SOLVE, { env, stderr: makeConsole({ isTTY: true }) })
    await solving.prints('service unavailable, wait \\d+ s')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain('may have created a paid task')
    expect(err).not.toContain('that got HTTP 503')
  })

  const solvingWithOpenCreate = async (fault: string) => {
    const emulator = await start({ faults: [`createTask:1:billed+${fault}`] })
    const solving = command(SOLVE, { env: envOf(emulator) })
    await until(() => emulator.counters().requests.createTask > 0)
    return { emulator, solving }
  }

  it('waits for a createTask that was sent, whose task can then be resumed', async () => {
    const { emulator, solving } = await solvingWithOpenCreate('slow=150')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain(`rx-captcha resume ${emulator.tasks()[0]!.taskId} --created-at `)
  })

  it('stops at once the second time, and prints that the id of the task is unknown', async () => {
    const { solving } = await solvingWithOpenCreate('silent')
    solving.signal('SIGINT')
    await solving.prints('Waiting for the createTask reply')
    solving.signal('SIGINT')
    const { code, err } = await solving.ended()
    expect(code).toBe(130)
    expect(err).toContain('its id is unknown')
    expect(err).not.toContain('rx-captcha resume')
  })

  it('stops the wait for a createTask whose reply is later than the deadline', async () => {
    const emulator = await start({ faults: ['createTask:1:billed+silent'] })
    const solving = command([...SOLVE, '--give-up-after-ms', '20'], { env: envOf(emulator) })
    await solving.prints('Waiting for the createTask reply')
    solving.signal('SIGINT')
    expect((await solving.ended()).code).toBe(130)
  })
})

describe('rx-captcha emulate', () => {
  it.each(['emulate', 'emulator'])('as `%s` prints its address and key, and its counters on Ctrl-C', async (name) => {
    const options = ['--fault', 'createTask:2:ERROR_ZERO_BALANCE', '--base-path', '/v1', '--seed', '7']
    const serving = command([name, ...options, '--ready-after-ms', '0-1'])
    await serving.prints('Ctrl-C')
    serving.signal('SIGINT')
    const { code, out, err } = await serving.ended()
    expect(code).toBe(0)
    expect(err).toMatch(
      /^Status page: http:\/\/127\.0\.0\.1:\d+\/v1\/\nThe emulator is running with --seed 7\. Press Ctrl-C to stop it\.\n$/
    )
    expect(out).toMatch(
      new RegExp(`^CAPTCHA_BASE_URL=http://127.0.0.1:\\d+/v1\nCAPTCHA_CLIENT_KEY=${EMULATOR_KEY}\n(# .*\n){7}$`)
    )
  })

  it.each(['emulate', 'demo'])('stops the emulator of `%s` with the command', async (name) => {
    const { loadEmulator, areUp } = watchedEmulator()
    const serving = command([name], { loadEmulator })
    await serving.prints('Ctrl-C|created')
    expect(await areUp()).toStrictEqual([true])
    serving.signal('SIGINT')
    await serving.code
    expect(await areUp()).toStrictEqual([false])
  })

  it('serves at the address that it prints', async () => {
    const serving = command(['emulate', '--ready-after-ms', '0'], { stdout: makeConsole() })
    await serving.prints('Ctrl-C')
    const env = { CAPTCHA_BASE_URL: serving.url(), CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_POLL_EVERY_MS: '5' }
    await command(SOLVE, { env }).code
    serving.signal('SIGTERM')
    const { out } = await serving.ended()
    expect(out).toContain('# createTask: 1 (created 1, refused 0, reply lost 0)\n')
    expect(out).toContain('# getTaskResult: 1 (delivered 1, never fetched 0)\n')
    expect(out).toContain('# siteverify: 0 (accepted 0, not accepted 0)\n# getBalance: 0\n')
    expect(out).toMatch(/# shortest delay before a poll: \d+ ms\n# overlapping polls: 0\n/)
  })

  it('accepts no other secret at siteverify than that of --site-secret', async () => {
    const serving = command(['emulate', '--ready-after-ms', '0', '--site-secret', 'own-secret'])
    await serving.prints('Ctrl-C')
    const verify = async (secret: string): Promise<unknown> => {
      const body = new URLSearchParams({ secret, response: 'no-token' })
      return (await fetch(`${serving.url()}/siteverify`, { method: 'POST', body })).json()
    }
    expect(await verify('other')).toMatchObject({ 'error-codes': ['invalid-input-secret'] })
    expect(await verify('own-secret')).toMatchObject({ 'error-codes': ['invalid-input-response'] })
    serving.signal('SIGINT')
    expect(await serving.code).toBe(0)
  })

  it('gives numeric ids with --numeric-ids, which must come back as numbers', async () => {
    const serving = command(['emulate', '--ready-after-ms', '0', '--numeric-ids', '--seed', '7'])
    await serving.prints('Ctrl-C')
    const env = { CAPTCHA_BASE_URL: serving.url(), CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_POLL_EVERY_MS: '5' }
    const solved = await command([...SOLVE, '--json'], { env }).ended()
    serving.signal('SIGINT')
    await serving.code
    expect(JSON.parse(solved.out)).toMatchObject({ taskId: expect.stringMatching(/^\d+$/) as string, numeric: true })
  })

  it.each(['createTask:500ms:502', 'outage:2s:502'])('takes the fault %s, which its help shows', async (fault) => {
    expect((await command(['emulate', '--help']).ended()).out).toContain(fault)
    const serving = command(['emulate', '--fault', fault])
    await serving.prints('Ctrl-C')
    serving.signal('SIGINT')
    expect(await serving.code).toBe(0)
  })

  it.each([
    ['--port', '65536', 'Expected a port from 0 to 65535.'],
    ['--port', '-1', 'Expected a port'],
    ['--seed', 'x', 'Expected a whole number from 0'],
    ['--seed', '4294967296', 'Expected a whole number from 0'],
    ['--ready-after-ms', '5-', 'Expected MIN-MAX, or a whole number of milliseconds'],
    ['--ready-after-ms', '5-4', 'Expected MIN-MAX with the smaller number first.'],
    ['--ready-after-ms', '5-99999999999', 'Expected MIN-MAX, or a whole number of milliseconds']
  ])('refuses %s %s', async (option, value, why) => {
    const { code, out, err } = await command(['emulate', option, value]).ended()
    expect([code, out]).toStrictEqual([2, ''])
    expect(err).toContain(`error: option '${option} `)
    expect(err).toContain(why)
  })

  it.each([
    [['--base-path', 'v1'], '--base-path: expected'],
    [['--base-path', '/v 1'], '--base-path: expected'],
    [['--site-secret', ''], '--site-secret: expected'],
    [['--fault', 'foo'], 'fault rule "foo"']
  ])('does not start with %j', async (argv, why) => {
    const { code, err } = await command(['emulate', ...argv]).ended()
    expect(code).toBe(2)
    expect(err).toContain(`error: the emulator does not start: ${why}`)
  })

  it('reports a port in use', async () => {
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

describe('text of the command', () => {
  it('holds no control sequences of others', () => {
    expect(printable('a\x1b[31mb\u009bc\u202ed\ne')).toBe('a?[31mb?c?d\ne')
  })

  it.each([
    ['plain-1.2_3', 'plain-1.2_3'],
    ['', "''"],
    ["it's $HOME", "'it'\\''s $HOME'"]
  ])('quotes %j for a shell', (text, expected) => {
    expect(shellQuoted(text)).toBe(expected)
  })

  it.each([
    [1, '1 task'],
    [0, '0 tasks'],
    [1_200, '1,200 tasks']
  ])('counts %d', (count, expected) => {
    expect(counted(count, 'task')).toBe(expected)
  })

  it.each([
    [1_549, '1.5 s'],
    [61_000, '1 min 1 s'],
    [3_600_000 * 2 + 180_000, '2 h 3 min']
  ])('names a duration of %d ms', (ms, expected) => {
    expect(durationText(ms)).toBe(expected)
  })

  it('is a message, whatever was thrown', () => {
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(null)]).toStrictEqual(['a', 'b', 'null'])
    const reasons = [{ code: 'ENOSPC' }, { code: 'E' }, {}].map((fields) =>
      reasonOf(Object.assign(new Error('b'), fields))
    )
    expect(reasons).toStrictEqual(['ENOSPC: no space left on device', 'E', 'b'])
  })

  it('has the exit code 128 for a signal without a known number', () => {
    expect(exitCodeOfSignal('SIGUSR1')).toBe(128)
  })
})
