import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as rxjs from 'rxjs'
import * as rxjsTesting from 'rxjs/testing'
import * as iots from 'io-ts'
import * as rxCaptcha from 'rx-captcha'
import * as emulating from 'rx-captcha/emulator'
import * as journaling from 'rx-captcha/journal'
import * as testing from 'rx-captcha/testing'
import type { SolveError, Solver, SolverOptions } from 'rx-captcha'
import { CODE_MEANINGS } from '../../lib/core/protocol/error-codes.js'
import {
  ROOT,
  blocksOf,
  docstringBlocks,
  firstPrint,
  pages,
  sources,
  textOf,
  typeProblems
} from '../support/doc-pages.js'

const inDocstrings = sources.flatMap(docstringBlocks)
const examples = [...pages.flatMap(blocksOf).filter(({ language }) => language === 'ts'), ...inDocstrings]
const errorsMd = 'docs/errors.md'
const errorBlocks = blocksOf(errorsMd).filter(({ language }) => language === 'json')

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

/** The text under each heading of a page, by the heading. */
const sectionsOf = (page: string): ReadonlyMap<string, string> =>
  new Map(
    textOf(page)
      .split(/^#+ /m)
      .map((section) => [section.split('\n', 1)[0] ?? '', section])
  )

/** What a heading is called in a link, by GitHub's rules. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- ]/gu, '')
    .replaceAll(' ', '-')

const leadsNowhere = (from: string, link: string): boolean => {
  const [path = '', anchor] = link.split('#')
  const page = path === '' ? from : join(dirname(from), path)
  if (!existsSync(join(ROOT, page))) return true
  return anchor !== undefined && ![...sectionsOf(page).keys()].map(anchorOf).includes(anchor)
}

describe('the examples of the documents', () => {
  const opened: { readonly close: () => Promise<unknown> }[] = []
  let emulator: emulating.Emulator

  // An example that fails may leave its own behind.
  const startEmulator = async (options?: emulating.EmulatorOptions): Promise<emulating.Emulator> => {
    const started = await emulating.startEmulator(options)
    opened.push(started)
    return started
  }

  // An example that names no address of its own reaches the emulator, at a pace for tests.
  const createSolver = (options: SolverOptions): Solver => {
    const here = { pollEveryMs: 5, ...options, baseUrl: options.baseUrl ?? emulator.url }
    const solver = rxCaptcha.createSolver(options.post ? options : here)
    opened.push(solver)
    return solver
  }
  // A journal of an example goes into a folder of its own.
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-examples-'))
  const fileJournal = async (path: string): Promise<journaling.FileJournal> => {
    const journal = await journaling.fileJournal(join(folder, path))
    opened.push(journal)
    return journal
  }
  const modules = {
    rxjs,
    'rxjs/testing': rxjsTesting,
    'rx-captcha': { ...rxCaptcha, createSolver },
    'rx-captcha/testing': testing,
    'rx-captcha/emulator': { ...emulating, startEmulator },
    'rx-captcha/journal': { ...journaling, fileJournal },
    'io-ts': iots
  }

  beforeAll(async () => {
    emulator = await startEmulator({ readyAfterMs: 0, seed: 1 })
    process.env.CAPTCHA_CLIENT_KEY = emulating.EMULATOR_KEY
  })
  afterAll(async () => {
    await Promise.all(opened.map(({ close }) => close()))
    rmSync(folder, { recursive: true })
  })

  it('compile under the settings of the specs', () => {
    const annotated = errorBlocks.map(({ code, ...block }) => ({
      ...block,
      code: `import type { SolveError } from 'rx-captcha'\nexport const error: SolveError = ${code}`
    }))
    expect(examples.length).toBeGreaterThan(5)
    expect(typeProblems([...examples, ...annotated])).toStrictEqual([])
  }, 60_000)

  it.each(inDocstrings)('say in docstrings what they print: $at', ({ prints }) => {
    expect(prints).toBeDefined()
  })

  it.each(examples.filter(({ prints }) => prints !== undefined))('do what is said of them: $at', async (example) => {
    expect(await firstPrint(example, { modules })).toContain(example.prints)
  })
})

describe('the documents', () => {
  it('have no relative link that leads nowhere', () => {
    const broken = pages.flatMap((page) =>
      Array.from(textOf(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g), ([, link = '']) => link)
        .filter((link) => leadsNowhere(page, link))
        .map((link) => `${page}: ${link}`)
    )
    expect(broken).toStrictEqual([])
  })

  it('hold what the docstrings refer to', () => {
    const broken = sources.flatMap((source) =>
      Array.from(textOf(source).matchAll(/\bdocs\/[\w/-]+\.md(?:#[\w-]+)?/g), ([link]) => link)
        .filter((link) => leadsNowhere('README.md', link))
        .map((link) => `${source}: ${link}`)
    )
    expect(broken).toStrictEqual([])
  })

  it('number the decisions without a gap', () => {
    const numbers = pages.flatMap((page) => /^docs\/decisions\/(\d{4})-/.exec(page)?.[1] ?? [])
    expect(numbers).toStrictEqual(numbers.map((_, i) => String(i + 1).padStart(4, '0')))
  })
})

describe('docs/errors.md', () => {
  const sections = sectionsOf(errorsMd)
  const sampleOf = (tag: string) =>
    errorBlocks.map(({ code }) => JSON.parse(code) as SolveError).find(({ _tag }) => _tag === tag)!

  it.each(tags)('has an example of %s, and what explain and advise say of it', (tag) => {
    const section = sections.get(tag) ?? ''
    const sentence = Array.from(section.matchAll(/^> (.*)$/gm), ([, line]) => line).join(' ')
    expect(sentence).toBe(rxCaptcha.explain(sampleOf(tag)))
    expect(/\*\*Advice:\*\* `([\w-]+)`/.exec(section)?.[1]).toBe(rxCaptcha.advise(sampleOf(tag)))
  })

  it('gives the advice that advise gives, field by field', () => {
    const rows = [...(sections.get('Advice by field') ?? '').matchAll(/^\| `(\w+)` `(\{.*?\})` +\| `([\w-]+)` +\|$/gm)]
    const said = rows.map(([, tag, fields, advice]) => [tag, fields, advice])
    const given = rows.map(([, tag = '', fields = '']) => {
      const error = { ...sampleOf(tag), ...(JSON.parse(fields) as object) }
      return [tag, fields, rxCaptcha.advise(error)]
    })
    expect(said.length).toBeGreaterThan(10)
    expect(said).toStrictEqual(given)
  })
})

describe('docs/protocol.md', () => {
  it('lists the codes that the library knows, each with its meaning', () => {
    const rows = textOf('docs/protocol.md').matchAll(/^\| `([A-Z_]+)` +\| (\w+) +\| [A-Z0-9a].*$/gm)
    expect(Array.from(rows, ([, code, meaning]) => [code, meaning])).toStrictEqual([...CODE_MEANINGS])
  })
})
