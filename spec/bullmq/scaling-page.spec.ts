import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { built } from '../support/built.js'
import { blocksOf } from '../support/doc-pages.js'
import { asCommonJs } from '../support/nest-programs.js'
import { QueueRig, until } from '../support/queue.js'
import { describeWithRedis } from '../support/redis.js'

const PAGE = 'docs/scaling.md'

const PROGRAMS = ['worker.ts', 'producer.ts'] as const

const programOf = (name: string): string => blocksOf(PAGE).find(({ code }) => code.startsWith(`// ${name},`))!.code

describeWithRedis(PAGE, () => {
  const rig = new QueueRig()
  const build = built()
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-page-'))

  beforeAll(() => {
    const sources = Object.fromEntries(PROGRAMS.map((name) => [name, programOf(name)]))
    for (const [name, code] of Object.entries(asCommonJs(sources))) writeFileSync(join(folder, name), code)
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  /** Starts a program of the page. */
  const run = (name: (typeof PROGRAMS)[number], emulator: Emulator) => {
    const argv = [join(__dirname, '../support/page-program.cjs'), join(folder, name), build(), emulator.url]
    const env = { ...process.env, REDIS_URL: rig.redis.url, CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
    const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += String(text)))
    const ended = once(child, 'close').then(([code]) => code as number | null)
    rig.onEnd(async () => {
      child.kill('SIGKILL')
      await ended
    })
    return { child, ended, output: () => output }
  }

  it('has a worker and a producer that solve an order, and a worker that ends by SIGTERM', async () => {
    const emulator = await rig.emulator()
    const worker = run('worker.ts', emulator)
    const producer = run('producer.ts', emulator)
    expect(await producer.ended).toBe(0)
    expect(producer.output()).toBe('order-1 solved\n')
    worker.child.kill('SIGTERM')
    expect(await worker.ended).toBe(0)
    expect(worker.output()).toBe('')
  })

  it('has a producer that says why an order was not solved', async () => {
    const emulator = await rig.emulator({ faults: ['task:always:ERROR_CAPTCHA_UNSOLVABLE'] })
    await rig.flush()
    run('worker.ts', emulator)
    const producer = run('producer.ts', emulator)
    await until(() => producer.output().includes('ERROR_CAPTCHA_UNSOLVABLE'))
    expect(producer.output()).toMatch(/^order-1 The service ended task \S+ with an error: ERROR_CAPTCHA_UNSOLVABLE/)
  })
})
