import { execFileSync } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import type { Emulator } from 'rx-captcha/emulator'
import { batch, ndjson, task, testFiles } from '../../support/batch.js'
import { command, envOf } from '../../support/command.js'
import { emulators, until } from '../../support/raw-http.js'

const start = emulators()
const { folder, file } = testFiles()

/** Does something while a run has the output. */
const whileInUse = async <A>(argv: ReadonlyArray<string>, act: (emulator: Emulator) => Promise<A>): Promise<A> => {
  const emulator = await start({ readyAfterMs: 60_000 })
  const running = command(['batch', file('.ndjson', ndjson(task(1))), ...argv], { env: envOf(emulator) })
  await until(() => emulator.counters().requests.getTaskResult > 0)
  try {
    return await act(emulator)
  } finally {
    running.signal('SIGTERM')
    await running.code
  }
}

const linkedFolder = (): string => {
  const link = join(folder, 'linked')
  symlinkSync(folder, link)
  return link
}

describe('the file of --out, while another run has it,', () => {
  const symlinkTo = (out: string): string => {
    const link = file('.link')
    symlinkSync(out, link)
    return link
  }
  it.each<[string, ReadonlyArray<string>, (out: string) => ReadonlyArray<string>]>([
    ['by the same command', [], (out) => ['--out', out]],
    ['by a relative path', [], (out) => ['--out', relative(process.cwd(), out)]],
    ['by a link', [], (out) => ['--out', symlinkTo(out)]],
    ['by a link to its folder', [], (out) => ['--out', join(linkedFolder(), basename(out))]],
    ['with a journal', [], (out) => ['--out', out, '--journal', file('.journal')]],
    ['with another journal', ['--journal', file('.journal')], (out) => ['--out', out, '--journal', file('.journal')]],
    ['without the journal of that run', ['--journal', file('.journal')], (out) => ['--out', out]],
    ['with --emulator', [], (out) => ['--out', out, '--emulator']]
  ])('is refused at once %s, and nothing is paid', async (_, first, second) => {
    const out = file('.out')
    await whileInUse(['--out', out, ...first], async (emulator) => {
      const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(2))), ...second(out)], {
        env: { ...envOf(emulator), CAPTCHA_BASE_URL: '' }
      })
      expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 1])
      expect(err).toMatch(
        new RegExp(`^error: The journal .*${basename(out)}.journal has been held by process ${process.pid}`)
      )
    })
  })

  it('is refused by a hard link, and so is a file that has one', async () => {
    const [out, link] = [file('.out'), file('.link')]
    await whileInUse(['--out', out], async (emulator) => {
      linkSync(out, link)
      for (const path of [link, out]) {
        const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(2))), '--out', path])
        expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 1])
        expect(err).toContain(`--out: ${path} has other hard links`)
      }
    })
  })
})

describe('the file of --out', () => {
  describe('is refused before anything is created, and is left as it is,', () => {
    const refused = async (out: string, flags: ReadonlyArray<string>, holds: string) => {
      const emulator = await start()
      const before = readFileSync(out, 'utf8')
      // The same input: a run that took its tasks for done would end with 0.
      const env = { ...envOf(emulator), ...(flags.length > 0 && { CAPTCHA_BASE_URL: '' }) }
      const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--out', out, ...flags], { env })
      expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
      expect(err).toBe(`error: --out: ${out} holds tasks of ${holds} --emulator\n`)
      expect(readFileSync(out, 'utf8')).toBe(before)
    }

    it('by a run that pays, if the embedded emulator wrote to it, which marks its lines', async () => {
      const out = file('.out')
      const argv = ['batch', file('.ndjson', ndjson(task(1))), '--out', out, '--emulator', '--poll-every-ms', '5']
      for (const _ of [1, 2]) expect((await command(argv).ended()).code).toBe(0)
      expect(readFileSync(out, 'utf8')).toMatch(/^(\{"index":0,("key":"[^"]*",)?"emulator":true,"ok":true,.*\n){2}$/)
      await refused(out, [], 'the embedded emulator; use another file without')
    })

    it('by the embedded emulator, if a run that pays wrote to it, or may have paid', async () => {
      const out = file('.out')
      await batch(await start(), [file('.ndjson', ndjson(task(1))), '--out', out])
      const holds = 'a service; use another file with'
      for (const path of [`${out}.journal`, out]) {
        await refused(out, ['--emulator'], holds)
        if (path !== out) rmSync(path)
      }
      await batch(await start(), [file('.ndjson', ndjson(task(1))), '--out', out])
      writeFileSync(out, '')
      await refused(out, ['--emulator'], holds)
    })
  })

  it('is made where a link leads, with its journal, and the next run finds it by its own name', async () => {
    const emulator = await start()
    const [input, out, link] = [file('.ndjson', ndjson(task(1))), join(folder, 'elsewhere', 'real.out'), file('.link')]
    mkdirSync(dirname(out))
    symlinkSync(out, link)
    await batch(emulator, [input, '--out', link])
    expect(existsSync(`${out}.journal`)).toBe(true)
    expect((await batch(emulator, [input, '--out', out])).err).toContain('1 done before')
  })

  it('is refused as a pipe, whose reader may never come', async () => {
    const emulator = await start()
    const pipe = file('.pipe')
    execFileSync('mkfifo', [pipe])
    const { code, err } = await batch(emulator, [file('.ndjson', ndjson(task(1))), '--out', pipe])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(`--out: ${pipe} is not a regular file`)
  })

  it('may have its own journal named', async () => {
    const emulator = await start()
    const out = file('.out')
    const argv = [file('.ndjson', ndjson(task(1))), '--out', out, '--journal', `${out}.journal`]
    expect([(await batch(emulator, argv)).code, (await batch(emulator, argv)).code]).toStrictEqual([0, 0])
    expect(emulator.counters().accepted).toBe(1)
  })

  it.each([
    ['nothing is recorded in it', '', []],
    ['its only task was refused', ndjson(task(1)), ['createTask:1:ERROR_SITEKEY']]
  ])('removes the journal next to it if %s', async (_, input, faults) => {
    const out = file('.out')
    await batch(await start({ faults }), [file('.ndjson', input), '--out', out, '--journal', file('.journal')])
    expect(existsSync(`${out}.journal`)).toBe(false)
  })
})

describe('a task of an earlier run', () => {
  type Option = '--out' | '--journal'
  const runs: ReadonlyArray<ReadonlyArray<ReadonlyArray<Option>>> = [
    [['--out'], ['--out', '--journal']],
    [['--out'], ['--out', '--journal'], ['--journal']],
    [['--out', '--journal'], ['--out']],
    [['--out', '--journal'], ['--journal']],
    [['--journal'], ['--out', '--journal'], ['--out']]
  ]
  /** Runs with these options. The output is lost after each, as if the run had crashed before it wrote the outcome. */
  const solve = async (options: (typeof runs)[number], more: { readyAfterMs: number; faults?: string[] }) => {
    const giveUpAfterMs = more.readyAfterMs === 0 ? '10000' : '400'
    const emulator = await start(more)
    const [input, paths] = [file('.ndjson', ndjson(task(1))), { '--out': file('.out'), '--journal': file('.journal') }]
    const codes: number[] = []
    for (const names of options) {
      const argv = [input, '--give-up-after-ms', giveUpAfterMs, ...names.flatMap((name) => [name, paths[name]])]
      codes.push((await batch(emulator, argv)).code)
      rmSync(paths['--out'], { force: true })
    }
    return { codes, accepted: emulator.counters().accepted }
  }

  it.each([
    ['if it can be resumed', 3, { readyAfterMs: 60_000 }],
    ['if it is in doubt', 4, { readyAfterMs: 0, faults: ['createTask:1:billed+reset'] }],
    ['if it is finished', 0, { readyAfterMs: 0 }],
    ['if it failed', 3, { readyAfterMs: 0, faults: ['task:1:ERROR_CAPTCHA_UNSOLVABLE'] }]
  ])('is not paid for again, %s, whichever journal a run has', async (_, code, more) => {
    // At the same time, because each run waits for the disk, or until it gives up.
    const results = await Promise.all(runs.map((options) => solve(options, more)))
    expect(results).toStrictEqual(runs.map((options) => ({ codes: options.map(() => code), accepted: 1 })))
  })
})
