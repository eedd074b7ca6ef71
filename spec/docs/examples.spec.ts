import * as channels from 'node:diagnostics_channel'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as rxCaptcha from 'rx-captcha'
import * as emulatorModule from 'rx-captcha/emulator'
import * as journalModule from 'rx-captcha/journal'
import type { SolveError, Solver, SolverOptions } from 'rx-captcha'
import { CODE_MEANINGS } from '../../lib/core/protocol/error-codes.js'
import { command, envOf } from '../support/command.js'
import { runBlock, runnable, typeProblems } from '../support/doc-examples.js'
import { ROOT, blocksOf, docstringBlocks, pages, sources, textOf, type Block } from '../support/doc-pages.js'
import { callsOf, commandsOf, problemOf, type Words } from '../support/doc-shell.js'
import { hurried } from '../support/solvers.js'

const chineseReadme = 'docs/zh-CN/README.md' // has the blocks of README.md
const blocks = pages.filter((page) => page !== chineseReadme).flatMap(blocksOf)
const isProgram = ({ language }: Block): boolean => ['ts', 'js'].includes(language)
const isShell = ({ language }: Block): boolean => ['sh', 'bash'].includes(language)

const examples = [...blocks.filter(isProgram), ...sources.flatMap(docstringBlocks)]
const errorsMd = 'docs/errors.md'
const errorBlocks = blocksOf(errorsMd).filter(({ language }) => language === 'json')

const aPage = { websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' }

const tags = Object.keys({
  InvalidTask: true,
  NotCreated: true,
  Refused: true,
  CreateUnknown: true,
  TaskFailed: true,
  BadReply: true,
  TimedOut: true,
  Interrupted: true
} satisfies Record<SolveError['_tag'], true>)

/** The sections of a page, by their headings. */
const sectionsOf = (page: string): ReadonlyMap<string, string> =>
  new Map(
    textOf(page)
      .split(/^#+ /m)
      .map((section) => [section.split('\n', 1)[0] ?? '', section])
  )

/** The anchor of a heading in a link, by the rules of GitHub. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
    .replaceAll(' ', '-')

/** The relative links of a page. */
const linksOf = (page: string): ReadonlyArray<string> =>
  Array.from(textOf(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g), ([, link = '']) => link)

const isBroken = (from: string, link: string): boolean => {
  const [path = '', anchor] = link.split('#')
  const page = path === '' ? from : join(dirname(from), path)
  if (!existsSync(join(ROOT, page))) return true
  return anchor !== undefined && ![...sectionsOf(page).keys()].map(anchorOf).includes(anchor)
}

describe('the examples in documents and docstrings', () => {
  const opened: { readonly close: () => Promise<unknown> }[] = []
  let emulator: emulatorModule.Emulator

  // Closed after all tests, because an example that fails does not close it.
  const startEmulator = async (options: emulatorModule.EmulatorOptions = {}): Promise<emulatorModule.Emulator> => {
    const started = await emulatorModule.startEmulator(options)
    opened.push(started)
    return started
  }
  /** An emulator that is so many times as fast as the example says. */
  const startFasterEmulator =
    (speed: number) =>
    ({ readyAfterMs = 0, ...options }: emulatorModule.EmulatorOptions = {}) =>
      startEmulator({
        ...options,
        readyAfterMs: typeof readyAfterMs === 'number' ? readyAfterMs / speed : readyAfterMs
      })

  // Without a `baseUrl` an example calls the emulator, and polls quickly.
  const createSolver = (options: SolverOptions): Solver => {
    const withDefaults = { pollEveryMs: 5, ...options, baseUrl: options.baseUrl ?? emulator.url }
    const solver = rxCaptcha.createSolver(options.post ? options : withDefaults)
    opened.push(solver)
    return solver
  }

  // Files of examples are written to a temporary folder.
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-examples-'))
  const fileJournal = async (path: string): Promise<journalModule.FileJournal> => {
    const journal = await journalModule.fileJournal(join(folder, path))
    opened.push(journal)
    return journal
  }
  // Channels belong to the process, and a later spec in the same process would have these listeners, too.
  const subscribe: typeof channels.subscribe = (name, listener) => {
    channels.subscribe(name, listener)
    opened.push({ close: () => Promise.resolve(channels.unsubscribe(name, listener)) })
  }
  const modules: Readonly<Record<string, unknown>> = {
    'rx-captcha': { ...rxCaptcha, createSolver },
    'rx-captcha/emulator': { ...emulatorModule, startEmulator: startFasterEmulator(100) },
    'rx-captcha/journal': { ...journalModule, fileJournal },
    'node:diagnostics_channel': { ...channels, subscribe }
  }
  // A deadline in an example has to fit the time of its tasks: both are three times as fast as it says.
  const SPEED = 3
  const hurry = { scheduler: hurried(SPEED).scheduler, pollEveryMs: 30 }
  const atItsPace = {
    ...modules,
    'rx-captcha': { ...rxCaptcha, createSolver: (options: SolverOptions) => createSolver({ ...hurry, ...options }) },
    'rx-captcha/emulator': { ...emulatorModule, startEmulator: startFasterEmulator(SPEED) }
  }
  const loaderOf = ({ code }: Block) => {
    const given: typeof modules = code.includes('giveUpAfterMs') ? atItsPace : modules
    return (name: string): unknown => given[name] ?? jest.requireActual(name)
  }

  beforeAll(async () => {
    emulator = await startEmulator({ readyAfterMs: 0, seed: 1 })
    process.env.CAPTCHA_CLIENT_KEY = emulatorModule.EMULATOR_KEY
  })
  afterAll(async () => {
    await Promise.all(opened.map(({ close }) => close()))
    rmSync(folder, { recursive: true })
  })

  it('compile with the compiler options of the specs', () => {
    const annotated = errorBlocks.map(({ code, ...block }) => ({
      ...block,
      code: `import type { SolveError } from 'rx-captcha'\nexport const error: SolveError = ${code}`
    }))
    expect(examples.length).toBeGreaterThan(5)
    expect(typeProblems([...examples, ...annotated])).toStrictEqual([])
  }, 60_000)

  it.each(runnable(examples.filter(({ testedIn }) => testedIn === undefined)))(
    'run and print what they state: $at',
    async (example) => {
      expect(example.isTest || example.prints.length > 0).toBe(true)
      await runBlock(example, loaderOf(example))
    }
  )

  // README.md shows the shortest program for an account.
  it('call the address of CAPTCHA_BASE_URL where they read the key of the environment, so that they run without an account', () => {
    const fixed = blocks.filter(
      ({ page, code }) =>
        page !== 'README.md' &&
        code.split('process.env.CAPTCHA_CLIENT_KEY').length > code.split('process.env.CAPTCHA_BASE_URL').length
    )
    expect(fixed.map(({ at }) => at)).toStrictEqual([])
  })

  it('name a spec that reads their page if they do not run here', () => {
    const elsewhere = examples.flatMap(({ at, page, testedIn }) =>
      testedIn === undefined ? [] : [{ at, page, testedIn }]
    )
    const wrong = elsewhere.filter(
      ({ page, testedIn }) => !existsSync(join(ROOT, testedIn)) || !textOf(testedIn).includes(page)
    )
    expect(wrong).toStrictEqual([])
  })

  it.each(blocks.filter(isShell))('name only commands and files that exist: $at', async (block) => {
    const commands = commandsOf(block)
    expect(commands).not.toStrictEqual([])
    expect(commands.flatMap((words) => problemOf(block.page, words) ?? [])).toStrictEqual([])
    for (const args of callsOf(block)) {
      const help = await command([...args.slice(0, 1), '--help']).ended()
      const options = args.filter((arg) => arg.startsWith('--'))
      expect({ code: help.code, unknown: options.filter((option) => !help.out.includes(option)) }).toStrictEqual({
        code: 0,
        unknown: []
      })
    }
  })

  // Pages for a start. Other pages also show commands that fail.
  const begun = blocks.filter(({ page }) => page === 'README.md' || page.startsWith('docs/guide'))
  const lines = begun
    .filter(isShell)
    .flatMap((block) => callsOf(block).map((args) => ({ at: block.at, line: args.join(' '), args })))

  /** The arguments with the files in the temporary folder, a free port, and a task that exists; the demo takes too long. */
  const madeToRun = async (args: Words): Promise<Words> => {
    const task = { clientKey: emulatorModule.EMULATOR_KEY, task: { type: 'RecaptchaV2TaskProxyless', ...aPage } }
    const created = await fetch(`${emulator.url}/createTask`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(task)
    })
    const { taskId } = (await created.json()) as { readonly taskId: string }
    const csv = begun.find(({ language }) => language === 'csv')
    writeFileSync(join(folder, 'tasks.csv'), csv?.code ?? '')
    const shown: Readonly<Record<string, string>> = { TASKID: taskId, '8080': '0', demo: '--version' }
    return args.map((arg) => (/^[a-z]+\.[a-z]+$/.test(arg) ? join(folder, arg) : (shown[arg] ?? arg)))
  }

  it.each(lines)('are commands that succeed: rx-captcha $line', async ({ args }) => {
    const running = command(await madeToRun(args), { env: envOf(emulator) })
    if (args[0] === 'emulate') {
      await running.prints('CAPTCHA_BASE_URL')
      running.signal('SIGINT')
    }
    const { code, err } = await running.ended()
    expect({ code: args[0] === 'emulate' && code === 130 ? 0 : code, err }).toMatchObject({ code: 0 })
  })
})

describe('the documents', () => {
  it('have no broken relative link', () => {
    const broken = pages.flatMap((page) =>
      linksOf(page)
        .filter((link) => isBroken(page, link))
        .map((link) => `${page}: ${link}`)
    )
    expect(broken).toStrictEqual([])
  })

  it('contain every page and heading that a docstring links to', () => {
    const broken = sources.flatMap((source) =>
      Array.from(textOf(source).matchAll(/\bdocs\/[\w/-]+\.md(?:#[\w-]+)?/g), ([link]) => link)
        .filter((link) => isBroken('README.md', link))
        .map((link) => `${source}: ${link}`)
    )
    expect(broken).toStrictEqual([])
  })

  it('number the decisions without a gap', () => {
    const numbers = pages.flatMap((page) => /^docs\/decisions\/(\d{4})-/.exec(page)?.[1] ?? [])
    expect(numbers).toStrictEqual(numbers.map((_, i) => String(i + 1).padStart(4, '0')))
  })
})

describe('docs/zh-CN/README.md', () => {
  const codeOf = (page: string) => blocksOf(page).map(({ language, code }) => [language, code])

  it('has the code blocks of README.md', () => {
    expect(codeOf(chineseReadme)).toStrictEqual(codeOf('README.md'))
  })

  it('has the sections and the links of README.md', () => {
    const outlineOf = (page: string) => ({
      levels: [...textOf(page).matchAll(/^(#+) /gm)].map(([, level]) => level),
      links: linksOf(page)
        .map((link) => join(dirname(page), link))
        .filter((link) => !link.endsWith('README.md'))
    })
    expect(outlineOf(chineseReadme)).toStrictEqual(outlineOf('README.md'))
  })
})

describe('docs/errors.md', () => {
  const sections = sectionsOf(errorsMd)
  const sampleOf = (tag: string) =>
    errorBlocks.map(({ code }) => JSON.parse(code) as SolveError).find(({ _tag }) => _tag === tag)!

  it.each(tags)('has an example of %s with the texts of explain and advise', (tag) => {
    const section = sections.get(tag) ?? ''
    const sentence = Array.from(section.matchAll(/^> (.*)$/gm), ([, line]) => line).join(' ')
    expect(sentence).toBe(rxCaptcha.explain(sampleOf(tag)))
    expect(/\*\*Advice:\*\* `([\w-]+)`/.exec(section)?.[1]).toBe(rxCaptcha.advise(sampleOf(tag)))
  })

  it('lists the same advice as advise, by field', () => {
    const rows = [...(sections.get('Advice by field') ?? '').matchAll(/^\| `(\w+)` `(\{.*?\})` +\| `([\w-]+)` +\|$/gm)]
    const documented = rows.map(([, tag, fields, advice]) => [tag, fields, advice])
    const actual = rows.map(([, tag = '', fields = '']) => {
      const error = { ...sampleOf(tag), ...(JSON.parse(fields) as object) }
      return [tag, fields, rxCaptcha.advise(error)]
    })
    expect(documented.length).toBeGreaterThan(10)
    expect(documented).toStrictEqual(actual)
  })
})

describe('docs/protocol.md', () => {
  it('lists the error codes of the library with their meanings', () => {
    const rows = textOf('docs/protocol.md').matchAll(/^\| `([A-Z_]+)` +\| (\w+) +\| [A-Z0-9a].*$/gm)
    expect(Array.from(rows, ([, code, meaning]) => [code, meaning])).toStrictEqual([...CODE_MEANINGS])
  })
})
