import { EMULATOR_KEY, startEmulator, type Emulator } from 'rx-captcha/emulator'
import { command, envOf, makeConsole } from '../support/command.js'

describe('rx-captcha balance', () => {
  let emulator: Emulator
  beforeAll(async () => {
    emulator = await startEmulator({ readyAfterMs: 0 })
  })
  afterAll(() => emulator.close())

  const balance = (argv: ReadonlyArray<string> = [], env: Record<string, string> = {}) =>
    command(['balance', ...argv], { env: { ...envOf(emulator), ...env } }).ended()

  it('prints the balance alone, which falls with each task', async () => {
    expect(await balance()).toStrictEqual({ code: 0, out: '10\n', err: '' })
    await command(['solve', '--url', 'https://example.com', '--key', 'k'], { env: envOf(emulator) }).ended()
    expect(await balance(['--json'])).toStrictEqual({ code: 0, out: '{"ok":true,"balance":9.999}\n', err: '' })
    expect(emulator.counters().requests.getBalance).toBe(2)
  })

  it('explains a refusal, and never prints the key', async () => {
    const key = 'canary-key-9f8e7d6c'
    const { code, out, err } = await balance([], { CAPTCHA_CLIENT_KEY: key })
    expect([code, out]).toStrictEqual([1, ''])
    expect(err).toBe(
      'error: The call /getBalance failed: ERROR_KEY_DOES_NOT_EXIST, "no account has this clientKey", HTTP 200. It created no ' +
        'task. Check the key, the balance and the permissions of the account first.\n'
    )
  })

  it.each([
    ['ENOSPC', 1, 'error: the output cannot be written (ENOSPC: no space left on device)\n'],
    ['EPIPE', 0, '']
  ])('fails if its output cannot be written, unless the reader is gone: %s', async (broken, code, err) => {
    const running = command(['balance'], { env: envOf(emulator), stdout: makeConsole({ broken }) })
    expect(await running.ended()).toStrictEqual({ code, out: '', err })
  })

  it('explains a failure of the service', async () => {
    const failing = await startEmulator({ faults: ['getBalance:1:503'] })
    const { code, err } = await command(['balance'], { env: envOf(failing) }).ended()
    await failing.close()
    expect([code, err]).toStrictEqual([1, expect.stringMatching(/^error: The call \/getBalance failed: HTTP 503/)])
  })

  it('prints a failure as JSON with --json', async () => {
    const { code, out } = await balance(['--json'], { CAPTCHA_BASE_URL: 'http://127.0.0.1:1' })
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ ok: false, error: { _tag: 'CallFailed', cause: { code: 'ECONNREFUSED' } } })
    expect(out).not.toContain(EMULATOR_KEY)
  })
})
