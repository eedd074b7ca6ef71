import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export const ROOT = join(__dirname, '..', '..')

export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

const filesIn = (folder: string, ending: string): ReadonlyArray<string> =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)
    .sort()

/** The documents, as paths from the root. */
export const pages: ReadonlyArray<string> = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...filesIn('docs', '.md')
]

/** The source files, as paths from the root. */
export const sources: ReadonlyArray<string> = filesIn('lib', '.ts')

/** A code block of a document or a docstring. */
export interface Block {
  /** Where its code begins, such as `README.md:36`. */
  readonly at: string
  readonly page: string
  readonly language: string
  readonly code: string
  /** What it prints, in this order: from its comments `// prints …`, or from a comment `<!-- run: … -->` before it. Lines that end in `…` are only the beginning. */
  readonly prints: ReadonlyArray<string>
  /** Whether it is a test for jest, so that it has to pass instead of printing something. */
  readonly isTest: boolean
  /** The spec that runs it in place of `examples.spec.ts`, from its comment `// Tested in …`. */
  readonly testedIn: string | undefined
}

const FENCE = /(?:<!-- run(?:: (.*?))? -->\n\n)?^( *)```(\w+)\n(.*?)^ *```$/gms

export const blocksOf = (page: string): ReadonlyArray<Block> => {
  const text = textOf(page)
  return Array.from(text.matchAll(FENCE), (match) => {
    const [whole, prints, indent = '', language = '', code = ''] = match
    const line = text.slice(0, match.index + whole.indexOf('```')).split('\n').length + 1
    return blockOf(page, line, language, code.replaceAll(new RegExp(`^${indent}`, 'gm'), ''), prints)
  })
}

const FENCE_IN_COMMENT = /^ +\* ```(ts|js)\n((?: +\*.*\n)*?) +\* ```$/gm

/** The examples in the docstrings of a source file. */
export const docstringBlocks = (source: string): ReadonlyArray<Block> => {
  const text = textOf(source)
  return Array.from(text.matchAll(FENCE_IN_COMMENT), ({ 1: language = '', 2: lines = '', index }) =>
    blockOf(source, text.slice(0, index).split('\n').length + 1, language, lines.replace(/^ +\* ?/gm, ''))
  )
}

const blockOf = (page: string, line: number, language: string, code: string, prints?: string): Block => ({
  at: `${page}:${line}`,
  page,
  language,
  code,
  prints: [
    ...(prints === undefined ? [] : [prints]),
    ...Array.from(code.matchAll(/\/\/ prints (.*)$/gm), ([, text = '']) => text.replace(/…$/, ''))
  ],
  isTest: /^ *(?:it|test)(?:\.each)?\(/m.test(code),
  testedIn: /^\/\/ .*\btested in (\S+)/im.exec(code)?.[1]
})
