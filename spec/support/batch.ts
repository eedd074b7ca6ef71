import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Emulator } from 'rx-captcha/emulator'
import { command, envOf, type CommandOptions } from './command.js'

/** A folder for the files of a test; it is removed after all tests. */
export const testFiles = () => {
  const folder = mkdtempSync(join(tmpdir(), 'batch-'))
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })
  let files = 0
  /** A new path; with a text, the file exists. */
  const file = (ending: string, text?: string | Buffer): string => {
    const path = join(folder, `${(files += 1)}${ending}`)
    if (text !== undefined) writeFileSync(path, text)
    return path
  }
  return { folder, file }
}

export const task = (nth: number, more: object = {}) => ({
  websiteURL: `https://example.com/${nth}`,
  websiteKey: 'k',
  ...more
})
export const ndjson = (...items: ReadonlyArray<object | string>): string =>
  items.map((item) => `${typeof item === 'string' ? item : JSON.stringify(item)}\n`).join('')

export interface BatchLine {
  readonly index: number
  readonly id?: string | number
  readonly key?: string
  readonly line?: number
  readonly ok: boolean
  readonly taskId?: string
  readonly gRecaptchaResponse?: string
  readonly error?: { readonly _tag: string; readonly problems?: ReadonlyArray<string> }
  readonly message?: string
}

const isLine = (value: unknown): value is BatchLine => typeof value === 'object' && value !== null && 'index' in value

export const linesIn = (text: string): ReadonlyArray<BatchLine> =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line))
    .filter(isLine)
    .sort((one, other) => one.index - other.index)

export const batch = async (emulator: Emulator, argv: ReadonlyArray<string>, options: CommandOptions = {}) => {
  const ended = await command(['batch', ...argv], { env: envOf(emulator), ...options }).ended()
  return { ...ended, lines: linesIn(ended.out) }
}

export const pages = (emulator: Emulator) => emulator.tasks().map(({ task: sent }) => sent.websiteURL)
