import { spawn, type ChildProcess } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { ownBuild } from '../support/built.js'
import { blocksOf } from '../support/doc-pages.js'
import { emulators, until } from '../support/raw-http.js'

const folder = ownBuild()
const start = emulators()
const children: ChildProcess[] = []
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')))

const GRACE = 'graceMs: 5_000'

const HOOK = 'beforeApplicationShutdown'

/** The service of README's section on shutdown, as JavaScript, with a shorter grace and with this hook. */
const serviceOfReadme = (hook: string): string => {
  const [block, ...others] = blocksOf('README.md').filter(({ code }) => code.includes('class CaptchaService'))
  const { code } = block!
  expect([code.includes(GRACE), code.includes(HOOK), others]).toStrictEqual([true, true, []])
  return ts.transpileModule(code.replace(GRACE, 'graceMs: 100').replace(HOOK, hook), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2023 }
  }).outputText
}

/** A process with a NestJS application around the service of README. */
const application = async (baseUrl: string, hook: string) => {
  const [main, service] = ['nest-app.cjs', 'captcha-service.js'].map((name) => join(folder(), name)) as [string, string]
  copyFileSync(join(__dirname, '../support/nest-app.cjs'), main)
  writeFileSync(service, serviceOfReadme(hook))
  const env = { PATH: process.env.PATH, CAPTCHA_CLIENT_KEY: EMULATOR_KEY }
  const child = spawn(process.execPath, [main, service, baseUrl], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  let out = ''
  const lines = () => out.split('\n').slice(0, -1)
  const listening = new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk) => {
      out += String(chunk)
      if (lines().length > 0) resolve()
    })
  })
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
  await listening
  return { child, lines, ended, url: `http://127.0.0.1:${lines()[0]!.split(' ')[1]!}/` }
}

describe('a NestJS application with the service of README', () => {
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
