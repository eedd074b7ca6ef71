import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { startEmulator } from 'rx-captcha/emulator'
import { command, envOf } from '../support/command.js'
import { ROOT, textOf } from '../support/doc-pages.js'

const [header = '', ...events] = textOf('spec/docs/batch.cast').trim().split('\n')
const recorded = events.map((event) => (JSON.parse(event) as readonly [number, string, string])[2]).join('')

/** The lines of an output without what differs from run to run. */
const shapesOf = (text: string): ReadonlyArray<string> =>
  stripVTControlCharacters(text)
    .split(/\r?\n/)
    .map((line) => line.replace(/\d+(\.\d+)?/g, '#'))

describe('the animated picture of batch', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'rx-captcha-picture-'))
  })
  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it('is checked in as it is drawn; `npm run pictures` draws it again', () => {
    const drawn = join(folder, 'batch.svg')
    // In a process of its own, like the other pictures.
    execFileSync(process.execPath, [join(ROOT, 'spec/docs/draw-batch.mjs'), drawn])
    expect(textOf('docs/batch.svg')).toBe(readFileSync(drawn, 'utf8'))
  })

  it('shows the report that the command prints; `npm run record` records it again', async () => {
    const emulator = await startEmulator({ readyAfterMs: 1, seed: 1, faults: ['task:2:ERROR_CAPTCHA_UNSOLVABLE'] })
    try {
      const input = join(folder, 'sites.csv')
      writeFileSync(
        input,
        'websiteURL,websiteKey\n' + ['a', 'b', 'c'].map((key) => `https://example.com,${key}\n`).join('')
      )
      const { command: line } = JSON.parse(header) as { readonly command: string }
      const [, ...argv] = line.split(' ').map((word) => (/\.(csv|ndjson)$/.test(word) ? join(folder, word) : word))
      const { err } = await command(argv, { env: envOf(emulator) }).ended()
      const printed = shapesOf(err.slice(err.indexOf('3 items')))
      expect(printed).toContain('Paid for: # new tasks.')
      // In a terminal the report begins where the progress was erased. Both recorded headings have further counts.
      const isShown = (line: string) =>
        shapesOf(recorded).some((shown) =>
          line.endsWith(' failed.') ? shown.includes(`${line.slice(0, -1)}, `) : shown.endsWith(line)
        )
      const missing = printed.filter((line) => !isShown(line))
      expect(missing).toStrictEqual([])
    } finally {
      await emulator.close()
    }
  })

  it('shows no task paid for twice', () => {
    const paid = Array.from(recorded.matchAll(/Paid for: (\d+) new tasks/g), ([, count]) => Number(count))
    const items = Number(/(\d+) items in/.exec(recorded.slice(recorded.lastIndexOf('items in') - 5))?.[1])
    expect(paid).toHaveLength(2)
    expect(paid.reduce((sum, count) => sum + count)).toBe(items)
  })
})
