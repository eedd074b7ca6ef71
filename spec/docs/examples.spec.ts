import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as rxjs from 'rxjs'
import * as rxjsTesting from 'rxjs/testing'
import * as TE from 'fp-ts/lib/TaskEither.js'
import * as fpFunction from 'fp-ts/lib/function.js'
import * as sqlite from 'node-sqlite3-wasm'
import * as iots from 'io-ts'
import * as rxCaptcha from 'rx-captcha'
import * as emulatorModule from 'rx-captcha/emulator'
import * as journalModule from 'rx-captcha/journal'
import * as testingModule from 'rx-captcha/testing'
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
    .replace(/[^\p{L}\p{N}\- ]/gu, '')
    .replaceAll(' ', '-')

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
  const startEmulator = async (options?: emulatorModule.EmulatorOptions): Promise<emulatorModule.Emulator> => {
    const started = await emulatorModule.startEmulator(options)
    opened.push(started)
    return started
  }

  // Without a `baseUrl` an example calls the emulator, and polls quickly.
  const createSolver = (options: SolverOptions): Solver => {
    const withDefaults = { pollEveryMs: 5, ...options, baseUrl: options.baseUrl ?? emulator.url }
    const solver = rxCaptcha.createSolver(options.post ? options : withDefaults)
    opened.push(solver)
    return solver
  }

  // Journals of examples are written to a temporary folder.
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-examples-'))
  const fileJournal = async (path: string): Promise<journalModule.FileJournal> => {
    const journal = await journalModule.fileJournal(join(folder, path))
    opened.push(journal)
    return journal
  }
  const modules = {
    rxjs,
    'rxjs/testing': rxjsTesting,
    'rx-captcha': { ...rxCaptcha, createSolver },
    'rx-captcha/testing': testingModule,
    'rx-captcha/emulator': { ...emulatorModule, startEmulator },
    'rx-captcha/journal': { ...journalModule, fileJournal },
    'fp-ts/lib/TaskEither.js': TE,
    'fp-ts/lib/function.js': fpFunction,
    'io-ts': iots,
    'node-sqlite3-wasm': sqlite
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

  it.each(inDocstrings)('state what they print if they are in a docstring: $at', ({ prints }) => {
    expect(prints).toBeDefined()
  })

  it.each(examples.filter(({ prints }) => prints !== undefined))('print what they state: $at', async (example) => {
    expect(await firstPrint(example, modules)).toContain(example.prints)
  })
})

describe('the documents', () => {
  it('have no broken relative link', () => {
    const broken = pages.flatMap((page) =>
      Array.from(textOf(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g), ([, link = '']) => link)
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
