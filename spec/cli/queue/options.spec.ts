import { ndjson, task, testFiles } from '../../support/batch.js'
import { command, type CommandOptions } from '../../support/command.js'
import { ClaimGate } from '../../../lib/cli/queue/submit/claim-gate.js'

const { file } = testFiles()

/** Runs the command, and counts how often it loads BullMQ. */
const run = async (argv: ReadonlyArray<string>, options: CommandOptions = {}) => {
  let loaded = 0
  const loadQueue = () => {
    loaded += 1
    return Promise.reject(Object.assign(new Error('not here'), { code: 'MODULE_NOT_FOUND' }))
  }
  return { ...(await command(argv, { loadQueue, ...options }).ended()), loaded: () => loaded }
}

describe('the options of batch', () => {
  const input = file('.ndjson', ndjson(task(1)))

  it.each([
    ['--journal', ['--journal', 'x.journal'], 'because the queue records what is paid for'],
    ['--retry-failed', ['--retry-failed'], 'a queue solves a key once: give the item another id'],
    ['--max-tasks', ['--max-tasks', '5'], 'because its workers create the tasks'],
    ['--creates-per-second', ['--creates-per-second', '5'], 'because the workers call the service'],
    ['--base-url', ['--base-url', 'https://example.com'], 'pass it to rx-captcha worker'],
    ['--client-key-file', ['--client-key-file', 'x'], 'pass it to rx-captcha worker'],
    ['--poll-every-ms', ['--poll-every-ms', '5'], 'pass it to rx-captcha worker'],
    ['--give-up-after-ms', ['--give-up-after-ms', '5'], 'pass it to rx-captcha worker'],
    ['--emulator', ['--emulator'], 'pass it to rx-captcha worker'],
    ['--fault', ['--fault', 'createTask:1:reset'], 'pass it to rx-captcha worker']
  ])('do not include %s with --queue', async (option, argv, why) => {
    const { code, err } = await run(['batch', input, '--queue', 'q', '--redis', 'redis://127.0.0.1:1', ...argv])
    expect([code, err]).toStrictEqual([
      2,
      expect.stringMatching(new RegExp(`^error: ${option}: cannot be used with --queue, .*${why}`))
    ])
  })

  it('may have variables of the service with --queue', async () => {
    const env = { CAPTCHA_BASE_URL: 'https://example.com', CAPTCHA_POLL_EVERY_MS: '5' }
    const { err } = await run(['batch', input, '--queue', 'q', '--redis', 'redis://127.0.0.1:1'], { env })
    expect(err).toBe('error: --queue needs two packages that are not installed: npm install bullmq ioredis\n')
  })

  it('include --redis only with --queue', async () => {
    const { code, err } = await run(['batch', input, '--redis', 'redis://127.0.0.1:1', '--emulator'])
    expect([code, err]).toStrictEqual([2, 'error: --redis: requires --queue NAME\n'])
  })

  it.each([['a:b'], ['']])('do not take %j as the name of a queue', async (name) => {
    const { code, err } = await run(['batch', input, '--queue', name])
    expect([code, err]).toStrictEqual([2, expect.stringMatching(/is invalid\. Expected a name without a colon\.\n/)])
  })

  it('are not repeated with the password of an address', async () => {
    const { err } = await run(['batch', input, '--reddis=redis://user:secret@127.0.0.1:6379'])
    expect(err).toContain("unknown option '--reddis=redis://…@127.0.0.1:6379'")
  })
})

describe('BullMQ', () => {
  it.each([
    [['--help']],
    [['worker', '--help']],
    [['batch', '--help']],
    [['batch', file('.csv', 'websiteURL,websiteKey\n'), '--emulator']]
  ])('is not loaded by %j', async (argv) => {
    const { code, loaded } = await run(argv)
    expect([code, loaded()]).toStrictEqual([0, 0])
  })

  it('is loaded by worker, which needs the name of a queue', async () => {
    expect((await run(['worker', '--emulator'])).err).toContain("required option '--queue <name>' not specified")
    const env = { RX_CAPTCHA_REDIS_URL: ' redis://127.0.0.1:1 ' }
    expect((await run(['worker', '--emulator', '--queue', 'q'], { env })).loaded()).toBe(1)
  })
})

describe('a ClaimGate', () => {
  const gateOver = (runCommand: (name: string) => Promise<unknown>) => {
    const client = { defineCommand: () => undefined, runCommand }
    const none = () => Promise.resolve(undefined)
    const gate = new ClaimGate({
      ...{ toKey: (type) => type, add: none, getJob: none, getJobState: () => Promise.resolve('active') },
      ...{ pause: () => Promise.resolve(), rateLimit: () => Promise.resolve() },
      getBackend: () => ({ client: Promise.resolve(client) })
    })
    return { gate, client: gate.queue.getBackend().client }
  }

  it('awaits the commands that were sent when it stops, whatever they end with', async () => {
    const replies: { readonly resolve: (reply: unknown) => void; readonly reject: (error: Error) => void }[] = []
    const { gate, client } = gateOver(() => new Promise((resolve, reject) => void replies.push({ resolve, reject })))
    const { runCommand } = await client
    const [token, lost] = [runCommand('claim', []), runCommand('claim', [])]
    let isStopped = false
    const stopping = gate.stop().then(() => (isStopped = true))
    replies[1]!.reject(new Error('lost'))
    await expect(lost).rejects.toThrow('lost')
    expect(isStopped).toBe(false)
    replies[0]!.resolve('token')
    await stopping
    expect(await token).toBe('token')
  })

  it('sends no command any more when it has stopped', async () => {
    const sent: string[] = []
    const { gate, client } = gateOver((name) => Promise.resolve(sent.push(name)))
    const { runCommand } = await client
    await runCommand('before', [])
    await gate.stop()
    void runCommand('after', [])
    expect(sent).toStrictEqual(['before'])
  })
})
