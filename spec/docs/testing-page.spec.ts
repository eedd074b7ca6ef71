import { blocksOf, textOf } from '../support/doc-pages.js'

const page = 'docs/testing.md'
const runners = ['jest', 'vitest', 'node'] as const
const files = {
  jest: textOf('spec/testing/runners/tokens.jest.test.ts'),
  vitest: textOf('spec/testing/runners/tokens.vitest.test.mts'),
  node: textOf('spec/testing/runners/tokens.node.test.mjs')
}

// `npm run runners` runs the three files, which takes an installation.
describe(page, () => {
  it('shows the file for jest as it is run', () => {
    const shown = blocksOf(page).filter(({ testedIn }) => testedIn !== undefined)
    expect(shown.map(({ code }) => code.replace(/^.*\n/, ''))).toStrictEqual([files.jest])
  })

  it('states how the file for vitest differs', () => {
    const fromJest = `import { expect, test, vi } from 'vitest'\n${files.jest.replaceAll('jest.', 'vi.')}`
    expect(files.vitest).toBe(fromJest)
  })

  it('names the calls for fake timers that the three files make', () => {
    const rows = textOf(page).matchAll(
      /^\| (?:enable|move the clock|disable) +\| `(.*?)` +\| `(.*?)` +\| `(.*?)` +\|$/gm
    )
    const documented = Array.from(rows, ([, ...calls]) => calls)
    expect(documented).toHaveLength(3)
    const missing = documented.flatMap((calls) => calls.filter((call, i) => !files[runners[i]!].includes(call)))
    expect(missing).toStrictEqual([])
  })

  it('has the same tests in the three files', () => {
    const titles = runners.map((runner) => Array.from(files[runner].matchAll(/test\(\s*'(.*)'/g), ([, title]) => title))
    expect(titles[0]).toHaveLength(4)
    expect(titles[1]).toStrictEqual(titles[0])
    expect(titles[2]).toStrictEqual(titles[0])
  })
})
