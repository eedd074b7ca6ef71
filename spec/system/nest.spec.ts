import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { ownBuild } from '../support/built.js'
import { runBlock, runnable } from '../support/doc-examples.js'
import { blocksOf } from '../support/doc-pages.js'
import { asCommonJs, programs, replaced, type Program } from '../support/nest-programs.js'
import { emulators, until } from '../support/raw-http.js'

const folder = ownBuild()
const start = emulators(afterAll)
const run = programs(afterAll)

const GRACE = 'graceMs: 5_000'

const HOOK = 'beforeApplicationShutdown'

const blockOf = (page: string, name: string) => {
  const [block, ...others] = blocksOf(page).filter(({ code }) => code.startsWith(`// ${name},`))
  if (!block || others.length > 0) throw new Error(`expected one file ${name} in ${page}`)
  return block
}
const RECIPE = 'docs/recipes/nestjs.md'

/** The module of the recipe with a shorter grace and a faster pace. */
const moduleOfRecipe = (): string => {
  const options = 'createSolver({'
  const code = replaced(blockOf(RECIPE, 'app.module.ts').code, GRACE, 'graceMs: 0')
  return replaced(code, options, `${options} pollEveryMs: 20,`)
}

/** The programs of both pages as JavaScript, by their names. */
let javascript: Readonly<Record<string, string>> = {}
beforeAll(() => {
  javascript = asCommonJs({
    'captcha.service.ts': blockOf('docs/guide/closing.md', 'captcha.service.ts').code,
    'app.module.ts': moduleOfRecipe(),
    'main.ts': blockOf(RECIPE, 'main.ts').code
  })
})

/** The service of the guide with a shorter grace and with this hook. */
const serviceOfGuide = (hook: string): string =>
  replaced(replaced(javascript['captcha.service.ts']!, GRACE, 'graceMs: 100'), HOOK, hook)

/** A process with a NestJS application around the service of the guide. */
const application = async (baseUrl: string, hook: string) => {
  const [main, service] = ['nest-app.cjs', 'captcha-service.js'].map((name) => join(folder(), name)) as [string, string]
  copyFileSync(join(__dirname, '../support/nest-app.cjs'), main)
  writeFileSync(service, serviceOfGuide(hook))
  const env = { CAPTCHA_CLIENT_KEY: EMULATOR_KEY, CAPTCHA_BASE_URL: baseUrl }
  const { child, lines, ended, port } = run([main, service], env)
  return { child, lines, ended, url: `http://127.0.0.1:${await port()}/` }
}

describe('a NestJS application with the service of the guide', () => {
  const title = 'stores the task of a waiting request on SIGTERM, answers it with the reference, and ends: %s'

  it.each([HOOK, 'onModuleDestroy'])(
    title,
    async (hook) => {
      const emulator = await start({ readyAfterMs: 600_000 })
      const { child, lines, ended, url } = await application(emulator.url, hook)
      const waiting = fetch(url).then((response) => response.json())
      await until(() => emulator.counters().requests.getTaskResult > 0)

      child.kill('SIGTERM')

      const { taskId, createdAt } = { taskId: emulator.tasks()[0]!.taskId, createdAt: expect.any(Number) as number }
      const error = { _tag: 'Interrupted', paid: 'yes', ref: { taskId, createdAt } }
      await expect(waiting).resolves.toStrictEqual({ _tag: 'Left', left: error })
      await expect(ended).resolves.toBe('SIGTERM')
      expect(lines().slice(1)).toStrictEqual([`stored ${taskId}`, 'drained after SIGTERM'])
      expect(emulator.counters()).toMatchObject({ accepted: 1, delivered: 0 })
    },
    30_000
  )
})

const json = async (url: string): Promise<unknown> => (await fetch(url)).json()

const startSolve = async (solves: string): Promise<string> => {
  const body = JSON.stringify({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
  const response = await fetch(solves, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return ((await response.json()) as { id: string }).id
}

const READY_AFTER_MS = 600_000

describe('the NestJS recipe', () => {
  let skippedMs = 0
  let emulator: Emulator
  // The tests share it, because it takes most of a second to load NestJS.
  let server: Program & { readonly solves: string }

  const startServer = async () => {
    const program = run([join(folder(), 'main.js')], {
      CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
      CAPTCHA_BASE_URL: emulator.url,
      PORT: '0',
      OPEN_TASKS: join(folder(), 'open-tasks.json')
    })
    return { ...program, solves: `http://127.0.0.1:${await program.port()}/solves` }
  }

  beforeAll(async () => {
    for (const name of ['app.module', 'main']) writeFileSync(join(folder(), `${name}.js`), javascript[`${name}.ts`]!)
    emulator = await start({ readyAfterMs: READY_AFTER_MS, now: () => Date.now() + skippedMs })
    server = await startServer()
  }, 30_000)

  it('streams the progress to a reader that reconnects, and resumes its open task after a restart, for one payment', async () => {
    const id = await startSolve(server.solves)
    const connect = async () => {
      const response = await fetch(`${server.solves}/${id}/events`)
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      const read = async (): Promise<string> => {
        const { value = '', done } = await reader.read()
        return done ? '' : value + (value.includes('Polled') ? '' : await read())
      }
      return { read, reader }
    }

    const first = await connect()
    expect(await first.read()).toContain('data: Polled')
    await first.reader.cancel()
    const second = await connect()
    expect(await second.read()).toContain('data: Polled')
    expect(await json(`${server.solves}/${id}`)).toStrictEqual({ state: 'open' })

    server.child.kill('SIGTERM')
    let rest = ''
    for (let chunk = await second.reader.read(); !chunk.done; chunk = await second.reader.read()) rest += chunk.value
    expect(rest).toContain('event: end')
    await expect(server.ended).resolves.toBe('SIGTERM')
    const { taskId } = emulator.tasks()[0]!
    expect(JSON.parse(readFileSync(join(folder(), 'open-tasks.json'), 'utf8'))).toMatchObject([{ id, ref: { taskId } }])

    const polls = emulator.counters().requests.getTaskResult
    server = await startServer()
    await until(() => emulator.counters().requests.getTaskResult > polls)
    expect(await json(`${server.solves}/${id}`)).toStrictEqual({ state: 'open' })
    expect(emulator.counters()).toMatchObject({ accepted: 1 })
  }, 30_000)

  it('answers with the token', async () => {
    const { accepted } = emulator.counters()
    const id = await startSolve(server.solves)
    await until(() => emulator.counters().accepted > accepted)
    skippedMs += READY_AFTER_MS
    const events = await (await fetch(`${server.solves}/${id}/events`)).text()

    expect(events).toMatch(/event: end/)
    expect(await json(`${server.solves}/${id}`)).toMatchObject({
      state: 'solved',
      token: expect.stringMatching(/^03A/) as string
    })
    expect((await fetch(`${server.solves}/unknown`)).status).toBe(404)
  })

  it('answers a request without fields with what is wrong, and pays for nothing', async () => {
    const { createTask } = emulator.counters().requests
    const { id } = (await (await fetch(server.solves, { method: 'POST' })).json()) as { id: string }

    expect(await json(`${server.solves}/${id}`)).toMatchObject({
      state: 'failed',
      paid: 'no',
      message: expect.stringContaining('websiteURL') as string
    })
    expect(emulator.counters().requests.createTask).toBe(createTask)
  })

  it('passes its own test', async () => {
    const load = (name: string): unknown =>
      jest.requireActual(name === './app.module.js' ? join(folder(), 'app.module.js') : name)

    const [example] = runnable([blockOf(RECIPE, 'app.module.spec.ts')])
    await runBlock(example!, load)
  })
})
