import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { ownBuild } from '../support/built.js'
import { runBlock, runnable } from '../support/doc-examples.js'
import { blocksOf } from '../support/doc-pages.js'
import { asCommonJs, programs } from '../support/nest-programs.js'
import { emulators, until } from '../support/raw-http.js'

const folder = ownBuild()
const start = emulators()
const run = programs()

const GRACE = 'graceMs: 5_000'

const HOOK = 'beforeApplicationShutdown'

/** The service of the guide, as JavaScript, with a shorter grace and with this hook. */
const serviceOfGuide = (hook: string): string => {
  const [block, ...others] = blocksOf('docs/guide/closing.md').filter(({ code }) =>
    code.includes('class CaptchaService')
  )
  const { code } = block!
  expect([code.includes(GRACE), code.includes(HOOK), others]).toStrictEqual([true, true, []])
  return asCommonJs(code.replace(GRACE, 'graceMs: 100').replace(HOOK, hook))
}

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

const recipeBlock = (name: string) => {
  const block = blocksOf('docs/recipes/nestjs.md').find(({ code }) => code.startsWith(`// ${name},`))
  if (!block) throw new Error(`the recipe has no file ${name}`)
  return block
}

/** A file of the recipe, as JavaScript, with a shorter grace and a faster pace. */
const recipe = (name: string): string => {
  const { code } = recipeBlock(name)
  const options = 'createSolver({'
  if (name === 'app.module.ts') expect([code.includes(GRACE), code.includes(options)]).toStrictEqual([true, true])
  return asCommonJs(code.replace(GRACE, 'graceMs: 0').replace(options, `${options} pollEveryMs: 20,`))
}

/** A process with the program of the recipe, once it listens. */
const recipeProcess = async (emulatorUrl: string) => {
  const [module, main] = ['app.module', 'main'].map((name) => join(folder(), `${name}.js`)) as [string, string]
  writeFileSync(module, recipe('app.module.ts'))
  writeFileSync(main, recipe('main.ts'))
  const { child, ended, port } = run([main], {
    CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
    CAPTCHA_BASE_URL: emulatorUrl,
    PORT: '0',
    OPEN_TASKS: join(folder(), 'open-tasks.json')
  })
  return { child, ended, solves: `http://127.0.0.1:${await port()}/solves` }
}

const json = async (url: string): Promise<unknown> => (await fetch(url)).json()

const startSolve = async (solves: string): Promise<string> => {
  const body = JSON.stringify({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })
  const response = await fetch(solves, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return ((await response.json()) as { id: string }).id
}

describe('the NestJS recipe', () => {
  it('streams the progress to a reader that reconnects, and resumes its open task after a restart, for one payment', async () => {
    const emulator = await start({ readyAfterMs: 600_000 })
    const { child, ended, solves } = await recipeProcess(emulator.url)
    const id = await startSolve(solves)
    const connect = async () => {
      const response = await fetch(`${solves}/${id}/events`)
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
    expect(await json(`${solves}/${id}`)).toStrictEqual({ state: 'open' })

    child.kill('SIGTERM')
    let rest = ''
    for (let chunk = await second.reader.read(); !chunk.done; chunk = await second.reader.read()) rest += chunk.value
    expect(rest).toContain('event: end')
    await expect(ended).resolves.toBe('SIGTERM')
    const { taskId } = emulator.tasks()[0]!
    expect(JSON.parse(readFileSync(join(folder(), 'open-tasks.json'), 'utf8'))).toMatchObject([{ id, ref: { taskId } }])

    const polls = emulator.counters().requests.getTaskResult
    const next = await recipeProcess(emulator.url)
    await until(() => emulator.counters().requests.getTaskResult > polls)
    expect(await json(`${next.solves}/${id}`)).toStrictEqual({ state: 'open' })
    expect(emulator.counters()).toMatchObject({ accepted: 1 })
  }, 30_000)

  it('answers with the token', async () => {
    const emulator = await start({ readyAfterMs: 0 })
    writeFileSync(join(folder(), 'open-tasks.json'), '[]')
    const { solves } = await recipeProcess(emulator.url)
    const id = await startSolve(solves)
    const events = await (await fetch(`${solves}/${id}/events`)).text()

    expect(events).toMatch(/event: end/)
    expect(await json(`${solves}/${id}`)).toMatchObject({
      state: 'solved',
      token: expect.stringMatching(/^03A/) as string
    })
    expect((await fetch(`${solves}/unknown`)).status).toBe(404)
  }, 30_000)

  it('answers a request without fields with what is wrong, and pays for nothing', async () => {
    const emulator = await start({ readyAfterMs: 0 })
    writeFileSync(join(folder(), 'open-tasks.json'), '[]')
    const { solves } = await recipeProcess(emulator.url)
    const { id } = (await (await fetch(solves, { method: 'POST' })).json()) as { id: string }

    expect(await json(`${solves}/${id}`)).toMatchObject({
      state: 'failed',
      paid: 'no',
      message: expect.stringContaining('websiteURL') as string
    })
    expect(emulator.counters().requests.createTask).toBe(0)
  }, 30_000)

  it('passes its own test', async () => {
    const file = join(folder(), 'app.module.js')
    writeFileSync(file, recipe('app.module.ts'))
    const load = (name: string): unknown => jest.requireActual(name === './app.module' ? file : name)

    const [example] = runnable([recipeBlock('app.module.spec.ts')])
    await runBlock(example!, load)
  })
})
